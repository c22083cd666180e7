//! A user of the binary, with any token.
#![allow(dead_code)] // Each test target uses its part.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use hsmsign::token::{
    Token as _,
    pkcs11::{Pkcs11Token, Settings},
};

use crate::{
    bench::{Done, finish},
    suite::Pin,
};

/// A folder, a token, and the token's PIN in a file.
pub struct User {
    folder: PathBuf,
    settings: Settings,
    pin: String,
}

impl User {
    pub fn of(folder: &Path, settings: &Settings, pin: String) -> Self {
        let file = folder.join("pin");
        fs::write(&file, &pin).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        Self {
            folder: folder.to_owned(),
            settings: settings.clone(),
            pin,
        }
    }

    /// The arguments that set the token up as `t`.
    pub fn init(&self, more: &[&'static str]) -> Vec<&str> {
        let mut args = vec![
            "init",
            "--token",
            "t",
            "--pkcs11",
            self.settings.module.to_str().unwrap(),
            "--pin-source",
            "file:pin",
        ];
        if let Some(label) = &self.settings.label {
            args.extend(["--label", label]);
        }
        if let Some(text) = &self.settings.module_args {
            args.extend(["--module-args", text]);
        }
        args.extend(more);
        args
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hsmsign"));
        command
            .args(args)
            .env("HSMSIGN_HOME", self.folder.join("home"))
            .current_dir(&self.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub fn run(&self, args: &[&str], input: &str) -> Done {
        finish(self.command(args).spawn().unwrap(), input.as_bytes())
    }

    pub fn ok(&self, args: &[&str]) -> String {
        let done = self.run(args, "");
        assert_eq!(done.code, 0, "{args:?}: {done:?}");
        done.stdout
    }

    /// Imports a generic key that is named like its algorithm.
    pub fn import(&self, algorithm: &str, more: &[&str]) -> Done {
        let args = [
            "import",
            "--exchange",
            "generic",
            "--algorithm",
            algorithm,
            "--key",
            algorithm,
        ];
        let done = self.run(&[&args[..], more].concat(), "q8Xw2Zr7Tk4Lm9Vb1Nc6Hd3Jf5Gs0PyE\n");
        assert_eq!(done.code, 0, "{done:?}");
        done
    }

    /// What is on the token: labels by the library, attributes as another program reads them.
    pub fn objects(&self) -> Vec<String> {
        let token = Pkcs11Token::open(self.settings.clone(), Pin::new(&self.pin)).unwrap();
        let mut all: Vec<_> = token
            .list()
            .unwrap()
            .iter()
            .map(|info| format!("{info:?}"))
            .collect();
        drop(token);
        let seen = Command::new("pkcs11-tool")
            .arg("--module")
            .arg(&self.settings.module)
            .env("KRYOPTIC_CONF", self.folder.join("kryoptic.conf"))
            .args([
                "--token-label",
                "suite",
                "--login",
                "--pin",
                &self.pin,
                "--list-objects",
            ])
            .output();
        match seen {
            Ok(seen) if seen.status.success() => {
                all.extend(String::from_utf8_lossy(&seen.stdout).lines().map(str::to_owned));
            }
            Ok(_) => eprintln!("SKIPPED: pkcs11-tool cannot open this token; attributes were not compared"),
            Err(_) => eprintln!("SKIPPED: pkcs11-tool is not installed; attributes were not compared"),
        }
        all.sort();
        all
    }

    /// The ids of all objects on the token.
    pub fn ids(&self) -> BTreeSet<String> {
        let token = Pkcs11Token::open(self.settings.clone(), Pin::new(&self.pin)).unwrap();
        let all = token.list().unwrap();
        all.iter()
            .map(|info| match &info.key {
                Some(key) => key.id().to_string(),
                None => format!("an object without id: {info:?}"),
            })
            .collect()
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join("home").join(name)
    }

    pub fn file(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    pub fn config(&self) -> String {
        self.file("config.toml")
    }

    pub fn write_config(&self, text: &str) {
        fs::write(self.path("config.toml"), text).unwrap();
    }
}
