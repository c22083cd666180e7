//! The proof that a key answers whole MACs of messages as long as it should: by a throw-away credential, before the key is
//! set up. Some makers' OATH applets give codes of a few digits only, or take short challenges only.

use super::{
    applet::{LONGEST_MESSAGE, Refused},
    names,
};
use crate::{
    algorithm::MacAlgorithm,
    error::failed,
    secret::{BlockKey, Secret},
    token::{KeyMeta, ObjectId, Result, TokenError, Wishes, yubikey::YubiKey},
};

impl YubiKey {
    /// Proves each algorithm that the firmware should have.
    ///
    /// # Errors
    /// [`TokenError::Unsupported`] with the reason where the key cannot serve; nothing is left on it.
    pub fn prove(&self) -> Result<()> {
        for algorithm in self.settings.firmware.macs() {
            self.prove_one(algorithm)?;
        }
        Ok(())
    }

    fn prove_one(&self, algorithm: MacAlgorithm) -> Result<()> {
        let (mut bytes, mut message) = ([0; 32], [0; LONGEST_MESSAGE]);
        let random =
            |bytes: &mut [u8]| getrandom::fill(bytes).map_err(|_| failed("the system gave no random bytes"));
        random(&mut bytes)?;
        random(&mut message)?;
        let key = BlockKey::new(algorithm, &Secret::take(&mut bytes)?)?;
        let name = names::of(&KeyMeta {
            id: ObjectId::random()?,
            label: names::PROBE.to_owned(),
            wishes: Wishes::default(),
        });
        let name = name.as_bytes();
        let wanted = key.mac(&message)?;
        let answer = self.with_oath(|applet| {
            let listed = applet.list()?;
            for one in listed.iter().filter(|one| names::is_probe(&one.name)) {
                applet.delete(&one.name)?;
            }
            self.put(applet, name, &key, false, listed.len())?;
            let answer = applet.calculate(name, algorithm, &message);
            applet.delete(name)?;
            match answer {
                Err(Refused::Other(error)) => Err(error),
                Err(Refused::Status(status)) => Ok(Err(status)),
                Ok(mac) => Ok(Ok(mac)),
            }
        })?;
        let unfit = |why: String| {
            Err(TokenError::Unsupported(format!(
                "this key cannot sign for an exchange: {why}"
            )))
        };
        match answer {
            Ok(Some(mac)) if mac.as_bytes() == wanted => Ok(()),
            Ok(Some(_)) => unfit(format!("its {} is not what software makes of the same key", algorithm.name())),
            Ok(None) => unfit("its OATH applet gives codes of a few digits and never the whole MAC, as the Nitrokey 3 and the Solo 2 do".to_owned()),
            Err(status) => unfit(format!(
                "its OATH applet takes no message of {LONGEST_MESSAGE} bytes (status {status:04X}), as the CanoKey, which takes 8"
            )),
        }
    }
}
