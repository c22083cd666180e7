//! What can be looked at before a secret is there: the key's name, exchange and algorithm, and the tokens.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Enrol, objects,
    wanted::{algorithm, check_api_key, check_values},
};
use crate::{
    algorithm::{Algorithm, SignatureAlgorithm},
    error::{Code, Error, Result, bad_input},
    exchange::{Fit, KeyKind, Scheme},
    keyring::{Allow, GENERIC, KeyName, Pair, Record},
    token::{ObjectId, Token, Wishes},
};

/// What the owner says of a new key.
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
    /// Whether the token makes the key, so that there is no secret to give.
    pub on_token: bool,
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
    /// How the key is to be used and where it is to lie, on tokens that let one choose.
    pub wishes: Wishes,
}

/// A new key whose every condition but the secret was looked at: the name is free, the tokens are open.
pub struct Plan {
    pub(super) new: NewKey,
    pub(super) name: KeyName,
    pub(super) scheme: Option<Arc<Scheme>>,
    pub(super) algorithm: Algorithm,
    pub(super) tokens: Vec<Place>,
    /// The pair that a rotation replaces.
    pub(super) replaces: Option<Mark>,
}

/// What tells a pair from another: its objects, whose ids are random, and its API key.
#[derive(PartialEq, Eq)]
pub(super) struct Mark(Vec<(String, ObjectId)>, Option<String>);

impl Mark {
    pub(super) fn of(pair: &Pair) -> Self {
        Self(objects(pair), pair.api_key.clone())
    }
}

/// A token that a key goes to.
pub(super) struct Place {
    pub(super) name: String,
    pub(super) token: Arc<dyn Token>,
    /// The attacks by which it gives keys away, which the owner accepts.
    pub(super) leaks: Vec<String>,
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

    /// The exchange's id.
    pub fn exchange_id(&self) -> &str {
        self.scheme.as_ref().map_or(GENERIC, |scheme| scheme.id())
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

    /// How the exchange wants keys of this algorithm; none for a generic key.
    pub(super) fn kind(&self) -> Option<&KeyKind> {
        self.scheme
            .as_ref()
            .and_then(|scheme| scheme.kind(Some(self.algorithm)).ok())
    }

    pub(super) fn encoding(&self) -> Option<&str> {
        self.new.encoding.as_deref()
    }

    pub(super) fn api_key(&self) -> Option<&str> {
        self.new.api_key.as_deref()
    }

    /// Whether a secret is to be given; otherwise the token makes the key.
    pub const fn needs_secret(&self) -> bool {
        !self.new.on_token
    }

    /// Whether the exchange wants a passphrase with the secret.
    pub fn needs_passphrase(&self) -> bool {
        self.scheme
            .as_ref()
            .is_some_and(|scheme| scheme.needs_passphrase())
    }

    /// The secrets by which the passphrase is MACed, where nothing else is wanted of it.
    pub(super) fn passphrase_slots(&self) -> Vec<&str> {
        let scheme = self
            .scheme
            .as_ref()
            .filter(|_| matches!(self.algorithm, Algorithm::Mac(_)));
        scheme.map(|scheme| scheme.passphrase_slots()).unwrap_or_default()
    }

    /// Whether a partner's secret goes with the key.
    pub fn needs_partner_secret(&self) -> bool {
        self.new.extra.contains_key("partner")
    }

    /// Whether the exchange's requests carry an API key that the owner gives.
    pub fn needs_api_key(&self) -> bool {
        self.scheme.as_ref().is_some_and(|scheme| scheme.needs_api_key())
            && !self.kind().is_some_and(KeyKind::api_key_is_public)
    }

    /// The algorithm of a key that this exchange takes and these tokens can make themselves, where a secret is about to be
    /// imported: a key that was never anywhere else is the stronger one.
    pub fn stronger(&self) -> Option<SignatureAlgorithm> {
        let scheme = self.scheme.as_ref().filter(|_| self.needs_secret())?;
        let makes = |algorithm: &SignatureAlgorithm| {
            self.tokens
                .iter()
                .all(|place| place.token.capabilities().generates.contains(algorithm))
        };
        scheme
            .kinds()
            .iter()
            .filter(|kind| kind.is_registered())
            .find_map(|kind| match kind.algorithm() {
                Algorithm::Signature(algorithm) => Some(algorithm).filter(makes),
                Algorithm::Mac(_) => None,
            })
    }
}

impl Enrol {
    /// Looks at everything that can be known before the secret is there, and opens the tokens.
    ///
    /// # Errors
    /// When the name is taken or none, the exchange, algorithm or token is not known, or a token cannot be opened; or when
    /// the token is to make a key of a kind that the exchange issues itself.
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
        let algorithm = algorithm(scheme.as_deref(), &new)?;
        check_values(scheme.as_deref(), algorithm, &new)?;
        let tokens = self.open_tokens(&new.tokens, new.accept_leaky_token)?;
        let plan = Plan {
            new,
            name,
            scheme,
            algorithm,
            tokens,
            replaces: None,
        };
        self.check_tokens(&plan)?;
        Ok(plan)
    }

    /// The plan of a further pair for a key that is there.
    pub(super) fn plan_again(&self, record: &Record, new: NewKey) -> Result<Plan> {
        let scheme = if record.is_generic() {
            None
        } else {
            Some(self.catalogue.get(&record.exchange)?)
        };
        check_values(scheme.as_deref(), record.algorithm, &new)?;
        let accept =
            new.accept_leaky_token || record.current.copies.iter().any(|copy| !copy.leaks.is_empty());
        let tokens = self.open_tokens(&new.tokens, accept)?;
        Ok(Plan {
            new,
            name: record.name.clone(),
            scheme,
            algorithm: record.algorithm,
            tokens,
            replaces: Some(Mark::of(&record.current)),
        })
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
                token: self.tokens.present(name)?,
                leaks: self.tokens.refuse_leaky(name, accept_leaky)?,
            });
        }
        Ok(open)
    }

    /// Refuses a token that is too short for every request of the exchange.
    fn check_lengths(name: &str, limit: usize, plan: &Plan) -> Result<()> {
        let Some(scheme) = plan.scheme() else {
            return Ok(());
        };
        if scheme.sizes().iter().any(|size| size.within(limit) != Fit::Never) {
            return Ok(());
        }
        let instead = plan.scheme.as_ref().and_then(|scheme| {
            let mut kinds = scheme.kinds().iter().filter(|kind| kind.is_registered());
            kinds.find(|kind| matches!(kind.algorithm(), Algorithm::Signature(_)))
        });
        let fix = instead.map_or_else(
            || "use a token with a PKCS#11 module".to_owned(),
            |kind| {
                format!(
                    "use a token with a PKCS#11 module, or have the token make a key of another algorithm, whose messages may be long: hsmsign generate --exchange {} --algorithm {}",
                    scheme.id(),
                    kind.algorithm()
                )
            },
        );
        let sizes: Vec<_> = scheme.sizes().iter().map(ToString::to_string).collect();
        Err(Error::new(
            Code::TooLarge,
            format!(
                "no request of {} fits token {name}: its messages have {}, and the token takes {limit} bytes",
                scheme.name(),
                sizes.join(", or ")
            ),
        )
        .fix(fix))
    }

    /// Refuses tokens that do not compute the algorithm, or make no such keys where one is to be made.
    fn check_tokens(&self, plan: &Plan) -> Result<()> {
        for Place { name, token, .. } in &plan.tokens {
            let can = token.capabilities();
            if let (Algorithm::Mac(_), Some(limit)) = (plan.algorithm, can.longest_message)
                && can.algorithms.contains(&plan.algorithm)
            {
                Self::check_lengths(name, limit, plan)?;
            }
            let what = if !can.algorithms.contains(&plan.algorithm) {
                "does not compute"
            } else if plan.new.on_token && !makes(can, plan.algorithm) {
                "makes no key for"
            } else if plan.new.wishes.touch && !can.touch {
                return Err(Error::new(
                    Code::Unsupported,
                    format!("token {name} has no keys that take a touch for each signature"),
                )
                .fix("leave --touch out, or use a YubiKey of firmware 4.2.6 or later"));
            } else if !can.slots
                && (plan.new.wishes
                    != Wishes {
                        touch: plan.new.wishes.touch,
                        ..Wishes::default()
                    })
            {
                return Err(Error::new(
                    Code::Unsupported,
                    format!("token {name} has no slots and no PIN policies to choose"),
                )
                .fix("leave --slot and --pin-policy out; a YubiKey's PIV applet has them"));
            } else {
                continue;
            };
            if let Some(error) = self.tokens.unwritable(name) {
                return Err(error);
            }
            return Err(Error::new(
                Code::Unsupported,
                format!("token {name} {what} {}", plan.algorithm),
            )
            .fix(format!("see what it can do: hsmsign token show {name}")));
        }
        Ok(())
    }
}

fn makes(can: &crate::token::Capabilities, algorithm: Algorithm) -> bool {
    matches!(algorithm, Algorithm::Signature(signature) if can.generates.contains(&signature))
}
