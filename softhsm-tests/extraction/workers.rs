//! The worker: what it is given, and that one which crashes is an answer too.

use std::{fs, path::Path, sync::atomic::Ordering};

use hsmsign::{
    algorithm::{Algorithm, MacAlgorithm},
    token::{
        ObjectId, Token as _, TokenError,
        extraction::{Report, Trial, Verdict, Worker, use_worker},
        pkcs11::Pkcs11Token,
    },
};

use crate::{
    isolation, softhsm,
    suite::{Bench as _, Pin},
};

const BEGUN: &str =
    r#"{"begun":{"attack":"wrap-aes","does":"d","on":"sacrificial","verdict":"crashed","what":""}}"#;
const TRIED: &str =
    r#"{"tried":{"attack":"read-value","does":"d","on":"sacrificial","verdict":"resisted","what":"w"}}"#;

/// Has a shell script as the worker of a SoftHSM token.
fn with_script(test: &str, script: &str, check: impl FnOnce(&Path, Result<Option<Report>, TokenError>)) {
    with_script_and_pin(test, script, |folder, report, _| check(folder, report));
}

fn with_script_and_pin(
    test: &str,
    script: &str,
    check: impl FnOnce(&Path, Result<Option<Report>, TokenError>, &Pin),
) {
    isolation::alone(test, softhsm::environment, |folder| {
        let Some(bench) = softhsm::Bench::new(folder) else {
            return;
        };
        use_worker(Worker {
            program: "/bin/sh".into(),
            arguments: vec!["-c".into(), script.into(), "sh".into(), folder.into()],
        });
        let pin = Pin::new(bench.pin());
        let token = Pkcs11Token::open(bench.settings.clone(), pin.clone()).unwrap();
        let trial = Trial {
            algorithm: Algorithm::Mac(MacAlgorithm::HmacSha256),
            key: None,
            id: ObjectId::random().unwrap(),
            generated: true,
            quick: true,
        };
        check(folder, token.try_extraction(&trial), &pin);
    });
}

/// The PIN comes through the pipe alone; what else a module prints is passed over.
#[test]
fn the_pin_travels_through_the_pipe() {
    let script = format!(
        "cd \"$1\"; cat >in; env >env; tr '\\0' '\\n' </proc/$$/cmdline >cmdline; echo 'the module says hello'; echo '{TRIED}'; echo '\"done\"'"
    );
    with_script(
        "workers::the_pin_travels_through_the_pipe",
        &script,
        |folder, report| {
            assert_eq!(report.unwrap().unwrap().tried.len(), 1);
            let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
            let given = read("in");
            let lines: Vec<_> = given.lines().collect();
            assert_eq!(lines[1..], ["4711-user"]);
            assert!(!lines[0].contains("4711-user") && lines[0].contains("\"quick\":true"));
            assert!(!read("env").contains("4711-user") && !read("cmdline").contains("4711-user"));
        },
    );
}

/// A crash is put down to the attack at hand, and another worker goes on behind it.
#[test]
fn a_crash_is_an_answer_and_the_rest_is_tried() {
    let script = format!(
        "cd \"$1\"; cat >>in; if [ ! -e once ]; then touch once; echo '{BEGUN}'; kill -SEGV $$; fi; echo '{TRIED}'; echo '\"done\"'"
    );
    with_script(
        "workers::a_crash_is_an_answer_and_the_rest_is_tried",
        &script,
        |folder, report| {
            let report = report.unwrap().unwrap();
            let seen: Vec<_> = report
                .tried
                .iter()
                .map(|tried| (tried.attack.as_str(), tried.verdict))
                .collect();
            assert_eq!(
                seen,
                [("wrap-aes", Verdict::Crashed), ("read-value", Verdict::Resisted)]
            );
            assert!(
                report.tried[0].what.contains("SIGSEGV"),
                "{:?}",
                report.tried[0].what
            );
            assert!(report.leaks().is_empty());
            let given = fs::read_to_string(folder.join("in")).unwrap();
            assert!(
                given.contains("\"done\":[]") && given.contains("\"done\":[\"wrap-aes\"]"),
                "{given}"
            );
        },
    );
}

/// A module that crashes before anything is tried is no verdict.
#[test]
fn a_worker_that_never_begins_is_an_error() {
    with_script(
        "workers::a_worker_that_never_begins_is_an_error",
        "exit 3",
        |_, report| {
            assert!(matches!(report, Err(TokenError::Failed(_))), "{report:?}");
        },
    );
}

/// What the worker's token answers is the parent's error.
#[test]
fn an_error_of_the_worker_comes_back() {
    let script = "cat >/dev/null; echo '{\"failed\":{\"Busy\":\"another program holds it\"}}'";
    with_script(
        "workers::an_error_of_the_worker_comes_back",
        script,
        |_, report| {
            assert_eq!(report, Err(TokenError::Busy("another program holds it".into())));
        },
    );
}

/// A PIN that the worker's token refuses is not tried again: the provider hears of it.
#[test]
fn a_pin_that_the_worker_was_refused_is_spent_once() {
    let script = "cat >/dev/null; echo x >>\"$1\"/started; echo '{\"failed\":{\"WrongPin\":{\"tries_left\":null,\"from\":\"w\"}}}'";
    with_script_and_pin(
        "workers::a_pin_that_the_worker_was_refused_is_spent_once",
        script,
        |folder, report, pin| {
            assert!(matches!(report, Err(TokenError::WrongPin { .. })), "{report:?}");
            assert_eq!(pin.refused.load(Ordering::SeqCst), 1);
            assert_eq!(fs::read_to_string(folder.join("started")).unwrap(), "x\n");
        },
    );
}
