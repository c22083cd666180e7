//! What goes wrong around SoftHSM: other processes, a folder that goes away, a kill.

use std::{fs, path::Path, process::Stdio, thread::sleep, time::Duration};

use hsmsign::{
    algorithm::MacAlgorithm,
    token::{
        KeyRef, ObjectId, Token, TokenError,
        pkcs11::{Pkcs11Token, Settings},
    },
};

use crate::{
    isolation::{alone, helper, role},
    softhsm::{Bench, environment},
    suite::{Bench as _, Pin, bytes, import, software},
};

const ALGORITHM: MacAlgorithm = MacAlgorithm::HmacSha256;

fn rounds(default: usize) -> usize {
    std::env::var("HSMSIGN_TEST_ROUNDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

fn write_key(folder: &Path, key: &KeyRef) {
    fs::write(folder.join("key"), serde_json::to_string(key).unwrap()).unwrap();
}

fn read_key(folder: &Path) -> KeyRef {
    serde_json::from_str(&fs::read_to_string(folder.join("key")).unwrap()).unwrap()
}

fn sign_and_check(token: &dyn Token, key: &KeyRef) -> Result<(), TokenError> {
    let mac = token.mac(key, ALGORITHM, b"message")?;
    assert_eq!(mac.as_bytes(), software(ALGORITHM, &bytes(40, 1), b"message"));
    Ok(())
}

/// Processes that open the token at the same time take turns; one that stays open signs meanwhile.
#[test]
fn processes_take_turns() {
    const TEST: &str = "trouble::processes_take_turns";
    alone(TEST, environment, |folder| {
        let Some(bench) = Bench::new(folder) else { return };
        if role().is_some() {
            let token = bench.open();
            sign_and_check(&*token, &read_key(folder)).unwrap();
            return;
        }
        let token = bench.open();
        let key = import(&*token, ALGORITHM, &bytes(40, 1));
        write_key(folder, &key);
        let mut failures = Vec::new();
        for _ in 0..rounds(2) {
            let mut running: Vec<_> = (0..32)
                .map(|_| {
                    helper(TEST, "sign")
                        .stdout(Stdio::null())
                        .stderr(Stdio::piped())
                        .spawn()
                        .unwrap()
                })
                .collect();
            while running
                .iter_mut()
                .any(|child| child.try_wait().unwrap().is_none())
            {
                if let Err(error) = sign_and_check(&*token, &key) {
                    failures.push(format!("the long-lived one: {error:?}"));
                }
            }
            for child in running {
                let output = child.wait_with_output().unwrap();
                if !output.status.success() {
                    failures.push(String::from_utf8_lossy(&output.stderr).into_owned());
                }
            }
        }
        assert!(failures.is_empty(), "{} failed: {}", failures.len(), failures[0]);
    });
}

/// A token's folder that goes away is missed, and found again when it comes back.
#[test]
fn a_token_that_went_away_is_missed_and_found_again() {
    alone(
        "trouble::a_token_that_went_away_is_missed_and_found_again",
        environment,
        |folder| {
            let Some(bench) = Bench::new(folder) else { return };
            let token = bench.open();
            let key = import(&*token, ALGORITHM, &bytes(40, 1));
            sign_and_check(&*token, &key).unwrap();
            let (here, away) = (folder.join("tokens"), folder.join("away"));
            fs::rename(&here, &away).unwrap();
            for _ in 0..2 {
                let missed = sign_and_check(&*token, &key).unwrap_err();
                assert!(matches!(missed, TokenError::Missing { .. }), "{missed:?}");
            }
            fs::rename(&away, &here).unwrap();
            sign_and_check(&*token, &key).unwrap();
            // Away and back while nobody looked.
            fs::rename(&here, &away).unwrap();
            fs::rename(&away, &here).unwrap();
            sign_and_check(&*token, &key).unwrap();
        },
    );
}

/// A kill in the middle of an import leaves the key whole or something that a sweep removes; the token still works.
#[test]
fn a_killed_import_is_swept() {
    const TEST: &str = "trouble::a_killed_import_is_swept";
    alone(TEST, environment, |folder| {
        let Some(bench) = Bench::new(folder) else { return };
        if role().is_some() {
            let token = bench.open();
            fs::write(folder.join("ready"), "").unwrap();
            for _ in 0..1000 {
                import(&*token, ALGORITHM, &bytes(40, 1));
            }
            return;
        }
        for round in 0..rounds(6) {
            let _ = fs::remove_file(folder.join("ready"));
            let mut child = helper(TEST, "import").stdout(Stdio::null()).spawn().unwrap();
            while !folder.join("ready").exists() {
                sleep(Duration::from_micros(200));
            }
            sleep(Duration::from_micros(1000 + 733 * round as u64));
            child.kill().unwrap();
            child.wait().unwrap();
        }
        let token = bench.open();
        let before = token.list().unwrap();
        let broken = before.iter().filter(|info| info.key.is_none()).count();
        let swept = token.sweep(&ObjectId::random().unwrap()).unwrap();
        token.reopen().unwrap();
        let after = token.list().unwrap();
        eprintln!(
            "{} objects listed after the kills, {broken} of them broken, {swept} swept",
            before.len()
        );
        assert_eq!(swept, broken);
        assert_eq!(after.len(), before.len() - broken);
        for info in after {
            assert_eq!(info.label, "hsmsign:suite");
            sign_and_check(&*token, &info.key.expect("a whole key has an id")).unwrap();
        }
    });
}

/// Other programs log in without the lock, and may fail; those that hold it do not, and blame no PIN.
#[test]
fn programs_without_the_lock_are_outlasted() {
    const TEST: &str = "trouble::programs_without_the_lock_are_outlasted";
    alone(TEST, environment, |folder| {
        let Some(mut bench) = Bench::new(folder) else {
            return;
        };
        if let Some(role) = role() {
            bench.settings.process_lock = Some(role == "sign");
            for _ in 0..10 {
                match bench.open_with(Pin::new(bench.pin())) {
                    Ok(token) => sign_and_check(&*token, &read_key(folder)).unwrap(),
                    Err(error) if role == "sign" => panic!("{error:?}"),
                    Err(error) => assert!(!matches!(error, TokenError::WrongPin { .. }), "{error:?}"),
                }
            }
            return;
        }
        write_key(folder, &import(&*bench.open(), ALGORITHM, &bytes(40, 1)));
        let mut running: Vec<_> = ["foreign", "sign", "foreign", "sign", "foreign"]
            .map(|role| helper(TEST, role).stdout(Stdio::null()).spawn().unwrap())
            .into();
        for child in &mut running {
            assert!(child.wait().unwrap().success());
        }
    });
}

/// Each way in which a module or token can be missing has its own words.
#[test]
fn what_is_missing_is_told() {
    alone("trouble::what_is_missing_is_told", environment, |folder| {
        let Some(bench) = Bench::new(folder) else { return };
        let told = |module: &str, label: &str| {
            let settings = Settings {
                module: module.into(),
                label: Some(label.into()),
                ..bench.settings.clone()
            };
            match Pkcs11Token::open(settings, Pin::new(bench.pin())).map(|_| ()) {
                Err(TokenError::Missing { what, .. }) => what,
                other => panic!("{module}: {other:?}"),
            }
        };
        let odd = folder.join("odd.so");
        fs::write(
            &odd,
            "not a library, but long enough that the linker reads a header from it; well, nearly",
        )
        .unwrap();
        assert!(told("/nowhere/x.so", "suite").contains("there is no PKCS#11 module at /nowhere/x.so"));
        assert!(told(odd.to_str().unwrap(), "suite").contains("is not a library for this machine"));
        // A folder, or the driver's own tool, in place of its library.
        for no_module in [folder, Path::new(env!("CARGO_BIN_EXE_hsmsign"))] {
            let said = told(no_module.to_str().unwrap(), "suite");
            assert!(said.contains("is not a PKCS#11 module"), "{said}");
        }
        let other = told(bench.settings.module.to_str().unwrap(), "other");
        assert!(
            other.contains("no token with the label \"other\"; there is \"suite\" (serial "),
            "{other}"
        );
        let libc = [
            "/lib/x86_64-linux-gnu/libc.so.6",
            "/lib64/libc.so.6",
            "/lib/aarch64-linux-gnu/libc.so.6",
        ];
        if let Some(libc) = libc.iter().find(|path| Path::new(path).exists()) {
            assert!(told(libc, "suite").contains("is not a PKCS#11 module"));
        }
    });
}
