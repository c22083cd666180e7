//! Several processes, and one that is killed.

use std::{
    fs,
    process::{Child, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use cryptoki_sys::*;
use hsmsign::{algorithm::MacAlgorithm, token::ObjectId};

use crate::{
    Case,
    bare::{Inside, closed},
    isolation::role,
    suite::{self, import, software},
};

const ALGORITHM: MacAlgorithm = MacAlgorithm::HmacSha256;
const AT_ONCE: usize = 16;
/// How often each bare program logs in.
const LOGINS: usize = 20;
/// How long a trap that needs luck is waited for.
const PATIENCE: Duration = Duration::from_secs(40);

/// Bare programs with the right PIN are refused, as if it were wrong or there were no token, when others log in at the
/// same moment. hsmsign's processes take turns, and none fails.
pub fn logins_at_the_same_time_fail(case: &Case<'_>) {
    match role().as_deref() {
        Some("bare") => {
            for _ in 0..LOGINS {
                match Inside::enter(case.settings, case.bench.pin()) {
                    Ok(bare) => bare.leave(),
                    Err(code) => panic!("a bare program is refused: {code:#x}"),
                }
            }
            return;
        }
        Some(_) => {
            let token = case.bench.open();
            let key = serde_json::from_slice(&fs::read(case.folder.join("key")).unwrap()).unwrap();
            let mac = token.mac(&key, ALGORITHM, b"message").unwrap();
            assert_eq!(
                mac.as_bytes(),
                software(ALGORITHM, &suite::bytes(40, 1), b"message")
            );
            return;
        }
        None => {}
    }
    let token = case.bench.open();
    let key = import(&*token, ALGORITHM, &suite::bytes(40, 1));
    fs::write(case.folder.join("key"), serde_json::to_vec(&key).unwrap()).unwrap();
    drop(token);
    let begun = Instant::now();
    let (mut started, mut refused) = (0, Vec::new());
    while refused.is_empty() && begun.elapsed() < PATIENCE {
        started += AT_ONCE;
        refused = failures(case, "bare");
    }
    eprintln!("{} of {started} bare programs were refused", refused.len());
    // SoftHSM refuses most of them; opencryptoki one of a hundred, or of a thousand.
    if refused.is_empty() && case.settings.module.ends_with("libopencryptoki.so.0") {
        eprintln!("SKIPPED: none of {started} bare programs met another in opencryptoki this time");
    } else {
        assert!(!refused.is_empty(), "this module can be shared after all");
    }
    assert!(
        refused
            .iter()
            .all(|said| said.contains("a bare program is refused")),
        "{refused:?}"
    );
    for _ in 0..2 {
        let ours = failures(case, "ours");
        assert!(ours.is_empty(), "{} of {AT_ONCE}: {}", ours.len(), ours[0]);
    }
}

/// What those say that fail, of many started together.
fn failures(case: &Case<'_>, role: &str) -> Vec<String> {
    let start = |_| {
        let mut helper = case.helper(role);
        helper.stdout(Stdio::null()).stderr(Stdio::piped());
        helper.spawn().unwrap()
    };
    let all: Vec<Child> = (0..AT_ONCE).map(start).collect();
    all.into_iter()
        .map(|child| child.wait_with_output().unwrap())
        .filter(|output| !output.status.success())
        .map(|output| String::from_utf8_lossy(&output.stderr).into_owned())
        .collect()
}

/// Killed in the middle of a creation, a bare program leaves an object without id, label and value. The sweep of
/// hsmsign's next start takes it away, and nothing else.
pub fn a_killed_creation_leaves_half_an_object(case: &Case<'_>) {
    if role().is_some() {
        let bare = case.enter();
        fs::write(case.folder.join("ready"), "").unwrap();
        for round in 0_u32.. {
            bare.create(closed(&round.to_be_bytes(), &suite::bytes(64, 1)))
                .unwrap();
        }
    }
    let begun = Instant::now();
    let half = loop {
        let _ = fs::remove_file(case.folder.join("ready"));
        let mut child = case.helper("bare").stdout(Stdio::null()).spawn().unwrap();
        while !case.folder.join("ready").exists() {
            sleep(Duration::from_micros(200));
        }
        sleep(Duration::from_micros(
            1500 + begun.elapsed().as_micros() as u64 % 997,
        ));
        child.kill().unwrap();
        child.wait().unwrap();
        let bare = case.enter();
        let half = bare
            .find(vec![])
            .into_iter()
            .filter(|object| is_half(&bare, *object))
            .count();
        bare.leave();
        if half > 0 {
            break half;
        }
        assert!(
            begun.elapsed() < PATIENCE,
            "a killed creation leaves nothing after all"
        );
    };
    let token = case.bench.open();
    let whole = token
        .list()
        .unwrap()
        .iter()
        .filter(|info| info.key.is_some())
        .count();
    assert_eq!(token.sweep(&ObjectId::random().unwrap()).unwrap(), half);
    token.reopen().unwrap();
    assert_eq!(token.list().unwrap().len(), whole);
}

fn is_half(bare: &Inside, object: CK_OBJECT_HANDLE) -> bool {
    [CKA_ID, CKA_LABEL]
        .into_iter()
        .all(|kind| bare.read(object, kind).map_or(true, |value| value.is_empty()))
}
