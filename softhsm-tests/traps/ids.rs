//! Two objects with one id.

use cryptoki_sys::*;
use hsmsign::{
    algorithm::MacAlgorithm,
    secret::{BlockKey, Secret},
    token::TokenError,
};

use crate::{
    Case,
    bare::{bytes, closed},
    suite::{self, software},
};

const ALGORITHM: MacAlgorithm = MacAlgorithm::HmacSha256;

/// The first key is gone, and nobody was told. hsmsign does not store what would do that.
pub fn a_second_object_takes_the_place_of_the_first(case: &Case<'_>) {
    let (first, second) = (suite::bytes(64, 1), suite::bytes(64, 2));
    let bare = case.enter();
    bare.create(closed(b"the same id", &first)).unwrap();
    bare.create(closed(b"the same id", &second)).unwrap();
    let found = bare.find(vec![bytes(CKA_ID, b"the same id")]);
    assert!(!found.is_empty());
    for object in found {
        let mac = bare.sign(CKM_SHA256_HMAC, object, b"message").unwrap();
        assert_eq!(mac, software(ALGORITHM, &second, b"message"));
    }
    bare.leave();

    let token = case.bench.open();
    let key = |value: &[u8]| BlockKey::new(ALGORITHM, &Secret::take(&mut value.to_vec()).unwrap()).unwrap();
    let meta = suite::meta("same");
    let ours = token.import_mac(&key(&first), &meta).unwrap().key;
    let refused = token.import_mac(&key(&second), &meta);
    assert!(matches!(refused, Err(TokenError::Exists(_))), "{refused:?}");
    let refused = token.generate_mac(ALGORITHM, &meta);
    assert!(matches!(refused, Err(TokenError::Exists(_))), "{refused:?}");
    let mac = token.mac(&ours, ALGORITHM, b"message").unwrap();
    assert_eq!(mac.as_bytes(), software(ALGORITHM, &first, b"message"));
}
