//! While a token is opened and after: where its PIN is.

use std::fs;

use crate::{
    forms::Forms,
    held::{Bench, Memory, go_on},
    import::{nothing, one_copy_of_ours},
    keys::Key,
    scan::Search,
};

fn pin(bench: &Bench) -> Forms {
    Forms::of_text(fs::read_to_string(bench.pin_file()).unwrap().trim().as_bytes())
}

#[test]
fn of_a_pin_there_is_one_copy_of_ours_while_it_is_given_and_then_none() {
    let Some(bench) = Bench::new(Memory::Plain) else {
        return;
    };
    let key = Key::kraken();
    bench.run(&key.import_args(), &key.line());
    let forms = pin(&bench);
    let search = Search::new(&forms);
    let sign = ["sign", "kraken", "POST", "/0/private/Balance"];
    let mut held = bench.hold(Memory::Plain, &sign, &["before C_Login", "after C_Login"]);
    let stop = held.stop_at("before C_Login");
    one_copy_of_ours(&held, &held.scan(&search), &stop.at);
    go_on(&stop);
    let stop = held.stop_at("after C_Login");
    one_copy_of_ours(&held, &held.scan(&search), &stop.at);
    go_on(&stop);
    held.answering();
    nothing(&held.scan(&search), "signed");
    assert_eq!(held.end().code, 0);
    // It is in its own file, and in no other.
    let finds = bench.files(&search);
    assert!(
        !finds.is_empty()
            && finds
                .iter()
                .all(|find| find.place == bench.pin_file().display().to_string()),
        "{finds:#?}"
    );
}

#[test]
fn out_of_sealed_memory_nobody_reads_a_pin() {
    let Some(bench) = Bench::new(Memory::Sealed) else {
        return;
    };
    let forms = pin(&bench);
    let search = Search::new(&forms);
    let mut held = bench.hold(
        Memory::Sealed,
        &["token", "show", "softhsm"],
        &["before C_Login", "after C_Login"],
    );
    let stop = held.stop_at("before C_Login");
    let scan = held.scan(&search);
    nothing(&scan, &stop.at);
    assert!(
        scan.closed
            .iter()
            .any(|mapping| mapping.name.starts_with("/secretmem"))
    );
    go_on(&stop);
    held.answering();
    let scan = held.scan(&search);
    nothing(&scan, "open");
    assert!(scan.closed.is_empty(), "{:?}", scan.closed);
    assert_eq!(held.end().code, 0);
}

/// One from a descriptor cannot be read again, so it is kept for when the token has to be opened again.
#[test]
fn a_pin_that_is_kept_is_kept_once() {
    let Some(bench) = Bench::new(Memory::Plain) else {
        return;
    };
    let key = Key::kraken();
    bench.run(&key.import_args(), &key.line());
    bench.configure("pin-source", "fd:9");
    let forms = pin(&bench);
    let search = Search::new(&forms);
    let mut held = bench.hold(
        Memory::Plain,
        &["sign", "kraken", "POST", "/0/private/Balance"],
        &[],
    );
    held.answering();
    one_copy_of_ours(&held, &held.scan(&search), "signed");
    assert_eq!(held.end().code, 0);
}

#[test]
fn the_worker_of_the_extraction_suite_forgets_the_pin_too() {
    let Some(bench) = Bench::new(Memory::Plain) else {
        return;
    };
    let forms = pin(&bench);
    let search = Search::new(&forms);
    let mut held = bench.hold(
        Memory::Plain,
        &["token", "test"],
        &["before C_Login", "after C_Login", "before C_SignInit"],
    );
    let parent = held.pid();
    let mut seen = 0;
    while seen < 3 {
        let stop = held.stop();
        if stop.pid != parent {
            seen += 1;
            let scan = search.process(stop.pid);
            if stop.at == "before C_SignInit" {
                nothing(&scan, "the worker at its attacks");
            } else {
                assert_eq!(scan.finds.len(), 1, "{stop:?}: {:#?}", scan.finds);
            }
            // The parent gave it on, and has none left.
            nothing(&search.process(parent), "the parent meanwhile");
        }
        go_on(&stop);
    }
    held.answering();
    nothing(&held.scan(&search), "tried");
    assert_eq!(held.end().code, 0);
}

#[test]
fn a_pin_that_is_made_is_in_its_file_alone() {
    let Some(bench) = Bench::new(Memory::Plain) else {
        return;
    };
    let mut held = bench.hold(Memory::Plain, &["init", "--softhsm", "--token", "second"], &[]);
    held.answering();
    let file = bench.place.home().join("softhsm/second.pin");
    let forms = Forms::of_text(fs::read_to_string(&file).unwrap().trim().as_bytes());
    let search = Search::new(&forms);
    nothing(&held.scan(&search), "made");
    let finds = bench.files(&search);
    assert!(
        !finds.is_empty() && finds.iter().all(|find| find.place == file.display().to_string()),
        "{finds:#?}"
    );
    assert_eq!(held.end().code, 0);
}
