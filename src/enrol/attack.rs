use super::Enrol;
use crate::{
    algorithm::Algorithm,
    error::{Result, failed},
    keyring::{KeyName, Material, Standing},
    token::{
        ObjectId,
        extraction::{Evidence, MacEvidence, Report, Trial},
    },
};

/// What the extraction suite found on one token that holds a key.
#[derive(Debug)]
pub struct Attacked {
    /// The token's name.
    pub token: String,
    /// What the object is to the scheme: `secret`, `partner_secret`.
    pub slot: String,
    /// Whether it is of the pair that signs.
    pub standing: Standing,
    /// What was tried.
    pub report: Report,
}

impl Enrol {
    /// Tries to get a key out of each token that holds it, as malware with the PIN would. The key stays as it is.
    ///
    /// # Errors
    /// When there is no such key, or a token cannot be opened or tried.
    pub fn attack(&self, name: &KeyName) -> Result<Vec<Attacked>> {
        let record = self.keyring.get(name)?;
        let mut all = Vec::new();
        for (standing, pair) in record.pairs() {
            for copy in &pair.copies {
                let keys = copy.objects.iter().filter(|(slot, _)| *slot != "passphrase");
                for (slot, material) in keys {
                    let trial = Trial {
                        algorithm: record.algorithm,
                        key: Some((material.key.clone(), evidence(record.algorithm, material)?)),
                        generated: material.generated,
                        id: ObjectId::random()?,
                        quick: false,
                    };
                    let report = self
                        .tokens
                        .attack(&copy.token, &trial)
                        .map_err(|error| error.within(format_args!("token {}", copy.token)))?;
                    all.push(Attacked {
                        token: copy.token.clone(),
                        slot: slot.clone(),
                        standing,
                        report,
                    });
                }
            }
        }
        self.write_down(name, &all)?;
        Ok(all)
    }

    /// A key that was found to leak is shown as such from now on.
    fn write_down(&self, name: &KeyName, all: &[Attacked]) -> Result<()> {
        if all.iter().all(|attacked| attacked.report.leaks().is_empty()) {
            return Ok(());
        }
        let _lock = self.lock()?;
        let mut record = self.keyring.get(name)?;
        for copy in &mut record.current.copies {
            for attacked in all.iter().filter(|attacked| attacked.token == copy.token) {
                for leak in attacked.report.leaks() {
                    if !copy.leaks.contains(&leak) {
                        copy.leaks.push(leak);
                    }
                }
            }
        }
        self.keyring.put(&record)
    }
}

fn evidence(algorithm: Algorithm, material: &Material) -> Result<Evidence> {
    let damaged = || failed("the key's record holds no proof to know it by").fix("import the key again");
    let bytes = |hex: &str| base16ct::lower::decode_vec(hex).map_err(|_| damaged());
    match (algorithm, &material.public, &material.proof) {
        (Algorithm::Signature(_), Some(public), _) => Ok(Evidence::Public(public.clone())),
        (Algorithm::Mac(algorithm), _, Some(proof)) => Ok(Evidence::Mac(MacEvidence {
            algorithm,
            message: bytes(&proof.message)?,
            mac: bytes(&proof.mac)?,
        })),
        _ => Err(damaged()),
    }
}
