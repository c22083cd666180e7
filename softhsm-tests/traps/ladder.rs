//! Templates: what a module does not know of one, it refuses whole.

use cryptoki_sys::*;
use hsmsign::{
    algorithm::MacAlgorithm,
    secret::{BlockKey, Secret},
    token::{Token as _, pkcs11::Pkcs11Token},
};

use crate::{
    Case,
    bare::{closed, flag, number},
    narrow::Narrow,
    suite::{self, Pin, software},
};

/// A key of the type for SHA-256 makes no MAC with SHA-384, so that one number for three types will not do.
pub fn a_key_type_is_for_one_hash(case: &Case<'_>) {
    let bare = case.enter();
    let typed = |kind| {
        let mut attrs = closed(b"typed", &suite::bytes(128, 1));
        attrs.retain(|(name, _)| *name != CKA_KEY_TYPE);
        attrs.push(number(CKA_KEY_TYPE, kind));
        bare.create(attrs).unwrap()
    };
    let kinds = [
        (0x2b, CKM_SHA256_HMAC),
        (0x2c, CKM_SHA384_HMAC),
        (0x2d, CKM_SHA512_HMAC),
    ];
    for (kind, own) in kinds {
        let key = typed(kind);
        for (_, mechanism) in kinds {
            let made = bare.sign(mechanism, key, b"m");
            assert_eq!(
                made.is_ok(),
                mechanism == own,
                "{kind:#x} with {mechanism:#x}: {made:?}"
            );
        }
    }
    bare.leave();
    lands_on(case, "typed", 3);
}

/// With the least that a YubiHSM takes, by its documentation, every key is proved, and found by the id that was kept.
pub fn a_module_that_takes_little_gets_little(case: &Case<'_>) {
    let Some(narrow) = Narrow::build(case.folder) else {
        return;
    };
    lands_on(case, "yubihsm", 4);

    // Through the binary: two bytes of id are what the record names and what is signed and removed by.
    let mut settings = narrow.settings(case.settings, "yubihsm");
    settings.label.clone_from(&case.settings.label);
    let user = crate::user::User::of(case.folder, &settings, case.bench.pin().to_owned());
    user.ok(&user.init(&[]));
    let before = user.objects();
    user.import("hmac-sha384", &[]);
    let shown: serde_json::Value =
        serde_json::from_str(&user.ok(&["show", "hmac-sha384", "--json"])).unwrap();
    let material = &shown["current"]["copies"][0]["objects"]["secret"];
    assert_eq!(material["rung"], 4, "{shown:#}");
    assert_eq!(material["id"].as_str().unwrap().len(), 4, "{shown:#}");
    user.ok(&["test", "hmac-sha384"]);
    // Killed when the token has the key and nobody else knows of it, an import and a rotation leave none.
    let is_killed = |args: &[&str]| {
        let mut command = user.command(args);
        let done = crate::bench::finish(
            command.env("NARROW_DIE", "1").spawn().unwrap(),
            b"q8Xw2Zr7Tk4Lm9Vb1Nc6Hd3Jf5Gs0PyE\n",
        );
        assert_eq!(done.code, -1, "{done:?}");
    };
    let with_one = user.objects();
    is_killed(&[
        "import",
        "--exchange",
        "generic",
        "--algorithm",
        "hmac-sha256",
        "--key",
        "other",
    ]);
    assert_ne!(user.objects(), with_one, "the killed import left its key");
    user.ok(&["doctor"]);
    assert_eq!(user.objects(), with_one);
    is_killed(&["rotate", "hmac-sha384"]);
    user.ok(&["doctor"]);
    assert_eq!(user.objects(), with_one, "and the key that is in force stays");
    user.ok(&["test", "hmac-sha384"]);
    let done = user.run(&["rotate", "hmac-sha384"], "r8Xw2Zr7Tk4Lm9Vb1Nc6Hd3Jf5Gs0PyE\n");
    assert_eq!(done.code, 0, "{done:?}");
    user.ok(&["test", "hmac-sha384"]);
    user.ok(&["rotate", "hmac-sha384", "--commit"]);
    assert_eq!(user.objects().len(), with_one.len());
    user.ok(&["test", "hmac-sha384"]);
    user.ok(&["remove", "hmac-sha384", "--yes"]);
    assert_eq!(user.objects(), before);
}

fn lands_on(case: &Case<'_>, like: &str, rung: u8) {
    let Some(narrow) = Narrow::build(case.folder) else {
        return;
    };
    let settings = narrow.settings(case.settings, like);
    let token = Pkcs11Token::open(settings, Pin::new(case.bench.pin())).unwrap();
    for algorithm in MacAlgorithm::ALL {
        let secret = suite::bytes(43, 9);
        let key = BlockKey::new(algorithm, &Secret::take(&mut secret.clone()).unwrap()).unwrap();
        let imported = token.import_mac(&key, &suite::meta("narrow")).unwrap();
        assert_eq!(imported.rung, rung);
        let id = imported.key.id();
        assert_eq!(id.as_bytes().len(), if rung == 4 { 2 } else { 16 });
        let mac = token.mac(&imported.key, algorithm, b"m").unwrap();
        assert_eq!(
            mac.as_bytes(),
            software(algorithm, &secret, b"m"),
            "{algorithm:?}"
        );
        token.delete(&imported.key).unwrap();
    }
}

/// "Not copyable" alone makes the module refuse the key; hsmsign leaves it out, and no more than that.
pub fn one_unknown_attribute_costs_the_whole_template(case: &Case<'_>) {
    let bare = case.enter();
    let hard = closed(b"hard", &suite::bytes(64, 1));
    let harder = [hard.clone(), vec![flag(CKA_COPYABLE, false)]].concat();
    let refused = bare.create(harder);
    assert!(
        matches!(refused, Err(CKR_GENERAL_ERROR | CKR_ATTRIBUTE_TYPE_INVALID)),
        "{refused:x?}"
    );
    bare.create(hard).unwrap();
    bare.leave();
    let (rung, words) = suite::hardening(case.bench);
    assert_eq!(rung, 2);
    for word in [
        "private",
        "sensitive",
        "not-extractable",
        "not-modifiable",
        "no-derive",
    ] {
        assert!(words.split(' ').any(|other| other == word), "{word}: {words}");
    }
}
