//! A token that goes away and comes back.

use std::fs;

use cryptoki_sys::*;
use hsmsign::algorithm::MacAlgorithm;

use crate::{
    Case,
    bare::{bytes, closed},
    suite::{self, import, software},
};

const ALGORITHM: MacAlgorithm = MacAlgorithm::HmacSha256;

/// A bare program finds no key any more, in a new session and after a new login neither; only starting the module over
/// helps. hsmsign does that by itself.
pub fn a_token_that_came_back_looks_empty(case: &Case<'_>) {
    let (here, away) = (case.folder.join("tokens"), case.folder.join("away"));
    let secret = suite::bytes(64, 1);
    let bare = case.enter();
    bare.create(closed(b"away", &secret)).unwrap();
    let found = || bare.find(vec![bytes(CKA_ID, b"away")]).len();
    assert_eq!(found(), 1);
    fs::rename(&here, &away).unwrap();
    assert_eq!(found(), 0);
    fs::rename(&away, &here).unwrap();
    assert_eq!(found(), 0, "it is back, and looks empty");
    let again = bare.session(bare.slot).unwrap();
    let code = bare.login(again, case.bench.pin());
    assert_eq!((code, found()), (Err(CKR_USER_ALREADY_LOGGED_IN), 0));
    bare.leave();
    let bare = case.enter();
    assert_eq!(bare.find(vec![bytes(CKA_ID, b"away")]).len(), 1);
    bare.leave();

    let token = case.bench.open();
    let key = import(&*token, ALGORITHM, &secret);
    let signs = || {
        let mac = token.mac(&key, ALGORITHM, b"message");
        mac.map(|mac| mac.as_bytes() == software(ALGORITHM, &secret, b"message"))
    };
    fs::rename(&here, &away).unwrap();
    assert!(signs().is_err());
    fs::rename(&away, &here).unwrap();
    assert_eq!(signs(), Ok(true));
}
