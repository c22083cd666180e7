//! What is around the key: pcscd, other programs, and other keys.

use std::{
    io::Read as _,
    os::unix::net::UnixListener,
    path::PathBuf,
    time::{Duration, Instant},
};

use crate::{
    bench::KRAKEN_SIGN,
    card::Profile,
    holder::Holder,
    running::Running,
    user::{SIGN, User},
};

fn signs(user: &User) {
    assert_eq!(user.place.json(&SIGN)["headers"]["API-Sign"], KRAKEN_SIGN);
}

#[test]
fn a_pcscd_that_is_not_there_is_named_with_the_command_that_starts_it() {
    let Some(mut user) = User::with_kraken() else {
        return;
    };
    user.desk.stop();
    user.refused(4, "pcscd", "systemctl enable --now pcscd.socket");
    user.refused(4, "does not answer", "apt install pcscd");
    user.desk.start();
    signs(&user);
}

#[test]
fn another_process_that_holds_the_reader_is_named() {
    let Some(user) = User::with_kraken() else {
        return;
    };
    let Some(holder) = Holder::start(&user) else {
        return;
    };
    let done = user.sign();
    assert_eq!(done.code, 4, "{done:?}");
    assert!(
        done.stderr.contains(&format!("(process {}", holder.pid())),
        "{done:?}"
    );
    assert!(
        done.stderr.contains("holds the reader Virtual PCD 00 00"),
        "{done:?}"
    );
    drop(holder);
    signs(&user);
}

/// Whether it is told, maybe among others of other tests, as who is in the middle of something on the first key.
fn is_named(holder: &Holder, told: &str) -> bool {
    told.contains(&format!("python3 (process {})", holder.pid()))
        && told.contains("is in the middle of something on the key in the reader Virtual PCD 00 00")
}

/// A transaction has no end of its own: what waits for a touch may go on for a quarter of a minute, and no longer.
#[test]
fn another_process_in_the_middle_of_something_is_waited_for_and_named() {
    let Some(user) = User::with_kraken() else {
        return;
    };
    // The agent's worker has the client library of pcscd, too, and is not what holds the reader.
    let agent = Running::start(&user.place);
    assert_eq!(agent.connect().ask(crate::resident::LINE)["ok"], true);
    drop(agent);
    let Some(holder) = Holder::busy(&user) else {
        return;
    };
    let begun = Instant::now();
    // It opens the key itself, since there is no agent yet; so the two wait at the same time.
    let alone = user.place.start(&SIGN);
    let agent = Running::start(&user.place);
    let answer = agent.connect().ask(crate::resident::LINE);
    let done = crate::bench::finish(alone, b"");
    assert_eq!(done.code, 4, "{done:?}");
    assert!(begun.elapsed() > Duration::from_secs(15), "{:?}", begun.elapsed());
    assert!(
        is_named(&holder, &done.stderr) && done.stderr.contains("let it end"),
        "{done:?}"
    );
    // The agent answers as well, and goes on when the other is gone.
    assert_eq!(answer["error"]["code"], "token-busy", "{answer}");
    assert!(
        is_named(&holder, answer["error"]["message"].as_str().unwrap()),
        "{answer}"
    );
    drop(holder);
    let answer = crate::resident::patiently(|| agent.connect().ask(crate::resident::LINE));
    assert_eq!(answer["headers"]["API-Sign"], KRAKEN_SIGN, "{answer}");
}

/// A socket where pcscd should be, with nobody behind it, with somebody who hangs up, and with somebody who says nothing.
#[test]
fn a_socket_without_a_pcscd_behind_it_is_told_from_one_that_hangs() {
    let Some(mut user) = User::with_kraken() else {
        return;
    };
    user.desk.stop();
    let socket = PathBuf::from(user.desk.environment().1);
    let _ = std::fs::remove_file(&socket);
    drop(UnixListener::bind(&socket).unwrap());
    user.refused(4, "does not answer", "systemctl enable --now pcscd.socket");
    let _ = std::fs::remove_file(&socket);
    let listener = UnixListener::bind(&socket).unwrap();
    // One that ends at this moment: it took the connection, and is gone when it is asked again.
    let ends = std::thread::spawn(move || {
        drop(listener.accept().unwrap());
        drop(listener);
    });
    user.refused(4, "does not answer", "apt install pcscd");
    ends.join().unwrap();
    let _ = std::fs::remove_file(&socket);
    let listener = UnixListener::bind(&socket).unwrap();
    let silent = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    });
    user.refused(4, "said nothing for 10 s: it hangs", "systemctl restart pcscd");
    silent.join().unwrap();
    user.desk.start();
    signs(&user);
}

/// Two keys that call themselves by one serial number are told apart by their applets.
#[test]
fn two_keys_of_one_name_are_not_mistaken_for_one_another() {
    let Some(user) = User::with(vec![Profile::default(), Profile::default()]) else {
        return;
    };
    let ids = [0, 1].map(|reader| {
        let id = user.desk.card(reader).inside().oath.id;
        base16ct::lower::encode_string(&id)
    });
    for wanted in [&["init", "--yubikey"][..], &["init", "--yubikey", "12345678"]] {
        let done = user.place.run(wanted, "");
        assert_eq!(done.code, 5, "{done:?}");
        assert!(
            done.stderr
                .contains("several keys that call themselves YubiKey 12345678"),
            "{done:?}"
        );
        assert!(ids.iter().all(|id| done.stderr.contains(id.as_str())), "{done:?}");
    }
    user.place.ok(&["init", "--yubikey", &ids[1]]);
    user.import(&[]);
    user.give_pin("123456");
    let done = user.generate("binance", &[]);
    assert_eq!(done.code, 0, "{done:?}");
    signs(&user);
    user.place.ok(&["test", "binance"]);
    let count = |reader: usize| {
        let inside = user.desk.card(reader).inside();
        (inside.oath.credentials.len(), inside.piv.keys.len())
    };
    assert_eq!((count(0), count(1)), ((0, 0), (1, 1)));
    // Without its applet's id nothing tells which is which.
    user.desk.card(1).reset_oath();
    let done = user.place.run(&["sign", "binance", "GET", "/api/v3/account"], "");
    assert_eq!(done.code, 4, "{done:?}");
    assert!(
        done.stderr
            .contains("several keys call themselves YubiKey 12345678")
            && done.stderr.contains("unplug"),
        "{done:?}"
    );
    user.desk.card(0).pull();
    user.place.ok(&["sign", "binance", "GET", "/api/v3/account"]);
}

/// One who signs with a key pair waits for another's transaction once, and is told what holds the reader.
#[test]
fn a_key_pairs_reader_that_is_held_is_waited_for_once() {
    let Some(user) = User::with_pin(Profile::default()) else {
        return;
    };
    let done = user.generate("binance", &[]);
    assert_eq!(done.code, 0, "{done:?}");
    // With how often the reader was connected to.
    let sign = || {
        let connects = || {
            user.desk
                .log()
                .matches("Attempting Connect to Virtual PCD 00 00")
                .count()
        };
        let before = connects();
        let done = user.place.run(&["sign", "binance", "GET", "/api/v3/account"], "");
        (done, connects() - before)
    };
    let (done, once) = sign();
    assert_eq!((done.code, once), (0, 1), "{done:?}");
    let Some(holder) = Holder::busy(&user) else {
        return;
    };
    let (done, connects) = sign();
    assert_eq!(done.code, 4, "{done:?}");
    assert!(is_named(&holder, &done.stderr), "{done:?}");
    assert_eq!(connects, 1);
    drop(holder);
    assert_eq!(sign().0.code, 0);
}

/// Beside another key it is told from that by the PIV applet's serial number alone.
#[test]
fn a_key_pair_is_found_among_several_keys_by_one_question_to_each() {
    let other = Profile {
        serial: Some(87_654_321),
        ..Profile::default()
    };
    let Some(user) = User::with(vec![other, Profile::default()]) else {
        return;
    };
    user.place.ok(&["init", "--yubikey", "12345678"]);
    user.give_pin("123456");
    let done = user.generate("binance", &[]);
    assert_eq!(done.code, 0, "{done:?}");
    (0..2).for_each(|reader| drop(user.desk.card(reader).exchanges()));
    user.place.ok(&["sign", "binance", "GET", "/api/v3/account"]);
    assert_eq!(user.desk.card(0).instructions(), [0xa4, 0xf8]);
    assert_eq!(
        user.desk.card(1).instructions(),
        [0xa4, 0xf8, 0xa4, 0xf8, 0x20, 0x20, 0x87]
    );
}
