//! What a module says of a key, and what it gives away of it.

use cryptoki_sys::*;
use hsmsign::{
    algorithm::MacAlgorithm,
    token::{Class, KeyRef, ObjectId},
};

use crate::{
    Case,
    bare::{bare, bytes, closed, flag, number},
    suite::{self, import, software},
};

const ALGORITHM: MacAlgorithm = MacAlgorithm::HmacSha256;

fn id(key: &KeyRef) -> &[u8] {
    key.id().as_bytes()
}

/// Of a key longer than the hash's block HMAC uses the hash, and C_DigestKey gives just that. hsmsign stores the hash
/// itself, filled up to the block, whose digest is another.
pub fn an_over_long_key_comes_out_of_its_digest(case: &Case<'_>) {
    let secret = suite::bytes(100, 3);
    let mac = software(ALGORITHM, &secret, b"message");
    let bare = case.enter();
    let key = bare.create(closed(b"over-long", &secret)).unwrap();
    assert_eq!(bare.sign(CKM_SHA256_HMAC, key, b"message").unwrap(), mac);
    let digest = bare.digest_key(CKM_SHA256, key).unwrap();
    assert_eq!(
        software(ALGORITHM, &digest, b"message"),
        mac,
        "the digest is as good as the key"
    );
    bare.leave();

    let token = case.bench.open();
    let ours = import(&*token, ALGORITHM, &secret);
    assert_eq!(token.mac(&ours, ALGORITHM, b"message").unwrap().as_bytes(), mac);
    drop(token);
    let bare = case.enter();
    let found = bare.find(vec![bytes(CKA_ID, id(&ours))]);
    assert_eq!(found.len(), 1);
    if let Ok(digest) = bare.digest_key(CKM_SHA256, found[0]) {
        assert_ne!(software(ALGORITHM, &digest, b"message"), mac);
    }
}

/// A value that is kept is no value and no failure to many programs; hsmsign knows it from one that is given out.
pub fn what_is_kept_is_told_from_what_is_not(case: &Case<'_>) {
    let value = suite::bytes(64, 5);
    let bare = case.enter();
    let kept = bare.create(closed(b"kept", &value)).unwrap();
    let mut room = [0_u8; 256];
    let mut wanted = CK_ATTRIBUTE {
        type_: CKA_VALUE,
        pValue: room.as_mut_ptr().cast(),
        ulValueLen: 256,
    };
    let code = bare!(bare, C_GetAttributeValue(bare.session, kept, &mut wanted, 1));
    assert_eq!(code, Err(CKR_ATTRIBUTE_SENSITIVE));
    assert_eq!(wanted.ulValueLen, CK_UNAVAILABLE_INFORMATION);
    assert!(
        !room
            .windows(16)
            .any(|part| value.windows(16).any(|other| other == part))
    );
    let mut open = closed(b"open", &value);
    open.retain(|(kind, _)| ![CKA_SENSITIVE, CKA_EXTRACTABLE].contains(kind));
    open.extend([flag(CKA_SENSITIVE, false), flag(CKA_EXTRACTABLE, true)]);
    let open = bare.create(open).unwrap();
    // NSS keeps every key of its database.
    let given = match bare.read(open, CKA_VALUE) {
        Ok(read) => read == value,
        Err(code) => {
            assert!(case.settings.module.ends_with("libsoftokn3.so"), "{code:#x}");
            false
        }
    };
    bare.leave();

    let token = case.bench.open();
    let named = |id: &[u8]| KeyRef::Object {
        class: Class::Mac,
        id: ObjectId::from_bytes(id),
    };
    assert!(!token.readable(&named(b"kept")).unwrap());
    assert_eq!(token.readable(&named(b"open")).unwrap(), given);
}

/// Imported and "never extractable", or "not extractable" and wrapped all the same: so hsmsign believes neither, and
/// refuses the module for what it does.
pub fn attributes_say_what_is_not_so(case: &Case<'_>) {
    let value = suite::bytes(64, 5);
    let bare = case.enter();
    let key = bare.create(closed(b"claims", &value)).unwrap();
    assert_eq!(bare.is(key, CKA_EXTRACTABLE), Ok(false));
    let mut ours = vec![
        number(CKA_CLASS, CKO_SECRET_KEY),
        number(CKA_KEY_TYPE, CKK_AES),
        flag(CKA_TOKEN, false),
        bytes(CKA_VALUE, &[7; 32]),
    ];
    ours.extend([CKA_WRAP, CKA_ENCRYPT].map(|kind| flag(kind, true)));
    let ours = bare.create(ours).unwrap();
    let mut vector = [0; 16];
    let mut mechanism = CK_MECHANISM {
        mechanism: CKM_AES_CBC_PAD,
        pParameter: vector.as_mut_ptr().cast(),
        ulParameterLen: 16,
    };
    let (mut wrapped, mut len) = ([0; 256], 256);
    let wrapped = bare!(
        bare,
        C_WrapKey(
            bare.session,
            &mut mechanism,
            ours,
            key,
            wrapped.as_mut_ptr(),
            &mut len
        )
    );
    // Brought in from outside, so that it was extractable once.
    let lies = [CKA_ALWAYS_SENSITIVE, CKA_NEVER_EXTRACTABLE].map(|kind| bare.is(key, kind) == Ok(true));
    assert!(
        wrapped.is_ok() || lies == [true, true],
        "wrapped: {wrapped:?}; always sensitive, never extractable: {lies:?}"
    );
    bare.leave();

    let user = case.user();
    let done = user.run(&user.init(&[]), "");
    assert_eq!(done.code, 5, "{done:?}");
    assert!(done.stderr.contains("gives its keys away"), "{done:?}");
}

/// What is not forbidden aloud is allowed, and a length beside a value is one word too many.
pub fn uses_that_nobody_asked_for_are_allowed(case: &Case<'_>) {
    const USES: [CK_ATTRIBUTE_TYPE; 6] = [
        CKA_VERIFY,
        CKA_ENCRYPT,
        CKA_DECRYPT,
        CKA_WRAP,
        CKA_UNWRAP,
        CKA_DERIVE,
    ];
    let value = suite::bytes(64, 5);
    let bare = case.enter();
    let careless = vec![
        number(CKA_CLASS, CKO_SECRET_KEY),
        number(CKA_KEY_TYPE, CKK_GENERIC_SECRET),
        flag(CKA_TOKEN, true),
        flag(CKA_SENSITIVE, true),
        flag(CKA_SIGN, true),
        bytes(CKA_VALUE, &value),
    ];
    let key = bare.create(careless.clone()).unwrap();
    for allowed in [
        CKA_VERIFY,
        CKA_ENCRYPT,
        CKA_DECRYPT,
        CKA_WRAP,
        CKA_UNWRAP,
        CKA_COPYABLE,
        CKA_MODIFIABLE,
    ] {
        assert_eq!(bare.is(key, allowed), Ok(true), "{allowed:#x}");
    }
    let with_length = [careless, vec![number(CKA_VALUE_LEN, 64)]].concat();
    assert!(bare.create(with_length).is_err());
    bare.leave();

    let token = case.bench.open();
    let ours = import(&*token, ALGORITHM, &value);
    drop(token);
    let bare = case.enter();
    let found = bare.find(vec![bytes(CKA_ID, id(&ours))]);
    for no in USES
        .into_iter()
        .chain([CKA_COPYABLE, CKA_MODIFIABLE, CKA_EXTRACTABLE])
    {
        assert_eq!(bare.is(found[0], no), Ok(false), "{no:#x}");
    }
    for yes in [CKA_SIGN, CKA_PRIVATE, CKA_SENSITIVE] {
        assert_eq!(bare.is(found[0], yes), Ok(true), "{yes:#x}");
    }
}
