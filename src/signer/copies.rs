//! One of the tokens that hold a key, the first that can.

use std::sync::PoisonError;

use super::{Signer, has_gone_elsewhere};
use crate::{
    algorithm::Algorithm,
    error::{Code, Error, Result, failed},
    keyring::{Copy, Material, Record},
    secret::Secret,
    token::{Mac, SignInput, Token, TokenError},
};

impl Signer {
    pub(super) fn passphrase(&self, record: &Record) -> Result<Secret> {
        let had = self.try_copies(record, "passphrase", |token, material| {
            token.get_data(&material.key)
        });
        match had {
            Err(missed) if self.road.has_moved(record, &missed)? => Err(has_gone_elsewhere(record)),
            had => had,
        }
    }

    pub(super) fn on_token(&self, record: &Record, slot: &str, message: &[u8]) -> Result<Vec<u8>> {
        match record.algorithm {
            Algorithm::Mac(algorithm) => self
                .try_copies(record, slot, |token, material| {
                    token.mac(&material.key, algorithm, message)
                })
                .map(|mac: Mac| mac.as_bytes().to_vec()),
            Algorithm::Signature(algorithm) => self.try_copies(record, slot, |token, material| {
                token.sign(&material.key, algorithm, SignInput::Message(message))
            }),
        }
    }

    /// Asks the first token that holds the key, and the next where that one is not to be had.
    fn try_copies<T>(
        &self,
        record: &Record,
        slot: &str,
        ask: impl Fn(&dyn Token, &Material) -> std::result::Result<T, TokenError>,
    ) -> Result<T> {
        let mut refusals = Vec::new();
        for Copy {
            token: name, objects, ..
        } in &record.current.copies
        {
            let Some(material) = objects.get(slot) else {
                continue;
            };
            let answer = self
                .tokens
                .get(name)
                .and_then(|token| ask(token.as_ref(), material).map_err(Error::from));
            match answer {
                Ok(answer) => {
                    let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
                    if used.as_ref() != Some(name) {
                        *used = Some(name.clone());
                    }
                    return Ok(answer);
                }
                Err(error) if elsewhere(error.code()) => refusals.push((name.clone(), error)),
                Err(error) => return Err(error),
            }
        }
        Err(none_could(refusals).unwrap_or_else(|| {
            failed(format!("the key {} has no {slot} on any token", record.name)).fix("import it again")
        }))
    }
}

/// What to tell where none of a key's tokens did what was asked; none where none was asked.
pub(crate) fn none_could(mut refusals: Vec<(String, Error)>) -> Option<Error> {
    if refusals.len() < 2 {
        return refusals.pop().map(|(_, error)| error);
    }
    let told: Vec<_> = refusals
        .iter()
        .map(|(token, error)| {
            let token = format!("token {token}");
            if error.message().starts_with(&token) {
                error.message().to_owned()
            } else {
                format!("{token}: {}", error.message())
            }
        })
        .collect();
    // Whichever was asked first: a program calls a person for what it need not try again.
    let (_, nearest) = refusals
        .iter()
        .find(|(_, error)| error.code() == Code::TokenBusy)
        .unwrap_or(&refusals[0]);
    let error = Error::new(
        nearest.code(),
        format!("none of the key's tokens could: {}", told.join("; ")),
    );
    Some(error.fix(nearest.advice()))
}

/// Whether another token may still do what one did not.
pub(crate) const fn elsewhere(code: Code) -> bool {
    matches!(
        code,
        Code::TokenMissing
            | Code::TokenBusy
            | Code::TokenLocked
            | Code::WrongPin
            | Code::Failed
            | Code::Unsupported
            | Code::TooLarge
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_tried_again_is_told_before_what_needs_a_person() {
        let refusal = |code: Code| (code.name().to_owned(), Error::new(code, "no").fix(code.name()));
        for order in [
            [Code::TokenLocked, Code::TokenBusy],
            [Code::TokenBusy, Code::WrongPin],
        ] {
            let error = none_could(order.map(refusal).into()).unwrap();
            assert_eq!((error.code(), error.advice()), (Code::TokenBusy, "token-busy"));
        }
        let error = none_could([Code::TokenMissing, Code::TokenLocked].map(refusal).into()).unwrap();
        assert_eq!(error.code(), Code::TokenMissing);
    }
}
