//! Making, storing, listing and deleting keys in slots.

use super::{
    Attestation,
    answers::{number, public_key},
    applet::Applet,
    attest::in_object,
    manager::Manager,
    slots::{self, Entry, INDEX, Slot, tlv},
};
use crate::{
    algorithm::SignatureAlgorithm,
    private_key::{Numbers, PrivateKey},
    public_key::PublicKey,
    secret::{Secret, traceless},
    token::{
        Imported, KeyInfo, KeyMeta, KeyRef, ObjectId, PinPolicy, Result, TokenError, Wishes, yubikey::YubiKey,
    },
};

/// The object with the certificate of the attestation key.
const ATTESTATION: [u8; 3] = [0x5f, 0xff, 0x01];

impl YubiKey {
    /// Makes a key in a free slot.
    pub(in crate::token::yubikey) fn generate_in_slot(
        &self,
        algorithm: SignatureAlgorithm,
        meta: &KeyMeta,
    ) -> Result<(Imported, PublicKey)> {
        self.settings.firmware.can_sign(algorithm)?;
        self.changing(|applet| {
            let slot = self.claim(applet, meta)?;
            let written = applet.generate(slot, number(algorithm), policies(meta.wishes))?;
            let public = public_key(&written, algorithm)?;
            let attestation = self.attested(applet, slot, &public)?;
            self.settle(
                applet,
                meta,
                &written,
                attestation.as_ref().map(|one| one.certificate.as_slice()),
            )?;
            let mut imported = imported(slot, meta);
            imported.attestation = attestation.map(|attestation| attestation.pem());
            Ok((imported, public))
        })
    }

    /// Stores a key in a free slot.
    pub(in crate::token::yubikey) fn import_into_slot(
        &self,
        key: &PrivateKey,
        meta: &KeyMeta,
    ) -> Result<(Imported, PublicKey)> {
        let algorithm = key.algorithm();
        self.settings.firmware.can_sign(algorithm)?;
        self.changing(|applet| {
            let slot = self.claim(applet, meta)?;
            let parts = parts(key)?;
            applet.import(slot, number(algorithm), &parts, policies(meta.wishes))?;
            let written = applet
                .metadata(slot.0)?
                .and_then(|metadata| metadata.public)
                .unwrap_or_default();
            self.settle(applet, meta, &written, None)?;
            Ok((imported(slot, meta), key.public_key().clone()))
        })
    }

    /// The attestation of a new key, checked; none where the YubiKey gives none.
    fn attested(
        &self,
        applet: &Applet<'_, '_>,
        slot: Slot,
        public: &PublicKey,
    ) -> Result<Option<Attestation>> {
        let Some(certificate) = applet.attest(slot)? else {
            return Ok(None);
        };
        let issuer = applet.data(ATTESTATION)?.as_deref().and_then(in_object);
        let Some(issuer) = issuer else {
            return Ok(None);
        };
        let attestation = Attestation { certificate, issuer };
        attestation.check(public)?;
        match attestation.serial() {
            Some(other) if Some(&other) != self.settings.serial.as_ref() => Err(TokenError::Failed(format!(
                "the {} attests the new key in the name of another, {other}",
                self.settings.called()
            ))),
            _ => Ok(Some(attestation)),
        }
    }

    /// Does some work as the one that may change keys.
    fn changing<T>(&self, work: impl Fn(&Applet<'_, '_>) -> Result<T>) -> Result<T> {
        match self.with_piv(|applet| applet.manager())? {
            manager @ Manager::Factory(_) => self.with_piv(|applet| {
                applet.authenticate_as(&manager)?;
                work(applet)
            }),
            manager @ Manager::Own(_) => self.with_pin(|applet| {
                applet.authenticate_as(&manager)?;
                work(applet)
            }),
        }
    }

    /// Takes a slot that is free, or the one that was asked for, and writes it down.
    fn claim(&self, applet: &Applet<'_, '_>, meta: &KeyMeta) -> Result<Slot> {
        let mut index = index(applet)?;
        if index.iter().any(|entry| entry.id.as_ref() == Some(&meta.id)) {
            return Err(TokenError::Exists(meta.id.to_string()));
        }
        let wanted: Vec<_> = Slot::all()
            .filter(|slot| meta.wishes.slot.is_none_or(|wanted| wanted == slot.0))
            .collect();
        let mut free = None;
        for slot in wanted {
            if is_free(applet, &index, slot)? {
                free = Some(slot);
                break;
            }
        }
        let Some(slot) = free else {
            return Err(match meta.wishes.slot {
                Some(slot) => TokenError::Held {
                    what: format!("slot {slot:02x} has a key or a certificate already, which is not overwritten"),
                    fix: "choose another --slot, or none; or delete what is there: ykman piv keys delete, and ykman piv certificates delete".to_owned(),
                },
                None => TokenError::TooLarge {
                    what: "one key pair more".to_owned(),
                    actual: 25,
                    limit: 24,
                    fix: "every slot has a key: delete one that you do not need (ykman piv info, and ykman piv keys delete)".to_owned(),
                },
            });
        };
        index.retain(|entry| entry.slot() != slot);
        index.push(Entry::new(slot, &meta.id, &meta.label));
        applet.put_data(INDEX, &slots::write(&index))?;
        Ok(slot)
    }

    /// Writes down which key is in the slot; other programs see it by its certificate.
    fn settle(
        &self,
        applet: &Applet<'_, '_>,
        meta: &KeyMeta,
        public: &[u8],
        certificate: Option<&[u8]>,
    ) -> Result<()> {
        let mut index = index(applet)?;
        for entry in index
            .iter_mut()
            .filter(|entry| entry.id.as_ref() == Some(&meta.id))
        {
            *entry = entry.clone().marked(public);
            if let Some(certificate) = certificate {
                let object = [tlv(0x70, certificate), tlv(0x71, &[0]), tlv(0xfe, &[])].concat();
                applet.put_data(entry.slot().certificate(), &object)?;
            }
        }
        applet.put_data(INDEX, &slots::write(&index))
    }

    /// The keys that hsmsign put into slots, and that are there.
    pub(in crate::token::yubikey) fn list_slots(&self) -> Result<Vec<KeyInfo>> {
        self.with_piv(|applet| {
            let mut all = Vec::new();
            for entry in index(applet)? {
                if let (Some(id), Some(true)) = (entry.id.clone(), is_there(applet, &entry)?) {
                    all.push(KeyInfo {
                        key: Some(KeyRef::Slot {
                            id,
                            slot: entry.slot().0,
                            touch: false,
                            without_pin: false,
                        }),
                        label: entry.label,
                    });
                }
            }
            Ok(all)
        })
    }

    /// Deletes the keys with this id. Answers how many there were.
    pub(in crate::token::yubikey) fn delete_slots(&self, id: &ObjectId) -> Result<usize> {
        let ours = |entry: &Entry| entry.id.as_ref() == Some(id);
        if !self.with_piv(|applet| Ok(index(applet)?.iter().any(ours)))? {
            return Ok(0);
        }
        self.changing(|applet| {
            let mut index = index(applet)?;
            let mut gone = 0;
            for entry in index.iter_mut().filter(|entry| ours(entry)) {
                let slot = entry.slot();
                // Where another program put its own key there, that stays.
                if is_there(applet, entry)? == Some(true) {
                    gone += 1;
                    if self.settings.firmware.deletes_keys() {
                        applet.delete_key(slot)?;
                    } else {
                        let public = applet.metadata(slot.0)?.and_then(|metadata| metadata.public);
                        *entry = entry.clone().marked(&public.unwrap_or_default());
                    }
                    applet.put_data(slot.certificate(), &[])?;
                }
                entry.id = None;
            }
            if self.settings.firmware.deletes_keys() {
                index.retain(|entry| entry.id.is_some());
            }
            applet.put_data(INDEX, &slots::write(&index))?;
            Ok(gone)
        })
    }
}

/// The parts of a private key with their tags, each as long as the applet wants it.
fn parts(key: &PrivateKey) -> Result<Vec<(u8, Secret)>> {
    let numbers = key.numbers()?;
    let (len, parts): (usize, Vec<(u8, &[u8])>) = match &numbers {
        Numbers::Scalar(scalar) => (32, vec![(0x06, scalar)]),
        Numbers::Seed(seed) => (32, vec![(0x07, seed)]),
        Numbers::Rsa(rsa) => (
            rsa.modulus.as_bytes().len() / 2,
            vec![
                (0x01, rsa.prime1.as_bytes()),
                (0x02, rsa.prime2.as_bytes()),
                (0x03, rsa.exponent1.as_bytes()),
                (0x04, rsa.exponent2.as_bytes()),
                (0x05, rsa.coefficient.as_bytes()),
            ],
        ),
    };
    let padded = parts.into_iter().map(|(tag, part)| {
        let mut whole = Secret::with_capacity(len)?;
        let zeros = len.checked_sub(part.len()).ok_or_else(|| {
            TokenError::Unsupported(
                "a YubiKey takes RSA keys with two primes of half the length only".to_owned(),
            )
        })?;
        traceless(|| {
            whole.push(&vec![0; zeros]);
            whole.push(part)
        });
        Ok((tag, whole))
    });
    padded.collect()
}

/// Whether there is any key of hsmsign's.
pub(super) fn any(applet: &Applet<'_, '_>) -> Result<bool> {
    Ok(index(applet)?.iter().any(|entry| entry.id.is_some()))
}

fn index(applet: &Applet<'_, '_>) -> Result<Vec<Entry>> {
    slots::read(&applet.data(INDEX)?.unwrap_or_default())
}

/// Whether the key of an entry is in its slot; none where the slot is empty.
fn is_there(applet: &Applet<'_, '_>, entry: &Entry) -> Result<Option<bool>> {
    let metadata = applet.metadata(entry.slot().0)?;
    Ok(metadata.map(|metadata| entry.is_of(metadata.public.as_deref())))
}

/// Whether a slot has neither key nor certificate, or a key that hsmsign gave up.
fn is_free(applet: &Applet<'_, '_>, index: &[Entry], slot: Slot) -> Result<bool> {
    let entry = index.iter().find(|entry| entry.slot() == slot);
    match (applet.metadata(slot.0)?, entry) {
        (Some(metadata), Some(entry)) => Ok(entry.id.is_none() && entry.is_of(metadata.public.as_deref())),
        (Some(_), None) => Ok(false),
        // An entry without its key is of one that is being made, or was taken away by another program.
        (None, _) => Ok(applet.data(slot.certificate())?.is_none()),
    }
}

fn imported(slot: Slot, meta: &KeyMeta) -> Imported {
    let Wishes { touch, pin, .. } = meta.wishes;
    let mut hardening = vec!["not-extractable".to_owned()];
    hardening.extend(touch.then(|| "touch".to_owned()));
    hardening.extend((pin != PinPolicy::Never).then(|| "pin".to_owned()));
    Imported {
        key: KeyRef::Slot {
            id: meta.id.clone(),
            slot: slot.0,
            touch,
            without_pin: pin == PinPolicy::Never,
        },
        hardening,
        rung: 0,
        attestation: None,
    }
}

/// The applet's numbers of the policies for PIN and touch.
const fn policies(wishes: Wishes) -> [u8; 2] {
    let pin = match wishes.pin {
        PinPolicy::Never => 1,
        PinPolicy::Once => 2,
        PinPolicy::Always => 3,
    };
    [pin, if wishes.touch { 2 } else { 1 }]
}
