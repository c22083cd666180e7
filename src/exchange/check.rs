//! A file's own test rows: signed requests that it must reproduce, with signatures computed in software.

use std::{collections::BTreeMap, time::Duration};

use hmac::{Hmac, KeyInit as _, Mac as _};

use super::{
    file::TestFile,
    prepare::{NonceNeed, Stamps},
    scheme::Scheme,
};
use crate::{
    algorithm::{Algorithm, MacAlgorithm},
    error::{Result, failed},
    request::{Credentials, Request, SignedRequest},
    secret::Secret,
};

/// A request with the signature that the file must give it. Its secret is nobody's.
#[derive(Debug, Clone)]
pub struct Test {
    file: TestFile,
}

impl From<TestFile> for Test {
    fn from(file: TestFile) -> Self {
        Self { file }
    }
}

impl Test {
    /// What the row says of itself.
    pub fn name(&self) -> &str {
        &self.file.name
    }

    /// The row's request, as a line.
    pub(crate) fn request(&self) -> &str {
        &self.file.request
    }

    /// What the row's key has beside its secrets.
    pub(crate) fn credentials(&self) -> Result<Credentials> {
        credentials(&self.file.credentials).map(|(credentials, _)| credentials)
    }

    /// Signs the row's request and compares.
    ///
    /// # Errors
    /// When the request is refused or comes out otherwise.
    pub fn run(&self, scheme: &Scheme) -> Result<()> {
        self.try_run(scheme)
            .map_err(|error| error.within(format_args!("test {:?}", self.file.name)))
    }

    fn try_run(&self, scheme: &Scheme) -> Result<()> {
        let file = &self.file;
        let algorithm = file.algorithm.as_deref().map(str::parse).transpose()?;
        let (credentials, secrets) = credentials(&file.credentials)?;
        let request = Request::parse_line(&file.request).map_err(|(_, error)| error)?;
        let stamps = Stamps {
            now: Duration::from_millis(file.now.unwrap_or(0)),
            nonce: file.nonce,
        };
        let signed = sign(scheme, algorithm, &request, &credentials, &secrets, &stamps)?;
        let differs = |what: &str, have: &str, wanted: &str| {
            Err(failed(format!("{what} is {have:?} and not {wanted:?}")))
        };
        if let Some(wanted) = &file.url
            && signed.url.as_deref() != Some(wanted.as_str())
        {
            return differs("the url", signed.url.as_deref().unwrap_or("none"), wanted);
        }
        for (name, wanted) in &file.headers {
            let have = signed
                .headers
                .iter()
                .find(|(have, _)| have.eq_ignore_ascii_case(name));
            match have {
                Some((_, have)) if have == wanted => {}
                have => {
                    return differs(
                        &format!("the header {name}"),
                        have.map_or("none", |(_, have)| have),
                        wanted,
                    );
                }
            }
        }
        if let Some(wanted) = &file.body
            && signed.body.as_deref() != Some(wanted.as_bytes())
        {
            let have = String::from_utf8_lossy(signed.body.as_deref().unwrap_or_default()).into_owned();
            return differs("the body", &have, wanted);
        }
        Ok(())
    }
}

fn credentials(given: &BTreeMap<String, String>) -> Result<(Credentials, Vec<(String, Secret)>)> {
    let mut credentials = Credentials::default();
    let mut secrets = Vec::new();
    for (name, value) in given {
        match name.as_str() {
            "api_key" => credentials.api_key = Some(value.clone()),
            "passphrase" => credentials.passphrase = Some(Secret::take(&mut value.clone().into_bytes())?),
            secret if secret.ends_with("secret") => {
                secrets.push((name.clone(), Secret::take(&mut value.clone().into_bytes())?));
            }
            _ => credentials.extra.push((name.clone(), value.clone())),
        }
    }
    Ok((credentials, secrets))
}

/// Signs a request in software, for rows of files.
fn sign(
    scheme: &Scheme,
    algorithm: Option<Algorithm>,
    request: &Request,
    credentials: &Credentials,
    secrets: &[(String, Secret)],
    stamps: &Stamps,
) -> Result<SignedRequest> {
    let kind = scheme.kind(algorithm)?;
    let prepared = scheme.prepare(request, kind, None)?;
    if matches!(prepared.nonce(), NonceNeed::Fresh { .. }) && stamps.nonce.is_none() {
        return Err(failed("the row's request has no nonce").fix("add nonce = 1700000000000 to the row"));
    }
    let mut composed = prepared.compose(credentials, stamps)?;
    while let Some(part) = composed.next()? {
        let secret = secrets.iter().find(|(name, _)| *name == part.slot);
        let (_, secret) = secret.ok_or_else(|| failed(format!("the row has no `{}`", part.slot)))?;
        let signature = match kind.algorithm() {
            Algorithm::Mac(mac) => software_mac(mac, kind.read_secret(secret)?.0.expose(), &part.message)?,
            Algorithm::Signature(_) => kind.read_private(secret)?.sign_in_software(&part.message)?,
        };
        composed.supply(&signature)?;
    }
    composed.attach()
}

/// An HMAC in software.
fn software_mac(algorithm: MacAlgorithm, key: &[u8], message: &[u8]) -> Result<Vec<u8>> {
    macro_rules! mac {
        ($hash:ty) => {
            Hmac::<$hash>::new_from_slice(key)
                .map(|mac| mac.chain_update(message).finalize().into_bytes().to_vec())
                .map_err(|_| failed("the row's secret cannot be a key"))
        };
    }
    match algorithm {
        MacAlgorithm::HmacSha256 => mac!(sha2::Sha256),
        MacAlgorithm::HmacSha384 => mac!(sha2::Sha384),
        MacAlgorithm::HmacSha512 => mac!(sha2::Sha512),
    }
}
