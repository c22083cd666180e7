//! Keys that are made to be attacked, with the templates that keys get.

use super::{super::Pkcs11Token, job::Job};
use crate::{
    algorithm::{Algorithm, MacAlgorithm, SignatureAlgorithm},
    private_key::PrivateKey,
    secret::{BlockKey, Secret},
    token::{
        KeyMeta, KeyRef, Result, Token as _, TokenError, Wishes,
        extraction::{Evidence, LABEL, MacEvidence},
    },
};

/// A key that is made to be attacked.
pub(super) struct Sacrifice {
    pub key: KeyRef,
    /// Its value, where it is a MAC key.
    pub value: Option<Secret>,
    pub evidence: Evidence,
}

impl Sacrifice {
    /// Makes one as the job's keys are made: stored, or made on the token.
    pub fn make(token: &Pkcs11Token, job: &Job) -> Result<Self> {
        let meta = KeyMeta {
            id: job.id.clone(),
            label: LABEL.to_owned(),
            wishes: Wishes::default(),
        };
        match job.algorithm {
            Algorithm::Mac(algorithm) => Self::mac(token, algorithm, &meta),
            Algorithm::Signature(algorithm) => {
                let stored = if job.generated {
                    None
                } else {
                    Self::stored(token, algorithm, &meta)?
                };
                match stored {
                    Some(stored) => Ok(stored),
                    None => {
                        let (made, public) = token.generate(algorithm, &meta)?;
                        Ok(Self::pair(made.key, Evidence::Public(public)))
                    }
                }
            }
        }
    }

    fn mac(token: &Pkcs11Token, algorithm: MacAlgorithm, meta: &KeyMeta) -> Result<Self> {
        let value = random(algorithm.block_len())?;
        let message = random(32)?.expose().to_vec();
        let block = BlockKey::new(algorithm, &value)?;
        let mac = block.mac(&message)?;
        let imported = token.import_mac(&block, meta)?;
        Ok(Self {
            key: imported.key,
            value: Some(value),
            evidence: Evidence::Mac(MacEvidence {
                algorithm,
                message,
                mac,
            }),
        })
    }

    /// A private key brought in from outside; none of RSA, of which none can be made here.
    fn stored(token: &Pkcs11Token, algorithm: SignatureAlgorithm, meta: &KeyMeta) -> Result<Option<Self>> {
        // Some modules store a scalar without the zeros in front of it, and the attacks ask for all of its length.
        let seed = random_shaped(32, |seed| seed[0] = seed[0] & 0x7f | 0x40)?;
        let key = match algorithm {
            SignatureAlgorithm::Ed25519 => PrivateKey::from_seed(seed.expose(), None)?,
            SignatureAlgorithm::P256 => PrivateKey::from_scalar(seed.expose(), None)?,
            _ => return Ok(None),
        };
        let (imported, public) = token.import_private(&key, meta)?;
        Ok(Some(Self::pair(imported.key, Evidence::Public(public))))
    }

    const fn pair(key: KeyRef, evidence: Evidence) -> Self {
        Self {
            key,
            value: None,
            evidence,
        }
    }
}

fn random(len: usize) -> Result<Secret> {
    random_shaped(len, |_| ())
}

fn random_shaped(len: usize, shape: impl FnOnce(&mut [u8])) -> Result<Secret> {
    let mut bytes = Secret::with_capacity(len)?;
    getrandom::fill(&mut bytes.spare_mut()[..len])
        .map_err(|_| TokenError::Failed("the system gave no random bytes".into()))?;
    shape(&mut bytes.spare_mut()[..len]);
    bytes.grow(len);
    Ok(bytes)
}
