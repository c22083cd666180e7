//! A person at a terminal, asked by a real pinentry.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    os::{fd::OwnedFd, unix::fs::symlink},
    path::PathBuf,
    process::Command,
    sync::{Arc, Mutex},
};

use rustix::{
    fs::{Mode, OFlags},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
};

use crate::{
    bench::Place,
    judge::{Judge, ask},
    running::until,
};

/// A terminal, what stands on it, and the keys.
pub struct Person {
    terminal: String,
    keys: File,
    /// Open, so that the terminal stays when nobody else has it.
    _open: OwnedFd,
    screen: Arc<Mutex<String>>,
    programs: PathBuf,
}

impl Person {
    /// A terminal and a folder with pinentry-curses as `pinentry`; none, with a line on stderr, where that is missing.
    pub fn at_terminal(place: &Place) -> Option<Self> {
        let found = ["/usr/bin/pinentry-curses", "/usr/local/bin/pinentry-curses"]
            .into_iter()
            .find(|path| std::path::Path::new(path).exists());
        let Some(pinentry) = found else {
            eprintln!("SKIPPED: pinentry-curses is not installed (Debian: pinentry-curses)");
            return None;
        };
        let programs = place.path().join("programs");
        std::fs::create_dir(&programs).unwrap();
        symlink(pinentry, programs.join("pinentry")).unwrap();
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let open = rustix::fs::open(&name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
        let screen = Arc::new(Mutex::new(String::new()));
        let keys = File::from(master);
        let (mut output, written) = (keys.try_clone().unwrap(), Arc::clone(&screen));
        std::thread::spawn(move || {
            let mut room = [0; 4096];
            while let Ok(read @ 1..) = output.read(&mut room) {
                written
                    .lock()
                    .unwrap()
                    .push_str(&String::from_utf8_lossy(&room[..read]));
            }
        });
        Some(Self {
            terminal: name.into_string().unwrap(),
            keys,
            _open: open,
            screen,
            programs,
        })
    }

    /// A command that has pinentry ask at this terminal.
    pub fn set(&self, command: &mut Command) {
        let path = std::env::var("PATH").unwrap();
        command
            .env("PATH", format!("{}:{path}", self.programs.display()))
            .env("GPG_TTY", &self.terminal)
            .env("TERM", "xterm");
    }

    /// Whether these words stand on the terminal.
    pub fn sees(&self, words: &str) -> bool {
        self.screen.lock().unwrap().contains(words)
    }

    /// Waits for a question with these words.
    pub fn is_asked(&self, words: &str) {
        until(&format!("{words} on {:?}", self.screen.lock().unwrap()), || {
            self.sees(words) && self.sees("<Do not sign>")
        });
    }

    /// Agrees to the question.
    pub fn agrees(&mut self) {
        self.types(b"\r");
    }

    /// Does not.
    pub fn refuses(&mut self) {
        self.types(b"\t\r");
    }

    fn types(&mut self, keys: &[u8]) {
        self.screen.lock().unwrap().clear();
        self.keys.write_all(keys).unwrap();
    }

    /// How many processes of pinentry have this terminal.
    pub fn pinentries(&self) -> usize {
        let pinentry = self.programs.join("pinentry").canonicalize().unwrap();
        std::fs::read_dir("/proc")
            .unwrap()
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|process| std::fs::read_link(process.join("exe")).is_ok_and(|exe| exe == pinentry))
            .filter(|process| {
                let environment = std::fs::read(process.join("environ")).unwrap_or_default();
                String::from_utf8_lossy(&environment).contains(&format!("GPG_TTY={}\0", self.terminal))
            })
            .count()
    }
}

/// Of other users' programs an agent is told no more.
#[test]
fn a_program_of_which_only_the_unit_is_known_is_named_by_that() {
    let mut judge = Judge::new("kraken", "");
    judge.caller.executable = None;
    for (cgroup, named) in [
        ("/system.slice/bot.service", "a program of bot.service (process"),
        (
            "/user.slice/user-7.slice/user@7.service/app.slice/bot.service",
            "a program of bot.service, a unit of the user 7, (process",
        ),
        ("/docker/17", "a program (process"),
    ] {
        judge.caller.cgroup = Some(cgroup.into());
        let question = judge.question(&ask("POST", "/0/private/Balance", "")).unwrap();
        assert!(question.starts_with(named), "{question}");
    }
}
