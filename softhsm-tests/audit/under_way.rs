//! What is done to the log of an agent that runs: each is found, nothing is signed that cannot be written down, and it goes on
//! where it can.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::{Command, Output},
};

use crate::{
    bench::{Place, remove_under_an_agent},
    running::{BALANCE, Connection, Running, until},
    written::{copy, first, rechained, verified},
};

struct Way<'p> {
    place: &'p Place,
    agent: Running<'p>,
    bot: Connection,
    file: PathBuf,
}

impl<'p> Way<'p> {
    fn of(place: &'p Place) -> Self {
        let agent = Running::start(place);
        let bot = agent.connect();
        let file = place.home().join("audit/000000000001.jsonl");
        let mut way = Self {
            place,
            agent,
            bot,
            file,
        };
        way.signs(3);
        way
    }

    /// Has so many requests signed, and waits until they are in the log.
    fn signs(&mut self, count: usize) {
        let before = self.signed();
        for _ in 0..count {
            let answer = self.bot.ask(BALANCE);
            assert_eq!(answer["ok"], true, "{answer}");
        }
        until("they are in the log", || self.signed() >= before + count);
    }

    fn signed(&self) -> usize {
        let text = fs::read(&self.file).unwrap_or_default();
        String::from_utf8_lossy(&text)
            .matches("\"outcome\":\"signed\"")
            .count()
    }

    fn lines(&self) -> Vec<String> {
        let text = fs::read_to_string(&self.file).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    /// Ends the agent, which seals, and answers the first finding.
    fn found(self) -> (u64, String) {
        let Self {
            place, agent, bot, ..
        } = self;
        drop(bot);
        place.ok(&["agent", "stop"]);
        drop(agent);
        assert_eq!(place.run(&["audit", "verify"], "").code, 1);
        first(&verified(place))
    }
}

#[test]
fn a_log_that_is_edited_under_an_agent_is_found() {
    let Some(place) = Place::with_kraken() else { return };
    let mut way = Way::of(&place);
    let mut lines = way.lines();
    lines[2] = lines[2].replacen("signed", "failed", 1);
    fs::write(&way.file, lines.join("\n") + "\n").unwrap();
    way.signs(2);
    let (line, what) = way.found();
    assert!(
        line == 3 && what.contains("it is not as it was written"),
        "{line}: {what}"
    );
}

#[test]
fn a_log_that_is_written_anew_under_an_agent_is_found_though_its_chain_holds() {
    let Some(place) = Place::with_kraken() else { return };
    let mut way = Way::of(&place);
    let mut lines = way.lines();
    // Of the same length, so that the agent sees no other size.
    lines[2] = lines[2].replacen("Balance", "Ledgers", 1);
    fs::write(&way.file, rechained(&lines)).unwrap();
    way.signs(2);
    let (line, what) = way.found();
    assert_eq!(
        line,
        lines.len() as u64 + 1,
        "the first that the agent wrote behind it: {what}"
    );
    assert!(
        what.contains("not behind the line that it was written behind"),
        "{what}"
    );
}

#[test]
fn a_log_that_goes_away_under_an_agent_is_missed() {
    for folder in [false, true] {
        let Some(place) = Place::with_kraken() else { return };
        let mut way = Way::of(&place);
        let last = way.lines().len();
        if folder {
            remove_under_an_agent(&place.home().join("audit"));
        } else {
            fs::remove_file(&way.file).unwrap();
        }
        way.signs(2);
        let (line, what) = way.found();
        assert!(
            line == 2 && what == format!("lines 2 to {last} are missing"),
            "{line}: {what}"
        );
    }
}

#[test]
fn a_log_that_another_is_put_in_the_place_of_is_not_written_on() {
    let Some(place) = Place::with_kraken() else { return };
    let mut way = Way::of(&place);
    let last = way.lines().len();
    // A copy of the same size takes its place, and it goes on elsewhere.
    let (copied, aside) = (place.path().join("copy"), place.path().join("aside"));
    copy(&way.file, &copied);
    fs::rename(&way.file, &aside).unwrap();
    fs::rename(&copied, &way.file).unwrap();
    way.signs(2);
    assert!(way.lines().len() >= last + 2);
    assert_eq!(fs::read_to_string(&aside).unwrap().lines().count(), last);
    drop(way);
    place.ok(&["audit", "verify"]);
}

#[test]
fn an_older_log_that_is_put_under_an_agent_is_found() {
    for with_seal in [false, true] {
        let Some(place) = Place::with_kraken() else { return };
        place.sign_balances(2);
        let (log, seal) = (place.home().join("audit"), place.home().join("audit.seal"));
        let (older, older_seal) = (place.path().join("older"), place.path().join("older.seal"));
        copy(&log, &older);
        copy(&seal, &older_seal);
        let end = fs::read_to_string(older.join("000000000001.jsonl"))
            .unwrap()
            .lines()
            .count() as u64;
        place.sign_balances(2);
        let mut way = Way::of(&place);
        remove_under_an_agent(&log);
        copy(&older, &log);
        if with_seal {
            copy(&older_seal, &seal);
        }
        way.signs(2);
        let (line, what) = way.found();
        assert!(line == end + 1 && what.contains("are missing"), "{line}: {what}");
    }
}

/// A disk for the log of an agent, which the kernel makes read-only for a fault of its own, as one that breaks.
struct Disk<'p> {
    place: &'p Place,
    folder: PathBuf,
}

impl<'p> Disk<'p> {
    /// None, with a line on stderr, where there can be none.
    fn of(place: &'p Place) -> Option<Self> {
        let folder = place.home().join("audit");
        fs::remove_dir_all(&folder).unwrap();
        fs::remove_file(place.home().join("audit.seal")).unwrap();
        fs::create_dir(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
        let disk = Self { place, folder };
        let made = Command::new("sh")
            .arg("-c")
            .arg(format!(
                "truncate -s 8M '{0}' && mkfs.ext4 -q '{0}' && unshare -m --propagation private sh -c \"mount -o loop '{0}' /mnt && chmod 700 /mnt && rmdir /mnt/lost+found\"",
                disk.image().display()
            ))
            .env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin")
            .output()
            .unwrap();
        if !made.status.success() {
            eprintln!("SKIPPED: no file system can be made and mounted here: {made:?}");
            return None;
        }
        Some(disk)
    }

    fn image(&self) -> PathBuf {
        self.place.path().join("disk")
    }

    /// An agent whose log lies on it, in a mount namespace of its own.
    fn agent(&self) -> Running<'p> {
        let hsmsign = self.place.command(&["agent"]);
        let mut command = Command::new("unshare");
        command
            .args(["-m", "--propagation", "private", "sh", "-c"])
            .arg(format!(
                "mount -o loop '{}' '{}' || exit 90; exec \"$0\" agent",
                self.image().display(),
                self.folder.display()
            ))
            .arg(hsmsign.get_program());
        for (name, value) in hsmsign.get_envs() {
            command.env(name, value.unwrap());
        }
        Running::of(self.place, command)
    }

    /// What a shell does where the agent sees it.
    fn within(&self, agent: &Running<'_>, script: &str) -> Output {
        Command::new("nsenter")
            .args(["-m", "-t", &agent.pid().to_string(), "sh", "-c", script])
            .env("HSMSIGN_HOME", self.place.home())
            .env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin")
            .env("LOG", &self.folder)
            .env("DISK", self.image())
            .env("H", env!("CARGO_BIN_EXE_hsmsign"))
            .output()
            .unwrap()
    }
}

#[test]
fn where_the_logs_disk_turns_read_only_under_an_agent_nothing_is_signed_until_there_is_another() {
    let Some(place) = Place::with_kraken() else { return };
    let Some(disk) = Disk::of(&place) else { return };
    let agent = disk.agent();
    let did = |script: &str| {
        let done = disk.within(&agent, script);
        assert!(done.status.success(), "{script}: {done:?}");
        String::from_utf8(done.stdout).unwrap()
    };
    let mut bot = agent.connect();
    assert_eq!(bot.ask(BALANCE)["ok"], true);
    let lines = || {
        did("cat \"$LOG\"/*.jsonl 2>/dev/null || true")
            .matches("\"outcome\":\"signed\"")
            .count()
    };
    until("the line is there", || lines() == 1);
    let mounted = |script: &str| {
        let done = disk.within(&agent, script);
        if !done.status.success() {
            eprintln!("SKIPPED: the disk could not be made to break, or not be mounted anew: {done:?}");
        }
        done.status.success()
    };
    if !mounted("mount -o remount,abort \"$LOG\"") {
        return;
    }
    let mut told = String::new();
    until("nothing is signed", || {
        let answer = bot.ask(BALANCE);
        answer["error"]["message"]
            .as_str()
            .unwrap_or_default()
            .clone_into(&mut told);
        told.contains("so nothing is signed")
    });
    until("it verifies", || {
        disk.within(&agent, "\"$H\" audit verify --no-token")
            .status
            .success()
    });
    if told.contains("does not keep") {
        // It broke before it had all lines: whoever wrote them goes on with no other disk.
        return;
    }
    assert!(told.contains("Read-only file system"), "{told}");
    // Repaired, and mounted anew.
    if !mounted(
        "cp \"$DISK\" \"$DISK.2\"; e2fsck -fy \"$DISK.2\" >/dev/null; umount -l \"$LOG\" && mount -o loop \"$DISK.2\" \"$LOG\"",
    ) {
        return;
    }
    until("it goes on", || bot.ask(BALANCE)["ok"] == true);
    until("the lines are there", || lines() > 1);
    until("it verifies", || {
        disk.within(&agent, "\"$H\" audit verify --no-token")
            .status
            .success()
    });
}
