//! A user with virtual YubiKeys.

use std::{
    fs,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use hsmsign::{
    ask::Terminal,
    secret::Secret,
    token::{
        PinProvider, PinRequest,
        yubikey::{Firmware, Settings, YubiKey, device},
    },
};

use crate::{
    bench::{KRAKEN_BODY, KRAKEN_SECRET, Place},
    card::{Card, Desk, Profile},
};

/// Their folders, and the keys.
pub struct User {
    pub place: Place,
    pub desk: Desk,
}

impl User {
    /// With these keys plugged in, none set up; none, with a line on stderr, where there can be none.
    pub fn with(profiles: Vec<Profile>) -> Option<Self> {
        let mut place = Place::new();
        let desk = Desk::with(place.path(), profiles)?;
        place.set(desk.environment());
        Some(Self { place, desk })
    }

    /// With a key that is set up.
    pub fn ready() -> Option<Self> {
        let user = Self::with(vec![Profile::default()])?;
        user.place.ok(&["init", "--yubikey"]);
        Some(user)
    }

    /// With Kraken's example key on it.
    pub fn with_kraken() -> Option<Self> {
        let user = Self::ready()?;
        user.import(&[]);
        user.card().exchanges();
        Some(user)
    }

    /// With a key of this kind that is set up, and the PIN of its PIV applet in a file.
    pub fn with_pin(profile: Profile) -> Option<Self> {
        let user = Self::with(vec![profile])?;
        user.place.ok(&["init", "--yubikey"]);
        user.give_pin("123456");
        Some(user)
    }

    /// Writes the PIN into a file, as the source of the PIV applet's PIN.
    pub fn give_pin(&self, pin: &str) {
        let file = self.place.path().join("pin");
        self.secret(&file, pin);
        let config = fs::read_to_string(self.place.home().join("config.toml")).unwrap();
        if !config.contains("piv-pin-source") {
            self.configure(&format!("piv-pin-source = \"file:{}\"", file.display()));
        }
    }

    /// Has a key pair made, for Binance; an Ed25519 one where nothing else is said.
    pub fn generate(&self, key: &str, more: &[&str]) -> crate::bench::Done {
        let usual: &[&str] = match more.contains(&"--algorithm") {
            true => &[],
            false => &["--algorithm", "ed25519"],
        };
        let args = [
            "generate",
            "--exchange",
            "binance",
            "--api-key",
            "k",
            "--key",
            key,
        ];
        self.place.run(&[&args, usual, more].concat(), "")
    }

    /// The first key.
    pub fn card(&self) -> &Card {
        self.desk.card(0)
    }

    /// Imports Kraken's example key.
    pub fn import(&self, more: &[&str]) -> crate::bench::Done {
        let args = [&["--exchange", "kraken", "--api-key", "example"], more].concat();
        self.place.import(&args, KRAKEN_SECRET)
    }

    /// The answer to Kraken's example request.
    pub fn sign(&self) -> crate::bench::Done {
        self.place.run(&SIGN, "")
    }

    /// Refuses Kraken's example request with this exit code, these words and this remedy.
    pub fn refused(&self, code: i32, words: &str, remedy: &str) {
        let done = self.sign();
        assert_eq!(done.code, code, "{done:?}");
        assert!(
            done.stderr.contains(words) && done.stderr.contains(remedy),
            "{done:?}"
        );
    }

    /// Writes something secret into a file that is this user's alone, later than the clock of files ticks.
    pub fn secret(&self, file: &Path, text: &str) {
        let _ = fs::remove_file(file);
        std::thread::sleep(std::time::Duration::from_millis(30));
        let mut options = fs::OpenOptions::new();
        let mut open = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(file)
            .unwrap();
        std::io::Write::write_all(&mut open, text.as_bytes()).unwrap();
    }

    /// Adds lines to the one token of the configuration.
    pub fn configure(&self, lines: &str) {
        let config = self.place.home().join("config.toml");
        let text = fs::read_to_string(&config).unwrap();
        fs::write(&config, format!("{text}{lines}\n")).unwrap();
    }

    /// Runs Yubico's program on the first reader, and answers what it printed; none where it is not there.
    pub fn ykman(&self, args: &[&str]) -> Option<String> {
        let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.cache/ykman/bin/ykman"));
        if !path.exists() {
            eprintln!("SKIPPED: ykman is not there; scripts/test.sh installs it");
            return None;
        }
        let mut command = Command::new(path);
        command
            .args(["-r", "Virtual PCD 00 00"])
            .args(args)
            .env_clear()
            .env("HOME", self.place.path())
            .env("LC_ALL", "C.UTF-8");
        let done = self.desk.at(&mut command).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let (out, err) = (text(done.stdout), text(done.stderr));
        assert!(done.status.success(), "{args:?}: {out}{err}");
        Some(out)
    }
}

/// Kraken's documented request.
pub const SIGN: [&str; 8] = [
    "sign",
    "kraken",
    "POST",
    "/0/private/AddOrder",
    "--data",
    KRAKEN_BODY,
    "--output",
    "json",
];

/// The factory's PIN.
struct Pin;

impl PinProvider for Pin {
    fn pin(&self, _: &PinRequest) -> hsmsign::error::Result<Secret> {
        Secret::take(&mut b"123456".to_vec())
    }
    fn refused(&self, _: Option<u32>) {}
    fn forget(&self) {
        unreachable!("no person gave it");
    }
    fn describe(&self) -> String {
        "the test".to_owned()
    }
}

/// The one key that is plugged in, through the library; in a process that has its pcscd in the environment.
pub fn key() -> YubiKey {
    let device = device::choose("").unwrap();
    let settings = Settings {
        name: "t".to_owned(),
        serial: device.serial.clone(),
        applet: device.oath.unwrap().id,
        firmware: Firmware([5, 7, 4]),
    };
    let pin: Arc<dyn PinProvider> = Arc::new(Pin);
    YubiKey::new(settings, Arc::clone(&pin), pin, Arc::new(Terminal))
}
