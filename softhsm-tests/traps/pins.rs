//! What wrong PINs cost.

use std::fs;

use cryptoki_sys::*;

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
