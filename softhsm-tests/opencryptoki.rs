//! opencryptoki's software token as a bench. It belongs to the machine (a daemon, one folder for all), so it is used
//! only in namespaces of its own: with its own folders, its own daemon, and an end for both.
#![allow(dead_code)]

use std::{
    fs,
    io::Read as _,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use hsmsign::{
    algorithm::SignatureAlgorithm,
    secret::Secret,
    token::{
        PinProvider, Token, TokenError,
        pkcs11::{Pkcs11Token, Settings, initialise},
    },
};

use crate::suite;

const PIN: &str = "47110815";
/// The one that every new token has.
const SO_PIN: &str = "87654321";
/// Set inside.
const INSIDE: &str = "HSMSIGN_TEST_OPENCRYPTOKI";
const FOLDERS: &str = "\
set -e
mount -t tmpfs -o mode=755 none /run
mount -t tmpfs -o mode=755 none /var/lib/opencryptoki
mount -t tmpfs -o mode=755 none /var/log
mount -t tmpfs -o mode=1777 none /dev/shm
mkdir -p /run/lock/opencryptoki/swtok /var/lib/opencryptoki/swtok/TOK_OBJ /var/log/opencryptoki
chgrp -R pkcs11 /run/lock/opencryptoki /var/lib/opencryptoki /var/log/opencryptoki
chmod -R 770 /run/lock/opencryptoki /var/lib/opencryptoki /var/log/opencryptoki
printf 'version opencryptoki-3.1\\nslot 0\\n{\\nstdll = libpkcs11_sw.so\\n}\\n' >/run/opencryptoki.conf
mount --bind /run/opencryptoki.conf /etc/opencryptoki/opencryptoki.conf
pkcsslotd
exec \"$@\"";

/// The software token.
pub struct Bench {
    pub settings: Settings,
}

/// It needs nothing from the environment.
pub fn environment(_: &Path) -> Vec<(String, String)> {
    Vec::new()
}

/// The same command in namespaces of its own, with an opencryptoki of its own; as it is, where that cannot be.
pub fn host(command: Command) -> Command {
    if module().is_none() || missing().is_some() {
        return command;
    }
    let mut inside = Command::new("unshare");
    inside
        .args([
            "--mount",
            "--ipc",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
        ])
        .args(["sh", "-c", FOLDERS, "sh"])
        .arg(command.get_program())
        .args(command.get_args())
        .env(INSIDE, "yes");
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            inside.env(name, value);
        }
    }
    inside
}

/// Starts the daemon anew where it ended. It does when a process that it is about to answer is killed (SIGPIPE), and
/// answers in turn: after an answer to us, no kill before it can end it.
pub fn revive() {
    loop {
        let mut answer = Vec::new();
        let answered = UnixStream::connect("/run/pkcsslotd.socket")
            .and_then(|mut daemon| daemon.read_to_end(&mut answer))
            .is_ok();
        if answered && !answer.is_empty() {
            return;
        }
        let started = Command::new("pkcsslotd").status().unwrap();
        eprintln!("pkcsslotd had ended and was started again: {started}");
    }
}

fn module() -> Option<PathBuf> {
    let places = [
        "/usr/lib/x86_64-linux-gnu",
        "/usr/lib/aarch64-linux-gnu",
        "/usr/lib64",
        "/usr/lib",
    ];
    let module = places
        .iter()
        .map(|place| PathBuf::from(place).join("opencryptoki/libopencryptoki.so.0"))
        .find(|path| path.exists());
    module.filter(|_| Path::new("/usr/sbin/pkcsslotd").exists())
}

/// Why this process may have no namespaces of its own.
fn missing() -> Option<&'static str> {
    let may = Command::new("unshare")
        .args(["--mount", "--ipc", "--pid", "--fork", "true"])
        .output();
    match may {
        Ok(output) if output.status.success() => None,
        _ => Some("namespaces of its own can be had by root alone (unshare --mount --ipc --pid)"),
    }
}

impl Bench {
    /// The token, made if it is new; none, with a line on stderr, where it cannot be had.
    pub fn new(folder: &Path) -> Option<Self> {
        let Some(module) = module() else {
            eprintln!("SKIPPED: opencryptoki is not installed (Debian: opencryptoki)");
            return None;
        };
        if std::env::var_os(INSIDE).is_none() {
            let why = missing().unwrap_or("its namespaces could not be made");
            eprintln!("SKIPPED: opencryptoki is not run beside the machine's own: {why}");
            return None;
        }
        let settings = Settings {
            module,
            label: Some("suite".into()),
            // As the program has it.
            lock_file: "/var/lib/opencryptoki/".into(),
            ..Settings::default()
        };
        let secret = |text: &str| Secret::take(&mut text.as_bytes().to_vec()).unwrap();
        if !folder.join("made").exists() {
            initialise(&settings, "suite", &secret(SO_PIN), &secret(PIN)).unwrap();
            fs::write(folder.join("made"), "").unwrap();
        }
        Some(Self { settings })
    }
}

impl suite::Bench for Bench {
    fn open_with(&self, pin: Arc<dyn PinProvider>) -> Result<Box<dyn Token>, TokenError> {
        Ok(Box::new(Pkcs11Token::open(self.settings.clone(), pin)?))
    }

    fn pin(&self) -> &str {
        PIN
    }

    fn takes_private(&self) -> &[SignatureAlgorithm] {
        &[]
    }

    fn notices_others(&self) -> bool {
        false
    }

    fn hangs_in_threads(&self) -> Option<&'static str> {
        Some(
            "opencryptoki 3.8.1 waits now and then for ever for a lock file that it holds itself, where several threads open and close sessions",
        )
    }
}
