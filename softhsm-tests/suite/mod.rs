//! What any backend must do. Each function is one promise, and gets what it needs from a [`Bench`].
#![allow(dead_code)] // Each test target uses its part.

mod verify;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use hmac::{Hmac, KeyInit as _, Mac as _};
use hsmsign::{
    algorithm::{MacAlgorithm, SignatureAlgorithm},
    error::Result,
    private_key::PrivateKey,
    public_key::PublicForm,
    secret::{BlockKey, Secret},
    token::{
        Class, KeyMeta, KeyRef, ObjectId, PinProvider, PinRequest, SignInput, Token, TokenError, Wishes,
    },
};

/// A kind of token under test.
pub trait Bench: Sync {
    /// Opens the token with a provider of the PIN.
    fn open_with(&self, pin: Arc<dyn PinProvider>) -> Result<Box<dyn Token>, TokenError>;
    /// The right PIN.
    fn pin(&self) -> &str;
    /// Whether it keeps private data objects.
    fn keeps_data(&self) -> bool {
        true
    }
    /// Whether it writes other bytes into a data object that was stored for that.
    fn changes_data(&self) -> bool {
        self.keeps_data()
    }
    /// Whether a handle ends when another login of the same process deletes the object.
    fn notices_others(&self) -> bool {
        true
    }
    /// Why sessions opened in many threads at once cannot be asked of this module.
    fn hangs_in_threads(&self) -> Option<&'static str> {
        None
    }
    /// Whether a secret of so many bytes can be stored for a MAC.
    fn takes(&self, _: MacAlgorithm, _: usize) -> bool {
        true
    }
    /// The longest message of a MAC, in bytes.
    fn longest(&self) -> usize {
        usize::MAX
    }
    /// Whether it makes MAC keys itself.
    fn makes_macs(&self) -> bool {
        true
    }
    /// How often a thread signs, where many do.
    fn rounds(&self) -> u32 {
        200
    }
    /// The private keys that can be stored on it.
    fn takes_private(&self) -> &[SignatureAlgorithm] {
        &SignatureAlgorithm::ALL
    }
    /// Opens the token with the right PIN.
    fn open(&self) -> Box<dyn Token> {
        self.open_with(Pin::new(self.pin())).expect("the token opens")
    }
}

/// A provider with one PIN, which counts what happens to it and does not give a refused one again.
pub struct Pin {
    text: String,
    pub given: AtomicUsize,
    pub refused: AtomicUsize,
}

impl Pin {
    pub fn new(text: &str) -> Arc<Self> {
        Arc::new(Self {
            text: text.to_owned(),
            given: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
        })
    }
}

impl PinProvider for Pin {
    fn pin(&self, _: &PinRequest) -> Result<Secret> {
        if self.refused.load(Ordering::SeqCst) > 0 {
            return Err(hsmsign::error::Error::new(
                hsmsign::error::Code::TokenLocked,
                "the PIN was refused before",
            ));
        }
        self.given.fetch_add(1, Ordering::SeqCst);
        Secret::take(&mut self.text.clone().into_bytes())
    }

    fn refused(&self, _: Option<u32>) {
        self.refused.fetch_add(1, Ordering::SeqCst);
    }

    fn forget(&self) {
        unreachable!("no person gave it");
    }

    fn describe(&self) -> String {
        "the test".to_owned()
    }
}

/// A secret of `len` bytes that differs by `seed`.
pub fn bytes(len: usize, seed: u8) -> Vec<u8> {
    (0..len)
        .map(|i| (i as u8).wrapping_mul(31).wrapping_add(seed))
        .collect()
}

/// A new object's name.
pub fn meta(label: &str) -> KeyMeta {
    KeyMeta {
        id: ObjectId::random().unwrap(),
        label: format!("hsmsign:{label}"),
        wishes: Wishes::default(),
    }
}

/// The MAC as software computes it.
pub fn software(algorithm: MacAlgorithm, secret: &[u8], message: &[u8]) -> Vec<u8> {
    macro_rules! mac {
        ($hash:ty) => {
            Hmac::<$hash>::new_from_slice(secret)
                .unwrap()
                .chain_update(message)
                .finalize()
                .into_bytes()
                .to_vec()
        };
    }
    match algorithm {
        MacAlgorithm::HmacSha256 => mac!(sha2::Sha256),
        MacAlgorithm::HmacSha384 => mac!(sha2::Sha384),
        MacAlgorithm::HmacSha512 => mac!(sha2::Sha512),
    }
}

/// Imports a secret under a new id.
pub fn import(token: &dyn Token, algorithm: MacAlgorithm, secret: &[u8]) -> KeyRef {
    let secret = Secret::take(&mut secret.to_vec()).unwrap();
    let key = BlockKey::new(algorithm, &secret).unwrap();
    token.import_mac(&key, &meta("suite")).unwrap().key
}

/// The secret is refused as such, and leaves nothing.
fn refuses(token: &dyn Token, algorithm: MacAlgorithm, secret: &[u8]) {
    let key = BlockKey::new(algorithm, &Secret::take(&mut secret.to_vec()).unwrap()).unwrap();
    let before = token.list().unwrap().len();
    let refused = token.import_mac(&key, &meta("refused"));
    assert!(
        matches!(
            refused,
            Err(TokenError::TooLarge { .. } | TokenError::Unsupported(_))
        ),
        "{algorithm:?} of {} bytes: {refused:?}",
        secret.len()
    );
    assert_eq!(token.list().unwrap().len(), before);
}

/// The MACs that it makes.
fn macs(bench: &dyn Bench) -> Vec<MacAlgorithm> {
    let all = MacAlgorithm::ALL.into_iter();
    all.filter(|algorithm| bench.takes(*algorithm, 40)).collect()
}

/// MACs of secrets of every length that matters agree with software.
pub fn macs_agree_with_software(bench: &dyn Bench) {
    let token = bench.open();
    for algorithm in MacAlgorithm::ALL {
        for len in [
            1, 2, 16, 31, 32, 43, 47, 48, 63, 64, 65, 100, 127, 128, 129, 200, 300,
        ] {
            let secret = bytes(len, 7);
            if !bench.takes(algorithm, len) {
                refuses(&*token, algorithm, &secret);
                continue;
            }
            let key = import(&*token, algorithm, &secret);
            let mac = token.mac(&key, algorithm, b"message").unwrap();
            assert_eq!(
                mac.as_bytes(),
                software(algorithm, &secret, b"message"),
                "{algorithm:?} of {len} bytes"
            );
            token.delete(&key).unwrap();
        }
    }
}

/// A message may be empty or long.
pub fn messages_may_be_empty_or_long(bench: &dyn Bench) {
    let token = bench.open();
    for algorithm in macs(bench) {
        let secret = bytes(40, 9);
        let key = import(&*token, algorithm, &secret);
        for len in [0, 1, 64, 65, 64 * 1024, 1024 * 1024] {
            let message = bytes(len, 3);
            if len > bench.longest() {
                let refused = token.mac(&key, algorithm, &message).unwrap_err();
                assert!(matches!(refused, TokenError::TooLarge { .. }), "{refused:?}");
                continue;
            }
            let mac = token.mac(&key, algorithm, &message).unwrap();
            assert_eq!(
                mac.as_bytes(),
                software(algorithm, &secret, &message),
                "{algorithm:?}, {len} bytes"
            );
        }
        token.delete(&key).unwrap();
    }
}

/// The value of a key cannot be read.
pub fn keys_are_unreadable(bench: &dyn Bench) {
    let token = bench.open();
    for algorithm in macs(bench) {
        let key = import(&*token, algorithm, &bytes(40, 1));
        assert!(!token.readable(&key).unwrap(), "{algorithm:?}");
        token.delete(&key).unwrap();
    }
}

/// An id in use is refused, and the key that has it stays as it is.
pub fn ids_are_not_used_twice(bench: &dyn Bench) {
    let token = bench.open();
    let algorithm = MacAlgorithm::HmacSha256;
    let key = |seed| BlockKey::new(algorithm, &Secret::take(&mut bytes(40, seed)).unwrap()).unwrap();
    let meta = meta("twice");
    let imported = token.import_mac(&key(1), &meta).unwrap();
    assert!(matches!(
        token.import_mac(&key(2), &meta),
        Err(TokenError::Exists(_))
    ));
    let mac = token.mac(&imported.key, algorithm, b"m").unwrap();
    assert_eq!(mac.as_bytes(), software(algorithm, &bytes(40, 1), b"m"));
}

/// A deleted key is not found, and deleting it again is no error.
pub fn deleted_keys_are_gone(bench: &dyn Bench) {
    let token = bench.open();
    let algorithm = MacAlgorithm::HmacSha512;
    let key = import(&*token, algorithm, &bytes(40, 1));
    token.mac(&key, algorithm, b"m").unwrap();
    token.delete(&key).unwrap();
    let missing = token.mac(&key, algorithm, b"m").unwrap_err();
    assert!(matches!(missing, TokenError::NotFound(_)), "{missing:?}");
    token.delete(&key).unwrap();
}

/// Keys are listed with their ids and labels.
pub fn keys_are_listed(bench: &dyn Bench) {
    let token = bench.open();
    let key = import(&*token, MacAlgorithm::HmacSha256, &bytes(40, 1));
    let listed = token.list().unwrap();
    let info = listed
        .iter()
        .find(|info| info.key.as_ref() == Some(&key))
        .expect("the key is listed");
    assert_eq!(info.label, "hsmsign:suite");
    let labelled = |label: &str| {
        let found = token.labelled(label).unwrap();
        found
            .into_iter()
            .filter(|info| info.key.as_ref() == Some(&key))
            .count()
    };
    for (label, count) in [
        ("hsmsign:suite", 1),
        ("hsmsign:suit", 0),
        ("hsmsign:suite ", 0),
        ("", 0),
    ] {
        assert_eq!(labelled(label), count, "{label:?}");
    }
    token.delete(&key).unwrap();
    assert_eq!(labelled("hsmsign:suite"), 0);
    assert!(
        token
            .list()
            .unwrap()
            .iter()
            .all(|info| info.key.as_ref() != Some(&key))
    );
}

/// Threads sign at the same time, each its own key.
pub fn threads_do_not_mix(bench: &dyn Bench) {
    if let Some(why) = bench.hangs_in_threads() {
        eprintln!("SKIPPED: {why}");
        return;
    }
    let token = bench.open();
    let (token, algorithms) = (&*token, &macs(bench));
    thread::scope(|scope| {
        for seed in 0..8 {
            scope.spawn(move || {
                let algorithm = algorithms[usize::from(seed) % algorithms.len()];
                let secret = bytes(50, seed);
                let key = import(token, algorithm, &secret);
                for round in 0..bench.rounds() {
                    let message = [&round.to_be_bytes()[..], &[seed]].concat();
                    let mac = token.mac(&key, algorithm, &message).unwrap();
                    assert_eq!(mac.as_bytes(), software(algorithm, &secret, &message));
                }
                token.delete(&key).unwrap();
            });
        }
    });
}

/// A wrong PIN is tried once and told as such; the provider hears of it.
pub fn wrong_pins_are_spent_once(bench: &dyn Bench) {
    let pin = Pin::new("0000-not-this");
    let refused = bench.open_with(pin.clone()).err().expect("the token refuses");
    assert!(
        matches!(&refused, TokenError::WrongPin { from, .. } if from == "the test"),
        "{refused:?}"
    );
    assert_eq!(pin.given.load(Ordering::SeqCst), 1);
    assert_eq!(pin.refused.load(Ordering::SeqCst), 1);
    bench.open();
}

/// A MAC key made on the token is one of its own, found by its id alone, and cannot be read.
pub fn mac_keys_can_be_made(bench: &dyn Bench) {
    let token = bench.open();
    if !bench.makes_macs() {
        let refused = token.generate_mac(MacAlgorithm::HmacSha256, &meta("made"));
        assert!(matches!(refused, Err(TokenError::Unsupported(_))), "{refused:?}");
        return;
    }
    for algorithm in MacAlgorithm::ALL {
        let (one, other) = (meta("made"), meta("made"));
        let made = token.generate_mac(algorithm, &one).unwrap();
        let mac = token.mac(&made.key, algorithm, b"m").unwrap();
        assert_eq!(mac, bench.open().mac(&made.key, algorithm, b"m").unwrap());
        assert_eq!(mac.as_bytes().len(), algorithm.output_len());
        assert!(!token.readable(&made.key).unwrap());
        assert!(made.hardening.iter().any(|word| word == "not-extractable"));
        assert!(matches!(
            token.generate_mac(algorithm, &one),
            Err(TokenError::Exists(_))
        ));
        let second = token.generate_mac(algorithm, &other).unwrap();
        assert_ne!(mac, token.mac(&second.key, algorithm, b"m").unwrap());
        assert_ne!(
            mac.as_bytes(),
            software(algorithm, &vec![0; algorithm.block_len()], b"m")
        );
        token.delete(&made.key).unwrap();
        token.delete(&second.key).unwrap();
    }
}

/// Private data comes back as it was, and is found by its id alone.
pub fn data_comes_back(bench: &dyn Bench) {
    let token = bench.open();
    if !bench.keeps_data() {
        let refused = token.put_data(&Secret::take(&mut b"data".to_vec()).unwrap(), &meta("passphrase"));
        assert!(matches!(refused, Err(TokenError::Unsupported(_))), "{refused:?}");
        return;
    }
    for len in [0, 1, 12, 4000] {
        let data = bytes(len, 5);
        let meta = meta("passphrase");
        let key = token
            .put_data(&Secret::take(&mut data.clone()).unwrap(), &meta)
            .unwrap();
        assert_eq!(
            key,
            KeyRef::Object {
                class: Class::Data,
                id: meta.id.clone()
            }
        );
        assert_eq!(token.get_data(&key).unwrap().expose(), data);
        assert_eq!(bench.open().get_data(&key).unwrap().expose(), data);
        token.delete(&key).unwrap();
        assert!(matches!(token.get_data(&key), Err(TokenError::NotFound(_))));
    }
}

/// Data that is to change is written anew in its place, and other data is not.
pub fn data_changes_where_it_is_to(bench: &dyn Bench) {
    if !bench.keeps_data() {
        return;
    }
    let token = bench.open();
    let secret = |bytes: &[u8]| Secret::take(&mut bytes.to_vec()).unwrap();
    for changes in [true, false] {
        let mut meta = meta("data");
        meta.wishes.changes = changes;
        let key = token.put_data(&secret(b"the first"), &meta).unwrap();
        let changed = token.set_data(&key, &secret(b"one that is longer")).unwrap();
        assert_eq!(changed, changes && bench.changes_data());
        let there: &[u8] = if changed {
            b"one that is longer"
        } else {
            b"the first"
        };
        for token in [&token, &bench.open()] {
            assert_eq!(token.get_data(&key).unwrap().expose(), there);
        }
        assert_eq!(token.sweep(&meta.id).unwrap(), 1);
    }
}

/// A sweep takes every object with the id and nothing else.
pub fn sweeps_take_one_id(bench: &dyn Bench) {
    let token = bench.open();
    let (keep, go) = (meta("keep"), meta("go"));
    let key = BlockKey::new(
        MacAlgorithm::HmacSha256,
        &Secret::take(&mut bytes(40, 1)).unwrap(),
    )
    .unwrap();
    let kept = token.import_mac(&key, &keep).unwrap();
    token.import_mac(&key, &go).unwrap();
    assert_eq!(token.sweep(&go.id).unwrap(), 1);
    assert_eq!(token.sweep(&go.id).unwrap(), 0);
    if bench.keeps_data() {
        token
            .put_data(&Secret::take(&mut b"data".to_vec()).unwrap(), &go)
            .unwrap();
        assert_eq!(token.sweep(&go.id).unwrap(), 1);
    }
    token.mac(&kept.key, MacAlgorithm::HmacSha256, b"m").unwrap();
    token.delete(&kept.key).unwrap();
}

/// A key that another login deleted is not found; one that it made is.
pub fn other_logins_are_noticed(bench: &dyn Bench) {
    let (ours, other) = (bench.open(), bench.open());
    let algorithm = MacAlgorithm::HmacSha256;
    let first = import(&*ours, algorithm, &bytes(40, 1));
    ours.mac(&first, algorithm, b"m").unwrap();
    other.delete(&first).unwrap();
    let second = import(&*other, algorithm, &bytes(40, 2));
    if bench.notices_others() {
        let gone = ours.mac(&first, algorithm, b"m").unwrap_err();
        assert!(matches!(gone, TokenError::NotFound(_)), "{gone:?}");
    }
    let mac = ours.mac(&second, algorithm, b"m").unwrap();
    assert_eq!(mac.as_bytes(), software(algorithm, &bytes(40, 2), b"m"));
    ours.delete(&second).unwrap();
}

/// Opening again voids every handle; both logins of the process find their keys again, while threads sign.
pub fn opening_again_loses_nothing(bench: &dyn Bench) {
    let (one, two) = (bench.open(), bench.open());
    let algorithm = MacAlgorithm::HmacSha256;
    let keys = [
        import(&*one, algorithm, &bytes(40, 1)),
        import(&*one, algorithm, &bytes(40, 2)),
    ];
    thread::scope(|scope| {
        for token in [&one, &two, &one, &two] {
            for (key, seed) in keys.iter().zip([1, 2]) {
                scope.spawn(move || {
                    for _ in 0..bench.rounds() / 2 {
                        let mac = token.mac(key, algorithm, b"m").unwrap();
                        assert_eq!(mac.as_bytes(), software(algorithm, &bytes(40, seed), b"m"));
                    }
                });
            }
        }
        for _ in 0..5 {
            one.reopen().unwrap();
            two.reopen().unwrap();
        }
    });
    for key in &keys {
        two.delete(key).unwrap();
    }
}

/// What the token claims works: key pairs sign, and the public key has the form of its kind.
pub fn pairs_sign(bench: &dyn Bench) {
    let token = bench.open();
    for (algorithm, spki, signature) in [
        (SignatureAlgorithm::Ed25519, 44, 64),
        (SignatureAlgorithm::P256, 91, 64),
        (SignatureAlgorithm::Rsa2048, 294, 256),
    ] {
        if !token.capabilities().generates.contains(&algorithm) {
            eprintln!("SKIPPED: the token makes no {} keys", algorithm.name());
            continue;
        }
        let (made, public) = token.generate(algorithm, &meta("pair")).unwrap();
        assert_eq!(public.as_der().len(), spki, "{algorithm:?}");
        assert_eq!(public.algorithm(), algorithm);
        let message = SignInput::Message(b"m");
        let first = token.sign(&made.key, algorithm, message).unwrap();
        assert_eq!(first.len(), signature);
        verify::check(algorithm, public.as_der(), b"m", &first);
        assert!(public.verifies(b"m", &first) && !public.verifies(b"n", &first));
        if algorithm != SignatureAlgorithm::Ed25519 {
            use sha2::Digest as _;
            let digest: [u8; 32] = sha2::Sha256::digest(b"m").into();
            let second = token
                .sign(&made.key, algorithm, SignInput::Digest(&digest))
                .unwrap();
            verify::check(algorithm, public.as_der(), b"m", &second);
        }
        token.delete(&made.key).unwrap();
        assert!(
            token
                .list()
                .unwrap()
                .iter()
                .all(|info| info.label != "hsmsign:pair"),
            "both halves are deleted"
        );
    }
}

/// A private key that is stored signs as its public key wants it, is found by its id alone, and is not read back; or the
/// token says that it takes no such keys, and keeps nothing.
pub fn private_keys_are_taken(bench: &dyn Bench) {
    let token = bench.open();
    for (pem, public) in PRIVATE {
        let key = private_key(pem);
        let algorithm = key.algorithm();
        let meta = meta("private");
        let taken = token.import_private(&key, &meta);
        if !bench.takes_private().contains(&algorithm) {
            assert!(
                matches!(taken, Err(TokenError::Unsupported(_))),
                "{algorithm}: {taken:?}"
            );
            eprintln!("SKIPPED: the token takes no {algorithm} keys");
            assert!(token.list().unwrap().iter().all(|info| info.label != meta.label));
            continue;
        }
        let (imported, derived) = taken.unwrap_or_else(|error| panic!("{algorithm}: {error}"));
        assert_eq!(derived.text(PublicForm::Pem), public.trim_end());
        assert!(matches!(
            token.import_private(&key, &meta),
            Err(TokenError::Exists(_))
        ));
        assert!(!token.readable(&imported.key).unwrap(), "{algorithm}");
        let again = bench.open();
        for len in [0, 1, 32, 5000] {
            let message = bytes(len, 3);
            let signature = again
                .sign(&imported.key, algorithm, SignInput::Message(&message))
                .unwrap();
            if len > 0 {
                verify::check(algorithm, derived.as_der(), &message, &signature);
            }
            assert!(derived.verifies(&message, &signature));
            if algorithm != SignatureAlgorithm::P256 {
                assert_eq!(signature, key.sign_in_software(&message).unwrap());
            }
        }
        assert!(imported.hardening.iter().any(|word| word == "not-extractable"));
        token.delete(&imported.key).unwrap();
        assert!(token.list().unwrap().iter().all(|info| info.label != meta.label));
    }
}

/// A private RSA key put together from two is refused, or its signature is not one of the public key; nothing crashes.
pub fn private_keys_of_two_halves_are_found_out(bench: &dyn Bench) {
    if !bench.takes_private().contains(&SignatureAlgorithm::Rsa2048) {
        eprintln!("SKIPPED: the token takes no RSA keys");
        return;
    }
    let token = bench.open();
    let key = private_key(include_str!("../data/keys/rsa2048-two-halves.pem"));
    let Ok((imported, public)) = token.import_private(&key, &meta("halves")) else {
        return;
    };
    if let Ok(signature) = token.sign(&imported.key, key.algorithm(), SignInput::Message(b"m")) {
        assert!(!public.verifies(b"m", &signature));
    }
    token.delete(&imported.key).unwrap();
}

const PRIVATE: [(&str, &str); 5] = [
    (
        include_str!("../data/keys/ed25519.pem"),
        include_str!("../data/keys/ed25519.pub"),
    ),
    (
        include_str!("../data/keys/p256.pem"),
        include_str!("../data/keys/p256.pub"),
    ),
    (
        include_str!("../data/keys/rsa2048.pem"),
        include_str!("../data/keys/rsa2048.pub"),
    ),
    (
        include_str!("../data/keys/rsa3072.pem"),
        include_str!("../data/keys/rsa3072.pub"),
    ),
    (
        include_str!("../data/keys/rsa4096.pem"),
        include_str!("../data/keys/rsa4096.pub"),
    ),
];

fn private_key(pem: &str) -> PrivateKey {
    PrivateKey::read(&Secret::take(&mut pem.as_bytes().to_vec()).unwrap(), false).unwrap()
}

/// The rung that the token accepts, and the hardening that takes effect.
pub fn hardening(bench: &dyn Bench) -> (u8, String) {
    let key = BlockKey::new(
        MacAlgorithm::HmacSha512,
        &Secret::take(&mut bytes(40, 1)).unwrap(),
    )
    .unwrap();
    let imported = bench.open().import_mac(&key, &meta("hard")).unwrap();
    (imported.rung, imported.hardening.join(" "))
}
