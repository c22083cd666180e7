//! What stands in the place of lines and files of the log, and is none.

use std::{fs, os::unix::fs::symlink, path::Path};

use rustix::fs::{CWD, Mode, mkfifoat};

use crate::{
    bench::Place,
    written::{first, verified},
};

const SIGN: [&str; 4] = ["sign", "kraken", "POST", "/0/private/Balance"];

#[test]
fn what_is_no_line_hides_none_of_the_others() {
    let Some(place) = Place::with_kraken() else { return };
    place.sign_balances(3);
    place.sign_balances(3);
    let path = place.home().join("audit/000000000001.jsonl");
    let text = fs::read(&path).unwrap();
    let lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
    assert_eq!(lines.len(), 10);
    let long = [&vec![b'x'; 10_000_000][..], b"\n"].concat();
    let edited = [&lines[3][..30], b"\xff", &lines[3][30..]].concat();
    for (odd, instead, told) in [
        (&b"\xff\xfe\n"[..], false, "it is no line of the log"),
        (b"{}\n", false, "it is no line of the log"),
        (b"\n", false, "it is no line of the log"),
        (&long, false, "it is longer than a line of the log can be"),
        (&edited, true, "it is not as it was written"),
    ] {
        let rest = if instead { 4 } else { 3 };
        fs::write(
            &path,
            [&lines[..3].concat(), odd, &lines[rest..].concat()].concat(),
        )
        .unwrap();
        let found = verified(&place);
        let (line, what) = first(&found);
        assert_eq!(line, 4, "{found}");
        assert!(what.contains(told), "{found}");
        assert_eq!(found["seals"], 2, "what follows is looked at: {found}");
        let verify = place.run(&["audit", "verify"], "");
        assert!(verify.code == 1 && verify.stderr.contains(told), "{verify:?}");
        let shown = place.run(&["audit", "show", "--what", "sign", "--json"], "");
        assert_eq!(shown.code, 0, "{shown:?}");
        assert_eq!(
            shown.stdout.lines().count(),
            if instead { 5 } else { 6 },
            "{told}"
        );
        let note = format!(
            "line 4 of {} is no line of the log, and is not shown",
            path.display()
        );
        assert!(shown.stderr.contains(&note), "{shown:?}");
        let page = place.run(&["audit", "report"], "");
        assert!(page.code == 0 && page.stderr.contains(&note), "{}", page.stderr);
        place.ok(&SIGN);
    }
    fs::write(&path, [&text[..], &b"garbage\n".repeat(9)].concat()).unwrap();
    let shown = place.run(&["audit", "show"], "");
    assert!(
        shown.stderr.contains("line 15 of") && !shown.stderr.contains("line 16 of"),
        "{shown:?}"
    );
    assert!(shown.stderr.contains("4 more lines cannot be read"), "{shown:?}");
    // What cannot be gone on from is moved away as it is told, and a new log begins that verifies.
    place.refused(
        &SIGN,
        "",
        1,
        "move the folder `audit` and the file audit.seal away together",
    );
    for name in ["audit", "audit.seal"] {
        fs::rename(place.home().join(name), place.path().join(name)).unwrap();
    }
    place.ok(&SIGN);
    assert_eq!(verified(&place)["ok"], true);
}

/// Puts a link to the file itself in its place.
fn link(file: &Path, aside: &Path) {
    fs::rename(file, aside).unwrap();
    symlink(aside, file).unwrap();
}

fn unlink(file: &Path, aside: &Path) {
    fs::remove_file(file).unwrap();
    if aside.exists() {
        fs::rename(aside, file).unwrap();
    }
}

#[test]
fn a_link_in_the_place_of_a_file_that_only_hsmsign_writes_is_refused() {
    let Some(place) = Place::with_kraken() else { return };
    assert_eq!(
        place
            .run(
                &["policy", "set", "kraken"],
                "policy = 1\nrate = { day = 1000 }\n"
            )
            .code,
        0
    );
    place.ok(&["policy", "deny-all", "kraken"]);
    place.ok(&["policy", "deny-all", "kraken", "--undo"]);
    place.sign_balances(2);
    let aside = place.path().join("aside");
    for (name, commands) in [
        (
            "audit/000000000001.jsonl",
            &[
                &SIGN[..],
                &["audit", "verify"],
                &["audit", "show"],
                &["audit", "seal"],
            ][..],
        ),
        ("audit/.lock", &[&SIGN]),
        ("audit.seal", &[&["audit", "verify"]]),
        ("policy/denied.json", &[&SIGN, &["policy", "show", "kraken"]]),
        ("policy/counts/kraken", &[&SIGN]),
    ] {
        let file = place.home().join(name);
        link(&file, &aside);
        for command in commands {
            let told = format!("{} is a symbolic link", file.display());
            place.refused(command, "", 5, &told);
        }
        // One that leads nowhere is no file that is not there.
        fs::rename(&aside, place.path().join("elsewhere")).unwrap();
        for command in commands {
            place.refused(command, "", 5, "is a symbolic link");
        }
        fs::rename(place.path().join("elsewhere"), &aside).unwrap();
        unlink(&file, &aside);
        place.ok(&SIGN);
        place.ok(&["audit", "verify"]);
    }
    let last = place.home().join("audit/000000000001.jsonl");
    link(&last, &aside);
    assert!(place.run(&["doctor"], "").stdout.contains("is a symbolic link"));
    unlink(&last, &aside);
    // A folder may be one: the log on another disk.
    let folder = place.home().join("audit");
    link(&folder, &aside);
    place.ok(&SIGN);
    place.ok(&["audit", "seal"]);
    place.ok(&["audit", "verify"]);
    place.ok(&["agent", "start"]);
    place.ok(&SIGN);
    place.ok(&["agent", "stop"]);
    assert_eq!(verified(&place)["ok"], true);
}

/// What no line can be written behind is told, and by doctor too, to which an error sends who reads it.
#[test]
fn what_stands_in_the_place_of_the_logs_lock_is_told() {
    let Some(place) = Place::with_kraken() else { return };
    place.ok(&SIGN);
    let lock = place.home().join("audit/.lock");
    let told = format!("{} is not a plain file", lock.display());
    let make: [fn(&Path); 2] = [
        |path| fs::create_dir(path).unwrap(),
        |path| mkfifoat(CWD, path, Mode::RUSR | Mode::WUSR).unwrap(),
    ];
    for make in make {
        fs::remove_file(&lock).unwrap();
        make(&lock);
        place.refused(&SIGN, "", 5, &told);
        let done = place.run(&["doctor"], "");
        assert_eq!(done.code, 1, "{done:?}");
        assert!(done.stdout.contains(&told), "{done:?}");
        let _ = fs::remove_dir(&lock).or_else(|_| fs::remove_file(&lock));
        place.ok(&SIGN);
        place.ok(&["doctor"]);
    }
}
