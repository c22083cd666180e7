//! Calls that a module takes otherwise than the standard says.

use std::{fs, os::unix::process::ExitStatusExt as _, process::Stdio, ptr};

use cryptoki_sys::*;
use hsmsign::algorithm::MacAlgorithm;

use crate::{
    Case,
    bare::{Bare, bare, closed, plain},
    isolation::role,
    suite::{self, software},
};

/// Where OpenSC keeps the module that writes every call down.
const SPIES: [&str; 3] = [
    "/usr/lib/x86_64-linux-gnu/pkcs11/pkcs11-spy.so",
    "/usr/lib/x86_64-linux-gnu/pkcs11-spy.so",
    "/usr/lib/pkcs11/pkcs11-spy.so",
];

/// The struct of the standard, whose sixth word is null, is refused: NSS wants its parameters there. hsmsign gives them.
pub fn the_standards_arguments_are_refused(case: &Case<'_>) {
    let module = Bare::load(&case.settings.module);
    let mut arguments = CK_C_INITIALIZE_ARGS {
        flags: CKF_OS_LOCKING_OK,
        ..CK_C_INITIALIZE_ARGS::default()
    };
    let answer = bare!(module, C_Initialize((&raw mut arguments).cast()));
    assert!(answer.is_err());
    suite::keys_are_unreadable(case.bench);
}

/// Signed in parts as the `cryptoki` crate does it, the module reads from nowhere. hsmsign signs in one call, long
/// messages too.
pub fn a_signature_in_parts_crashes(case: &Case<'_>) {
    if role().is_some() {
        let bare = case.enter();
        let key = bare.create(closed(b"parts", &suite::bytes(64, 1))).unwrap();
        bare!(bare, C_SignInit(bare.session, &mut plain(CKM_SHA256_HMAC), key)).unwrap();
        let mut message = *b"message";
        bare!(bare, C_SignUpdate(bare.session, message.as_mut_ptr(), 7)).unwrap();
        let mut len = 0;
        fs::write(case.folder.join("begun"), "").unwrap();
        bare!(bare, C_SignFinal(bare.session, ptr::null_mut(), &mut len)).unwrap();
        let mut mac = vec![0; len as usize];
        bare!(bare, C_SignFinal(bare.session, mac.as_mut_ptr(), &mut len)).unwrap();
        assert_eq!(
            mac,
            software(MacAlgorithm::HmacSha256, &suite::bytes(64, 1), b"message")
        );
        return;
    }
    let mut child = case
        .helper("bare")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let ended = child.wait().unwrap();
    assert!(case.folder.join("begun").exists(), "the signature was begun");
    assert_eq!(ended.signal(), Some(libc::SIGSEGV), "{ended:?}");
    suite::messages_may_be_empty_or_long(case.bench);
}

/// The field for the token's time holds none, and a program that reads it as one cannot choose a token by its label.
pub fn the_time_is_none(case: &Case<'_>) {
    let module = Bare::load(&case.settings.module);
    module.initialize(None).unwrap();
    let slot = module.slot("suite").unwrap();
    let info = module.info(slot).unwrap();
    eprintln!("flags {:#x}, time {:x?}", info.flags, info.utcTime);
    assert!(!info.utcTime.iter().all(u8::is_ascii_digit));
    module.finalize().unwrap();
    let token = case.bench.open();
    assert_eq!(token.identity().label, "suite");
    drop(token);
    let user = case.user();
    user.ok(&user.init(&["--accept-leaky-token"]));
}

/// A search looks at every object of the token: of many keys one is looked for once, and its handle kept. To seal the log, and
/// to verify its seals, too, the others are not read.
pub fn a_key_is_found_once(case: &Case<'_>) {
    let Some(spy) = SPIES.iter().find(|path| fs::exists(path).unwrap_or(false)) else {
        eprintln!("SKIPPED: pkcs11-spy.so is not installed (Debian: opensc-pkcs11)");
        return;
    };
    let user = case.user();
    user.ok(&user.init(&[]));
    user.import("hmac-sha256", &["--allow", "raw"]);
    let bare = case.enter();
    for number in 0..50_u32 {
        bare.create(closed(&number.to_be_bytes(), &suite::bytes(64, 1)))
            .unwrap();
    }
    bare.leave();
    user.ok(&["audit", "seal"]);
    let config = user.config().replace(case.settings.module.to_str().unwrap(), spy);
    user.write_config(&config);
    let calls = case.folder.join("calls");
    let spied = |arguments: &[&str]| {
        let mut command = user.command(arguments);
        command
            .env("PKCS11SPY", &case.settings.module)
            .env("PKCS11SPY_OUTPUT", &calls);
        let done = crate::bench::finish(command.spawn().unwrap(), b"");
        assert_eq!(done.code, 0, "{done:?}");
        let said = fs::read_to_string(&calls).unwrap();
        fs::remove_file(&calls).unwrap();
        move |call: &str| {
            let called = format!(": {call}");
            said.lines().filter(|line| line.ends_with(&called)).count()
        }
    };
    let count = spied(&["test", "hmac-sha256"]);
    assert_eq!((count("C_Sign"), count("C_FindObjectsInit")), (1, 1));
    let count = spied(&["audit", "seal"]);
    assert_eq!(count("C_Sign"), 1);
    assert!(
        (1..50).contains(&count("C_GetAttributeValue")),
        "{}",
        count("C_GetAttributeValue")
    );
    // For the seals of a log the key is looked for once, however many there are.
    let before = spied(&["audit", "verify"]);
    for _ in 0..3 {
        let _calls = spied(&["audit", "seal"]);
    }
    let behind = spied(&["audit", "verify"]);
    assert_eq!(behind("C_Sign"), before("C_Sign") + 3);
    assert_eq!(behind("C_FindObjectsInit"), before("C_FindObjectsInit"));
}
