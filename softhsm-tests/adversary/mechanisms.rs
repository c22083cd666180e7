//! Every mechanism with a parameter that is well formed: junk crashes some modules, and shows nothing.

use std::{ffi::c_void, ptr};

use cryptoki_sys::*;

/// What a mechanism's parameter may need of the robber's own.
#[derive(Clone, Copy)]
pub struct Means<'a> {
    /// A secret key of the session, whose value is known.
    pub key: CK_OBJECT_HANDLE,
    /// A point of P-256, uncompressed.
    pub point: &'a [u8],
}

/// Mechanisms that are tried whether the token claims them or not.
pub const UNCLAIMED: [CK_MECHANISM_TYPE; 22] = [
    CKM_CONCATENATE_BASE_AND_KEY,
    CKM_CONCATENATE_BASE_AND_DATA,
    CKM_CONCATENATE_DATA_AND_BASE,
    CKM_XOR_BASE_AND_DATA,
    CKM_EXTRACT_KEY_FROM_KEY,
    CKM_SHA1_KEY_DERIVATION,
    CKM_SHA256_KEY_DERIVATION,
    CKM_SHA384_KEY_DERIVATION,
    CKM_SHA512_KEY_DERIVATION,
    CKM_MD5_KEY_DERIVATION,
    CKM_HKDF_DERIVE,
    CKM_HKDF_DATA,
    CKM_MD5_HMAC_GENERAL,
    CKM_SHA_1_HMAC_GENERAL,
    CKM_SHA256_HMAC_GENERAL,
    CKM_SHA512_HMAC_GENERAL,
    CKM_AES_KEY_WRAP,
    CKM_AES_KEY_WRAP_PAD,
    CKM_AES_KEY_WRAP_KWP,
    CKM_AES_CBC_PAD,
    CKM_AES_MAC,
    CKM_RSA_AES_KEY_WRAP,
];

/// Works with a mechanism and its parameter.
pub fn with<T>(
    mechanism: CK_MECHANISM_TYPE,
    means: Means<'_>,
    work: impl FnOnce(&mut CK_MECHANISM) -> T,
) -> T {
    let mut known = *b"what is known of";
    let (data, len) = (known.as_mut_ptr(), known.len() as CK_ULONG);
    let mut point = means.point.to_vec();
    let mut peer = vec![2_u8; 128];
    let mut number: CK_ULONG = match mechanism {
        CKM_CONCATENATE_BASE_AND_KEY => means.key,
        CKM_EXTRACT_KEY_FROM_KEY => 0,
        _ => 16,
    };
    let mut text = CK_KEY_DERIVATION_STRING_DATA {
        pData: data,
        ulLen: len,
    };
    let mut aes = CK_AES_CBC_ENCRYPT_DATA_PARAMS {
        iv: [0; 16],
        pData: data,
        length: len,
    };
    let mut des = CK_DES_CBC_ENCRYPT_DATA_PARAMS {
        iv: [0; 8],
        pData: data,
        length: len,
    };
    let mut counter = CK_AES_CTR_PARAMS {
        ulCounterBits: 128,
        cb: [0; 16],
    };
    let mut gcm = CK_GCM_PARAMS {
        pIv: data,
        ulIvLen: 12,
        ulIvBits: 96,
        pAAD: ptr::null_mut(),
        ulAADLen: 0,
        ulTagBits: 128,
    };
    let mut oaep = CK_RSA_PKCS_OAEP_PARAMS {
        hashAlg: CKM_SHA_1,
        mgf: CKG_MGF1_SHA1,
        source: CKZ_DATA_SPECIFIED,
        pSourceData: ptr::null_mut(),
        ulSourceDataLen: 0,
    };
    let mut rsa_aes = CK_RSA_AES_KEY_WRAP_PARAMS {
        ulAESKeyBits: 256,
        pOAEPParams: &mut oaep,
    };
    let (hash, mgf, salt) = match mechanism {
        CKM_SHA224_RSA_PKCS_PSS => (CKM_SHA224, CKG_MGF1_SHA224, 28),
        CKM_SHA256_RSA_PKCS_PSS => (CKM_SHA256, CKG_MGF1_SHA256, 32),
        CKM_SHA384_RSA_PKCS_PSS => (CKM_SHA384, CKG_MGF1_SHA384, 48),
        CKM_SHA512_RSA_PKCS_PSS => (CKM_SHA512, CKG_MGF1_SHA512, 64),
        _ => (CKM_SHA_1, CKG_MGF1_SHA1, 20),
    };
    let mut pss = CK_RSA_PKCS_PSS_PARAMS {
        hashAlg: hash,
        mgf,
        sLen: salt,
    };
    let mut ecdh = CK_ECDH1_DERIVE_PARAMS {
        kdf: CKD_NULL,
        ulSharedDataLen: 0,
        pSharedData: ptr::null_mut(),
        ulPublicDataLen: point.len() as CK_ULONG,
        pPublicData: point.as_mut_ptr(),
    };
    let mut hkdf = CK_HKDF_PARAMS {
        bExtract: CK_TRUE,
        bExpand: CK_TRUE,
        prfHashMechanism: CKM_SHA256,
        ulSaltType: CKF_HKDF_SALT_NULL,
        pSalt: ptr::null_mut(),
        ulSaltLen: 0,
        hSaltKey: CK_INVALID_HANDLE,
        pInfo: data,
        ulInfoLen: len,
    };
    fn at<P>(parameter: &mut P) -> (*mut c_void, usize) {
        ((&raw mut *parameter).cast(), size_of::<P>())
    }
    let (parameter, size): (*mut c_void, usize) = match mechanism {
        CKM_AES_CBC | CKM_AES_CBC_PAD => (data.cast(), 16),
        CKM_DES_CBC | CKM_DES_CBC_PAD | CKM_DES3_CBC | CKM_DES3_CBC_PAD => (data.cast(), 8),
        CKM_AES_CTR => at(&mut counter),
        CKM_AES_GCM => at(&mut gcm),
        CKM_RSA_PKCS_OAEP => at(&mut oaep),
        CKM_RSA_AES_KEY_WRAP => at(&mut rsa_aes),
        CKM_RSA_PKCS_PSS
        | CKM_SHA1_RSA_PKCS_PSS
        | CKM_SHA224_RSA_PKCS_PSS
        | CKM_SHA256_RSA_PKCS_PSS
        | CKM_SHA384_RSA_PKCS_PSS
        | CKM_SHA512_RSA_PKCS_PSS => at(&mut pss),
        CKM_AES_ECB_ENCRYPT_DATA
        | CKM_DES_ECB_ENCRYPT_DATA
        | CKM_DES3_ECB_ENCRYPT_DATA
        | CKM_CONCATENATE_BASE_AND_DATA
        | CKM_CONCATENATE_DATA_AND_BASE
        | CKM_XOR_BASE_AND_DATA => at(&mut text),
        CKM_AES_CBC_ENCRYPT_DATA => at(&mut aes),
        CKM_DES_CBC_ENCRYPT_DATA | CKM_DES3_CBC_ENCRYPT_DATA => at(&mut des),
        CKM_ECDH1_DERIVE => at(&mut ecdh),
        CKM_DH_PKCS_DERIVE => (peer.as_mut_ptr().cast(), peer.len()),
        CKM_HKDF_DERIVE | CKM_HKDF_DATA => at(&mut hkdf),
        CKM_CONCATENATE_BASE_AND_KEY
        | CKM_EXTRACT_KEY_FROM_KEY
        | CKM_MD5_HMAC_GENERAL
        | CKM_SHA_1_HMAC_GENERAL
        | CKM_SHA256_HMAC_GENERAL
        | CKM_SHA512_HMAC_GENERAL => at(&mut number),
        _ => (ptr::null_mut(), 0),
    };
    work(&mut CK_MECHANISM {
        mechanism,
        pParameter: parameter,
        ulParameterLen: size as CK_ULONG,
    })
}
