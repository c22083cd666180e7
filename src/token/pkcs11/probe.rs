//! What a token can do: asked cheaply at first use, tried in earnest on demand.

use cryptoki_sys::*;

use super::{Pkcs11Token, choose::present, init::is_hardware, ladder::mechanism, pair, session::Fault};
use crate::{
    algorithm::{Algorithm, MacAlgorithm, SignatureAlgorithm},
    secret::{BlockKey, Secret},
    token::{Capabilities, KeyMeta, ObjectId, Result, SignInput, Token as _, TokenError, Wishes},
};

impl Pkcs11Token {
    /// What the token claims. Nothing is tried.
    pub(super) fn probe(&self) -> Result<Capabilities> {
        let parallel = self.loaded.enter().parallel;
        // While another process logs in, SoftHSM shows a token that can nothing.
        self.run_in_turn(|opened| {
            let module = &opened.module;
            let token = present(module)?
                .into_iter()
                .find(|token| token.slot == opened.slot)
                .ok_or_else(|| Fault::from(TokenError::NotFound("the token went away".into())))?;
            let claimed = module.mechanisms(opened.slot)?;
            let has = |wanted: &[CK_MECHANISM_TYPE]| wanted.iter().all(|one| claimed.contains(one));
            let algorithms = Algorithm::ALL.into_iter().filter(|algorithm| match algorithm {
                Algorithm::Mac(mac) => has(&[mechanism(*mac)]),
                Algorithm::Signature(signature) => has(&[pair::mechanism(*signature)]),
            });
            let generates = SignatureAlgorithm::ALL
                .into_iter()
                .filter(|algorithm| has(&[pair::mechanism(*algorithm), pair::generation(*algorithm)]));
            Ok(Capabilities {
                algorithms: algorithms.collect(),
                generates: generates.collect(),
                longest_message: None,
                parallel,
                process_lock: self.settings.process_lock.unwrap_or(true),
                pin_tries_left: token.has(CKF_USER_PIN_FINAL_TRY).then_some(1),
                wrong_pin: cost_of_a_wrong_pin(&token.identity.module).to_owned(),
                hardware: is_hardware(module, &token),
                data_objects: true,
                touch: false,
                slots: false,
            })
        })
    }

    /// What the token can do, tried with objects that are deleted again. Writes to the token; for setting up and for
    /// finding faults, not for every day.
    ///
    /// # Errors
    /// Where the token cannot be asked at all; what it fails at is left out of the answer.
    pub fn probe_deeply(&self) -> Result<Capabilities> {
        let mut can = self.probe()?;
        can.algorithms.retain(|algorithm| match algorithm {
            Algorithm::Mac(mac) => self.mac_works(*mac).unwrap_or(false),
            // Making an RSA key takes seconds on a card; its claim is believed. So is that of one that makes no keys.
            Algorithm::Signature(signature) if signature.is_rsa() || !can.generates.contains(signature) => {
                true
            }
            Algorithm::Signature(signature) => self.signature_works(*signature).unwrap_or(false),
        });
        can.generates
            .retain(|signature| can.algorithms.contains(&Algorithm::Signature(*signature)));
        can.data_objects = self.data_works().unwrap_or(false);
        Ok(can)
    }

    fn mac_works(&self, algorithm: MacAlgorithm) -> Result<bool> {
        use hmac::{Hmac, KeyInit as _, Mac as _};
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(|_| TokenError::Failed("no random bytes".into()))?;
        let expected = match algorithm {
            MacAlgorithm::HmacSha256 => Hmac::<sha2::Sha256>::new_from_slice(&secret)
                .map(|mac| mac.chain_update(b"probe").finalize().into_bytes().to_vec()),
            MacAlgorithm::HmacSha384 => Hmac::<sha2::Sha384>::new_from_slice(&secret)
                .map(|mac| mac.chain_update(b"probe").finalize().into_bytes().to_vec()),
            MacAlgorithm::HmacSha512 => Hmac::<sha2::Sha512>::new_from_slice(&secret)
                .map(|mac| mac.chain_update(b"probe").finalize().into_bytes().to_vec()),
        }
        .map_err(|_| TokenError::Failed("HMAC takes any key".into()))?;
        let key = BlockKey::new(algorithm, &Secret::take(&mut secret)?)?;
        let meta = probe_meta()?;
        let imported = self.import_mac(&key, &meta)?;
        let mac = self.mac(&imported.key, algorithm, b"probe");
        let readable = self.readable(&imported.key);
        self.delete(&imported.key)?;
        Ok(mac?.as_bytes() == expected && !readable?)
    }

    fn signature_works(&self, algorithm: SignatureAlgorithm) -> Result<bool> {
        let meta = probe_meta()?;
        let (made, public) = self.generate(algorithm, &meta)?;
        let signature = self.sign(&made.key, algorithm, SignInput::Message(b"probe"));
        self.delete(&made.key)?;
        Ok(public.verifies(b"probe", &signature?))
    }

    fn data_works(&self) -> Result<bool> {
        let meta = probe_meta()?;
        let key = self.put_data(&Secret::take(&mut b"probe".to_vec())?, &meta)?;
        let back = self.get_data(&key);
        self.delete(&key)?;
        Ok(back?.expose() == b"probe")
    }
}

fn probe_meta() -> Result<KeyMeta> {
    Ok(KeyMeta {
        id: ObjectId::random()?,
        label: "hsmsign:probe".to_owned(),
        wishes: Wishes::default(),
    })
}

/// What a wrong PIN costs, by what is known of the module.
fn cost_of_a_wrong_pin(module: &str) -> &'static str {
    let module = module.to_lowercase();
    if module.contains("softhsm") || module.contains("nss") || module.contains("mozilla") {
        "nothing: this token does not count wrong PINs"
    } else if module.contains("tpm") {
        "three wrong ones lock the whole TPM for all that use it"
    } else {
        "some wrong ones in a row, often three, lock the token until its officer unlocks it"
    }
}
