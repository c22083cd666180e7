//! Another extraction program than hsmsign's own, of bare PKCS#11 calls: whoever has the PIN sets it on keys that the
//! program `hsmsign` stored on SoftHSM, and it gets nothing. On a key that was stored carelessly it gets everything,
//! so that its finding nothing means something.
#![allow(clippy::unwrap_used, clippy::expect_used, unsafe_code)]

#[path = "../bare/mod.rs"]
mod bare;
#[path = "../bench/mod.rs"]
mod bench;
mod changes;
mod looks;
mod mechanisms;
mod robbery;
mod uses;
mod ways_out;

use std::fs;

use bare::{Inside, bytes, flag, number};
use base64ct::Encoding as _;
use bench::{KRAKEN_SECRET, Place};
use cryptoki_sys::*;
use hsmsign::token::pkcs11::Settings;
use robbery::Robbery;

/// A place whose token a bare program enters, in this process.
struct Scene {
    place: Place,
    settings: Settings,
    pin: String,
}

impl Scene {
    fn new() -> Option<Self> {
        let place = Place::with_token()?;
        let config = fs::read_to_string(place.home().join("config.toml")).unwrap();
        let value = |name: &str| {
            let line = config.lines().find(|line| line.starts_with(name)).unwrap();
            line.split('"').nth(1).unwrap().to_owned()
        };
        let settings = Settings {
            module: value("module").into(),
            label: Some(value("label")),
            ..Settings::default()
        };
        let pin = fs::read_to_string(place.home().join("softhsm/softhsm.pin")).unwrap();
        let conf = place.home().join("softhsm/softhsm2.conf");
        // SAFETY: a test is a process of its own, and no other thread of it runs.
        unsafe { std::env::set_var("SOFTHSM2_CONF", conf) };
        Some(Self {
            place,
            settings,
            pin: pin.trim().to_owned(),
        })
    }

    fn enter(&self) -> Inside {
        Inside::enter(&self.settings, &self.pin).expect("the robber has the PIN")
    }

    fn import(&self, name: &str, algorithm: &str, secret: &str) {
        let args = ["--exchange", "generic", "--key", name, "--algorithm", algorithm];
        self.place.import(&args, secret);
    }
}

fn labelled(inside: &Inside, label: &str) -> CK_OBJECT_HANDLE {
    let found = inside.find(vec![bytes(CKA_LABEL, label.as_bytes())]);
    assert_eq!(found.len(), 1, "{label}");
    found[0]
}

/// Secrets as they are imported: short, of a block, longer than a block.
fn secrets() -> [(&'static str, &'static str, CK_MECHANISM_TYPE, String); 4] {
    let text = |len: usize| {
        (0..len)
            .map(|at| char::from(b'!' + (at * 37 % 94) as u8))
            .collect::<String>()
    };
    [
        ("short", "hmac-sha256", CKM_SHA256_HMAC, text(32)),
        ("block", "hmac-sha256", CKM_SHA256_HMAC, text(64)),
        ("middle", "hmac-sha384", CKM_SHA384_HMAC, text(43)),
        ("long", "hmac-sha512", CKM_SHA512_HMAC, text(200)),
    ]
}

#[test]
fn imported_keys_give_nothing_away() {
    let Some(scene) = Scene::new() else { return };
    for (name, algorithm, _, secret) in &secrets() {
        scene.import(name, algorithm, secret);
    }
    scene
        .place
        .import(&["--exchange", "kraken", "--api-key", "a"], KRAKEN_SECRET);
    let inside = scene.enter();
    for (name, _, mechanism, secret) in &secrets() {
        let victim = labelled(&inside, &format!("hsmsign:{name}"));
        Robbery::of(&inside, victim, &[*mechanism], secret.as_bytes()).comes_to_nothing();
    }
    let kraken = base64ct::Base64::decode_vec(KRAKEN_SECRET).unwrap();
    let victim = labelled(&inside, "hsmsign:kraken");
    Robbery::of(&inside, victim, &[CKM_SHA512_HMAC], &kraken).comes_to_nothing();
    inside.leave();
    for (name, ..) in &secrets() {
        scene.place.ok(&["test", name]);
    }
    scene.place.ok(&["test", "kraken"]);
}

/// What a rotation stores is stored as an import stores it, and so is a copy that comes by `import --json`.
#[test]
fn rotated_keys_and_keys_of_a_list_give_nothing_away() {
    let Some(scene) = Scene::new() else { return };
    let [(_, algorithm, mechanism, first), (.., second), ..] = secrets();
    scene.import("rotated", algorithm, &first);
    let done = scene.place.run(&["rotate", "rotated"], &format!("{second}\n"));
    assert_eq!(done.code, 0, "{done:?}");
    scene.place.ok(&["rotate", "rotated", "--commit"]);
    let line = format!(
        "{{\"exchange\":\"generic\",\"algorithm\":\"{algorithm}\",\"key\":\"listed\",\"secret\":{}}}\n",
        serde_json::to_string(&second).unwrap()
    );
    let done = scene.place.run(&["import", "--json"], &line);
    assert_eq!(done.code, 0, "{done:?}");
    let inside = scene.enter();
    for name in ["rotated", "listed"] {
        let victim = labelled(&inside, &format!("hsmsign:{name}"));
        Robbery::of(&inside, victim, &[mechanism], second.as_bytes()).comes_to_nothing();
    }
    inside.leave();
}

/// Private keys that were stored, and that the token made: of the latter nobody knows what to look for, so that every
/// call but a signature must be refused.
#[test]
fn private_keys_give_nothing_away() {
    const RSA: [CK_MECHANISM_TYPE; 2] = [CKM_SHA256_RSA_PKCS, CKM_RSA_PKCS];
    let Some(scene) = Scene::new() else { return };
    let place = &scene.place;
    let stored: [(&str, &str, &str, &[CK_MECHANISM_TYPE]); 3] = [
        (
            "ed25519",
            "binance",
            include_str!("../data/keys/ed25519.pem"),
            &[CKM_EDDSA],
        ),
        (
            "p256",
            "coinbase",
            include_str!("../data/keys/p256.pem"),
            &[CKM_ECDSA],
        ),
        (
            "rsa2048",
            "binance",
            include_str!("../data/keys/rsa2048.pem"),
            &RSA,
        ),
    ];
    for (algorithm, exchange, pem, _) in stored {
        let args = [
            "--exchange",
            exchange,
            "--algorithm",
            algorithm,
            "--key",
            algorithm,
            "--api-key",
            "a",
        ];
        place.import(&args, pem);
    }
    let made: [(&str, &[CK_MECHANISM_TYPE]); 2] = [("ed25519", &[CKM_EDDSA]), ("rsa2048", &RSA)];
    for (algorithm, _) in made {
        let key = format!("made-{algorithm}");
        place.ok(&[
            "generate",
            "--exchange",
            "binance",
            "--algorithm",
            algorithm,
            "--key",
            &key,
        ]);
    }
    let inside = scene.enter();
    let private = |name: &str| {
        let found = inside.find(vec![
            number(CKA_CLASS, CKO_PRIVATE_KEY),
            bytes(CKA_LABEL, format!("hsmsign:{name}").as_bytes()),
        ]);
        assert_eq!(found.len(), 1, "{name}");
        found[0]
    };
    for (algorithm, _, pem, own) in stored {
        let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
        let der = base64ct::Base64::decode_vec(&body).unwrap();
        // Seed and scalar stand near the front, behind what every such key begins with; primes in the last two thirds.
        let secret = match algorithm {
            "ed25519" => &der[16..48],
            "p256" => &der[36..68],
            _ => &der[der.len() / 2..],
        };
        Robbery::of(&inside, private(algorithm), own, secret).comes_to_nothing();
    }
    for (algorithm, own) in made {
        Robbery::of(&inside, private(&format!("made-{algorithm}")), own, b"").comes_to_nothing();
    }
    inside.leave();
    for key in ["ed25519", "p256", "rsa2048", "made-ed25519", "made-rsa2048"] {
        place.ok(&["test", key]);
    }
}

#[test]
fn an_imported_key_signs_and_is_for_nothing_else() {
    let Some(scene) = Scene::new() else { return };
    for (name, algorithm, _, secret) in &secrets() {
        scene.import(name, algorithm, secret);
    }
    let inside = scene.enter();
    for (name, _, mechanism, _) in &secrets() {
        let key = labelled(&inside, &format!("hsmsign:{name}"));
        for (kind, wanted) in [
            (CKA_TOKEN, true),
            (CKA_PRIVATE, true),
            (CKA_SENSITIVE, true),
            (CKA_EXTRACTABLE, false),
            (CKA_MODIFIABLE, false),
            (CKA_COPYABLE, false),
            (CKA_SIGN, true),
            (CKA_VERIFY, false),
            (CKA_ENCRYPT, false),
            (CKA_DECRYPT, false),
            (CKA_WRAP, false),
            (CKA_UNWRAP, false),
            (CKA_DERIVE, false),
            (CKA_TRUSTED, false),
        ] {
            assert_eq!(inside.is(key, kind), Ok(wanted), "{name}: {kind:#x}");
        }
        let allowed = inside.read(key, CKA_ALLOWED_MECHANISMS).unwrap();
        assert_eq!(allowed, mechanism.to_ne_bytes(), "{name}: one mechanism");
        let id = inside.read(key, CKA_ID).unwrap();
        assert_eq!(id.len(), 16);
    }
    inside.leave();
}

/// A passphrase goes into requests, so whoever has the PIN can read it, by design; without the PIN nobody sees it, and
/// it cannot be changed.
#[test]
fn a_passphrase_is_read_with_the_pin_and_not_without() {
    let Some(scene) = Scene::new() else { return };
    let done = scene.place.run(
        &["import", "--exchange", "coinbaseexchange", "--api-key", "a"],
        &format!("{KRAKEN_SECRET}\nthe passphrase of it\n"),
    );
    assert_eq!(done.code, 0, "{done:?}");
    let inside = scene.enter();
    let data = labelled(&inside, "hsmsign:coinbaseexchange:passphrase");
    assert_eq!(inside.read(data, CKA_VALUE).unwrap(), b"the passphrase of it");
    assert_eq!(inside.is(data, CKA_PRIVATE), Ok(true));
    assert_eq!(inside.is(data, CKA_MODIFIABLE), Ok(false));
    for change in [
        bytes(CKA_VALUE, b"another one"),
        flag(CKA_PRIVATE, false),
        bytes(CKA_LABEL, b"x"),
    ] {
        assert!(inside.set(data, vec![change.clone()]).is_err(), "{change:?}");
    }
    assert!(
        inside
            .copy(data, vec![flag(CKA_PRIVATE, false), flag(CKA_TOKEN, false)])
            .is_err()
    );
    inside.leave();
    // Without the PIN.
    let module = bare::Bare::load(&scene.settings.module);
    module.initialize(None).unwrap();
    let slot = module.slot(scene.settings.label.as_deref().unwrap()).unwrap();
    let session = module.session(slot).unwrap();
    let outside = Inside {
        module,
        slot,
        session,
    };
    assert!(outside.find(vec![]).is_empty(), "nothing is seen without the PIN");
    outside.leave();
}

/// The same program has a key that is open, by every way that there is.
#[test]
fn a_careless_key_is_robbed() {
    let Some(scene) = Scene::new() else { return };
    let inside = scene.enter();
    let secret = secrets()[1].3.clone();
    let mut attrs = vec![
        number(CKA_CLASS, CKO_SECRET_KEY),
        number(CKA_KEY_TYPE, CKK_GENERIC_SECRET),
        bytes(CKA_VALUE, secret.as_bytes()),
        flag(CKA_SENSITIVE, false),
    ];
    attrs.extend([CKA_TOKEN, CKA_EXTRACTABLE, CKA_SIGN, CKA_VERIFY, CKA_DERIVE].map(|kind| flag(kind, true)));
    let victim = inside.create(attrs).unwrap();
    let robbed = Robbery::of(&inside, victim, &[CKM_SHA256_HMAC], secret.as_bytes()).all();
    for way in ["C_GetAttributeValue", "C_CopyObject", "C_WrapKey"] {
        assert!(
            robbed.found().iter().any(|found| found.starts_with(way)),
            "{way}: {:?}",
            robbed.found()
        );
    }
    for way in ["C_SetAttributeValue", "C_SignInit", "C_VerifyInit"] {
        assert!(
            robbed.granted.iter().any(|granted| granted.starts_with(way)),
            "{way}: {:?}",
            robbed.granted
        );
    }
    inside.leave();
}
