//! The life of a USB device, and answers that lie.

use std::{process::Stdio, thread::sleep, time::Duration};

use crate::{
    bench::{KRAKEN_SECRET, KRAKEN_SIGN, finish},
    card::{Profile, faults::Fault},
    user::{SIGN, User},
};

fn signs(user: &User) {
    assert_eq!(user.place.json(&SIGN)["headers"]["API-Sign"], KRAKEN_SIGN);
}

#[test]
fn a_key_that_is_pulled_out_at_any_command_is_missed_and_used_again_when_it_is_back() {
    let Some(user) = User::with_kraken() else {
        return;
    };
    for at in 1..=2 {
        user.card().fail(Fault::PulledAt(at));
        user.refused(4, "Virtual PCD 00 00 was pulled out", "put it back");
        user.card().put_back();
        signs(&user);
    }
    user.card().pull();
    user.refused(4, "the YubiKey 12345678 is not plugged in", "plug it in");
    user.card().put_back();
    signs(&user);
}

/// A stream of requests goes on with the same process, as an agent would.
#[test]
fn a_stream_of_requests_outlives_the_key_and_pcscd() {
    let Some(mut user) = User::with_kraken() else {
        return;
    };
    let mut stream = Stream::start(&user);
    assert_eq!(stream.ask()["headers"]["API-Sign"], KRAKEN_SIGN);
    user.card().pull();
    assert_eq!(stream.ask()["error"]["code"], "token-missing");
    user.card().put_back();
    assert_eq!(stream.ask()["headers"]["API-Sign"], KRAKEN_SIGN);
    user.desk.stop();
    assert_eq!(stream.ask()["error"]["code"], "token-missing");
    user.desk.start();
    assert_eq!(stream.ask()["headers"]["API-Sign"], KRAKEN_SIGN);
}

struct Stream {
    child: std::process::Child,
    answers: std::io::Lines<std::io::BufReader<std::process::ChildStdout>>,
}

impl Stream {
    fn start(user: &User) -> Self {
        let mut child = user.place.start(&["sign", "--json"]);
        let answers = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
        Self { child, answers }
    }

    fn ask(&mut self) -> serde_json::Value {
        let line = serde_json::json!({
            "key": "kraken", "method": "POST", "path": "/0/private/AddOrder", "body": crate::bench::KRAKEN_BODY,
        });
        let stdin = self.child.stdin.as_mut().unwrap();
        std::io::Write::write_all(stdin, format!("{line}\n").as_bytes()).unwrap();
        serde_json::from_str(&self.answers.next().unwrap().unwrap()).unwrap()
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_reader_without_a_key_is_told_from_no_reader() {
    let Some(user) = User::with(vec![Profile::default()]) else {
        return;
    };
    user.card().pull();
    user.place
        .refused(&["init", "--yubikey"], "", 4, "no key with an OATH applet in it");
}

#[test]
fn one_of_several_keys_is_chosen_by_its_serial_number() {
    let other = Profile {
        serial: Some(87_654_321),
        ..Profile::default()
    };
    let Some(user) = User::with(vec![Profile::default(), other]) else {
        return;
    };
    user.place.refused(
        &["init", "--yubikey"],
        "",
        5,
        "there are several keys: YubiKey 12345678, YubiKey 87654321",
    );
    user.place.refused(
        &["init", "--yubikey", "5"],
        "",
        4,
        "no key has the serial number or applet id \"5\"",
    );
    user.place.ok(&["init", "--yubikey", "87654321"]);
    user.place
        .ok(&["init", "--yubikey", "12345678", "--token", "spare"]);
    user.place.refused(
        &["init", "--yubikey", "12345678", "--token", "again"],
        "",
        5,
        "set up already, as token spare",
    );
    user.import(&["--token", "yubikey", "--token", "spare"]);
    for reader in 0..2 {
        assert_eq!(user.desk.card(reader).inside().oath.credentials.len(), 1);
    }
    let shown = user.place.ok(&["show", "kraken"]);
    assert!(
        shown.contains("87654321") && shown.contains("12345678"),
        "{shown}"
    );
    // Whichever is there signs.
    for reader in 0..2 {
        user.desk.card(reader).pull();
        signs(&user);
        user.desk.card(reader).put_back();
    }
    user.desk.card(0).pull();
    user.desk.card(1).pull();
    let done = user.sign();
    assert_eq!(done.code, 4, "{done:?}");
}

#[test]
fn a_token_without_a_serial_number_is_known_by_its_applet() {
    let Some(user) = User::with(vec![Profile {
        serial: None,
        ..Profile::default()
    }]) else {
        return;
    };
    let told = user.place.ok(&["init", "--yubikey"]);
    let id = base16ct::lower::encode_string(&user.card().inside().oath.id);
    assert!(told.contains(&id), "{told}");
    user.import(&[]);
    signs(&user);
}

#[test]
fn a_key_and_a_development_token_hold_the_same_secret() {
    let Some(user) = User::ready() else {
        return;
    };
    if user.place.run(&["init", "--softhsm"], "").code != 0 {
        eprintln!("SKIPPED: SoftHSM is not installed (Debian: softhsm2)");
        return;
    }
    user.import(&["--token", "yubikey", "--token", "softhsm"]);
    signs(&user);
    user.card().pull();
    signs(&user);
    user.place
        .refused(&["remove", "kraken"], "", 4, "hsmsign remove kraken --forget");
    user.card().put_back();
    user.place.ok(&["remove", "kraken"]);
    assert!(user.card().inside().oath.credentials.is_empty());
}

#[test]
fn an_applet_that_was_reset_is_told_from_a_key_that_is_not_there() {
    let Some(user) = User::with_kraken() else {
        return;
    };
    user.card().reset_oath();
    user.refused(
        4,
        "the OATH applet of the YubiKey 12345678 was reset",
        "issue new secrets",
    );
    user.card().become_another(Profile {
        serial: Some(1),
        ..Profile::default()
    });
    user.refused(
        4,
        "the YubiKey 12345678 is not plugged in; what is there: YubiKey 1",
        "plug it in",
    );
}

#[test]
fn long_answers_come_in_parts() {
    let Some(user) = User::with(vec![Profile {
        chunk: 20,
        ..Profile::default()
    }]) else {
        return;
    };
    user.place.ok(&["init", "--yubikey"]);
    user.import(&[]);
    signs(&user);
    let listed = user.place.ok(&["show", "kraken"]);
    assert!(listed.contains("12345678"), "{listed}");
}

#[test]
fn answers_that_lie_are_refused_as_the_tokens_error() {
    let Some(user) = User::with_kraken() else {
        return;
    };
    const MAC: &[u8] = &[7; 70];
    for fault in [
        Fault::Answers(0xa2, &[]),
        Fault::Answers(0xa2, &[0x75]),
        Fault::Answers(0xa2, &[0x75, 0x41, 6, 1, 2]),
        Fault::Answers(0xa2, &[0x75, 0x82, 0xff, 0xff, 6]),
        Fault::Answers(0xa2, &[0x75, 0x02, 6, 1]),
        Fault::Answers(0xa2, &[0x76, 0x05, 6, 1, 2, 3, 4]),
        Fault::Answers(0xa2, MAC),
        Fault::CutTo(0xa2, 1),
        Fault::NeverEnds(0xa2),
        Fault::Status(0xa2, 0x6f00),
        Fault::Answers(0xa4, &[0x79, 3, 5, 7]),
        Fault::Answers(0xa4, &[0x79, 3, 5, 7, 4]),
    ] {
        user.card().fail(fault);
        let done = user.sign();
        assert!([1, 4].contains(&done.code), "{fault:?}: {done:?}");
        assert!(
            done.stderr.starts_with("hsmsign: ") && done.stdout.is_empty(),
            "{fault:?}: {done:?}"
        );
        user.card().mend();
        signs(&user);
    }
    user.card().fail(Fault::TurnsABit);
    user.place
        .refused(&["test", "kraken"], "", 1, "another MAC than at import");
    let done = user.place.run(
        &[
            "import",
            "--exchange",
            "kraken",
            "--key",
            "second",
            "--api-key",
            "k",
        ],
        &format!("{KRAKEN_SECRET}\n"),
    );
    assert_eq!(done.code, 1, "{done:?}");
    assert!(
        done.stderr.contains("another MAC than the secret gives"),
        "{done:?}"
    );
    user.card().mend();
    assert_eq!(
        user.card().inside().oath.credentials.len(),
        1,
        "it was taken away again"
    );
}

#[test]
fn a_card_that_cannot_prove_that_it_knows_the_code_is_refused() {
    let Some(user) = User::with_kraken() else {
        return;
    };
    assert_eq!(
        user.place
            .run(&["token", "code", "yubikey"], "a code of some length\n")
            .code,
        0
    );
    user.card().fail(Fault::ForgesValidation);
    let mut command = user
        .place
        .command(&["sign", "kraken", "POST", "/0/private/Balance"]);
    let config = user.place.home().join("config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("{text}pin-source = \"fd:0\"\n")).unwrap();
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let done = finish(command.spawn().unwrap(), b"a code of some length\n");
    assert_eq!(done.code, 1, "{done:?}");
    assert!(done.stderr.contains("cannot prove that it knows it"), "{done:?}");
}

/// Killed between its commands, an import leaves nothing behind the next start.
#[test]
fn an_import_that_is_cut_off_is_swept() {
    let Some(user) = User::ready() else {
        return;
    };
    for at in 1..=8 {
        user.card().exchanges();
        user.card().fail(Fault::PulledAt(at));
        let done = user.place.run(
            &["import", "--exchange", "kraken", "--api-key", "k"],
            &format!("{KRAKEN_SECRET}\n"),
        );
        user.card().mend();

        if user.card().is_in() {
            assert_eq!(done.code, 0, "{done:?}");
            assert!(at > 4, "an import has more than {at} commands");
            return;
        }
        assert_eq!(done.code, 4, "{at}: {done:?}");
        user.card().put_back();
        sleep(Duration::from_millis(10));
        let doctor = user.place.run(&["doctor"], "");
        assert_eq!(doctor.code, 0, "{at}: {doctor:?}");
        assert!(user.card().inside().oath.credentials.is_empty(), "{at}");
    }
}
