//! Sessions and logins: what one call leaves for the next.

use cryptoki_sys::*;
use hsmsign::{
    algorithm::MacAlgorithm,
    token::{Class, KeyRef, Token, pkcs11::Pkcs11Token},
};

use crate::{
    Case,
    bare::{Bare, Inside, bare, bytes, closed, plain},
    narrow::Narrow,
    suite::{self, Pin, import, software},
};

const ALGORITHM: MacAlgorithm = MacAlgorithm::HmacSha256;

/// A session in which an operation was begun takes no other. hsmsign leaves none behind, whatever is refused.
pub fn an_operation_that_was_not_ended_spoils_its_session(case: &Case<'_>) {
    let secret = suite::bytes(64, 1);
    let bare = case.enter();
    let key = bare.create(closed(b"begun", &secret)).unwrap();
    let begin = || bare!(bare, C_SignInit(bare.session, &mut plain(CKM_SHA256_HMAC), key));
    begin().unwrap();
    assert_eq!(begin(), Err(CKR_OPERATION_ACTIVE));
    assert_eq!(bare.sign(CKM_SHA256_HMAC, key, b"m"), Err(CKR_OPERATION_ACTIVE));
    bare.leave();

    let token = case.bench.open();
    let ours = import(&*token, ALGORITHM, &secret);
    let wanted = software(ALGORITHM, &secret, b"m");
    for _ in 0..3 {
        assert_eq!(token.mac(&ours, ALGORITHM, b"m").unwrap().as_bytes(), wanted);
        token.mac(&nothing(), ALGORITHM, b"m").unwrap_err();
    }
    // Another mechanism than the key's: refused, or done, but never in the way of what comes next.
    let _ = token.mac(&ours, MacAlgorithm::HmacSha512, b"m");
    assert_eq!(token.mac(&ours, ALGORITHM, b"m").unwrap().as_bytes(), wanted);
}

/// The same where C_SignInit worked and C_Sign did not: that session is not used again.
pub fn a_refused_signature_leaves_no_session_spoilt(case: &Case<'_>) {
    let Some(narrow) = Narrow::build(case.folder) else {
        return;
    };
    let settings = narrow.settings(case.settings, "sign-fails-once");
    let token = Pkcs11Token::open(settings, Pin::new(case.bench.pin())).unwrap();
    let token: &dyn Token = &token;
    let secret = suite::bytes(40, 1);
    let key = import(token, ALGORITHM, &secret);
    for round in 0..4 {
        let mac = token.mac(&key, ALGORITHM, b"m");
        if round == 0 {
            mac.unwrap_err();
        } else {
            assert_eq!(mac.unwrap().as_bytes(), software(ALGORITHM, &secret, b"m"));
        }
    }
}

/// A wrong PIN is not refused while the process is logged in. hsmsign tries a PIN before anything else.
pub fn any_pin_will_do_while_logged_in(case: &Case<'_>) {
    let bare = case.enter();
    let second = bare.session(bare.slot).unwrap();
    assert_eq!(
        bare.login(second, "not the PIN at all"),
        Err(CKR_USER_ALREADY_LOGGED_IN)
    );
    bare.leave();
    suite::wrong_pins_are_spent_once(case.bench);
}

/// The login goes with the last session. hsmsign keeps one open, whatever happens in the others.
pub fn the_login_ends_with_the_last_session(case: &Case<'_>) {
    let secret = suite::bytes(64, 1);
    let mut bare = case.enter();
    bare.create(closed(b"login", &secret)).unwrap();
    let found = |bare: &Inside| bare.find(vec![bytes(CKA_ID, b"login")]).len();
    assert_eq!(found(&bare), 1);
    bare!(bare, C_CloseSession(bare.session)).unwrap();
    bare.session = bare.session(bare.slot).unwrap();
    assert_eq!(
        found(&bare),
        0,
        "nobody is logged in, so that a private key is not there"
    );
    bare.leave();

    let token = case.bench.open();
    let ours = import(&*token, ALGORITHM, &secret);
    // A refusal closes the session that it happened in.
    for _ in 0..3 {
        token.mac(&nothing(), ALGORITHM, b"m").unwrap_err();
        token.mac(&ours, ALGORITHM, b"m").unwrap();
    }
}

/// A key that is not there.
fn nothing() -> KeyRef {
    KeyRef::Object {
        class: Class::Mac,
        id: suite::meta("none").id,
    }
}

/// A second C_Initialize is told that it is the second. What was up before hsmsign came is up when it has gone.
pub fn a_module_that_is_up_already_is_left_up(case: &Case<'_>) {
    let module = Bare::load(&case.settings.module);
    let arguments = case.settings.module_args.as_deref();
    module.initialize(arguments).unwrap();
    assert_eq!(
        module.initialize(arguments),
        Err(CKR_CRYPTOKI_ALREADY_INITIALIZED)
    );
    let token = case.bench.open();
    let key = import(&*token, ALGORITHM, &suite::bytes(40, 1));
    token.mac(&key, ALGORITHM, b"m").unwrap();
    drop(token);
    assert!(module.slot(case.settings.label.as_deref().unwrap()).is_some());
    module.finalize().unwrap();
}
