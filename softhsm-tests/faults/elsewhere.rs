//! Folders that were moved or copied, and modules whose file is not as it was installed.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Stdio},
};

use crate::{
    bad_input::narrow,
    bench::{Done, Place, finish},
};

const BALANCE: [&str; 4] = ["sign", "kraken", "POST", "/0/private/Balance"];

fn run_in(place: &Place, home: &Path, args: &[&str]) -> Done {
    let mut command = place.command(args);
    command
        .env("HSMSIGN_HOME", home)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    finish(command.spawn().unwrap(), b"")
}

#[test]
fn a_home_that_was_moved_or_copied_uses_its_own_token_and_pin() {
    let Some(place) = Place::with_kraken() else { return };
    let (moved, copy) = (place.path().join("moved"), place.path().join("copy"));
    fs::rename(place.home(), &moved).unwrap();
    for args in [&BALANCE[..], &["test", "kraken"], &["doctor"]] {
        let done = run_in(&place, &moved, args);
        assert_eq!(done.code, 0, "{args:?}: {done:?}");
    }
    // A copy does not even look at the other's PIN, which is another by now.
    let copied = Command::new("cp")
        .arg("-a")
        .arg(&moved)
        .arg(&copy)
        .status()
        .unwrap();
    assert!(copied.success());
    fs::write(moved.join("softhsm/softhsm.pin"), "not the PIN\n").unwrap();
    let done = run_in(&place, &copy, &BALANCE);
    assert_eq!(done.code, 0, "{done:?}");
    let done = run_in(&place, &moved, &BALANCE);
    assert_eq!(done.code, 4, "{done:?}");
}

#[test]
fn a_module_that_is_cut_off_or_that_everybody_may_change_is_refused_before_it_is_loaded() {
    let Some(place) = Place::with_kraken() else { return };
    let whole = fs::read(hsmsign::token::softhsm_module().unwrap()).unwrap();
    let module = place.path().join("module.so");
    let name = module.display().to_string();
    let init = ["init", "--pkcs11", &name, "--label", "x", "--token", "new"];
    for length in [100, 3000, whole.len() / 2, whole.len() * 3 / 4] {
        fs::write(&module, &whole[..length]).unwrap();
        let done = place.run(&init, "");
        assert_eq!(done.code, 4, "{length}: {done:?}");
        assert!(
            done.stderr.contains("is cut off") && done.stderr.contains("install the token's driver again"),
            "{length}: {done:?}"
        );
    }
    fs::write(&module, &whole).unwrap();
    fs::set_permissions(&module, fs::Permissions::from_mode(0o666)).unwrap();
    let config = place.home().join("config.toml");
    let text = fs::read_to_string(&config).unwrap();
    let used = hsmsign::token::softhsm_module().unwrap().display().to_string();
    fs::write(&config, text.replace(&used, &name)).unwrap();
    let done = place.run(&BALANCE, "");
    assert_eq!(done.code, 4, "{done:?}");
    assert!(
        done.stderr.contains("everybody may change it") && done.stderr.contains("chmod o-w"),
        "{done:?}"
    );
    // What it says helps.
    fs::set_permissions(&module, fs::Permissions::from_mode(0o664)).unwrap();
    place.ok(&BALANCE);
}

#[test]
fn variables_by_which_a_module_was_found_stay_with_its_token() {
    let Some(mut place) = Place::with_token() else {
        return;
    };
    let Some(module) = narrow(&mut place, "kryoptic_pkcs11", "typed") else {
        return;
    };
    let softhsm = place.home().join("softhsm");
    let (pin, conf) = (
        format!("file:{}", softhsm.join("softhsm.pin").display()),
        softhsm.join("softhsm2.conf"),
    );
    let other = place.path().join("other");
    let mut init = place.command(&["init", "--pkcs11", module.to_str().unwrap(), "--pin-source", &pin]);
    init.env("HSMSIGN_HOME", &other)
        .env("SOFTHSM2_CONF", &conf)
        .env("KRYOPTIC_CONF", "kryoptic.conf")
        .env("YUBIHSM_PKCS11_CONF", "/etc/yubihsm.conf")
        .current_dir(place.path());
    assert!(init.output().unwrap().status.success());
    let config = fs::read_to_string(other.join("config.toml")).unwrap();
    let kept = format!(
        "environment = {{ KRYOPTIC_CONF = \"{}\", SOFTHSM2_CONF = \"{}\" }}",
        place.path().join("kryoptic.conf").display(),
        conf.display()
    );
    assert!(config.contains(&kept), "{config}");
    let opened = run_in(&place, &other, &["doctor"]);
    assert_eq!(opened.code, 0, "{opened:?}");
}
