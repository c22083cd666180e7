//! A key as signing needs it.

use std::sync::Arc;

use crate::{
    error::{Code, Error, Result, bad_input, failed},
    exchange::{Catalogue, Chosen, Prepared, Scheme},
    keyring::Record,
    request::{Credentials, Request},
    secret::Secret,
};

/// A key with all that its signatures need beside the token.
pub struct ReadyKey {
    pub(crate) record: Record,
    pub(crate) scheme: Option<Arc<Scheme>>,
    pub(crate) credentials: Credentials,
}

impl ReadyKey {
    /// # Errors
    /// When the exchange is not known, the API key is still missing, or the passphrase cannot be had.
    pub(super) fn load(
        record: Record,
        catalogue: &Catalogue,
        passphrase: impl FnOnce(&Record) -> Result<Secret>,
    ) -> Result<Self> {
        let name = &record.name;
        let generic = record.is_generic();
        let scheme = if generic {
            None
        } else {
            Some(catalogue.get(&record.exchange)?)
        };
        if let Some(scheme) = &scheme
            && scheme.needs_api_key()
            && record.current.api_key.is_none()
        {
            return Err(
                bad_input(format!("the key {name} has no API key yet")).fix(format!(
                    "add the one that the exchange shows: hsmsign set {name} --api-key KEY"
                )),
            );
        }
        let passphrase = match &scheme {
            Some(scheme) if scheme.needs_passphrase() && record.current.passphrase_macs.is_empty() => {
                Some(passphrase(&record)?)
            }
            _ => None,
        };
        let credentials = Credentials {
            api_key: record.current.api_key.clone(),
            passphrase,
            passphrase_macs: passphrase_macs(&record)?,
            extra: record.current.extra.clone().into_iter().collect(),
        };
        Ok(Self {
            record,
            scheme,
            credentials,
        })
    }

    pub(super) fn is_in_software(&self) -> bool {
        self.record.current.copies.iter().any(|copy| !copy.hardware)
    }

    pub(super) fn prepare(&self, request: &Request) -> Result<Prepared<'_>> {
        let scheme = self.scheme.as_ref().ok_or_else(|| no_exchange(&self.record))?;
        prepare(&self.record, scheme, request)
    }
}

/// Prepares a request of a key's, as its record says.
pub(super) fn prepare<'s>(record: &Record, scheme: &'s Scheme, request: &Request) -> Result<Prepared<'s>> {
    let kind = scheme.kind(Some(record.algorithm))?;
    let window = record.window.map(|window| window.to_string());
    let chosen = Chosen {
        base_url: record.base_url.as_deref(),
        window: window.as_deref(),
        offset: record.offset_ms,
    };
    scheme.prepare_for(request, kind, chosen)
}

/// That a key is for bytes alone.
pub(super) fn no_exchange(record: &Record) -> Error {
    let name = &record.name;
    Error::new(
        Code::Unsupported,
        format!("the key {name} is for no exchange, so there is no request to compose"),
    )
    .fix(format!("MAC your own bytes with it: hsmsign hmac {name}"))
}

fn passphrase_macs(record: &Record) -> Result<Vec<(String, Vec<u8>)>> {
    let read = |(slot, mac): (&String, &String)| {
        let mac = base16ct::lower::decode_vec(mac).map_err(|_| {
            failed("the recorded MAC of the passphrase is damaged").fix("import the key again")
        })?;
        Ok((slot.clone(), mac))
    };
    record.current.passphrase_macs.iter().map(read).collect()
}
