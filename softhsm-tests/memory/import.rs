//! While a secret is imported and after: how many copies there are, whose they are, and who can read them.

use std::{fs, slice};

use crate::{
    forms::Forms,
    held::{Bench, Held, Memory, go_on},
    keys::{Key, alphanumeric},
    scan::{Find, Scan, Search, mappings},
};

/// The one copy that hsmsign itself holds: in locked memory, left out of core dumps and of processes that are forked.
#[track_caller]
pub fn one_copy_of_ours(held: &Held, scan: &Scan, when: &str) -> Find {
    let [find] = &scan.finds[..] else {
        panic!("{when}: one copy, and not {:#?}", scan.finds);
    };
    let mappings = mappings(held.pid());
    let mapping = mappings
        .iter()
        .find(|mapping| (mapping.begin..mapping.end).contains(&find.at))
        .unwrap();
    for flag in ["lo", "dd", "dc"] {
        assert!(mapping.flags.contains(flag), "{when}: {find:?} is in {mapping:?}");
    }
    find.clone()
}

/// How much of a secret there is while a module has it between C_SignInit and C_Sign. OpenSSL frees copies of what the inner
/// pad hashes to, which lie there with their beginnings overwritten until others take their place, now and then two of them:
/// they count as one.
pub fn in_use(scan: &Scan) -> usize {
    let is_left = |find: &&Find| find.form.starts_with("inner hash state") && find.part.start > 0;
    let left = scan.finds.iter().filter(is_left).count();
    scan.finds.len() - left + left.min(2)
}

#[track_caller]
pub fn nothing(scan: &Scan, when: &str) {
    assert!(scan.finds.is_empty(), "{when}: {:#?}", scan.finds);
    assert!(
        scan.looked > 100_000,
        "{when}: only {} bytes were seen",
        scan.looked
    );
}

#[test]
fn of_a_secret_being_imported_there_is_one_copy_of_ours_and_then_none() {
    let Some(bench) = Bench::new(Memory::Plain) else {
        return;
    };
    for key in [
        Key::kraken(),
        Key::binance(),
        Key::bitfinex(),
        Key::long(),
        Key::hex(),
    ] {
        let search = Search::new(&key.forms);
        let name = key.name;
        let mut held = bench.hold(
            Memory::Plain,
            &key.import_args(),
            &[
                "before C_CreateObject",
                "after C_CreateObject",
                "before C_SignInit",
                "after C_SignInit",
                "after C_Sign",
            ],
        );
        // All but the end of the line.
        held.feed(key.text.as_bytes());
        held.reading();
        one_copy_of_ours(&held, &held.scan(&search), &format!("{name}, being read"));
        held.feed(b"\n");

        let stop = held.stop_at("before C_CreateObject");
        let ours = one_copy_of_ours(&held, &held.scan(&search), &format!("{name}, {}", stop.at));
        go_on(&stop);
        // What the module copied to store it is gone when it comes back.
        let stop = held.stop_at("after C_CreateObject");
        assert_eq!(
            held.scan(&search).finds,
            slice::from_ref(&ours),
            "{name}, {}",
            stop.at
        );
        go_on(&stop);
        let stop = held.stop_at("before C_SignInit");
        assert_eq!(
            held.scan(&search).finds,
            slice::from_ref(&ours),
            "{name}, {}",
            stop.at
        );
        go_on(&stop);

        // Here SoftHSM has the key and both pads' hash states in its heap: the search finds what is there.
        let stop = held.stop_at("after C_SignInit");
        let mut theirs = held.scan(&search).finds;
        theirs.retain(|find| *find != ours);
        let has = |what: &str| theirs.iter().filter(|find| find.form.contains(what)).count();
        assert_eq!(
            (theirs.len(), has("inner hash state"), has("outer hash state")),
            (4, 2, 1),
            "{name}, {}: {theirs:#?}",
            stop.at
        );
        assert!(theirs.iter().all(|find| find.place == "[heap]"), "{theirs:#?}");
        go_on(&stop);
        let stop = held.stop_at("after C_Sign");
        assert_eq!(held.scan(&search).finds, [ours], "{name}, {}", stop.at);
        go_on(&stop);

        held.feed_end();
        held.answering();
        nothing(&held.scan(&search), &format!("{name}, imported"));
        assert_eq!(bench.files(&search), [], "{name}, imported");
        let done = held.end();
        assert!(done.code == 0 && done.stdout.contains("proved"), "{done:?}");
    }
}

#[test]
fn out_of_sealed_memory_nobody_reads_a_secret() {
    let Some(bench) = Bench::new(Memory::Sealed) else {
        return;
    };
    for key in [Key::kraken(), Key::long()] {
        let search = Search::new(&key.forms);
        let name = key.name;
        let mut held = bench.hold(
            Memory::Sealed,
            &key.import_args(),
            &["before C_CreateObject", "after C_SignInit"],
        );
        held.feed(key.text.as_bytes());
        held.reading();
        sealed(&held, &search, &format!("{name}, being read"));
        held.feed(b"\n");
        held.feed_end();
        let stop = held.stop_at("before C_CreateObject");
        sealed(&held, &search, &format!("{name}, {}", stop.at));
        go_on(&stop);
        // The module's own copies lie in its heap: the search would find one of ours.
        let stop = held.stop_at("after C_SignInit");
        let scan = held.scan(&search);
        assert_eq!(in_use(&scan), 4, "{name}, {}: {:#?}", stop.at, scan.finds);
        go_on(&stop);
        held.answering();
        let scan = held.scan(&search);
        nothing(&scan, &format!("{name}, imported"));
        assert!(
            scan.closed.is_empty(),
            "{name}: no secret is held any more: {:?}",
            scan.closed
        );
        assert_eq!(held.end().code, 0);
    }
}

/// The secret is in memory that cannot be read from outside, and nowhere else.
#[track_caller]
fn sealed(held: &Held, search: &Search<'_>, when: &str) {
    let scan = held.scan(search);
    nothing(&scan, when);
    let is_sealed = |name: &str| name.starts_with("/secretmem");
    assert!(
        scan.closed.iter().any(|mapping| is_sealed(&mapping.name)),
        "{when}"
    );
    for mapping in scan.closed.iter().filter(|mapping| is_sealed(&mapping.name)) {
        let file = format!(
            "/proc/{}/map_files/{:x}-{:x}",
            held.pid(),
            mapping.begin,
            mapping.end
        );
        assert!(fs::read(&file).is_err(), "{when}: {file}");
    }
    // Who has the descriptor could map it for himself, as could a program that it is handed on to.
    for entry in fs::read_dir(format!("/proc/{}/fd", held.pid())).unwrap() {
        let link = fs::read_link(entry.unwrap().path()).unwrap();
        assert!(!is_sealed(&link.to_string_lossy()), "{when}: it is open");
    }
}

#[test]
fn of_a_line_with_a_secret_nothing_stays_when_the_next_one_comes() {
    let Some(bench) = Bench::new(Memory::Plain) else {
        return;
    };
    let (first, second) = (Key::kraken(), Key::binance());
    let (one, other) = (Search::new(&first.forms), Search::new(&second.forms));
    let mut held = bench.hold(Memory::Plain, &["import", "--json"], &["before C_CreateObject"]);
    // The next line is there in part when the first is done.
    let (begin, end) = second.json.split_at(second.json.len() - 2);
    held.feed(format!("{}\n{begin}", first.json.replace('/', "\\/")).as_bytes());
    let stop = held.stop_at("before C_CreateObject");
    one_copy_of_ours(&held, &held.scan(&one), "the line that is done");
    one_copy_of_ours(&held, &held.scan(&other), "the line that comes");
    go_on(&stop);
    held.answering();
    nothing(&held.scan(&one), "the line that was done");
    one_copy_of_ours(&held, &held.scan(&other), "the line that comes");
    held.feed(format!("{end}\n").as_bytes());
    let done = held.end();
    assert!(done.code == 0 && done.stdout.lines().count() == 2, "{done:?}");
}

#[test]
fn of_a_passphrase_nothing_stays_either() {
    let Some(bench) = Bench::new(Memory::Plain) else {
        return;
    };
    let key = Key::coinbase_exchange();
    let passphrase = String::from_utf8(alphanumeric(24)).unwrap();
    let forms = Forms::of_text(passphrase.as_bytes());
    let (secret, search) = (Search::new(&key.forms), Search::new(&forms));
    let mut held = bench.hold(Memory::Plain, &key.import_args(), &["before C_CreateObject"]);
    held.feed(format!("{}\n{passphrase}\n", key.text).as_bytes());
    held.feed_end();
    // The passphrase's object and the key's, in whichever order.
    for object in ["first", "second"] {
        let stop = held.stop_at("before C_CreateObject");
        one_copy_of_ours(&held, &held.scan(&search), object);
        one_copy_of_ours(&held, &held.scan(&secret), object);
        go_on(&stop);
    }
    held.answering();
    nothing(&held.scan(&search), "the passphrase, imported");
    nothing(&held.scan(&secret), "its secret, imported");
    assert_eq!(bench.files(&search), []);
    assert_eq!(held.end().code, 0);
}

#[test]
fn what_is_refused_is_wiped_before_the_refusal_is_told() {
    let Some(bench) = Bench::new(Memory::Plain) else {
        return;
    };
    let key = Key::kraken();
    let search = Search::new(&key.forms);
    // Not base64 at its end; a blank in it; another line behind it.
    for behind in ["*", " x", "\nmore"] {
        let mut held = bench.hold(Memory::Plain, &key.import_args(), &[]);
        held.feed(format!("{}{behind}\n", key.text).as_bytes());
        held.feed_end();
        held.answering();
        nothing(&held.scan(&search), behind);
        let done = held.end();
        assert!(done.code == 5 && done.stderr.contains("hsmsign: "), "{done:?}");
    }
}
