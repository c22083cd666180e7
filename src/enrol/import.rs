use super::{
    Enrol, Enrolled, Secrets, attested,
    plan::{NewKey, Plan},
    secrets::read_secrets,
};
use crate::{
    algorithm::Algorithm,
    clock::Offset,
    error::{Result, bad_input},
    keyring::{Allow, Pair, Record, VERSION},
    nonce,
    token::leaky,
};

/// What `raw` gives away, in the words in which it is asked for.
pub const RAW_CONSENT: &str = "raw MACs are allowed for this key: where a message does not carry the path, a withdrawal cannot be told from an order";

impl Enrol {
    /// Puts the secrets on the tokens, or has the token make its key, proves each, and writes the key down: whole, or not
    /// at all.
    ///
    /// # Errors
    /// When a secret is not what the exchange issues, or a token does not take or keep it. Nothing is left then.
    pub fn import(&self, plan: Plan, secrets: Secrets) -> Result<Enrolled> {
        let mut read = read_secrets(&plan, secrets)?;
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
        let exchange = plan.exchange_id().to_owned();
        let record = self.place(&plan, &read, |current| Record {
            version: VERSION,
            name: plan.name.clone(),
            exchange,
            algorithm: plan.algorithm,
            encoding: plan.new.encoding.clone(),
            allow: sorted(&plan.new.allow),
            base_url: plan.new.base_url.clone(),
            window: None,
            offset_ms: Offset::NONE,
            current,
            previous: None,
            next: None,
        })?;
        let mut warnings = std::mem::take(&mut read.warnings);
        self.warn(&plan, &mut warnings);
        Ok(Enrolled {
            public_key: self.public_text(&record, &record.current),
            attested: self.attested(&record.current),
            record,
            warnings,
        })
    }

    /// Who vouches for a new key.
    pub(super) fn attested(&self, pair: &Pair) -> Option<String> {
        let each = pair.copies.iter();
        each.flat_map(|copy| attested(self.tokens.config(), copy)).next()
    }

    /// What the owner of a new key should know.
    fn warn(&self, plan: &Plan, warnings: &mut Vec<String>) {
        for place in plan.tokens.iter().filter(|place| !place.leaks.is_empty()) {
            warnings.push(format!(
                "token {} was taken as you said: {}",
                place.name,
                leaky(&place.leaks)
            ));
        }
        for place in &plan.tokens {
            let limit = place.token.capabilities().longest_message;
            let (Some(limit), Some(scheme), Algorithm::Mac(_)) = (limit, plan.scheme(), plan.algorithm)
            else {
                continue;
            };
            if scheme.sizes().iter().any(|size| !size.always_fits(limit)) {
                warnings.push(format!(
                    "token {} takes messages of up to {limit} bytes, so that some requests may not fit: hsmsign exchanges --token {}",
                    place.name, place.name
                ));
            }
        }
        if let Some(closed) = plan.scheme.as_ref().and_then(|scheme| scheme.closed()) {
            warnings.push(closed.to_owned());
        }
        warnings.extend(plan.tokens.iter().filter_map(|place| {
            let short = self.tokens.short_pin(&place.name)?;
            Some(format!("the PIN of token {} {short}", place.name))
        }));
        if plan.new.allow.contains(&Allow::Raw) {
            warnings.push(RAW_CONSENT.to_owned());
        } else if plan.scheme().is_none() {
            warnings.push(format!(
                "a generic key makes raw MACs alone, and they are not allowed for this one: hsmsign remove {}, and import it with --allow raw",
                plan.name
            ));
        }
        let NewKey {
            api_key, on_token, ..
        } = &plan.new;
        if api_key.is_none() && plan.needs_api_key() {
            warnings.push(if *on_token {
                format!(
                    "register the public key at the exchange; then add the API key that it shows: hsmsign set {} --api-key KEY",
                    plan.name
                )
            } else {
                format!(
                    "no API key was given; before the first request: hsmsign set {} --api-key KEY",
                    plan.name
                )
            });
        }
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
