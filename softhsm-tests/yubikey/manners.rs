//! Cards that answer in another manner than ours does by itself, as another's would that was written from the same pages.

use std::time::Duration;

use crate::{
    bench::KRAKEN_SIGN,
    card::{Manner, Profile, Touch},
    resident::LINE,
    running::Running,
    user::{SIGN, User},
};

fn all() -> Vec<(&'static str, Profile)> {
    let with = |manner: Manner| Profile {
        manner,
        ..Profile::default()
    };
    let usual = Manner::default();
    let chunked = |chunk, manner| Profile {
        chunk,
        ..with(manner)
    };
    vec![
        (
            "strict",
            with(Manner {
                strict: true,
                ..usual
            }),
        ),
        ("exact lengths", with(Manner { exact: true, ..usual })),
        (
            "fetched",
            with(Manner {
                fetched: true,
                ..usual
            }),
        ),
        (
            "by GET RESPONSE",
            chunked(
                30,
                Manner {
                    by_get_response: true,
                    ..usual
                },
            ),
        ),
        (
            "fetched by GET RESPONSE in small parts",
            chunked(
                7,
                Manner {
                    by_get_response: true,
                    fetched: true,
                    ..usual
                },
            ),
        ),
        (
            "reversed",
            with(Manner {
                reversed: true,
                ..usual
            }),
        ),
        (
            "whole ids",
            with(Manner {
                whole_ids: true,
                ..usual
            }),
        ),
        (
            "silent",
            Profile {
                silent: true,
                ..Profile::default()
            },
        ),
        (
            "OATH alone",
            Profile {
                serial: None,
                piv: false,
                ..Profile::default()
            },
        ),
    ]
}

/// The whole road with each: set up, a key and an access code, a signature, a key pair, and all of it away again.
#[test]
fn cards_of_every_manner_serve() {
    for (manner, profile) in all() {
        let Some(user) = User::with(vec![profile.clone()]) else {
            return;
        };
        user.place.ok(&["init", "--yubikey"]);
        user.import(&[]);
        let code = user.place.path().join("code");
        user.secret(&code, "a code of some length");
        let done = user
            .place
            .run(&["token", "code", "yubikey"], "a code of some length\n");
        assert_eq!(done.code, 0, "{manner}: {done:?}");
        let pin = user.place.path().join("pin");
        user.secret(&pin, "123456");
        user.configure(&format!(
            "pin-source = \"file:{}\"\npiv-pin-source = \"file:{}\"",
            code.display(),
            pin.display()
        ));
        user.card().exchanges();
        let signed = user.place.run(&SIGN, "");
        assert!(signed.stdout.contains(KRAKEN_SIGN), "{manner}: {signed:?}");
        let listed = user.place.json(&["show", "kraken", "--json"]);
        assert_eq!(listed["tokens"][0], "yubikey", "{manner}");
        if profile.piv {
            let done = user.generate("binance", &[]);
            assert_eq!(done.code, 0, "{manner}: {done:?}");
            let done = user.place.run(&["test", "binance"], "");
            assert_eq!(done.code, 0, "{manner}: {done:?}");
            user.place.ok(&["remove", "binance"]);
        }
        user.place.ok(&["test", "kraken"]);
        user.place.ok(&["remove", "kraken"]);
        assert!(user.card().inside().oath.credentials.is_empty(), "{manner}");
    }
}

/// The list of a full key is some 4 KB. It comes at once, or in parts whose ends lie anywhere.
#[test]
fn a_long_list_comes_whole_in_parts_of_any_length() {
    for chunk in [usize::from(u16::MAX), 256, 100, 31] {
        let Some(user) = User::with(vec![Profile {
            chunk,
            ..Profile::default()
        }]) else {
            return;
        };
        user.place.ok(&["init", "--yubikey"]);
        {
            let mut inside = user.card().inside();
            let profile = inside.profile.clone();
            for number in 0..63_u8 {
                let name = format!("{number:064}");
                let put = [
                    &[0x71, 64][..],
                    name.as_bytes(),
                    &[0x73, 16, 0x21, 6],
                    &[number; 14],
                ]
                .concat();
                assert_eq!(inside.oath.command(&profile, 0x01, 0, 0, &put).1, 0x9000);
            }
        }
        user.import(&[]);
        assert_eq!(user.place.json(&SIGN)["headers"]["API-Sign"], KRAKEN_SIGN);
        user.place.ok(&["remove", "kraken"]);
        assert_eq!(user.card().inside().oath.credentials.len(), 63, "{chunk}");
    }
}

#[test]
fn a_wrong_access_code_is_told_by_whatever_word_the_card_has_for_it() {
    for wrong_code in [0x6a80, 0x6982, 0x6300, 0x63c0] {
        let manner = Manner {
            wrong_code,
            ..Manner::default()
        };
        let Some(user) = User::with(vec![Profile {
            manner,
            ..Profile::default()
        }]) else {
            return;
        };
        user.place.ok(&["init", "--yubikey"]);
        user.import(&[]);
        user.place.run(&["token", "code", "yubikey"], "the right code\n");
        let file = user.place.path().join("code");
        user.secret(&file, "a wrong code");
        user.configure(&format!("pin-source = \"file:{}\"", file.display()));
        user.refused(4, "refused the PIN from file:", "");
        user.card().exchanges();
        user.refused(4, "it was not tried again", "hsmsign token retry-pin yubikey");
        assert!(!user.card().instructions().contains(&0xa3), "{wrong_code:04x}");
    }
}

#[test]
fn what_is_missing_is_told_by_whatever_word_the_card_has_for_it() {
    for (no_touch, none) in [(0x6982, 0x6984), (0x6985, 0x6a82), (0x6985, 0x6a88)] {
        let manner = Manner {
            no_touch,
            none,
            ..Manner::default()
        };
        let Some(user) = User::with(vec![Profile {
            touch: Touch::After(Duration::from_millis(10)),
            manner,
            ..Profile::default()
        }]) else {
            return;
        };
        user.place.ok(&["init", "--yubikey"]);
        user.import(&["--touch"]);
        user.card().inside().profile.touch = Touch::Never(Duration::from_millis(50));
        user.refused(4, "was not touched in time", "touch the key when it blinks");
        user.card().inside().oath.credentials.clear();
        user.refused(4, "has no key with the id", "");
    }
}

/// What others put there, with names that are no text, and types that count, is passed over.
#[test]
fn credentials_of_others_are_passed_over_whatever_they_are_named() {
    let Some(user) = User::ready() else {
        return;
    };
    let put = |kind: u8, name: &[u8]| {
        let mut inside = user.card().inside();
        let profile = inside.profile.clone();
        let put = [
            &[0x71, name.len() as u8][..],
            name,
            &[0x73, 16, kind, 6],
            &[7; 14],
        ]
        .concat();
        assert_eq!(inside.oath.command(&profile, 0x01, 0, 0, &put).1, 0x9000);
    };
    put(0x22, &[0xff, 0xfe, 0]);
    put(0x11, b"hsmsign:kraken");
    put(0x13, b"hsmsign:kraken 00112233445566778899aabbccddeeff");
    put(0x23, &[b' '; 64]);
    put(0x22, b"hsmsign:probe \x1b[31m");
    put(0x21, b"\x1b]0;title\x07 00112233445566778899aabbccddeeff");
    user.import(&[]);
    assert_eq!(user.place.json(&SIGN)["headers"]["API-Sign"], KRAKEN_SIGN);
    for command in [
        &["list"][..],
        &["show", "kraken"],
        &["doctor"],
        &["token", "show", "yubikey"],
    ] {
        let done = user.place.run(command, "");
        assert_eq!(done.code, 0, "{done:?}");
        assert!(
            !done.stdout.contains('\x1b') && !done.stderr.contains('\x1b'),
            "{done:?}"
        );
    }
    user.place.ok(&["test", "kraken"]);
    user.place.ok(&["remove", "kraken"]);
    assert_eq!(user.card().inside().oath.credentials.len(), 6);
}

/// Where an agent has a code that was changed meanwhile, the new one answers a challenge of its own.
#[test]
fn a_code_that_was_changed_is_taken_where_each_challenge_is_good_once() {
    let Some(user) = User::with(vec![Profile {
        manner: Manner {
            fresh_challenges: true,
            ..Manner::default()
        },
        ..Profile::default()
    }]) else {
        return;
    };
    user.place.ok(&["init", "--yubikey"]);
    user.import(&[]);
    let file = user.place.path().join("code");
    let change = |code: &str| {
        let done = user
            .place
            .run(&["token", "code", "yubikey"], &format!("{code}\n"));
        assert_eq!(done.code, 0, "{done:?}");
        user.secret(&file, code);
    };
    change("the first access code");
    user.configure(&format!("pin-source = \"file:{}\"", file.display()));
    let agent = Running::start(&user.place);
    let mut bot = agent.connect();
    assert_eq!(bot.ask(LINE)["headers"]["API-Sign"], KRAKEN_SIGN);
    change("the second access code");
    let answer = bot.ask(LINE);
    assert_eq!(answer["headers"]["API-Sign"], KRAKEN_SIGN, "{answer}");
}

/// A slot of which nothing can be known is not used; the OATH applet is.
#[test]
fn a_piv_applet_that_does_not_tell_of_its_slots_gets_no_key() {
    let Some(user) = User::with_pin(Profile {
        manner: Manner {
            no_metadata: true,
            ..Manner::default()
        },
        ..Profile::default()
    }) else {
        return;
    };
    let done = user.generate("binance", &[]);
    assert_eq!(done.code, 5, "{done:?}");
    assert!(
        done.stderr
            .contains("does not tell which of its slots have a key"),
        "{done:?}"
    );
    user.import(&[]);
    assert_eq!(user.place.json(&SIGN)["headers"]["API-Sign"], KRAKEN_SIGN);
    user.place.ok(&["doctor"]);
}
