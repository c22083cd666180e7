//! Secrets on their way into a key, and keys that cannot serve.

use std::time::Duration;

use base64ct::Encoding as _;

use crate::{
    card::{Profile, Touch},
    user::User,
};

/// Imports a secret of so many bytes; answers what was said.
fn import(user: &User, name: &str, algorithm: &str, secret: &[u8]) -> crate::bench::Done {
    let args = [
        "import",
        "--exchange",
        "generic",
        "--allow",
        "raw",
        "--encoding",
        "hex",
        "--algorithm",
        algorithm,
        "--key",
        name,
    ];
    user.place
        .run(&args, &format!("{}\n", base16ct::lower::encode_string(secret)))
}

#[test]
fn secrets_of_every_length_are_stored_as_the_key_wants_them_or_refused() {
    let Some(user) = User::ready() else {
        return;
    };
    let secret = |len: usize| (1..=len).map(|at| at as u8 | 1).collect::<Vec<_>>();
    for (len, algorithm, stored) in [
        (1, "hmac-sha256", Some(14)),
        (13, "hmac-sha512", Some(14)),
        (14, "hmac-sha256", Some(14)),
        (64, "hmac-sha256", Some(64)),
        (65, "hmac-sha256", Some(32)),
        (64, "hmac-sha512", Some(64)),
        (65, "hmac-sha512", None),
        (128, "hmac-sha512", None),
        (129, "hmac-sha512", Some(64)),
    ] {
        user.card().exchanges();
        let done = import(&user, "k", algorithm, &secret(len));
        match stored {
            Some(stored) => {
                assert_eq!(done.code, 0, "{len} {algorithm}: {done:?}");
                let key = user.card().inside().oath.credentials[0].key.clone();
                assert_eq!(key.len(), stored, "{len} {algorithm}");
                if len <= stored {
                    let padded = [&secret(len)[..], &vec![0; stored - len]].concat();
                    assert_eq!(key, padded);
                }
                let instructions = user.card().instructions();
                let put = instructions.iter().position(|ins| *ins == 0x01).unwrap();
                assert_eq!(instructions[put - 1], 0xa1, "LIST first: {instructions:02x?}");
                user.place.ok(&["remove", "k"]);
            }
            None => {
                assert_eq!(done.code, 5, "{len} {algorithm}: {done:?}");
                assert!(
                    done.stderr.contains(&format!(
                        "a secret of {len} bytes is over the token's limit of 64"
                    )),
                    "{done:?}"
                );
                assert!(done.stderr.contains("more than 128"), "{done:?}");
                assert!(!user.card().instructions().contains(&0x01));
            }
        }
    }
}

#[test]
fn firmware_is_respected() {
    for (firmware, sha512) in [([4, 3, 0], false), ([4, 3, 1], true), ([4, 4, 5], false)] {
        let profile = Profile {
            firmware,
            fips: firmware == [4, 4, 5],
            ..Profile::default()
        };
        let Some(user) = User::with(vec![profile]) else {
            return;
        };
        user.place.ok(&["init", "--yubikey"]);
        let done = import(&user, "k", "hmac-sha512", &[1; 20]);
        assert_eq!(done.code == 0, sha512, "{firmware:?}: {done:?}");
        assert!(
            sha512 || done.stderr.contains("does not compute hmac-sha512"),
            "{done:?}"
        );
        assert_eq!(import(&user, "other", "hmac-sha256", &[1; 20]).code, 0);
    }
}

#[test]
fn a_key_that_is_full_says_so_and_keeps_what_it_has() {
    let Some(user) = User::with(vec![Profile {
        firmware: [5, 4, 3],
        ..Profile::default()
    }]) else {
        return;
    };
    user.place.ok(&["init", "--yubikey"]);
    {
        let mut inside = user.card().inside();
        let profile = inside.profile.clone();
        for number in 0..32_u8 {
            let put = [
                &[0x71, 2, b'a', b'a' + number, 0x73, 16, 0x22, 6][..],
                &[number; 14],
            ]
            .concat();
            assert_eq!(inside.oath.command(&profile, 0x01, 0, 0, &put).1, 0x9000);
        }
    }
    let done = import(&user, "k", "hmac-sha256", &[1; 20]);
    assert_eq!(done.code, 5, "{done:?}");
    assert!(done.stderr.contains("room for 32 credentials"), "{done:?}");
    assert_eq!(user.card().inside().oath.credentials.len(), 32);
    assert!(user.place.ok(&["list"]).contains("no key"));
}

#[test]
fn keys_that_cannot_serve_are_refused_at_set_up_with_the_reason() {
    for (profile, reason) in [
        (
            Profile {
                truncates: true,
                ..Profile::default()
            },
            "codes of a few digits",
        ),
        (
            Profile {
                challenge: 8,
                ..Profile::default()
            },
            "no message of 64 bytes",
        ),
    ] {
        let Some(user) = User::with(vec![Profile {
            serial: None,
            ..profile
        }]) else {
            return;
        };
        user.place.refused(&["init", "--yubikey"], "", 5, reason);
        assert!(
            user.card().inside().oath.credentials.is_empty(),
            "nothing is left"
        );
        assert!(user.place.ok(&["token"]).contains("no token is set up"));
    }
}

#[test]
fn a_touch_is_asked_for_and_one_that_does_not_come_is_told_from_a_locked_key() {
    let Some(user) = User::with(vec![Profile {
        touch: Touch::After(Duration::from_millis(300)),
        ..Profile::default()
    }]) else {
        return;
    };
    user.place.ok(&["init", "--yubikey"]);
    let told = user.import(&["--touch"]);
    assert!(told.stdout.contains("touch"), "{told:?}");
    assert!(user.card().inside().oath.credentials[0].touch);
    let signed = user.sign();
    assert_eq!(signed.code, 0, "{signed:?}");
    assert!(signed.stderr.contains("touch the YubiKey 12345678"), "{signed:?}");
    user.card().inside().profile.touch = Touch::Never(Duration::from_millis(300));
    user.refused(4, "was not touched in time", "touch the key when it blinks");
}

#[test]
fn a_desktop_is_told_of_the_touch_as_well() {
    let Some(mut user) = User::with(vec![Profile {
        touch: Touch::After(Duration::from_millis(1500)),
        ..Profile::default()
    }]) else {
        return;
    };
    let told = user.place.path().join("told");
    let program = user.place.path().join("notify-send");
    std::fs::write(&program, format!("#!/bin/sh\necho \"$@\" >{}\n", told.display())).unwrap();
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let path = std::env::var("PATH").unwrap();
    user.place
        .set(("PATH".into(), format!("{}:{path}", user.place.path().display())));
    user.place.set(("DISPLAY".into(), ":0".into()));
    user.place.ok(&["init", "--yubikey"]);
    user.import(&["--touch"]);
    assert_eq!(user.sign().code, 0);
    let told = std::fs::read_to_string(told).unwrap();
    assert!(told.contains("touch the YubiKey 12345678"), "{told}");
}

#[test]
fn a_rotation_keeps_the_touch() {
    let Some(user) = User::ready() else {
        return;
    };
    user.import(&["--touch"]);
    let secret = base64ct::Base64::encode_string(&[7; 64]);
    let done = user
        .place
        .run(&["rotate", "kraken", "--api-key", "new"], &format!("{secret}\n"));
    assert_eq!(done.code, 0, "{done:?}");
    assert!(
        user.card()
            .inside()
            .oath
            .credentials
            .iter()
            .all(|credential| credential.touch)
    );
    user.place.ok(&["rotate", "kraken", "--commit"]);
    assert_eq!(user.card().inside().oath.credentials.len(), 1);
}
