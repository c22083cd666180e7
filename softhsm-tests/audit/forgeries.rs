//! Forgeries of a log, each of which verifying must find.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use hsmsign::audit;

use crate::{
    bench::Place,
    written::{Written, copy, entry},
};

#[test]
fn every_bit_of_a_log_that_is_flipped_is_found() {
    let written = Written::with(6, u64::MAX);
    let path = &written.files()[0];
    let whole = fs::read(path).unwrap();
    assert!(written.verified().findings.is_empty());
    let torn = whole.len() - 1;
    for at in 0..whole.len() {
        for bit in [1, 0x20, 0x80] {
            let mut forged = whole.clone();
            forged[at] ^= bit;
            fs::write(path, &forged).unwrap();
            let found = written.verified();
            // Without its line feed the last line is what a process that was cut off leaves.
            assert!(
                !found.findings.is_empty() || at == torn && found.torn > 0,
                "byte {at}, {:?}",
                String::from_utf8_lossy(&whole[at.saturating_sub(20)..at + 1])
            );
        }
    }
}

#[test]
fn lines_that_are_taken_out_moved_doubled_or_put_in_are_found() {
    let written = Written::with(12, u64::MAX);
    let path = &written.files()[0];
    let text = fs::read_to_string(path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let forge = |lines: &[&str]| {
        fs::write(path, lines.join("\n") + "\n").unwrap();
        written.verified()
    };
    for at in 0..lines.len() {
        let mut out = lines.clone();
        out.remove(at);
        let found = forge(&out);
        // The last line alone can go unseen, as long as no seal covers it.
        assert_eq!(
            found.findings.is_empty(),
            at + 1 == lines.len(),
            "without line {at}"
        );
        let mut doubled = lines.clone();
        doubled.insert(at, lines[at]);
        assert!(!forge(&doubled).findings.is_empty(), "line {at} twice");
        for other in 0..at {
            let mut moved = lines.clone();
            moved.swap(at, other);
            assert!(
                !forge(&moved).findings.is_empty(),
                "lines {at} and {other} swapped"
            );
        }
    }
    // Numbers that were set right do not help.
    let mut renumbered: Vec<String> = lines.iter().map(|&line| line.to_owned()).collect();
    renumbered.remove(5);
    for (at, line) in renumbered.iter_mut().enumerate().skip(5) {
        *line = line.replacen(&format!("{{\"n\":{}", at + 2), &format!("{{\"n\":{}", at + 1), 1);
    }
    let renumbered: Vec<&str> = renumbered.iter().map(String::as_str).collect();
    assert!(!forge(&renumbered).findings.is_empty());
    let other = Written::with(12, u64::MAX);
    let other = fs::read_to_string(&other.files()[0]).unwrap();
    let mut mixed = lines.clone();
    let foreign: Vec<&str> = other.lines().collect();
    mixed[6] = foreign[6];
    assert!(!forge(&mixed).findings.is_empty(), "a line of another log");
    assert!(forge(&lines).findings.is_empty(), "and as it was");
}

#[test]
fn a_file_of_several_that_is_gone_cut_or_changed_for_another_is_found() {
    let written = Written::with(60, 3000);
    let files = written.files();
    assert!(files.len() >= 4, "{files:?}");
    let whole: Vec<Vec<u8>> = files.iter().map(|path| fs::read(path).unwrap()).collect();
    let found = written.verified();
    assert!(found.findings.is_empty(), "{:?}", found.findings);
    assert_eq!(found.lines, 60 + files.len() as u64, "a first line each");
    let restore = || {
        for (path, bytes) in files.iter().zip(&whole) {
            fs::write(path, bytes).unwrap();
        }
    };
    for at in 0..files.len() {
        fs::remove_file(&files[at]).unwrap();
        assert_eq!(
            written.verified().findings.is_empty(),
            at + 1 == files.len(),
            "file {at} gone"
        );
        restore();
        let half = whole[at].len() / 2;
        fs::write(&files[at], &whole[at][..half]).unwrap();
        let found = written.verified();
        assert!(
            !found.findings.is_empty() || at + 1 == files.len() && found.torn > 0,
            "file {at} cut"
        );
        fs::write(&files[at], b"").unwrap();
        assert!(!written.verified().findings.is_empty(), "file {at} empty");
        if at > 0 {
            fs::write(&files[at], &whole[at - 1]).unwrap();
            assert!(
                !written.verified().findings.is_empty(),
                "file {at} is the one before"
            );
        }
        restore();
    }
}

#[test]
fn a_sealed_log_cannot_be_cut_written_anew_or_replaced_by_an_older_one() {
    let Some(place) = Place::with_kraken() else { return };
    let folder = place.home().join("audit");
    place.sign_balances(5);
    let (older, newer) = (place.path().join("older"), place.path().join("newer"));
    copy(&folder, &older);
    let noted = place.json(&["audit", "verify", "--json"])["last_seal"]
        .as_str()
        .unwrap()
        .to_owned();
    place.sign_balances(5);
    copy(&folder, &newer);
    let verify = ["audit", "verify"];
    place.ok(&verify);
    place.ok(&["audit", "verify", "--expect", &noted]);
    // What was noted in part is no alarm.
    for odd in [
        "3",
        &noted[..noted.len() - 1],
        "x:0123456789abcdef",
        "1:0123456789abcdeg",
    ] {
        place.refused(&["audit", "verify", "--expect", odd], "", 2, "is no seal");
    }
    let put = |from: &Path| {
        fs::remove_dir_all(&folder).unwrap();
        copy(from, &folder);
    };
    put(&older);
    place.refused(&verify, "", 1, "it was cut, or is an older one");
    place.refused(
        &["audit", "verify", "--no-token"],
        "",
        1,
        "it was cut, or is an older one",
    );
    // Cut before the last seal, at each line.
    put(&newer);
    let path = folder.join("000000000001.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    for keep in 1..lines.len() {
        fs::write(&path, lines[..keep].join("\n") + "\n").unwrap();
        place.refused(
            &["audit", "verify", "--no-token"],
            "",
            1,
            "the audit log was changed",
        );
    }
    // All of it written anew, with a chain that holds, and the counter's file changed to fit.
    fs::remove_dir_all(&folder).unwrap();
    fs::remove_file(place.home().join("audit.seal")).unwrap();
    let home = hsmsign::home::Home::at(&place.home());
    let log = audit::Log::new(&home);
    log.record(entry("/0/private/Balance"));
    log.flush().unwrap();
    let due = log.seal_all().unwrap().unwrap();
    log.sealed(due, "softhsm", &[7; 32]);
    log.flush().unwrap();
    place.refused(&verify, "", 1, "was not made by token softhsm");
    place.refused(
        &["audit", "verify", "--expect", &noted],
        "",
        1,
        "the audit log was changed",
    );
    // An older one with its counter's file is whole in itself; a seal that was noted elsewhere tells.
    put(&newer);
    place.ok(&["audit", "verify", "--no-token", "--expect", &noted]);
    place.refused(
        &["audit", "verify", "--no-token", "--expect", "9:0000000000000000"],
        "",
        1,
        "is not in it",
    );
}

#[test]
fn lines_behind_the_last_seal_are_counted() {
    let Some(place) = Place::with_kraken() else { return };
    place.sign_balances(3);
    place.ok(&["sign", "kraken", "POST", "/0/private/Balance"]);
    let found = place.json(&["audit", "verify", "--json"]);
    assert_eq!(
        (found["seals"].as_u64(), found["unsealed"].as_u64()),
        (Some(1), Some(2)),
        "{found}"
    );
    place.ok(&["audit", "seal"]);
    let found = place.json(&["audit", "verify", "--json"]);
    assert_eq!(
        (found["seals"].as_u64(), found["unsealed"].as_u64()),
        (Some(2), Some(1)),
        "the seal's own line: {found}"
    );
    // Cut off between its line and its number, a seal's number is given once more.
    let kept = place.home().join("audit.seal");
    let before = fs::read(&kept).unwrap();
    place.ok(&["audit", "seal"]);
    fs::write(&kept, &before).unwrap();
    place.ok(&["audit", "verify"]);
    place.ok(&["audit", "seal"]);
    let found = place.json(&["audit", "verify", "--json"]);
    assert_eq!(
        (&found["ok"], found["seals"].as_u64()),
        (&true.into(), Some(4)),
        "{found}"
    );
    let again = fs::read(&kept).unwrap();
    fs::write(&kept, &before).unwrap();
    place.ok(&["audit", "verify"]);
    fs::write(&kept, &again).unwrap();
    place.ok(&["audit", "seal"]);
    place.ok(&["audit", "verify"]);
    // The key that seals is no key of the keyring's, and is made once.
    let keys = place.ok(&["token", "list", "--json"]);
    let _ = keys;
    assert_eq!(place.json(&["list", "--json"]).as_array().map(Vec::len), Some(1));
}

#[test]
fn what_is_no_file_of_the_log_is_told_at_once() {
    let Some(place) = Place::with_kraken() else { return };
    place.sign_balances(2);
    let path = place.home().join("audit/000000000001.jsonl");
    let whole = fs::read(&path).unwrap();
    let commands: [&[&str]; 5] = [
        &["audit", "verify"],
        &["audit", "show"],
        &["audit", "report"],
        &["audit", "seal"],
        &["sign", "kraken", "POST", "/0/private/Balance"],
    ];
    fs::remove_file(&path).unwrap();
    for make in [
        &|| rustix::fs::mkfifoat(rustix::fs::CWD, &path, 0o600.into()).unwrap() as (),
        &|| fs::create_dir(&path).unwrap(),
    ] as [&dyn Fn(); 2]
    {
        make();
        for command in commands {
            place.refused(command, "", 5, "is not a plain file");
        }
        assert!(place.run(&["doctor"], "").stdout.contains("is not a plain file"));
        fs::remove_file(&path).or_else(|_| fs::remove_dir(&path)).unwrap();
    }
    fs::write(&path, &whole).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    place.refused(commands[4], "", 5, "lets others in");
    place.ok(commands[0]);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    // A later file that does not begin with a line: `sign` and `verify` are of one mind.
    for (name, text) in [("000000000004", "{\"n\":4"), ("999999999999", "x")] {
        let later = place.home().join(format!("audit/{name}.jsonl"));
        fs::write(&later, text).unwrap();
        fs::set_permissions(&later, fs::Permissions::from_mode(0o600)).unwrap();
        place.refused(commands[4], "", 1, "has no line at its end");
        place.refused(commands[0], "", 1, "ends in the middle of a line");
        fs::remove_file(&later).unwrap();
    }
    place.ok(commands[0]);
    // A line without an end, longer than there is memory.
    let file = fs::File::options().append(true).open(&path).unwrap();
    file.set_len(1 << 40).unwrap();
    place.refused(&["audit", "verify"], "", 1, "ends in the middle of a line");
    assert_eq!(place.ok(&["audit", "show", "--what", "sign"]).lines().count(), 2);
    place.ok(&["audit", "report"]);
    place.refused(
        &["sign", "kraken", "POST", "/0/private/Balance"],
        "",
        1,
        "has no line at its end",
    );
}

#[test]
fn numbers_that_no_line_or_seal_can_have_are_refused() {
    let Some(place) = Place::with_kraken() else { return };
    place.sign_balances(2);
    let path = place.home().join("audit/000000000001.jsonl");
    let (text, kept) = (
        fs::read_to_string(&path).unwrap(),
        place.home().join("audit.seal"),
    );
    let sealed = fs::read_to_string(&kept).unwrap();
    for number in ["18446744073709551615", "9999999999999999"] {
        fs::write(
            &kept,
            sealed.replacen("\"seal\":1", &format!("\"seal\":{number}"), 1),
        )
        .unwrap();
        place.refused(&["audit", "verify"], "", 1, "is damaged");
        place.ok(&["sign", "kraken", "POST", "/0/private/Balance"]);
    }
    fs::write(&kept, &sealed).unwrap();
    // A last line with such a number, and the hash that belongs to it.
    let before = audit::list(&hsmsign::home::Home::at(&place.home())).unwrap();
    assert_eq!(before.len(), 1);
    let last = text.lines().last().unwrap();
    let (_, hash) = audit::open(last.as_bytes()).unwrap();
    let body = "{\"n\":18446744073709551615,\"t\":\"2026-01-01T00:00:00.000000Z\",\"what\":\"sign\"";
    let digest = <sha2::Sha256 as sha2::Digest>::new_with_prefix(hash);
    let digest = sha2::Digest::finalize(sha2::Digest::chain_update(digest, body));
    let forged = format!(
        "{text}{body},\"h\":\"{}\"}}\n",
        base16ct::lower::encode_string(&digest)
    );
    fs::write(&path, forged).unwrap();
    place.refused(&["audit", "verify"], "", 1, "it is no line of the log");
    place.refused(
        &["sign", "kraken", "POST", "/0/private/Balance"],
        "",
        1,
        "has no line at its end",
    );
    place.ok(&["agent", "start"]);
    place.refused(
        &["sign", "kraken", "POST", "/0/private/Balance"],
        "",
        1,
        "has no line at its end",
    );
    place.ok(&["agent", "stop"]);
}
