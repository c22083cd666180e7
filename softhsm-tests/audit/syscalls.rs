//! Faults of the disk and kills at one call of the kernel: strace has that call fail, or the process killed in it.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    bench::{Done, Place, finish},
    running::{BALANCE, Running, until},
    written::verified,
};

const STRACE: &str = "/usr/bin/strace";

/// Whether calls can be made to fail here.
fn traces() -> bool {
    if !Path::new(STRACE).exists() {
        eprintln!("SKIPPED: strace is not installed (Debian: strace)");
        return false;
    }
    let done = Command::new(STRACE)
        .args(["-qq", "-o", "/dev/null", "true"])
        .output();
    let traces = done.is_ok_and(|done| done.status.success()) && rustix::process::geteuid().is_root();
    if !traces {
        eprintln!("SKIPPED: nothing can be traced here");
    }
    traces
}

/// strace, with this fault in calls of this kind on one file of the log.
fn fault(place: &Place, call: &str, fault: &str) -> Command {
    let mut strace = Command::new(STRACE);
    strace
        .args(["-f", "-qq", "-o"])
        .arg(place.path().join("strace"))
        .arg("-P")
        .arg(place.home().join("audit/000000000001.jsonl"))
        .args([
            "-e",
            &format!("trace={call}"),
            "-e",
            &format!("inject={call}:{fault}"),
        ]);
    strace
}

/// A command of hsmsign under it, to its end.
fn under(mut strace: Command, place: &Place, args: &[&str], input: &str) -> Done {
    let command = place.command(args);
    strace.arg(command.get_program()).args(args).env_clear();
    for (name, value) in command.get_envs() {
        strace.env(name, value.unwrap());
    }
    strace.current_dir(place.path());
    strace
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    finish(strace.spawn().unwrap(), input.as_bytes())
}

/// How often the fault was there.
fn injected(place: &Place) -> usize {
    let traced = fs::read_to_string(place.path().join("strace")).unwrap();
    traced.matches("(INJECTED)").count()
}

/// The number of the seal that lies beside the log.
fn kept(place: &Place) -> u64 {
    let kept: Value = serde_json::from_slice(&fs::read(place.home().join("audit.seal")).unwrap()).unwrap();
    kept["seal"].as_u64().unwrap()
}

#[test]
fn where_the_disk_does_not_keep_a_seal_its_number_is_not_kept_either() {
    if !traces() {
        return;
    }
    let Some(place) = Place::with_kraken() else { return };
    place.sign_balances(2);
    let lines = format!("{BALANCE}\n").repeat(3);
    let mut told = 0;
    // The lines, then the seal, then neither.
    for (at, number) in [(1, 1), (2, 1), (3, 3)] {
        let strace = fault(&place, "fdatasync", &format!("error=EIO:when={at}"));
        let done = under(strace, &place, &["sign", "--json"], &lines);
        told += usize::from(injected(&place) > 0);
        // It is tried again, and where that comes before the end the lines are kept after all.
        if done.code != 0 {
            assert_eq!(done.code, 1, "{done:?}");
            // The first lines of a stream wait for the disk, and are answered with the reason.
            let answers = if at == 1 { &done.stdout } else { &done.stderr };
            assert!(at != 1 || !done.stdout.contains("API-Sign"), "{done:?}");
            assert!(
                answers.contains(
                    "the disk does not keep the audit log, so nothing is signed: Input/output error"
                ),
                "{done:?}"
            );
        }
        let found = verified(&place);
        assert_eq!(found["ok"], true, "{at}: {found}");
        assert!(kept(&place) <= found["seals"].as_u64().unwrap(), "{at}: {found}");
        assert!(kept(&place) >= number.min(1), "{at}: {found}");
    }
    assert!(told >= 2, "the lines, and the seal behind them: {told}");
    // A single signature is not given out.
    let strace = fault(&place, "fdatasync", "error=EIO");
    let done = under(
        strace,
        &place,
        &["sign", "kraken", "POST", "/0/private/Balance"],
        "",
    );
    assert_eq!((done.code, done.stdout.as_str()), (1, ""), "{done:?}");
    // With the disk well again all is as ever.
    place.sign_balances(2);
    let found = verified(&place);
    assert_eq!(
        (&found["ok"], found["seals"].as_u64()),
        (&true.into(), Some(kept(&place))),
        "{found}"
    );
}

#[test]
fn a_kill_in_a_write_leaves_a_log_that_can_be_gone_on_from() {
    if !traces() {
        return;
    }
    let sign = ["sign", "kraken", "POST", "/0/private/Balance"];
    let Some(place) = Place::with_kraken() else { return };
    let (folder, kept) = (place.home().join("audit"), place.home().join("audit.seal"));
    for when in 1..=3 {
        fs::remove_dir_all(&folder).unwrap();
        fs::remove_file(&kept).unwrap();
        let strace = fault(&place, "write", &format!("signal=KILL:when={when}"));
        let done = under(strace, &place, &sign, "");
        assert!(done.code == 0 || done.stdout.is_empty(), "{when}: {done:?}");
        // Whatever is there of a file has its first line whole.
        for file in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let name = file.file_name().into_string().unwrap();
            let text = fs::read_to_string(file.path()).unwrap();
            assert!(
                !name.ends_with(".jsonl") || text.starts_with("{\"n\":1,") && text.contains('\n'),
                "{when}: {text:?}"
            );
        }
        place.ok(&sign);
        let found = verified(&place);
        assert_eq!(
            (&found["ok"], &found["torn_bytes"]),
            (&true.into(), &0.into()),
            "{when}: {found}"
        );
    }
}

#[test]
fn where_the_system_has_no_thread_to_give_no_line_and_no_seal_is_lost() {
    if !traces() {
        return;
    }
    let Some(place) = Place::with_kraken() else { return };
    let lines = format!("{BALANCE}\n").repeat(3);
    let (mut signed, mut seals) = (0, 0);
    // Of the log's two threads the one or the other or both, then those that sign, then all.
    for which in ["1", "2", "1..2", "3", "4", "1+"] {
        let strace = || {
            let mut strace = Command::new(STRACE);
            strace.args(["-f", "-qq", "-o"]).arg(place.path().join("strace"));
            let fault = format!("inject=clone3,clone:error=EAGAIN:when={which}");
            strace.args(["-e", "trace=clone3,clone", "-e", &fault]);
            strace
        };
        let done = under(strace(), &place, &["sign", "--json"], &lines);
        assert!(done.code == 0 && injected(&place) > 0, "{which}: {done:?}");
        signed += done.stdout.matches("API-Sign").count();
        let logged = place.log(&["--what", "sign", "--outcome", "signed"]).len();
        assert_eq!(logged, signed, "{which}: {done:?}");
        let done = under(strace(), &place, &["audit", "seal"], "");
        assert_eq!(done.code, 0, "{which}: {done:?}");
        seals += 2;
        let found = verified(&place);
        assert_eq!(
            (&found["ok"], &found["seals"], &found["unsealed"], kept(&place)),
            (&true.into(), &seals.into(), &1.into(), seals),
            "{which}: {found}"
        );
    }
}

/// strace on a process that runs already, until it is dropped.
struct Attached(Child);

impl Attached {
    fn to(agent: &Running<'_>, mut strace: Command) -> Self {
        let child = strace
            .args(["-p", &agent.pid().to_string()])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        until("strace is attached to every thread", || {
            let tasks = fs::read_dir(format!("/proc/{}/task", agent.pid())).unwrap();
            tasks.flatten().all(|task| {
                let status = fs::read_to_string(task.path().join("status")).unwrap_or_default();
                !status.contains("TracerPid:\t0")
            })
        });
        Self(child)
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        // By its own signal, so that it lets go of what it traces.
        let _ = rustix::process::kill_process(
            rustix::process::Pid::from_child(&self.0),
            rustix::process::Signal::TERM,
        );
        let _ = self.0.wait();
    }
}

#[test]
fn an_agent_whose_disk_keeps_nothing_signs_nothing_until_it_does() {
    if !traces() {
        return;
    }
    let Some(place) = Place::with_kraken() else { return };
    let agent = Running::start(&place);
    let mut bot = agent.connect();
    assert_eq!(bot.ask(BALANCE)["ok"], true);
    let broken = Attached::to(&agent, fault(&place, "fdatasync", "error=EIO"));
    let begun = Instant::now();
    let refused = loop {
        let answer = bot.ask(BALANCE);
        if answer["ok"] == false {
            break answer;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{answer}");
        std::thread::sleep(Duration::from_millis(5));
    };
    let message = refused["error"]["message"].as_str().unwrap();
    assert!(
        message.contains("the disk does not keep the audit log, so nothing is signed"),
        "{refused}"
    );
    // It is tried again all the while, and each try fails.
    until("the disk refuses again and again", || injected(&place) > 3);
    assert_eq!(bot.ask(BALANCE)["ok"], false);
    drop(broken);
    until("it goes on", || bot.ask(BALANCE)["ok"] == true);
    drop((bot, agent));
    place.ok(&["audit", "seal"]);
    let found = verified(&place);
    assert_eq!(found["ok"], true, "{found}");
}
