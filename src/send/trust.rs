//! Which certificates an exchange's may be signed by: the system's own authorities, and those of a file that the
//! configuration names.

use std::{path::Path, sync::Arc};

use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use crate::error::{Result, bad_input, failed};

/// The TLS settings that trust the system's authorities, and those of the file too.
///
/// `SSL_CERT_FILE` and `SSL_CERT_DIR` stand in for the system's places, as they do for OpenSSL.
///
/// # Errors
/// When there is no authority at all, or the file holds none.
pub(super) fn settings(file: Option<&Path>) -> Result<TlsConfig> {
    let system = rustls_native_certs::load_native_certs();
    let mut certificates = system.certs;
    if let Some(file) = file {
        certificates.extend(read(file)?);
    }
    if certificates.is_empty() {
        let why = system
            .errors
            .first()
            .map(|error| format!(": {error}"))
            .unwrap_or_default();
        return Err(failed(format!("no certificate authorities were found to know an exchange by{why}"))
            .fix("install the system's (Debian: ca-certificates), or name a file of them: ca-file under [send] in config.toml"));
    }
    let roots: Vec<_> = certificates
        .iter()
        .map(|certificate| Certificate::from_der(certificate).to_owned())
        .collect();
    Ok(TlsConfig::builder()
        .root_certs(RootCerts::Specific(Arc::new(roots)))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build())
}

fn read(file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let told = |what: &str| {
        bad_input(format!("the ca-file {} {what}", file.display()))
            .fix("name a file of certificates in PEM with ca-file under [send] in config.toml")
    };
    if !file.is_absolute() {
        return Err(told("is not named from the root on, as /etc/ssl/company.pem"));
    }
    let certificates = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect::<std::result::Result<Vec<_>, _>>)
        .map_err(|error| told(&format!("cannot be read: {error}")))?;
    if certificates.is_empty() {
        return Err(told("holds no certificate"));
    }
    Ok(certificates)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_certificates_is_refused() {
        let relative = settings(Some(Path::new("ca.pem"))).unwrap_err();
        assert!(relative.message().contains("from the root on"), "{relative}");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        assert!(
            settings(Some(&file))
                .unwrap_err()
                .message()
                .contains("cannot be read")
        );
        std::fs::write(&file, "no certificate").unwrap();
        assert!(
            settings(Some(&file))
                .unwrap_err()
                .message()
                .contains("holds no certificate")
        );
        std::fs::write(
            &file,
            "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
        )
        .unwrap();
        assert!(
            settings(Some(&file))
                .unwrap_err()
                .message()
                .contains("cannot be read")
        );
    }
}
