//! What goes wrong on any token: a kill, a wrong PIN, many processes at once.

use std::{
    collections::BTreeSet,
    fs,
    io::Write as _,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    thread::sleep,
    time::Duration,
};

use serde_json::Value;

use crate::{
    bench::{
        KRAKEN_BODY, KRAKEN_SECRET, KRAKEN_SIGN, finish,
        random::{Random, rounds},
    },
    user::User,
};

const IMPORT: [&str; 7] = ["import", "--exchange", "kraken", "--key", "k", "--api-key", "a"];
const SIGN: [&str; 6] = [
    "sign",
    "anchor",
    "POST",
    "/0/private/AddOrder",
    "--data",
    KRAKEN_BODY,
];
const AT_ONCE: usize = 12;

/// A token with one key, and the objects that it had before: kryoptic's describe itself.
fn set_up(user: &User) -> BTreeSet<String> {
    user.ok(&user.init(&["--accept-leaky-token"]));
    let own = user.ids();
    let done = user.run(
        &[
            "import",
            "--exchange",
            "kraken",
            "--key",
            "anchor",
            "--api-key",
            "a",
        ],
        &format!("{KRAKEN_SECRET}\n"),
    );
    assert_eq!(done.code, 0, "{done:?}");
    own
}

fn signs(user: &User) {
    let answer: Value = serde_json::from_str(&user.ok(&SIGN)).unwrap();
    assert_eq!(answer["headers"]["API-Sign"], KRAKEN_SIGN);
}

/// The token has what the keyring names, and what is its `own`.
fn agrees(user: &User, own: &BTreeSet<String>, context: &str) {
    let keys: Value = serde_json::from_str(&user.ok(&["list", "--json"])).unwrap();
    let mut named = own.clone();
    for key in keys.as_array().unwrap() {
        user.ok(&["test", key["key"].as_str().unwrap()]);
        for pair in [&key["current"], &key["previous"]] {
            for copy in pair["copies"].as_array().into_iter().flatten() {
                let objects = copy["objects"].as_object().unwrap().values();
                named.extend(objects.map(|object| object["id"].as_str().unwrap().to_owned()));
            }
        }
    }
    assert_eq!(user.ids(), named, "{context}");
}

/// Import, rotation and removal, each killed at seeded moments: the next start finds the key whole or absent, and on the
/// token what the keyring names, nothing else. `revive` does what a service manager would after a kill.
pub fn killed(user: &User, revive: impl Fn()) {
    let own = set_up(user);
    let mut random = Random::new(3);
    let mut took = 60_000;
    for round in 0..rounds(4) {
        let rotated = KRAKEN_SECRET.replace("kQH5", &format!("A{round:03}"));
        let changes: [(&[&str], String); 3] = [
            (&IMPORT, format!("{KRAKEN_SECRET}\n")),
            (&["rotate", "k", "--api-key", "b"], format!("{rotated}\n")),
            (&["remove", "k", "--yes"], String::new()),
        ];
        for (args, input) in changes {
            let there = user.path("keys/k.json").exists();
            if there == (args[0] == "import") {
                continue;
            }
            let after = random.below(took);
            let mut child = user.command(args).spawn().unwrap();
            let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
            sleep(Duration::from_micros(after));
            let _ = child.kill();
            let ended = child.wait().unwrap().success();
            // So that half of the kills come before the end, however busy the machine is.
            took = took * if ended { 80 } else { 125 } / 100;
            let context = format!("round {round}, {} killed after {after} µs", args[0]);
            revive();
            user.ok(&["doctor"]);
            signs(user);
            agrees(user, &own, &context);
            if user.path("keys/k.json").exists() && user.file("keys/k.json").contains("\"previous\"") {
                user.ok(&["rotate", "k", "--commit"]);
                agrees(user, &own, &context);
            }
        }
    }
}

/// The folder of the user's token, and the file in it that the module empties and writes at every login.
fn rewritten(user: &User, token: &str) -> (PathBuf, &'static str) {
    if token == "opencryptoki" {
        return ("/var/lib/opencryptoki/swtok".into(), "NVTOK.DAT");
    }
    let entries = fs::read_dir(user.folder().join("tokens")).unwrap();
    let mut folders = entries.map(|entry| entry.unwrap().path());
    (folders.find(|path| path.is_dir()).unwrap(), "token.object")
}

fn cut(file: &Path, to: u64) {
    let file = fs::OpenOptions::new().write(true).open(file).unwrap();
    file.set_len(to).unwrap();
}

/// A login that was cut off has emptied the file without which the module knows no token. Without the lock nothing is
/// put back, which shows what the module makes of it.
pub fn cut_login(user: &User, token: &str) {
    let own = set_up(user);
    let (folder, name) = rewritten(user, token);
    let file = folder.join(name);
    let whole = fs::metadata(&file).unwrap();
    let config = user.config();
    for length in [0, whole.len() / 3] {
        cut(&file, length);
        user.write_config(&config.replace("[token.t]\n", "[token.t]\nprocess-lock = false\n"));
        let lost = user.run(&SIGN, "");
        assert_eq!(lost.code, 4, "{length} bytes: {lost:?}");
        assert!(!lost.stderr.contains("was not tried again"), "{lost:?}");
        user.write_config(&config);
        signs(user);
        let after = fs::metadata(&file).unwrap();
        let of = |file: &fs::Metadata| (file.len(), file.mode(), file.uid(), file.gid());
        assert_eq!(of(&after), of(&whole));
    }
    agrees(user, &own, "mended");
}

/// opencryptoki names objects by a number in that file, and writes over what bears the name; and it writes its list of
/// objects anew in the same way when one is removed.
pub fn cut_lists(user: &User) {
    let own = set_up(user);
    let (folder, name) = rewritten(user, "opencryptoki");
    let copy = folder.with_file_name(".swtok.kept");
    let old = fs::read(&copy).unwrap();
    let import = |key: &str| {
        let args = ["import", "--exchange", "kraken", "--api-key", "a", "--key", key];
        let done = user.run(&args, &format!("{KRAKEN_SECRET}\n"));
        assert_eq!(done.code, 0, "{done:?}");
    };
    import("later");
    // Another program made `later`, of which the copy knows nothing.
    fs::write(&copy, old).unwrap();
    cut(&folder.join(name), 0);
    import("last");
    agrees(user, &own, "no key was written over");

    user.ok(&["remove", "later", "--yes"]);
    let index = folder.join("TOK_OBJ/OBJ.IDX");
    for length in [0, 4] {
        cut(&index, length);
        agrees(user, &own, "the list of objects was cut off");
    }
    import("later");
    agrees(user, &own, "a key more");
}

/// A wrong PIN in a file is tried by one process of many, and never again before the file changes.
pub fn wrong_pin(user: &User) {
    set_up(user);
    let pin = user.folder().join("pin");
    let right = fs::read(&pin).unwrap();
    fs::write(&pin, "wrong-wrong").unwrap();
    let done = at_once(user);
    assert!(done.iter().all(|done| done.code == 4), "{done:?}");
    let tried = done
        .iter()
        .filter(|done| !done.stderr.contains("was not tried again"));
    assert_eq!(tried.count(), 1, "{done:?}");
    fs::write(&pin, right).unwrap();
    signs(user);
}

/// Processes that open the token at the same moment all sign.
pub fn many(user: &User) {
    set_up(user);
    for _ in 0..rounds(2) {
        for done in at_once(user) {
            assert_eq!(done.code, 0, "{done:?}");
            assert!(done.stdout.contains(KRAKEN_SIGN), "{done:?}");
        }
    }
}

fn at_once(user: &User) -> Vec<crate::bench::Done> {
    let all: Vec<_> = (0..AT_ONCE)
        .map(|_| user.command(&SIGN).spawn().unwrap())
        .collect();
    all.into_iter().map(|child| finish(child, b"")).collect()
}
