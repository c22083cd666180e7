//! The variables by which modules are told where their configuration or their server is.

use std::{collections::BTreeMap, ffi::OsString, path::Path};

/// A word of the module's file or of what it calls itself, and the variable that it reads: a path, or an address such as
/// `unix:path=/run/p11.sock`.
const VARIABLES: [(&str, &str); 9] = [
    ("softhsm", "SOFTHSM2_CONF"),
    ("yubihsm", "YUBIHSM_PKCS11_CONF"),
    ("kryoptic", "KRYOPTIC_CONF"),
    ("tpm2_pkcs11", "TPM2_PKCS11_STORE"),
    ("cryptoki2", "ChrystokiConfigurationPath"),
    ("kmsp11", "KMS_PKCS11_CONFIG"),
    ("cs_pkcs11", "CS_PKCS11_R3_CFG"),
    ("pkcs11-spy", "PKCS11SPY"),
    ("p11-kit-client", "P11_KIT_SERVER_ADDRESS"),
];

/// How the addresses begin that p11-kit knows.
const ADDRESSES: [&str; 2] = ["unix:", "vsock:"];

/// Those that the module at hand was found by, which whoever starts hsmsign later may not have set.
pub fn of_module(
    file: &Path,
    called: &str,
    set: impl Fn(&str) -> Option<OsString>,
) -> BTreeMap<String, String> {
    let file = file.file_name().unwrap_or_default().to_string_lossy();
    let known = format!("{file} {called}").to_ascii_lowercase();
    VARIABLES
        .iter()
        .filter(|(word, _)| known.contains(word))
        .filter_map(|(_, variable)| {
            let value = set(variable)?.into_string().ok()?;
            Some(((*variable).to_owned(), from_anywhere(value)?))
        })
        .collect()
}

/// What means the same in every folder.
fn from_anywhere(value: String) -> Option<String> {
    match ADDRESSES.iter().any(|scheme| value.starts_with(scheme)) {
        true => Some(value),
        false => Some(std::path::absolute(value).ok()?.to_str()?.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_keeps_the_variables_that_it_reads_and_no_others() {
        let kept = |file: &str, called: &str| {
            let kept = of_module(Path::new(file), called, |name| {
                Some(format!("/etc/{name}").into())
            });
            kept.into_iter()
                .map(|(name, place)| format!("{name}={place}"))
                .collect::<Vec<_>>()
        };
        let spied = kept("/usr/lib/pkcs11-spy.so", "SoftHSM, Implementation of PKCS11, 2.6");
        assert_eq!(
            spied,
            ["PKCS11SPY=/etc/PKCS11SPY", "SOFTHSM2_CONF=/etc/SOFTHSM2_CONF"]
        );
        let yubihsm = kept(
            "/usr/lib/pkcs11/yubihsm_pkcs11.so",
            "Yubico (www.yubico.com), 2.4",
        );
        assert_eq!(yubihsm, ["YUBIHSM_PKCS11_CONF=/etc/YUBIHSM_PKCS11_CONF"]);
        assert_eq!(kept("/usr/lib/softhsm.d/vendor.so", "Vendor, 1.0"), [""; 0]);
        assert!(of_module(Path::new("libsofthsm2.so"), "", |_| None).is_empty());
    }

    #[test]
    fn a_relative_place_is_written_down_from_the_root_on_and_an_address_as_it_is() {
        let kept = of_module(Path::new("libkryoptic_pkcs11.so"), "", |_| Some("a.conf".into()));
        assert!(Path::new(&kept["KRYOPTIC_CONF"]).is_absolute());
        let address = "unix:path=/run/p11.sock";
        let kept = of_module(Path::new("p11-kit-client.so"), "", |_| Some(address.into()));
        assert_eq!(kept["P11_KIT_SERVER_ADDRESS"], address);
    }
}
