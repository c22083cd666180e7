//! Key pairs in the PIV applet.

use hsmsign::{
    algorithm::SignatureAlgorithm,
    token::{KeyMeta, ObjectId, PinPolicy, SignInput, Token as _, TokenError, Wishes},
};

use crate::{
    card::{Profile, Touch, faults::Fault},
    user::User,
};

#[test]
fn a_key_of_each_kind_is_made_attested_and_signs() {
    let Some(user) = User::with_pin(Profile::default()) else {
        return;
    };
    for algorithm in ["ed25519", "rsa2048", "rsa4096"] {
        let done = user.generate(algorithm, &["--algorithm", algorithm]);
        assert_eq!(done.code, 0, "{done:?}");
        assert!(done.stdout.starts_with("-----BEGIN PUBLIC KEY-----"), "{done:?}");
        assert!(done.stderr.contains("attested by"), "{done:?}");
        let order = [
            "sign",
            algorithm,
            "POST",
            "/api/v3/order",
            "--query",
            "symbol=BTCUSDT",
        ];
        assert_eq!(user.place.run(&order, "").code, 0);
        user.place.ok(&["test", algorithm]);
        let shown = user.place.ok(&["show", algorithm, "--json"]);
        assert_eq!(shown.matches("-----BEGIN CERTIFICATE-----").count(), 2, "{shown}");
    }
    let slots: Vec<_> = user.card().inside().piv.keys.keys().copied().collect();
    assert_eq!(slots, [0x82, 0x83, 0x84]);
    // A PIN that is right is not counted.
    assert_eq!(user.card().inside().piv.tries, 3);
    user.place.ok(&["remove", "rsa2048"]);
    assert!(!user.card().inside().piv.keys.contains_key(&0x83));
    let done = user.generate("again", &["--algorithm", "rsa2048"]);
    assert!(
        user.card().inside().piv.keys.contains_key(&0x83),
        "the free slot is used: {done:?}"
    );
}

/// Each step of the commands of a signature: SELECT, the serial number, the tries that are left, the PIN, the signature.
#[test]
fn a_signature_is_one_transaction_with_the_pin_given_once() {
    let Some(user) = User::with_pin(Profile::default()) else {
        return;
    };
    assert_eq!(user.generate("binance", &[]).code, 0);
    user.card().exchanges();
    user.card().inside().piv.tried = 0;
    let begun = || {
        user.desk
            .log()
            .matches("SCardBeginTransaction() Status: rv=SCARD_S_SUCCESS")
            .count()
    };
    let before = begun();
    user.place.ok(&["sign", "binance", "GET", "/api/v3/account"]);
    assert_eq!(user.card().instructions(), [0xa4, 0xf8, 0x20, 0x20, 0x87]);
    assert_eq!((begun() - before, user.card().inside().piv.tried), (1, 1));
}

#[test]
fn a_slot_in_use_is_never_overwritten() {
    let Some(user) = User::with_pin(Profile::default()) else {
        return;
    };
    let generate = |key: &str, slot: &str| user.generate(key, &["--slot", slot]);
    assert_eq!(generate("mine", "9c").code, 0);
    let before = user.card().inside().piv.keys[&0x9c].pair.public();
    let done = generate("other", "9c");
    assert_eq!(done.code, 4, "{done:?}");
    assert!(
        done.stderr.contains("slot 9c has a key or a certificate already"),
        "{done:?}"
    );
    assert_eq!(user.card().inside().piv.keys[&0x9c].pair.public(), before);
    // A certificate alone is somebody's, too.
    user.card()
        .inside()
        .piv
        .objects
        .insert(vec![0x5f, 0xc1, 0x05], vec![0x70, 0]);
    assert_eq!(generate("other", "9a").code, 4);
    assert_eq!(generate("other", "9b").code, 5);
    // Another program put its own key into our slot: it stays when ours is removed.
    assert_eq!(user.generate("lost", &[]).code, 0);
    {
        let mut inside = user.card().inside();
        let key = inside.piv.keys.get_mut(&0x82).unwrap();
        key.pair = crate::card::pairs::Pair::generate(0xe0).unwrap();
    }
    user.place
        .refused(&["test", "lost"], "", 1, "not one of the recorded public key");
    user.place.ok(&["remove", "lost"]);
    assert!(user.card().inside().piv.keys.contains_key(&0x82));
}

#[test]
fn policies_are_as_asked() {
    let Some(user) = User::with_pin(Profile {
        touch: Touch::After(std::time::Duration::from_millis(50)),
        ..Profile::default()
    }) else {
        return;
    };
    for (name, more, policies) in [
        ("once", &[][..], [2, 1]),
        ("always", &["--pin-policy", "always"], [3, 1]),
        ("never", &["--pin-policy", "never"], [1, 1]),
        ("touch", &["--touch"], [2, 2]),
    ] {
        let done = user.generate(name, more);
        assert_eq!(done.code, 0, "{done:?}");
        let slot = *user.card().inside().piv.keys.keys().last().unwrap();
        assert_eq!(user.card().inside().piv.keys[&slot].policies, policies, "{name}");
        user.card().inside().piv.tried = 0;
        let done = user.place.run(&["sign", name, "GET", "/api/v3/account"], "");
        assert_eq!(done.code, 0, "{done:?}");
        assert_eq!(user.card().inside().piv.tried, usize::from(name != "never"));
        assert_eq!(
            done.stderr.contains("touch the YubiKey"),
            name == "touch",
            "{done:?}"
        );
    }
}

#[test]
fn firmware_before_5_7_makes_no_ed25519_and_gives_its_slots_up_without_deleting() {
    let Some(user) = User::with_pin(Profile {
        firmware: [5, 4, 3],
        ..Profile::default()
    }) else {
        return;
    };
    let generate = |algorithm: &str, key: &str| user.generate(key, &["--algorithm", algorithm]);
    let done = generate("ed25519", "a");
    assert_eq!(done.code, 5, "{done:?}");
    assert_eq!(generate("rsa2048", "b").code, 0);
    user.place.ok(&["remove", "b"]);
    assert!(
        user.card().inside().piv.keys.contains_key(&0x82),
        "this firmware deletes no keys"
    );
    assert_eq!(generate("rsa2048", "c").code, 0);
    assert_eq!(
        user.card().inside().piv.keys.len(),
        1,
        "the slot that was given up is used again"
    );
    user.place.ok(&["test", "c"]);
}

#[test]
fn issued_keys_of_each_kind_are_stored_and_sign() {
    let Some(user) = User::with_pin(Profile::default()) else {
        return;
    };
    for (exchange, algorithm, pem) in [
        ("coinbase", "p256", include_str!("../data/keys/p256.pem")),
        ("binance", "ed25519", include_str!("../data/keys/ed25519.pem")),
        ("binance", "rsa2048", include_str!("../data/keys/rsa2048.pem")),
        ("binance", "rsa3072", include_str!("../data/keys/rsa3072.pem")),
    ] {
        let args = [
            "import",
            "--exchange",
            exchange,
            "--algorithm",
            algorithm,
            "--key",
            algorithm,
            "--api-key",
            "organizations/o/apiKeys/k",
        ];
        let done = user.place.run(&args, pem);
        assert_eq!(done.code, 0, "{algorithm}: {done:?}");
        user.place.ok(&["test", algorithm]);
    }
}

#[test]
fn a_generation_that_is_cut_off_is_swept() {
    let Some(user) = User::with_pin(Profile::default()) else {
        return;
    };
    for at in (3..60).step_by(4) {
        user.card().fail(Fault::PulledAt(at));
        let done = user.generate("binance", &[]);
        user.card().mend();
        if user.card().is_in() {
            assert_eq!(done.code, 0, "{done:?}");
            assert!(at > 20, "a generation has more than {at} commands");
            return;
        }
        assert_eq!(done.code, 4, "{at}: {done:?}");
        user.card().put_back();
        assert_eq!(user.place.run(&["doctor"], "").code, 0, "{at}");
        assert!(user.card().inside().piv.keys.is_empty(), "{at}");
    }
    panic!("it never came to its end");
}

#[test]
fn ykman_sees_the_slot_that_hsmsign_took() {
    let Some(user) = User::with_pin(Profile::default()) else {
        return;
    };
    assert_eq!(user.generate("binance", &[]).code, 0);
    let Some(told) = user.ykman(&["piv", "info"]) else {
        return;
    };
    assert!(told.contains("Slot 82") && told.contains("ED25519"), "{told}");
    let exported = user.ykman(&["piv", "keys", "export", "82", "-"]).unwrap();
    assert_eq!(
        exported.trim(),
        user.place.json(&["show", "binance", "--json"])["public_key"]
            .as_str()
            .unwrap()
            .trim()
    );
}

/// Around the lengths where a length's own length changes: the `yubikey` crate panics at 255.
#[test]
fn ed25519_messages_of_every_length_are_signed() {
    let Some(user) = User::with(vec![Profile::default()]) else {
        return;
    };
    let (name, value) = user.desk.environment();
    let _ = crate::alone(
        &name,
        &value,
        "pairs::ed25519_messages_of_every_length_are_signed",
        || {
            let key = crate::user::key();
            let meta = KeyMeta {
                id: ObjectId::random().unwrap(),
                label: "hsmsign:lengths".to_owned(),
                wishes: Wishes {
                    pin: PinPolicy::Never,
                    ..Wishes::default()
                },
            };
            let algorithm = SignatureAlgorithm::Ed25519;
            let (made, public) = key.generate(algorithm, &meta).unwrap();
            for len in (0..=5)
                .chain(110..=140)
                .chain(236..=280)
                .chain([500, 510, 511, 512, 1000, 2000])
            {
                let message = vec![7; len];
                let signature = key
                    .sign(&made.key, algorithm, SignInput::Message(&message))
                    .unwrap();
                assert!(public.verifies(&message, &signature), "{len}");
            }
            let digest = key.sign(&made.key, algorithm, SignInput::Digest(&[0; 32]));
            assert!(matches!(digest, Err(TokenError::Unsupported(_))), "{digest:?}");
            assert_eq!(key.sweep(&meta.id).unwrap(), 1);
        },
    );
}

/// What is not as long as a signature of its kind, or has a number that none has, goes into no request.
#[test]
fn signatures_that_are_none_are_refused_as_the_tokens_error() {
    let Some(user) = User::with_pin(Profile::default()) else {
        return;
    };
    assert_eq!(user.generate("ed25519", &[]).code, 0);
    assert_eq!(user.generate("rsa2048", &["--algorithm", "rsa2048"]).code, 0);
    let args = [
        "import",
        "--exchange",
        "coinbase",
        "--api-key",
        "organizations/o/apiKeys/k",
    ];
    let done = user.place.run(&args, include_str!("../data/keys/p256.pem"));
    assert_eq!(done.code, 0, "{done:?}");
    const SHORT: &[u8] = &[0x7c, 4, 0x82, 2, 7, 7];
    const TWO: &[u8] = &[0x7c, 8, 0x82, 2, 7, 7, 0x82, 2, 7, 7];
    const EMPTY: &[u8] = &[0x7c, 2, 0x82, 0];
    const ZERO: &[u8] = &[0x7c, 10, 0x82, 8, 0x30, 6, 2, 1, 0, 2, 1, 5];
    for (key, path) in [
        ("ed25519", "/api/v3/account"),
        ("rsa2048", "/api/v3/account"),
        ("coinbase", "/api/v3/brokerage/accounts"),
    ] {
        let sign = ["sign", key, "GET", path];
        for answer in [
            SHORT,
            TWO,
            EMPTY,
            ZERO,
            &[],
            &[0x7d, 2, 0x82, 0],
            &[0x7c, 0x82, 0xff],
        ] {
            user.card().fail(Fault::Answers(0x87, answer));
            let done = user.place.run(&sign, "");
            assert_eq!(done.code, 1, "{key} {answer:02x?}: {done:?}");
            assert!(
                done.stderr.starts_with("hsmsign: ") && done.stdout.is_empty(),
                "{key} {answer:02x?}: {done:?}"
            );
        }
        user.card().mend();
        user.place.ok(&sign);
    }
}
