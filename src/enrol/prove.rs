use std::collections::HashMap;

use super::Enrol;
use crate::{
    algorithm::Algorithm,
    error::{Code, Error, Result, failed},
    keyring::{KeyName, Material, Proof, Record, Standing},
    public_key::PublicKey,
    secret::BlockKey,
    token::{KeyRef, SignInput, Token},
};

/// Proves that the token holds this very key and keeps it: it makes the MAC that software makes of a random message,
/// found again by its id, and does not give the value out.
pub(super) fn prove(token: &dyn Token, key: &KeyRef, block: &BlockKey) -> Result<Proof> {
    let mut message = [0; 32];
    getrandom::fill(&mut message).map_err(|_| failed("the system gave no random bytes"))?;
    let wanted = block.mac(&message)?;
    let answer = token.mac(key, block.algorithm(), &message)?;
    if answer.as_bytes() != wanted {
        return Err(Error::new(
            Code::Failed,
            "the token computes another MAC than the secret gives",
        )
        .fix("do not use this token for this algorithm; the key was taken away again"));
    }
    if token.readable(key)? {
        return Err(
            Error::new(Code::Unsupported, "the token lets the key's value be read back")
                .fix("use another token; the key was taken away again"),
        );
    }
    Ok(Proof {
        message: base16ct::lower::encode_string(&message),
        mac: base16ct::lower::encode_string(&wanted),
    })
}

/// Proves that the token holds the private half of this public key and keeps it: it signs a random message, found again
/// by its id, so that the public key verifies, and does not give the value out.
pub(super) fn prove_pair(token: &dyn Token, key: &KeyRef, public: &PublicKey) -> Result<()> {
    if !signs(token, key, public)? {
        return Err(Error::new(
            Code::Failed,
            "the token makes a signature that the public key does not verify",
        )
        .fix(
            "see that the private key is whole, and not put together from two; the key was taken away again",
        ));
    }
    if token.readable(key)? {
        return Err(Error::new(
            Code::Unsupported,
            "the token lets the private key's value be read back",
        )
        .fix("use another token; the key was taken away again"));
    }
    Ok(())
}

/// Whether the token's signature of a random message is one that the public key verifies.
fn signs(token: &dyn Token, key: &KeyRef, public: &PublicKey) -> Result<bool> {
    let mut message = [0; 32];
    getrandom::fill(&mut message).map_err(|_| failed("the system gave no random bytes"))?;
    let signature = token.sign(key, public.algorithm(), SignInput::Message(&message))?;
    Ok(public.verifies(&message, &signature))
}

/// What a check found of one object on one token.
#[derive(Debug)]
pub struct Checked {
    /// The token's name.
    pub token: String,
    /// What the object is to the scheme: `secret`, `passphrase` …
    pub slot: String,
    /// Whether it is of the pair that signs.
    pub standing: Standing,
    /// What was found.
    pub finding: Result<Finding>,
}

/// What was found of an object that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// It makes the MAC recorded at import, and its value is not given out.
    Proved,
    /// It signs so that the public key verifies, and its value is not given out.
    Signs,
    /// It is there; nothing was recorded to compare with.
    Present,
}

impl Enrol {
    /// Compares each object of a key with what was recorded at import.
    ///
    /// # Errors
    /// When there is no such key. What is wrong with an object is in its finding.
    pub fn test(&self, name: &KeyName) -> Result<Vec<Checked>> {
        let record = self.keyring.get(name)?;
        Ok(self.test_where(&record, &|_| true))
    }

    /// As [`Enrol::test`], on the tokens that `wanted` names.
    pub fn test_where(&self, record: &Record, wanted: &dyn Fn(&str) -> bool) -> Vec<Checked> {
        let mut all = Vec::new();
        // Each is opened once: who gave a wrong PIN is not asked again for each object.
        let mut tokens = HashMap::new();
        for (standing, pair) in record.pairs() {
            for copy in pair.copies.iter().filter(|copy| wanted(&copy.token)) {
                let token = tokens
                    .entry(&copy.token)
                    .or_insert_with(|| self.tokens.get(&copy.token));
                for (slot, material) in &copy.objects {
                    let token = token.as_ref().map_err(|error| error.clone());
                    let finding = token.and_then(|token| check(token.as_ref(), record.algorithm, material));
                    all.push(Checked {
                        token: copy.token.clone(),
                        slot: slot.clone(),
                        standing,
                        finding,
                    });
                }
            }
        }
        all
    }
}

fn check(token: &dyn Token, algorithm: Algorithm, material: &Material) -> Result<Finding> {
    if let Some(public) = &material.public {
        if !signs(token, &material.key, public)? {
            return Err(failed(
                "the token's signature is not one of the recorded public key: the key is another than it was",
            )
            .fix("stop using it; make or import a new key, and register that at the exchange"));
        }
        refuse_readable(token, material)?;
        return Ok(Finding::Signs);
    }
    let (Some(proof), Algorithm::Mac(algorithm)) = (&material.proof, algorithm) else {
        token.get_data(&material.key)?;
        return Ok(Finding::Present);
    };
    let message =
        base16ct::lower::decode_vec(&proof.message).map_err(|_| failed("the recorded proof is damaged"))?;
    let answer = token.mac(&material.key, algorithm, &message)?;
    if base16ct::lower::encode_string(answer.as_bytes()) != proof.mac {
        return Err(failed(
            "the token makes another MAC than at import: the key is not the one that was imported",
        )
        .fix("stop using it; import the secret again, or issue a new one at the exchange"));
    }
    refuse_readable(token, material)?;
    Ok(Finding::Proved)
}

fn refuse_readable(token: &dyn Token, material: &Material) -> Result<()> {
    if token.readable(&material.key)? {
        return Err(failed("the token gives the key's value out")
            .fix("issue a new secret at the exchange, and use another token"));
    }
    Ok(())
}
