//! What the process that reads clients' bytes may do, and what it holds.

use std::process::Command;

use crate::{
    bench::{Place, compile},
    running::{BALANCE, Running, until},
};

fn proc(pid: i32, file: &str) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap()
}

fn field(pid: i32, name: &str) -> String {
    let status = proc(pid, "status");
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_once(':').unwrap().1.trim().to_owned()
}

#[test]
fn the_front_is_confined_and_the_worker_is_apart() {
    let Some(place) = Place::with_kraken() else { return };
    let agent = Running::start(&place);
    assert_eq!(agent.connect().ask(BALANCE)["ok"], true);
    let status = agent.status();
    if status["confined"] != serde_json::json!({"landlock": "full", "seccomp": true}) {
        eprintln!(
            "SKIPPED: this kernel knows no landlock or seccomp: {}",
            status["confined"]
        );
        assert!(agent.log().contains("confines the agent less"), "{}", agent.log());
        return;
    }
    assert_eq!(field(agent.pid(), "Seccomp"), "2");
    assert_eq!(field(agent.pid(), "NoNewPrivs"), "1");
    let module = "libsofthsm2";
    assert!(
        !proc(agent.pid(), "maps").contains(module),
        "no vendor's code reads clients' bytes"
    );
    assert!(proc(agent.worker(), "maps").contains(module));
}

/// Has a command run on a kernel that answers this call with this error; false, with a line on stderr, where there is no C
/// compiler.
fn on_a_kernel_that_lacks(place: &Place, command: &mut Command, call: libc::c_long, error: i32) -> bool {
    let library = compile::library(place.path(), "lacking", "agent/c/lacking.c");
    library.is_some_and(|library| {
        command
            .env("LD_PRELOAD", library)
            .env("LACKS", format!("{call} {error}"));
        true
    })
}

#[test]
fn where_the_kernel_confines_less_the_agent_serves_and_says_so() {
    let lacking = [
        (
            libc::SYS_seccomp,
            [libc::EINVAL, libc::ENOSYS, libc::EPERM],
            "no seccomp",
        ),
        (
            libc::SYS_landlock_create_ruleset,
            [libc::EOPNOTSUPP, libc::ENOSYS, libc::EPERM],
            "no landlock",
        ),
    ];
    let Some(place) = Place::with_kraken() else { return };
    for (call, errors, words) in lacking {
        for error in errors {
            let mut command = place.command(&["agent"]);
            if !on_a_kernel_that_lacks(&place, &mut command, call, error) {
                return;
            }
            let agent = Running::of(&place, command);
            assert_eq!(agent.connect().ask(BALANCE)["ok"], true, "{words} {error}");
            let log = agent.log();
            assert!(
                log.contains("confines the agent less") && log.contains(words),
                "{log}"
            );
            let confined = agent.status()["confined"].clone();
            match words {
                "no seccomp" => assert_eq!(confined["seccomp"], false, "{error}"),
                _ => assert_eq!(confined["landlock"], "none", "{error}"),
            }
        }
    }
}

#[test]
fn an_agent_that_cannot_be_confined_does_not_start_and_says_why() {
    let Some(place) = Place::with_token() else { return };
    let mut command = place.command(&["agent", "start"]);
    if !on_a_kernel_that_lacks(&place, &mut command, libc::SYS_landlock_restrict_self, libc::EIO) {
        return;
    }
    let done = command.output().unwrap();
    let told = String::from_utf8_lossy(&done.stderr).into_owned();
    if done.status.success() {
        eprintln!("SKIPPED: this kernel knows no landlock: {told}");
        place.ok(&["agent", "stop"]);
        return;
    }
    assert_eq!(done.status.code(), Some(4), "{told}");
    assert!(
        told.contains("the agent did not start: the agent cannot be confined to its folders"),
        "{told}"
    );
}

#[test]
fn a_file_outside_its_folders_is_out_of_reach() {
    let Some(place) = Place::with_token() else { return };
    let scheme = place.home().join("schemes");
    std::fs::create_dir(&scheme).unwrap();
    let text = "id = \"own\"\nname = \"Own\"\nhosts = [\"example.com\"]\nkey = { algorithm = \"hmac-sha256\", secret = \"ascii\", encoding = \"hex\" }\nsignature = { message = \"{path}\" }\nheaders = { S = \"{signature}\" }\n";
    private(&scheme.join("own.toml"), text);
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(&scheme, std::fs::Permissions::from_mode(0o700)).unwrap();
    place.import(&["-e", "own", "--allow", "withdrawals"], "secret");
    let line = r#"{"key":"own","method":"GET","path":"/"}"#;
    let sign = || Running::start(&place).connect().ask(line);
    assert_eq!(sign()["ok"], true, "{}", sign());
    // The same file, but outside: the command line follows the link, the confined front cannot.
    let outside = place.path().join("own.toml");
    std::fs::rename(scheme.join("own.toml"), &outside).unwrap();
    std::os::unix::fs::symlink(&outside, scheme.join("own.toml")).unwrap();
    let here = place.run(&["sign", "own", "GET", "/"], "");
    let answer = sign();
    if here.code == 0 && Running::start(&place).status()["confined"]["landlock"] == "full" {
        assert_eq!(answer["ok"], false, "{answer}");
    }
}

fn private(path: &std::path::Path, text: &str) {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file = std::fs::File::options()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .unwrap();
    std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
}

#[test]
fn the_program_of_a_client_is_known_though_the_front_may_not_look_at_it() {
    let Some(place) = Place::with_kraken() else { return };
    let own = std::env::current_exe().unwrap();
    let only = |program: &str| {
        let policy = format!("policy = 1\n[[client]]\nexecutable = \"{program}\"\n");
        place.set_policy("kraken", &policy);
    };
    only(own.to_str().unwrap());
    let agent = Running::start(&place);
    let mut connection = agent.connect();
    let answer = connection.ask(BALANCE);
    assert_eq!(answer["ok"], true, "{answer}");
    // Of hsmsign's own commands it is the program that started them.
    place.ok(&["sign", "kraken", "POST", "/0/private/Balance"]);
    only("/usr/bin/bot");
    let answer = connection.ask(BALANCE);
    assert_eq!(
        answer["error"]["rule"], "client of policy/kraken.toml",
        "{answer}"
    );
    assert!(answer.to_string().contains(own.to_str().unwrap()), "{answer}");
    until("the log has them", || {
        let lines = place.log(&["--what", "sign"]);
        lines.len() == 3 && lines.iter().all(|line| line["exe"] == own.to_str().unwrap())
    });
}
