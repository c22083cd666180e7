use std::{collections::BTreeMap, sync::Arc};

use super::{
    Enrol, Enrolled, GENERIC, Secrets,
    prove::prove,
    secrets::{Read, read_secrets},
};
use crate::{
    algorithm::Algorithm,
    error::{Code, Error, Result, bad_input},
    exchange::Scheme,
    keyring::{Allow, Copy, KeyName, Material, Pair, Record, VERSION},
    nonce,
    secret::Secret,
    token::{KeyMeta, KeyRef, ObjectId, Token, leaky},
};

/// What the owner says of a key that is to be imported.
#[derive(Debug, Clone, Default)]
pub struct NewKey {
    /// The exchange, by id or alias.
    pub exchange: String,
    /// The key's name; the exchange's id where none is given.
    pub name: Option<KeyName>,
    /// The tokens, by name; the usual one where none is given.
    pub tokens: Vec<String>,
    /// The algorithm; the exchange's usual one where none is given.
    pub algorithm: Option<Algorithm>,
    /// The API key.
    pub api_key: Option<String>,
    /// Further values that are not secret, as `user_id` and `partner`.
    pub extra: BTreeMap<String, String>,
    /// What the owner allows.
    pub allow: Vec<Allow>,
    /// The last nonce that another program used with this key.
    pub nonce_above: Option<u64>,
    /// The host that stands in for the scheme's.
    pub base_url: Option<String>,
    /// How a generic secret is written: `ascii`, `base64` or `hex`.
    pub encoding: Option<String>,
    /// Use tokens although they give their keys away to whoever has the PIN.
    pub accept_leaky_token: bool,
}

/// An import whose every condition but the secret was looked at: the name is free, the tokens are open.
pub struct Plan {
    new: NewKey,
    name: KeyName,
    scheme: Option<Arc<Scheme>>,
    algorithm: Algorithm,
    tokens: Vec<Place>,
}

/// A token that a secret goes to.
struct Place {
    name: String,
    token: Arc<dyn Token>,
    /// The attacks by which it gives keys away, which the owner accepts.
    leaks: Vec<String>,
}

impl Plan {
    /// The key's name.
    pub const fn name(&self) -> &KeyName {
        &self.name
    }

    /// The exchange's name, for a prompt.
    pub fn exchange(&self) -> &str {
        self.scheme.as_ref().map_or(GENERIC, |scheme| scheme.name())
    }

    /// What the key will compute.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Gives the API key after all; an empty one is none.
    ///
    /// # Errors
    /// When it cannot stand in a request.
    pub fn set_api_key(&mut self, api_key: &str) -> Result<()> {
        if !api_key.is_empty() {
            check_api_key(api_key)?;
            self.new.api_key = Some(api_key.to_owned());
        }
        Ok(())
    }

    pub(super) fn scheme(&self) -> Option<&Scheme> {
        self.scheme.as_deref()
    }

    pub(super) fn encoding(&self) -> Option<&str> {
        self.new.encoding.as_deref()
    }

    /// Whether the exchange wants a passphrase with the secret.
    pub fn needs_passphrase(&self) -> bool {
        self.scheme
            .as_ref()
            .is_some_and(|scheme| scheme.needs_passphrase())
    }

    /// Whether a partner's secret goes with the key.
    pub fn needs_partner_secret(&self) -> bool {
        self.new.extra.contains_key("partner")
    }

    /// Whether the exchange's requests carry an API key.
    pub fn needs_api_key(&self) -> bool {
        self.scheme.as_ref().is_some_and(|scheme| scheme.needs_api_key())
    }
}

impl Enrol {
    /// Looks at everything that can be known before the secret is there, and opens the tokens.
    ///
    /// # Errors
    /// When the name is taken or none, the exchange, algorithm or token is not known, or a token cannot be opened.
    pub fn plan(&self, new: NewKey) -> Result<Plan> {
        let scheme = if new.exchange == GENERIC {
            None
        } else {
            Some(self.catalogue.get(&new.exchange)?)
        };
        let name = match &new.name {
            Some(name) => name.clone(),
            None => scheme.as_ref().map_or(GENERIC, |scheme| scheme.id()).parse()?,
        };
        if self.keyring.contains(&name)? {
            return Err(
                bad_input(format!("there is a key named {name} already")).fix(format!(
                    "choose another name with --key; to replace its secret: hsmsign rotate {name}"
                )),
            );
        }
        let algorithm = self.algorithm(scheme.as_deref(), &new)?;
        check_values(scheme.as_deref(), &new)?;
        let tokens = self.open_tokens(&new.tokens, new.accept_leaky_token)?;
        for Place {
            name: token_name,
            token,
            ..
        } in &tokens
        {
            if !token.capabilities().algorithms.contains(&algorithm) {
                if let Some(error) = self.tokens.unwritable(token_name) {
                    return Err(error);
                }
                return Err(Error::new(
                    Code::Unsupported,
                    format!("token {token_name} does not compute {algorithm}"),
                )
                .fix(format!("see what it can do: hsmsign token show {token_name}")));
            }
        }
        Ok(Plan {
            new,
            name,
            scheme,
            algorithm,
            tokens,
        })
    }

    /// Puts the secrets on the tokens, proves each, and writes the key down: whole, or not at all.
    ///
    /// # Errors
    /// When a secret is not what the exchange issues, or a token does not take or keep it. Nothing is left then.
    pub fn import(&self, plan: Plan, secrets: Secrets) -> Result<Enrolled> {
        let (read, mut warnings) = read_secrets(&plan, secrets)?;
        let _lock = self.lock()?;
        if self.keyring.contains(&plan.name)? {
            return Err(bad_input(format!("there is a key named {} already", plan.name)));
        }
        self.sweep_locked()?;
        if let Some(above) = plan.new.nonce_above {
            if let Some(scheme) = &plan.scheme {
                scheme.check_nonce_mark(above)?;
            }
            self.nonces.set_above(&plan.name, above, nonce::now())?;
        }
        let exchange = plan
            .scheme
            .as_ref()
            .map_or(GENERIC, |scheme| scheme.id())
            .to_owned();
        let enrolled = self.place(&plan, &read, |current| Record {
            version: VERSION,
            name: plan.name.clone(),
            exchange,
            algorithm: plan.algorithm,
            encoding: plan.new.encoding.clone(),
            allow: sorted(&plan.new.allow),
            base_url: plan.new.base_url.clone(),
            current,
            previous: None,
        })?;
        for place in plan.tokens.iter().filter(|place| !place.leaks.is_empty()) {
            warnings.push(format!(
                "token {} was taken as you said: {}",
                place.name,
                leaky(&place.leaks)
            ));
        }
        if let Some(closed) = plan.scheme.as_ref().and_then(|scheme| scheme.closed()) {
            warnings.push(closed.to_owned());
        }
        warnings.extend(
            plan.tokens
                .iter()
                .filter_map(|place| self.tokens.short_pin(&place.name)),
        );
        if plan.new.allow.contains(&Allow::Raw) {
            warnings.push(RAW_CONSENT.to_owned());
        }
        if plan.new.api_key.is_none() && plan.needs_api_key() {
            warnings.push(format!(
                "no API key was given; before the first request: hsmsign set {} --api-key KEY",
                plan.name
            ));
        }
        Ok(Enrolled {
            record: enrolled,
            warnings,
        })
    }

    /// Journal, create, prove, write down, strike out. On any error what was created is taken away again.
    pub(super) fn place(
        &self,
        plan: &Plan,
        read: &BTreeMap<&'static str, Read>,
        record: impl FnOnce(Pair) -> Record,
    ) -> Result<Record> {
        let mut objects = Vec::new();
        for Place { name: token, .. } in &plan.tokens {
            for slot in read.keys() {
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
                    };
                    if let Some(read) = read.get(slot) {
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
            let record = record(Pair {
                api_key: plan.new.api_key.clone(),
                extra: plan.new.extra.clone(),
                created: now_text(),
                copies,
            });
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

    fn open_tokens(&self, names: &[String], accept_leaky: bool) -> Result<Vec<Place>> {
        let usual;
        let names = if names.is_empty() {
            usual = [self.tokens.config().usual_token()?.to_owned()];
            &usual[..]
        } else {
            names
        };
        let mut open: Vec<Place> = Vec::new();
        for name in names {
            if open.iter().any(|other| other.name == *name) {
                return Err(bad_input(format!("the token {name} is named twice")));
            }
            open.push(Place {
                name: name.clone(),
                token: self.tokens.get(name)?,
                leaks: self.tokens.refuse_leaky(name, accept_leaky)?,
            });
        }
        Ok(open)
    }

    fn algorithm(&self, scheme: Option<&Scheme>, new: &NewKey) -> Result<Algorithm> {
        if let Some(scheme) = scheme {
            if new.encoding.is_some() {
                return Err(bad_input(
                    "--encoding is for --exchange generic; this exchange's scheme says how its secret is written",
                ));
            }
            return Ok(scheme.kind(new.algorithm)?.algorithm());
        }
        match new.algorithm {
            Some(algorithm @ Algorithm::Mac(_)) => Ok(algorithm),
            Some(other) => Err(Error::new(
                Code::Unsupported,
                format!("a generic key makes MACs, and {other} is none"),
            )
            .fix("use --algorithm hmac-sha256, hmac-sha384 or hmac-sha512")),
            None => Err(bad_input("a generic key needs its algorithm")
                .fix("add --algorithm hmac-sha256, hmac-sha384 or hmac-sha512")),
        }
    }

    pub(super) fn plan_again(&self, record: &Record, new: NewKey) -> Result<Plan> {
        let scheme = if record.exchange == GENERIC {
            None
        } else {
            Some(self.catalogue.get(&record.exchange)?)
        };
        check_values(scheme.as_deref(), &new)?;
        let accept =
            new.accept_leaky_token || record.current.copies.iter().any(|copy| !copy.leaks.is_empty());
        let tokens = self.open_tokens(&new.tokens, accept)?;
        Ok(Plan {
            new,
            name: record.name.clone(),
            scheme,
            algorithm: record.algorithm,
            tokens,
        })
    }
}

/// What `raw` gives away, in the words in which it is asked for.
pub const RAW_CONSENT: &str = "raw MACs are allowed for this key: where a message does not carry the path, a withdrawal cannot be told from an order";

fn check_values(scheme: Option<&Scheme>, new: &NewKey) -> Result<()> {
    if let Some(api_key) = &new.api_key {
        check_api_key(api_key)?;
    }
    for (name, text) in &new.extra {
        if !printable(text) {
            return Err(bad_input(format!(
                "the {name} has characters that cannot stand in a request"
            )));
        }
        let known = scheme.is_some_and(|scheme| {
            scheme
                .credentials()
                .iter()
                .chain(scheme.optional())
                .any(|other| other == name)
        });
        if !known {
            let exchange = scheme.map_or(GENERIC, |scheme| scheme.id());
            return Err(bad_input(format!("{exchange} has no {name}")));
        }
    }
    if let Some(scheme) = scheme {
        for name in scheme.credentials() {
            if !new.extra.contains_key(name.as_str()) {
                let flag = name.replace('_', "-");
                return Err(
                    bad_input(format!("{} wants a {name}", scheme.name())).fix(format!("add --{flag}"))
                );
            }
        }
    }
    if let Some(url) = &new.base_url {
        crate::exchange::check_base_url(url)?;
    }
    Ok(())
}

/// Whether text can stand in a header or query: 1 to 1024 printable ASCII characters without blanks.
fn printable(text: &str) -> bool {
    !text.is_empty() && text.len() <= 1024 && text.bytes().all(|byte| byte.is_ascii_graphic())
}

pub(super) fn check_api_key(api_key: &str) -> Result<()> {
    if printable(api_key) {
        return Ok(());
    }
    Err(
        bad_input("the API key has blanks or characters that cannot stand in a request")
            .fix("give it as the exchange shows it"),
    )
}

fn create(token: &dyn Token, read: &Read, meta: &KeyMeta) -> Result<Material> {
    match read {
        Read::Mac(key) => {
            let imported = token.import_mac(key, meta)?;
            let proof = prove(token, &imported.key, key)?;
            Ok(Material {
                key: imported.key,
                hardening: imported.hardening,
                rung: imported.rung,
                proof: Some(proof),
            })
        }
        Read::Data(data) => {
            let key = token.put_data(data, meta).map_err(|error| {
                Error::from(error).within(
                    "the passphrase, which the exchange wants in every request, cannot be kept on this token",
                )
            })?;
            same_data(token, &key, data)?;
            Ok(Material {
                key,
                hardening: Vec::new(),
                rung: 0,
                proof: None,
            })
        }
    }
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

fn label(name: &KeyName, slot: &str) -> String {
    if slot == "secret" {
        format!("hsmsign:{name}")
    } else {
        format!("hsmsign:{name}:{slot}")
    }
}

fn sorted(allow: &[Allow]) -> Vec<Allow> {
    let mut allow = allow.to_vec();
    allow.sort_unstable();
    allow.dedup();
    allow
}

/// Now, RFC 3339 in UTC with seconds.
pub(super) fn now_text() -> String {
    let seconds = i64::try_from(nonce::now().as_secs()).unwrap_or(0);
    jiff::Timestamp::from_second(seconds).map_or_else(|_| String::new(), |now| now.to_string())
}
