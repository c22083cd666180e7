//! What wrong PINs cost.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use cryptoki_sys::*;
use hsmsign::{
    error::{Code, Error, Result},
    secret::Secret,
    token::{PinProvider, PinRequest, pkcs11::Pkcs11Token},
};

use crate::{Case, bare::Bare};

/// A bare program that tries again locks the token. hsmsign spends one try on a wrong PIN, however often it is run.
pub fn wrong_ones_lock_the_token(case: &Case<'_>) {
    let user = case.user();
    user.ok(&user.init(&["--accept-leaky-token"]));
    user.import("hmac-sha256", &["--allow", "raw"]);
    let pin = case.folder.join("pin");
    fs::write(&pin, "wrong-wrong").unwrap();
    for round in 0..12 {
        let done = user.run(&["hmac", "hmac-sha256"], "message");
        assert_eq!(done.code, 4, "{done:?}");
        assert_eq!(done.stderr.contains("was not tried again"), round > 0, "{done:?}");
    }
    fs::write(&pin, case.bench.pin()).unwrap();
    let done = user.run(&["hmac", "hmac-sha256"], "message");
    assert_eq!(done.code, 0, "the token is not locked: {done:?}");

    let module = Bare::load(&case.settings.module);
    module.initialize(case.settings.module_args.as_deref()).unwrap();
    let slot = module.slot(case.settings.label.as_deref().unwrap()).unwrap();
    let session = module.session(slot).unwrap();
    let answers: Vec<_> = (0..12)
        .map(|_| module.login(session, "wrong-wrong").unwrap_err())
        .collect();
    assert_eq!(answers[0], CKR_PIN_INCORRECT);
    assert_ne!(
        module.login(session, case.bench.pin()),
        Ok(()),
        "the right one comes too late: {answers:x?}"
    );
    module.finalize().unwrap();
    // Told as what it is.
    let done = user.run(&["hmac", "hmac-sha256"], "message");
    assert_eq!(done.code, 4, "{done:?}");
    assert!(done.stderr.contains("locked"), "{done:?}");
}

/// A person gave it before; for the last try a person has to give it anew.
struct Remembered {
    text: String,
    has_it: AtomicBool,
}

impl PinProvider for Remembered {
    fn pin(&self, _: &PinRequest) -> Result<Secret> {
        match self.has_it.load(Ordering::SeqCst) {
            true => Secret::take(&mut self.text.clone().into_bytes()),
            false => Err(Error::new(Code::TokenLocked, "nobody gave it anew")),
        }
    }
    fn refused(&self, _: Option<u32>) {
        self.forget();
    }
    fn forget(&self) {
        self.has_it.store(false, Ordering::SeqCst);
    }
    fn describe(&self) -> String {
        "a person".to_owned()
    }
    fn interactive(&self) -> bool {
        true
    }
    fn has_given(&self) -> bool {
        self.has_it.load(Ordering::SeqCst)
    }
}

/// The last try is not spent on a PIN that is remembered from when there were more.
pub fn the_last_try_is_left_to_a_person(case: &Case<'_>) {
    let module = Bare::load(&case.settings.module);
    module.initialize(case.settings.module_args.as_deref()).unwrap();
    let slot = module.slot(case.settings.label.as_deref().unwrap()).unwrap();
    let session = module.session(slot).unwrap();
    let is_last = || module.info(slot).unwrap().flags & CKF_USER_PIN_FINAL_TRY != 0;
    for _ in 0..12 {
        if !is_last() {
            module.login(session, "wrong-wrong").unwrap_err();
        }
    }
    assert!(is_last(), "the token tells of its last try");
    module.finalize().unwrap();
    let remembered = |text: &str| {
        Arc::new(Remembered {
            text: text.to_owned(),
            has_it: AtomicBool::new(true),
        })
    };
    let opened = Pkcs11Token::open(case.settings.clone(), remembered("wrong-again"));
    let error = opened.err().unwrap();
    assert!(error.to_string().contains("nobody gave it anew"), "{error}");
    module.initialize(case.settings.module_args.as_deref()).unwrap();
    let session = module.session(slot).unwrap();
    assert_eq!(
        module.login(session, case.bench.pin()),
        Ok(()),
        "it was not spent"
    );
    module.finalize().unwrap();
}
