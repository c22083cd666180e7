//! Key pairs in the PIV applet: made there, or stored, in a slot each.
//!
//! The PIN is verified in the transaction of each signature. Before it is given, the applet is asked how many tries are
//! left, and the last one is spent only on what a person typed for it.

mod answers;
mod applet;
mod attest;
mod chain;
mod keys;
mod manager;
pub mod slots;
mod x509;

use sha2::{Digest as _, Sha256};

use self::{
    answers::number,
    applet::{Applet, Refused, Verified, status},
    slots::Slot,
};
pub use self::{
    answers::{Metadata, public_key, r_and_s},
    attest::Attestation,
    chain::{Roots, Vouched},
};
use super::{YubiKey, device, oath, touch::Awaited, worse};
use crate::{
    algorithm::SignatureAlgorithm,
    public_key::encoded_hash,
    secret::Secret,
    token::{
        KeyRef, PinRequest, Result, SignInput, TokenError, Wanted,
        pcsc::{Reader, Service, Transaction, no_reader},
    },
};

/// The slot of this name, as `9c`; none where it is none for keys.
pub(super) fn slot_named(name: &str) -> Option<u8> {
    Slot::named(name).map(|slot| slot.0)
}

/// The serial number that the PIV applet of a card tells; none where it has no such applet, or tells none.
pub(super) fn serial(transaction: &Transaction<'_>) -> Result<Option<u32>> {
    let Some(applet) = Applet::select(transaction)? else {
        return Ok(None);
    };
    match applet.serial() {
        Ok(serial) => Ok(Some(serial)),
        Err(TokenError::Failed(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

impl YubiKey {
    /// Does some work with the PIV applet, in one transaction.
    fn with_piv<T>(&self, work: impl Fn(&Applet<'_, '_>) -> Result<T>) -> Result<T> {
        let mut again = true;
        loop {
            match self.once_with_piv(&work) {
                Err(TokenError::Transient(_)) if again => again = false,
                other => return other,
            }
        }
    }

    fn once_with_piv<T>(&self, work: &impl Fn(&Applet<'_, '_>) -> Result<T>) -> Result<T> {
        let service = Service::connect()?;
        let mut readers = service.readers()?;
        let cards = || readers.iter().filter(|reader| service.has_card(reader)).count();
        if readers.len() > 1 && !self.was_in_one_of(&readers) && cards() > 1 {
            self.refuse_twins(&service, &readers)?;
        }
        readers = self.in_order(readers);
        let mut trouble = None;
        for reader in &readers {
            let transaction = match service.begin(reader) {
                Ok(Some(transaction)) => transaction,
                Ok(None) => continue,
                Err(error) => {
                    trouble = Some(worse(trouble, error));
                    continue;
                }
            };
            let ours = match Applet::select(&transaction) {
                Ok(None) => continue,
                Ok(Some(applet)) => self.is_this(&applet).map(|ours| (applet, ours)),
                Err(error) => Err(error),
            };
            match ours {
                Ok((applet, true)) => {
                    self.remember(reader);
                    return work(&applet);
                }
                Ok(_) => {}
                Err(error) => trouble = Some(worse(trouble, error)),
            }
        }
        // Looking into a reader that is held would wait for it once more.
        if let Some(held @ TokenError::Held { .. }) = trouble {
            return Err(held);
        }
        let there: Vec<_> = readers
            .iter()
            .filter_map(|reader| device::look(&service, reader).ok().flatten())
            .collect();
        if there.iter().any(|device| device.serial == self.settings.serial) {
            return Err(TokenError::Unsupported(format!(
                "the PIV applet of the {} is turned off: ykman config usb --enable PIV",
                self.settings.called()
            )));
        }
        Err(trouble.unwrap_or_else(|| match readers.is_empty() {
            true => no_reader(),
            false => TokenError::Missing {
                what: format!("the {} is not plugged in", self.settings.called()),
                fix: "plug it in and try again".to_owned(),
            },
        }))
    }

    /// Refuses where several keys have the serial number by which this one is known, unless one of them has its OATH applet.
    /// A reader that cannot be looked into now is none of them.
    fn refuse_twins(&self, service: &Service, readers: &[Reader]) -> Result<()> {
        let has_serial = |reader: &&Reader| {
            let begun = service.begin_now(reader).ok().flatten();
            begun.is_some_and(|transaction| {
                let applet = Applet::select(&transaction).ok().flatten();
                applet.is_some_and(|applet| self.is_this(&applet).unwrap_or(false))
            })
        };
        let twins: Vec<_> = readers.iter().filter(has_serial).collect();
        if let [] | [_] = twins[..] {
            twins.first().into_iter().for_each(|only| self.remember(only));
            return Ok(());
        }
        let is_ours = |reader: &&&Reader| {
            let begun = service.begin_now(reader).ok().flatten();
            let oath = begun.and_then(|transaction| oath::selected(&transaction).ok().flatten());
            oath.is_some_and(|oath| oath.id == self.settings.applet)
        };
        match twins.iter().find(is_ours) {
            Some(ours) => {
                self.remember(ours);
                Ok(())
            }
            None => Err(TokenError::Held {
                what: format!("several keys call themselves {}", self.settings.called()),
                fix: "unplug those that are not meant".to_owned(),
            }),
        }
    }

    fn is_this(&self, applet: &Applet<'_, '_>) -> Result<bool> {
        match applet.serial() {
            Ok(serial) => Ok(self.settings.serial == Some(serial.to_string())),
            // Another maker's card tells none.
            Err(TokenError::Failed(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The same with the PIN verified.
    fn with_pin<T>(&self, work: impl Fn(&Applet<'_, '_>) -> Result<T>) -> Result<T> {
        // A person is not asked in the middle of a transaction.
        let typed = match self.piv_pin.interactive() && !self.piv_pin.has_given() {
            true => Some(self.give_pin(self.with_piv(|applet| applet.tries())?)?),
            false => None,
        };
        self.with_piv(|applet| {
            match &typed {
                Some(pin) => self.verify(applet, pin)?,
                None => self.verify(applet, &self.give_pin(applet.tries()?)?)?,
            }
            work(applet)
        })
    }

    /// The PIN from its source, where there are tries left.
    fn give_pin(&self, tries: Verified) -> Result<Secret> {
        let tries_left = match tries {
            Verified::Yes => None,
            Verified::No(left) => Some(left),
            Verified::Blocked => return Err(blocked()),
        };
        let final_try = tries_left == Some(1);
        if final_try && self.piv_pin.interactive() && self.piv_pin.has_given() {
            // It is forgotten, so that a person is asked the next time.
            self.piv_pin.forget();
            return Err(TokenError::Locked {
                what: "one try of the PIV PIN is left, and that is not spent on a PIN that was given before"
                    .to_owned(),
                fix: format!(
                    "see that the PIN is right, then give it anew: sign again, or where an agent signs: hsmsign unlock {}",
                    self.settings.name
                ),
            });
        }
        if final_try && !self.piv_pin.interactive() {
            return Err(TokenError::Locked {
                what: "one try of the PIV PIN is left, and that is not spent on a PIN that nobody typed".to_owned(),
                fix: "see that the PIN is right, then give it once by hand: ykman piv access change-pin, or set piv-pin-source = \"terminal\"".to_owned(),
            });
        }
        let request = PinRequest {
            what: Wanted::PivPin,
            label: self.identity.label.clone(),
            serial: self.identity.serial.clone(),
            count_low: false,
            final_try,
            tries_left,
        };
        self.piv_pin
            .pin(&request)
            .map_err(|error| TokenError::of_provider(&error))
    }

    fn verify(&self, applet: &Applet<'_, '_>, pin: &Secret) -> Result<()> {
        match applet.verify(pin)? {
            Verified::Yes => Ok(()),
            Verified::No(left) => {
                self.piv_pin.refused(Some(left));
                Err(TokenError::WrongPin {
                    tries_left: Some(left),
                    from: self.piv_pin.describe(),
                })
            }
            Verified::Blocked => {
                self.piv_pin.refused(Some(0));
                Err(blocked())
            }
        }
    }

    /// Gives the PIN once; its source remembers it where it is right.
    pub(super) fn try_pin(&self) -> Result<()> {
        self.with_pin(|_| Ok(()))
    }

    /// Whether a person would be asked for the PIN at the next use of a key that is there. What was given is remembered by its
    /// source, which is not asked here.
    pub(super) fn would_ask_pin(&self) -> Result<bool> {
        if !self.settings.has_pairs() || !self.piv_pin.interactive() || self.piv_pin.has_given() {
            return Ok(false);
        }
        self.if_pairs(|| self.with_piv(keys::any))
    }

    /// How many tries the PIN has left, asked now; none where that cannot be had.
    pub(super) fn pin_tries(&self) -> Option<u32> {
        if !self.settings.has_pairs() {
            return None;
        }
        match self.with_piv(|applet| applet.tries()) {
            Ok(Verified::No(left)) => Some(left),
            Ok(Verified::Blocked) => Some(0),
            Ok(Verified::Yes) | Err(_) => None,
        }
    }

    /// The signature of a message or digest.
    pub(super) fn sign_in_slot(
        &self,
        key: &KeyRef,
        algorithm: SignatureAlgorithm,
        input: SignInput<'_>,
    ) -> Result<Vec<u8>> {
        let KeyRef::Slot {
            slot,
            touch,
            without_pin,
            ..
        } = key
        else {
            return Err(super::other_kind());
        };
        let block = block(algorithm, input)?;
        let awaited = touch.then(|| Awaited::begin(&self.ask, &self.settings.called()));
        let work = |applet: &Applet<'_, '_>| {
            applet
                .sign(*slot, number(algorithm), &block)
                .map_err(|refused| self.refused_signature(refused, *slot, *touch))
        };
        let signature = match without_pin {
            true => self.with_piv(work),
            false => self.with_pin(work),
        };
        drop(awaited);
        let signature = signature?;
        match algorithm {
            SignatureAlgorithm::P256 => r_and_s(&signature),
            _ => Ok(signature),
        }
    }

    fn refused_signature(&self, refused: Refused, slot: u8, touch: bool) -> TokenError {
        match refused {
            Refused::Status(status::NOT_ALLOWED) if touch => super::untouched(&self.settings),
            Refused::Status(0x6985 | 0x6a80) => TokenError::NotFound(format!(
                "slot {slot:02x} of the {} has no key of this kind any more",
                self.settings.called()
            )),
            Refused::Status(status) if status::NOTHING.contains(&status) => TokenError::NotFound(format!(
                "slot {slot:02x} of the {} is empty",
                self.settings.called()
            )),
            other => other.told("sign"),
        }
    }
}

fn blocked() -> TokenError {
    TokenError::Locked {
        what: "the PIV PIN is locked by wrong ones".to_owned(),
        fix: "unlock it by its PUK: ykman piv access unblock-pin".to_owned(),
    }
}

/// What a slot's key works on: the message itself for Ed25519, its hash for P-256, its padded hash for RSA.
fn block(algorithm: SignatureAlgorithm, input: SignInput<'_>) -> Result<Vec<u8>> {
    if algorithm == SignatureAlgorithm::Ed25519 {
        return match input {
            SignInput::Message(message) => Ok(message.to_vec()),
            SignInput::Digest(_) => Err(TokenError::Unsupported(
                "Ed25519 signs messages, not digests".to_owned(),
            )),
        };
    }
    let hash = match input {
        SignInput::Message(message) => Sha256::digest(message).into(),
        SignInput::Digest(digest) => *digest,
    };
    Ok(match algorithm {
        SignatureAlgorithm::Rsa2048 => encoded_hash(&hash, 256),
        SignatureAlgorithm::Rsa3072 => encoded_hash(&hash, 384),
        SignatureAlgorithm::Rsa4096 => encoded_hash(&hash, 512),
        _ => hash.to_vec(),
    })
}
