//! One key on several tokens.

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use crate::{
    bench::{
        Place,
        random::{Random, rounds},
    },
    faulty::{self, Faulty, set},
    running::{BALANCE, Running, nonce, until},
};

/// Two tokens that both hold the key, each behind a module that fails when it is told to. `second` comes first where the
/// tokens are listed, `softhsm` where the key names them.
fn both() -> Option<(Place, Faulty, Faulty)> {
    let place = faulty::two()?;
    let first = Faulty::before(&place, "softhsm")?;
    let second = Faulty::before(&place, "second")?;
    Some((place, first, second))
}

#[test]
fn the_first_token_signs_and_the_next_where_it_cannot() {
    let Some((place, first, second)) = both() else {
        return;
    };
    set(&place, "call-timeout", 1);
    let agent = Running::start(&place);
    let mut connection = agent.connect();
    for _ in 0..20 {
        assert_eq!(connection.ask(BALANCE)["ok"], true);
    }
    assert_eq!((first.calls("C_SignInit"), second.calls("C_SignInit")), (20, 0));
    // Each way to fail costs no request, and the first signs again when it can.
    for fault in [
        "C_Sign crash",
        "C_Sign exit",
        "C_Sign hang",
        "C_Sign answer 0x32",
        "C_SignInit answer 0xe0",
        "C_Sign answer 0x5",
        "C_Sign answer 0x101",
        "C_Sign long",
        "C_Sign short",
    ] {
        first.fail(fault);
        connection.send(format!("{BALANCE}\n").repeat(10).as_bytes());
        for _ in 0..10 {
            let answer = connection.answer();
            assert_eq!(answer["ok"], true, "{fault}: {answer}");
        }
        assert_eq!(agent.token("softhsm")["state"], "failing", "{fault}");
        assert_eq!(agent.token("second")["state"], "open", "{fault}");
        first.heal();
        until("the first is well again", || {
            agent.token("softhsm")["state"] == "open"
        });
        let before = first.calls("C_SignInit");
        until("it signs again", || {
            assert_eq!(connection.ask(BALANCE)["ok"], true);
            first.calls("C_SignInit") > before
        });
    }
    second.fail("C_Sign answer 0x32");
    first.fail("C_Sign answer 0x32");
    let answer = connection.ask(BALANCE);
    assert_eq!(answer["error"]["code"], "token-missing", "neither can: {answer}");
}

#[test]
fn a_token_that_hangs_is_passed_over_before_its_deadline() {
    let Some((place, first, _)) = both() else { return };
    set(&place, "call-timeout", 20);
    let agent = Running::start(&place);
    let (mut stuck, mut connection) = (agent.connect(), agent.connect());
    assert_eq!(connection.ask(BALANCE)["ok"], true);
    first.fail("C_Sign hang 0 once");
    stuck.send(format!("{BALANCE}\n").as_bytes());
    until("the request hangs", || first.has_failed());
    std::thread::sleep(Duration::from_millis(2500));
    let begun = Instant::now();
    for _ in 0..20 {
        assert_eq!(connection.ask(BALANCE)["ok"], true);
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!(
        stuck.answer()["ok"],
        true,
        "at the deadline the other token signs it"
    );
}

#[test]
fn all_take_turns_where_that_is_wanted() {
    let Some((place, first, second)) = both() else {
        return;
    };
    set(&place, "parallel", true);
    let agent = Running::start(&place);
    let mut connection = agent.connect();
    let mut given = Vec::new();
    for _ in 0..10 {
        connection.send(format!("{BALANCE}\n").repeat(10).as_bytes());
        for _ in 0..10 {
            given.push(nonce(&connection.answer()));
        }
    }
    assert!(given.is_sorted_by(|a, b| a < b));
    let (one, two) = (first.calls("C_SignInit"), second.calls("C_SignInit"));
    assert!(one >= 45 && two >= 45 && one + two == 100, "{one} {two}");
    first.fail("C_SignInit answer 0x32");
    for _ in 0..20 {
        let answer = connection.ask(BALANCE);
        assert_eq!(answer["ok"], true, "{answer}");
    }
}

/// Asks on until it is told to stop; what was given, none of it refused.
fn ask_on(agent: &Running<'_>, done: &AtomicBool) -> Vec<u64> {
    let mut connection = agent.connect();
    let mut given = Vec::new();
    while !done.load(Ordering::Relaxed) {
        let answer = connection.ask(BALANCE);
        assert_eq!(answer["ok"], true, "{answer}");
        given.push(nonce(&answer));
    }
    given
}

/// Ends those who ask on, when it goes: where what they asked during panics too.
struct End<'d>(&'d AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Has four clients ask on while something is done, which is told whether one of them gave up; answers how many requests were
/// signed, all of them and no nonce twice.
fn asked_during(agent: &Running<'_>, what: impl FnOnce(&dyn Fn() -> bool)) -> usize {
    let done = AtomicBool::new(false);
    let mut all: Vec<u64> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..4).map(|_| scope.spawn(|| ask_on(agent, &done))).collect();
        let end = End(&done);
        what(&|| clients.iter().any(std::thread::ScopedJoinHandle::is_finished));
        drop(end);
        clients
            .into_iter()
            .flat_map(|client| client.join().unwrap())
            .collect()
    });
    let count = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), count, "no nonce twice");
    count
}

/// Whether the agent has both tokens open.
fn both_open(agent: &Running<'_>) -> bool {
    let is_open = |token: &&str| agent.token(token)["state"] == "open";
    ["softhsm", "second"].iter().all(is_open)
}

/// The folders of the place's tokens.
fn folders(place: &Place) -> Vec<PathBuf> {
    let mut folders: Vec<_> = std::fs::read_dir(place.token_folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    folders
}

/// Takes a token away for a while.
fn take_away(place: &Place, folder: &Path, time: Duration) {
    let away = place.path().join("away");
    std::fs::rename(folder, &away).unwrap();
    std::thread::sleep(time);
    std::fs::rename(&away, folder).unwrap();
}

#[test]
fn two_tokens_that_are_taken_away_by_turns_cost_no_request() {
    let Some(place) = faulty::two() else { return };
    let agent = Running::start(&place);
    until("both are open", || both_open(&agent));
    let folders = folders(&place);
    let mut random = Random::new(0x7475_726e);
    let count = asked_during(&agent, |gave_up| {
        for _ in 0..rounds(8) {
            // One of the two is there at every moment, and none is known to be back before the other goes.
            for folder in &folders {
                take_away(&place, folder, Duration::from_millis(random.below(300)));
            }
            until("both are open again", || gave_up() || both_open(&agent));
        }
    });
    assert!(count > 50, "{count}");
}

#[test]
fn a_token_that_is_taken_away_under_load_costs_no_request() {
    for parallel in [false, true] {
        let Some(place) = faulty::two() else { return };
        set(&place, "parallel", parallel);
        let agent = Running::start(&place);
        until("both are open", || both_open(&agent));
        let folders = folders(&place);
        assert_eq!(folders.len(), 2);
        let mut random = Random::new(0x7461_6b65 + u64::from(parallel));
        let count = asked_during(&agent, |gave_up| {
            for _ in 0..rounds(5) {
                let folder = &folders[usize::try_from(random.below(2)).unwrap()];
                take_away(&place, folder, Duration::from_millis(random.below(400)));
                // Before the other may go, this one must be known to be back: looking for it takes a third of a second.
                std::thread::sleep(Duration::from_millis(1500));
                until("both are open again", || gave_up() || both_open(&agent));
            }
        });
        assert!(count > 100, "{count}");
    }
}

#[test]
fn who_asks_hears_at_once_that_one_token_is_locked_and_the_other_away() {
    let Some(place) = faulty::two() else { return };
    let agent = Running::start(&place);
    let mut connection = agent.connect();
    assert_eq!(connection.ask(BALANCE)["ok"], true);
    std::fs::rename(place.token_folder(), place.path().join("away")).unwrap();
    place.ok(&["lock", "softhsm"]);
    // A locked token is not back in the second for which those that are away are waited for.
    let quickest = (0..8)
        .map(|_| {
            let begun = Instant::now();
            let answer = connection.ask(BALANCE);
            assert_eq!(answer["ok"], false, "{answer}");
            let message = answer["error"]["message"].as_str().unwrap();
            assert!(
                message.contains("none of the key's tokens could") && message.contains("softhsm is locked"),
                "{answer}"
            );
            begun.elapsed()
        })
        .min()
        .unwrap();
    assert!(quickest < Duration::from_secs(1), "{quickest:?}");
}

#[test]
fn the_command_line_too_goes_to_the_next_token() {
    let Some((place, first, _)) = both() else { return };
    // Both modules are one library in one process, and so fail together: only what is asked of a token counts.
    first.heal();
    place.ok(&["sign", "kraken", "POST", "/0/private/Balance"]);
    for folder in folders(&place) {
        let away = place.path().join("away");
        std::fs::rename(&folder, &away).unwrap();
        place.ok(&["sign", "kraken", "POST", "/0/private/Balance"]);
        std::fs::rename(&away, &folder).unwrap();
    }
}

#[test]
fn sync_says_what_is_missing_where() {
    let Some(place) = faulty::two() else { return };
    let sync = |args: &[&str], code: i32| {
        let done = place.run(&[&["token", "sync", "--json"], args].concat(), "");
        assert_eq!(done.code, code, "{done:?}");
        let rows: serde_json::Value = serde_json::from_str(done.stdout.lines().next().unwrap()).unwrap();
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        let row =
            |row: &serde_json::Value| [text(&row["key"]), text(&row["token"]), text(&row["held"])].join(" ");
        rows.as_array().unwrap().iter().map(row).collect::<Vec<_>>()
    };
    assert_eq!(sync(&[], 0), ["kraken second yes", "kraken softhsm yes"]);
    assert!(place.ok(&["token", "sync"]).contains("second"));
    // Nobody can bring a key anywhere that a token made.
    let make = [
        "generate",
        "-e",
        "binance",
        "--algorithm",
        "ed25519",
        "-k",
        "made",
        "--token",
        "second",
    ];
    place.ok(&make);
    assert_eq!(sync(&[], 0)[2..], ["made second yes", "made softhsm made"]);
    place.ok(&["remove", "made", "--yes"]);
    place.import(
        &[
            "-e",
            "kraken",
            "-k",
            "other",
            "--api-key",
            "o",
            "--token",
            "second",
        ],
        crate::bench::KRAKEN_SECRET,
    );
    let all = [
        "kraken second yes",
        "kraken softhsm yes",
        "other second yes",
        "other softhsm never",
    ];
    assert_eq!(sync(&[], 1), all);
    assert_eq!(sync(&["second"], 0), ["kraken second yes", "other second yes"]);
    place.refused(&["token", "sync"], "", 1, "missing: other on softhsm");
    place.refused(&["token", "sync", "nothing"], "", 4, "nothing");
    // Another program takes the key off one of them.
    let record: serde_json::Value =
        serde_json::from_slice(&std::fs::read(place.home().join("keys/kraken.json")).unwrap()).unwrap();
    let copies = record["current"]["copies"].as_array().unwrap();
    let serial = copies.iter().find(|copy| copy["token"] == "second").unwrap()["serial"]
        .as_str()
        .unwrap()
        .to_owned();
    let folder = std::fs::read_dir(place.token_folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().replace('-', "");
            !name.starts_with('.') && name.ends_with(&serial)
        })
        .unwrap();
    for object in std::fs::read_dir(&folder).unwrap() {
        let path = object.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if name.ends_with(".object") && name != "token.object" {
            std::fs::remove_file(path).unwrap();
        }
    }
    assert_eq!(
        sync(&[], 1),
        [
            "kraken second lost",
            "kraken softhsm yes",
            "other second lost",
            "other softhsm never"
        ]
    );
    std::fs::remove_dir_all(folder).unwrap();
    assert_eq!(
        sync(&["second"], 4),
        ["kraken second unknown", "other second unknown"]
    );
}

#[test]
fn the_log_is_sealed_by_the_next_token_where_the_first_makes_no_seals() {
    // CKR_MECHANISM_INVALID, and a module that dies of it.
    for fault in ["C_SignInit answer 0x70", "C_SignInit crash"] {
        let Some((place, _, second)) = both() else { return };
        let agent = Running::start(&place);
        until("both tokens are open", || both_open(&agent));
        assert_eq!(agent.connect().ask(BALANCE)["ok"], true);
        second.fail(fault);
        place.ok(&["agent", "stop"]);
        let found = place.json(&["audit", "verify", "--no-token", "--json"]);
        assert_eq!(
            (&found["seals"], &found["sealed_by"]),
            (&1.into(), &serde_json::json!(["softhsm"])),
            "{fault}: {found}"
        );
    }
}
