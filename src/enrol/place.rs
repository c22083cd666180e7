//! Putting secrets onto tokens: journalled, created, proved, written down.

use std::collections::BTreeMap;

use super::{
    Enrol,
    import::now_text,
    plan::{Place, Plan},
    prove::{prove, prove_pair},
    secrets::{AllRead, Read},
};
use crate::{
    error::{Code, Error, Result},
    keyring::{Copy, KeyName, Material, Pair, Record},
    secret::Secret,
    token::{KeyMeta, KeyRef, ObjectId, Token},
};

impl Enrol {
    /// Journal, create, prove, write down, strike out. On any error what was created is taken away again.
    pub(super) fn place(
        &self,
        plan: &Plan,
        read: &AllRead,
        record: impl FnOnce(Pair) -> Record,
    ) -> Result<Record> {
        let mut objects = Vec::new();
        for Place { name: token, .. } in &plan.tokens {
            for slot in read.objects.keys() {
                objects.push((token.clone(), *slot, ObjectId::random()?));
            }
        }
        let pending = self.journal.begin(
            &plan.name,
            objects
                .iter()
                .map(|(token, _, id)| (token.clone(), id.clone()))
                .collect(),
        )?;
        let made = (|| {
            let mut copies = Vec::new();
            for Place { name, token, leaks } in &plan.tokens {
                let mut materials = BTreeMap::new();
                for (_, slot, id) in objects.iter().filter(|(token, _, _)| token == name) {
                    let meta = KeyMeta {
                        id: id.clone(),
                        label: label(&plan.name, slot),
                        wishes: plan.new.wishes,
                    };
                    if let Some(read) = read.objects.get(slot) {
                        let material = create(token.as_ref(), read, &meta)
                            .map_err(|error| self.tokens.unwritable(name).unwrap_or(error))?;
                        materials.insert((*slot).to_owned(), material);
                    }
                }
                copies.push(Copy {
                    token: name.clone(),
                    serial: token.identity().serial.clone(),
                    hardware: token.capabilities().hardware,
                    leaks: leaks.clone(),
                    objects: materials,
                });
            }
            let mut pair = Pair {
                api_key: plan.new.api_key.clone(),
                extra: plan.new.extra.clone(),
                passphrase_macs: passphrase_macs(plan, read, &copies)?,
                created: now_text(),
                copies,
            };
            if let Some((kind, public)) = plan.kind().zip(pair.public_key())
                && kind.api_key_is_public()
            {
                pair.api_key = Some(kind.public_text(public));
            }
            let record = record(pair);
            self.keyring.put(&record)?;
            Ok(record)
        })();
        if made.is_err() {
            // What cannot be taken away now stays in the journal for the next start.
            let _later = self.settle_pending(&pending);
            return made;
        }
        self.journal.end(&pending)?;
        made
    }
}

fn create(token: &dyn Token, read: &Read, meta: &KeyMeta) -> Result<Material> {
    match read {
        Read::Mac(key) => {
            let imported = token.import_mac(key, meta)?;
            let proof = prove(token, &imported.key, key)?;
            Ok(Material {
                proof: Some(proof),
                ..Material::of(imported)
            })
        }
        Read::Private(key) => {
            let (imported, public) = token.import_private(key, meta)?;
            prove_pair(token, &imported.key, &public)?;
            Ok(Material {
                public: Some(public),
                ..Material::of(imported)
            })
        }
        Read::Made(algorithm) => {
            let (made, public) = token.generate(*algorithm, meta)?;
            prove_pair(token, &made.key, &public)?;
            Ok(Material {
                public: Some(public),
                generated: true,
                ..Material::of(made)
            })
        }
        Read::Data(data) => {
            let key = token.put_data(data, meta).map_err(|error| {
                Error::from(error).within(
                    "the passphrase, which the exchange wants in every request, cannot be kept on this token",
                )
            })?;
            same_data(token, &key, data)?;
            Ok(Material::plain(key))
        }
    }
}

/// The MACs of a passphrase of which nothing else is wanted, made on the first token and compared with software's.
fn passphrase_macs(plan: &Plan, read: &AllRead, copies: &[Copy]) -> Result<BTreeMap<String, String>> {
    let mut macs = BTreeMap::new();
    let (Some(passphrase), Some(copy), Some(place)) = (&read.passphrase, copies.first(), plan.tokens.first())
    else {
        return Ok(macs);
    };
    for slot in plan.passphrase_slots() {
        if let (Some(material), Some(Read::Mac(key))) = (copy.objects.get(slot), read.objects.get(slot)) {
            let mac = place
                .token
                .mac(&material.key, key.algorithm(), passphrase.expose())?;
            if mac.as_bytes() != key.mac(passphrase.expose())? {
                return Err(Error::new(
                    Code::Failed,
                    "the token computes another MAC of the passphrase than the secret gives",
                )
                .fix("do not use this token for this algorithm; the key was taken away again"));
            }
            macs.insert(slot.to_owned(), base16ct::lower::encode_string(mac.as_bytes()));
        }
    }
    Ok(macs)
}

fn same_data(token: &dyn Token, key: &KeyRef, data: &Secret) -> Result<()> {
    if token.get_data(key)?.expose() == data.expose() {
        return Ok(());
    }
    Err(Error::new(
        Code::Failed,
        "the token gave back another passphrase than it was given",
    )
    .fix("use another token"))
}

pub(super) fn label(name: &KeyName, slot: &str) -> String {
    if slot == "secret" {
        format!("hsmsign:{name}")
    } else {
        format!("hsmsign:{name}:{slot}")
    }
}
