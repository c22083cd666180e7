use super::Enrol;
use crate::{
    algorithm::Algorithm,
    error::{Code, Error, Result, failed},
    keyring::{KeyName, Material},
    token::{
        ObjectId,
        extraction::{Evidence, Report, Trial},
    },
};

/// What the extraction suite found on one token that holds a key.
#[derive(Debug)]
pub struct Attacked {
    /// The token's name.
    pub token: String,
    /// What the object is to the scheme: `secret`, `partner_secret`.
    pub slot: String,
    /// Whether it is of the pair before the last rotation.
    pub previous: bool,
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
        let Algorithm::Mac(algorithm) = record.algorithm else {
            return Err(Error::new(
                Code::Unsupported,
                format!(
                    "the extraction suite is for MAC keys, and {name} is for {}",
                    record.algorithm
                ),
            )
            .fix("`hsmsign token test` tries the token itself"));
        };
        let mut all = Vec::new();
        for (pair, previous) in [(Some(&record.current), false), (record.previous.as_ref(), true)] {
            for copy in pair.map_or(&[][..], |pair| &pair.copies) {
                let macs = copy.objects.iter().filter(|(slot, _)| *slot != "passphrase");
                for (slot, material) in macs {
                    let trial = Trial {
                        algorithm,
                        key: Some((material.key.clone(), evidence(algorithm, material)?)),
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
                        previous,
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

fn evidence(algorithm: crate::algorithm::MacAlgorithm, secret: &Material) -> Result<Evidence> {
    let damaged = || failed("the key's record holds no proof to know it by").fix("import the key again");
    let proof = secret.proof.as_ref().ok_or_else(damaged)?;
    let bytes = |hex: &str| base16ct::lower::decode_vec(hex).map_err(|_| damaged());
    Ok(Evidence {
        algorithm,
        message: bytes(&proof.message)?,
        mac: bytes(&proof.mac)?,
    })
}
