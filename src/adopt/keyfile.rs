//! What hummingbot encrypts: a text in an Ethereum keyfile (version 3), as JSON in hex.
//!
//! PBKDF2-HMAC-SHA256 of the password makes 32 bytes: the first 16 encrypt with AES-128 in counter mode, the others and the
//! ciphertext under Keccak-256 are the check. Source: the Web3 Secret Storage Definition, and hummingbot's
//! `config_crypt.py`.

use aes::{
    Aes128,
    cipher::{BlockCipherEncrypt as _, KeyInit as _},
};
use hmac::{Hmac, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use sha3::{Digest as _, Keccak256};
use zeroize::Zeroizing;

use crate::{
    error::{Code, Error, Result, bad_input, failed},
    secret::{Secret, traceless},
};

/// The most rounds of PBKDF2 that a file may ask for; hummingbot writes 1,000,000.
const ROUNDS: u64 = 50_000_000;
/// The longest keyfile, in bytes of hex.
const LONGEST: usize = 64 << 10;

/// Whether a text may be a keyfile: hex of what begins as its JSON.
pub(super) fn is_keyfile(text: &[u8]) -> bool {
    text.len() <= LONGEST
        && text.starts_with(b"7b")
        && base16ct::lower::decode_vec(text).is_ok_and(|json| {
            serde_json::from_slice::<Value>(&json).is_ok_and(|file| file["crypto"].is_object())
        })
}

/// What the parts of a keyfile are.
struct Parts {
    file: Value,
    salt: Vec<u8>,
    rounds: u32,
}

impl Parts {
    fn read(text: &[u8]) -> Result<Self> {
        let json = base16ct::lower::decode_vec(text).map_err(|_| damaged())?;
        let file: Value = serde_json::from_slice(&json).map_err(|_| damaged())?;
        let crypto = &file["crypto"];
        let plain = |value: &Value, wanted: &str| value.as_str() == Some(wanted);
        if !plain(&crypto["cipher"], "aes-128-ctr") || !plain(&crypto["kdf"], "pbkdf2") {
            return Err(Error::new(
                Code::Unsupported,
                "the value is encrypted in another way than hummingbot does",
            )
            .fix("save the connector again in hummingbot, or import the secret by hand: hsmsign import"));
        }
        let parameters = &crypto["kdfparams"];
        let rounds = parameters["c"]
            .as_u64()
            .filter(|rounds| (1..=ROUNDS).contains(rounds))
            .ok_or_else(damaged)?;
        let sized = parameters["dklen"] == 32 && plain(&parameters["prf"], "hmac-sha256");
        let salt = hex(&parameters["salt"]).filter(|_| sized).ok_or_else(damaged)?;
        Ok(Self {
            rounds: u32::try_from(rounds).map_err(|_| damaged())?,
            salt,
            file,
        })
    }
}

fn damaged() -> Error {
    bad_input("the encrypted value is not a keyfile of version 3")
        .fix("put the file back from a backup of hummingbot")
}

/// Bytes in hex; where a leading zero was left out, as numbers do, it is put back.
fn hex(value: &Value) -> Option<Vec<u8>> {
    let text = value.as_str()?;
    let even = if text.len() % 2 == 0 {
        text.to_owned()
    } else {
        format!("0{text}")
    };
    base16ct::lower::decode_vec(even).ok()
}

/// A counter of 16 bytes; a number that is written shorter has zeros in front.
fn counter(value: &Value) -> Option<[u8; 16]> {
    let bytes = hex(value)?;
    let mut counter = [0; 16];
    counter
        .get_mut(16_usize.checked_sub(bytes.len())?..)?
        .copy_from_slice(&bytes);
    Some(counter)
}

/// The text in a keyfile.
///
/// # Errors
/// When the password is another, or it is no keyfile.
pub(super) fn open(text: &[u8], password: &Secret) -> Result<Secret> {
    let parts = Parts::read(text)?;
    let crypto = &parts.file["crypto"];
    let ciphertext = hex(&crypto["ciphertext"]).ok_or_else(damaged)?;
    let counter = counter(&crypto["cipherparams"]["iv"]).ok_or_else(damaged)?;
    let wanted = hex(&crypto["mac"]).ok_or_else(damaged)?;
    let mut plain = Secret::with_capacity(ciphertext.len())?;
    traceless(|| {
        let key = derive(password, &parts.salt, parts.rounds)?;
        if check(&key, &ciphertext) != wanted[..] {
            return Err(Error::new(
                Code::Failed,
                "the password is not the one that encrypted the value",
            )
            .fix("give the password that hummingbot asks for when it starts"));
        }
        let room = &mut plain.spare_mut()[..ciphertext.len()];
        room.copy_from_slice(&ciphertext);
        apply(&key, counter, room);
        plain.grow(ciphertext.len());
        Ok(())
    })?;
    Ok(plain)
}

/// The same keyfile with another text in it, under the same password, with a new salt and counter.
///
/// # Errors
/// When the system gives no random bytes, or it is no keyfile.
pub(super) fn seal(like: &[u8], text: &str, password: &Secret) -> Result<String> {
    let Parts { mut file, rounds, .. } = Parts::read(like)?;
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(|_| failed("the system gave no random bytes"))?;
    let (salt, counter) = random.split_at(16);
    // Its readers take it for a number, which keeps no leading zero.
    let counter: [u8; 16] = std::array::from_fn(|at| if at == 0 { counter[0] | 0x10 } else { counter[at] });
    let mut sealed = text.as_bytes().to_vec();
    let mac = traceless(|| -> Result<[u8; 32]> {
        let key = derive(password, salt, rounds)?;
        apply(&key, counter, &mut sealed);
        Ok(check(&key, &sealed))
    })?;
    let text = |bytes: &[u8]| json!(base16ct::lower::encode_string(bytes));
    let crypto = &mut file["crypto"];
    crypto["kdfparams"]["salt"] = text(salt);
    crypto["cipherparams"]["iv"] = text(&counter);
    crypto["ciphertext"] = text(&sealed);
    crypto["mac"] = text(&mac);
    Ok(base16ct::lower::encode_string(file.to_string().as_bytes()))
}

/// The one block that PBKDF2 (RFC 8018, section 5.2) makes for 32 bytes.
fn derive(password: &Secret, salt: &[u8], rounds: u32) -> Result<Zeroizing<[u8; 32]>> {
    let keyed =
        Hmac::<Sha256>::new_from_slice(password.expose()).map_err(|_| failed("a key of unexpected size"))?;
    let mut last: [u8; 32] = keyed
        .clone()
        .chain_update(salt)
        .chain_update(1_u32.to_be_bytes())
        .finalize()
        .into_bytes()
        .into();
    let mut key = Zeroizing::new(last);
    for _ in 1..rounds {
        last = keyed.clone().chain_update(last).finalize().into_bytes().into();
        key.iter_mut().zip(last).for_each(|(byte, other)| *byte ^= other);
    }
    Ok(key)
}

fn check(key: &[u8; 32], ciphertext: &[u8]) -> [u8; 32] {
    Keccak256::new()
        .chain_update(&key[16..])
        .chain_update(ciphertext)
        .finalize()
        .into()
}

/// AES-128 in counter mode, which encrypts and decrypts alike.
fn apply(key: &[u8; 32], counter: [u8; 16], text: &mut [u8]) {
    let key: [u8; 16] = std::array::from_fn(|at| key[at]);
    let cipher = Aes128::new(&key.into());
    let mut counter = u128::from_be_bytes(counter);
    for chunk in text.chunks_mut(16) {
        let mut block = counter.to_be_bytes().into();
        cipher.encrypt_block(&mut block);
        chunk.iter_mut().zip(block).for_each(|(byte, mask)| *byte ^= mask);
        counter = counter.wrapping_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test vector of the Web3 Secret Storage Definition for PBKDF2, its key as hummingbot's text would lie.
    const VECTOR: &str = r#"{"crypto":{"cipher":"aes-128-ctr","cipherparams":{"iv":"6087dab2f9fdbbfaddc31a909735c1e6"},"ciphertext":"5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46","kdf":"pbkdf2","kdfparams":{"c":262144,"dklen":32,"prf":"hmac-sha256","salt":"ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd"},"mac":"517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2"},"id":"3198bc9c-6672-5ab3-d995-4942343ae5b6","version":3}"#;

    fn secret(text: &str) -> Secret {
        Secret::take(&mut text.as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn the_published_vector_opens_and_only_with_its_password() {
        let file = base16ct::lower::encode_string(VECTOR.as_bytes());
        assert!(is_keyfile(file.as_bytes()));
        let opened = open(file.as_bytes(), &secret("testpassword")).unwrap();
        assert_eq!(
            base16ct::lower::encode_string(opened.expose()),
            "7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d"
        );
        let error = open(file.as_bytes(), &secret("Testpassword")).unwrap_err();
        assert!(error.message().contains("password"), "{error}");
    }

    #[test]
    fn what_is_sealed_opens_again_and_keeps_the_rest_of_the_file() {
        let few = VECTOR.replace("262144", "3");
        let file = base16ct::lower::encode_string(few.as_bytes());
        let password = secret("pass");
        let sealed = seal(file.as_bytes(), "a placeholder of no round length", &password).unwrap();
        assert_eq!(
            open(sealed.as_bytes(), &password).unwrap().expose(),
            b"a placeholder of no round length"
        );
        let json: Value = serde_json::from_slice(&base16ct::lower::decode_vec(&sealed).unwrap()).unwrap();
        assert_eq!(json["id"], "3198bc9c-6672-5ab3-d995-4942343ae5b6");
        assert_ne!(
            sealed,
            seal(file.as_bytes(), "a placeholder of no round length", &password).unwrap()
        );
    }

    #[test]
    fn what_is_no_keyfile_is_refused() {
        for text in ["", "7b", "7b7d", "zz", "00"] {
            assert!(!is_keyfile(text.as_bytes()), "{text}");
            assert!(open(text.as_bytes(), &secret("p")).is_err(), "{text}");
        }
        let greedy = base16ct::lower::encode_string(VECTOR.replace("262144", "99999999999").as_bytes());
        assert!(open(greedy.as_bytes(), &secret("p")).is_err());
    }
}
