//! While a key is used: hsmsign never has the secret, the module has it between C_SignInit and C_Sign, and then nobody.

use crate::{
    held::{Bench, Memory, go_on},
    import::{in_use, nothing, one_copy_of_ours},
    keys::Key,
    scan::Search,
};

#[test]
fn commands_that_use_a_key_leave_nothing_of_it() {
    let Some(bench) = Bench::new(Memory::Plain) else {
        return;
    };
    let (kraken, raw) = (Key::kraken(), Key::long());
    for key in [&kraken, &raw] {
        bench.run(&key.import_args(), &key.line());
    }
    let request = r#"{"key":"kraken","method":"POST","path":"/0/private/Balance"}"#;
    let commands: [(&[&str], &Key, &str); 5] = [
        (&["sign", "kraken", "POST", "/0/private/Balance"], &kraken, ""),
        (&["sign", "--json"], &kraken, request),
        (&["hmac", "long"], &raw, "message"),
        (&["test", "kraken"], &kraken, ""),
        (&["test", "long"], &raw, ""),
    ];
    for (args, key, input) in commands {
        let search = Search::new(&key.forms);
        let mut held = bench.hold(
            Memory::Plain,
            args,
            &["before C_SignInit", "after C_SignInit", "after C_Sign"],
        );
        held.feed(input.as_bytes());
        if args != ["sign", "--json"] {
            held.feed_end();
        } else {
            held.feed(b"\n");
        }
        let stop = held.stop_at("before C_SignInit");
        nothing(&held.scan(&search), &format!("{args:?}, {}", stop.at));
        go_on(&stop);
        // The module's: the block key, and what hash the pads come to.
        let stop = held.stop_at("after C_SignInit");
        let scan = held.scan(&search);
        assert_eq!(in_use(&scan), 4, "{args:?}, {}: {:#?}", stop.at, scan.finds);
        go_on(&stop);
        let stop = held.stop_at("after C_Sign");
        nothing(&held.scan(&search), &format!("{args:?}, {}", stop.at));
        go_on(&stop);
        held.answering();
        nothing(&held.scan(&search), &format!("{args:?}, done"));
        assert_eq!(bench.files(&search), [], "{args:?}");
        let done = held.end();
        assert_eq!(done.code, 0, "{args:?}: {done:?}");
    }
}

#[test]
fn a_rotation_has_one_copy_of_the_new_secret_and_none_of_the_old() {
    let Some(bench) = Bench::new(Memory::Plain) else {
        return;
    };
    let (old, new) = (Key::kraken(), Key::kraken());
    bench.run(&old.import_args(), &old.line());
    let (before, after) = (Search::new(&old.forms), Search::new(&new.forms));
    let mut held = bench.hold(
        Memory::Plain,
        &["rotate", "kraken", "--api-key", "b"],
        &[
            "before C_CreateObject",
            "after C_CreateObject",
            "after C_SignInit",
        ],
    );
    held.feed(new.text.as_bytes());
    held.reading();
    one_copy_of_ours(&held, &held.scan(&after), "the new secret, being read");
    held.feed(b"\n");
    held.feed_end();
    for at in ["before C_CreateObject", "after C_CreateObject"] {
        let stop = held.stop_at(at);
        one_copy_of_ours(&held, &held.scan(&after), at);
        nothing(&held.scan(&before), at);
        go_on(&stop);
    }
    let stop = held.stop_at("after C_SignInit");
    let scan = held.scan(&after);
    assert_eq!(in_use(&scan), 5, "ours, and the module's: {:#?}", scan.finds);
    nothing(&held.scan(&before), "the new key being proved");
    go_on(&stop);
    held.answering();
    for (search, which) in [(&before, "the old secret"), (&after, "the new secret")] {
        nothing(&held.scan(search), which);
        assert_eq!(bench.files(search), [], "{which}");
    }
    let done = held.end();
    assert_eq!(done.code, 0, "{done:?}");
    // And when the rotation is settled, of either.
    let mut held = bench.hold(Memory::Plain, &["rotate", "kraken", "--commit"], &[]);
    held.answering();
    nothing(&held.scan(&before), "committed");
    nothing(&held.scan(&after), "committed");
    assert_eq!(held.end().code, 0);
}

#[test]
fn the_extraction_suite_leaves_nothing_of_the_key_it_attacked() {
    let Some(bench) = Bench::new(Memory::Plain) else {
        return;
    };
    let key = Key::kraken();
    bench.run(&key.import_args(), &key.line());
    let search = Search::new(&key.forms);
    let mut held = bench.hold(Memory::Plain, &["test", "kraken", "--attack"], &[]);
    held.answering();
    nothing(&held.scan(&search), "attacked");
    assert_eq!(bench.files(&search), []);
    let done = held.end();
    assert!(
        done.code == 0 && done.stdout.contains("kept kraken in every attack"),
        "{done:?}"
    );
}
