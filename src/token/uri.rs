//! PKCS #11 URIs (RFC 7512): one line that names a token, its module and where its PIN comes from.

use std::{fmt, path::PathBuf, str::FromStr};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::{Deserialize, Serialize};

use super::{Identity, discover};
use crate::error::{Code, Error, Result, bad_input};

/// What the path part may hold as it is (RFC 7512, section 2.3, pk11-pchar).
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b':')
    .remove(b'[')
    .remove(b']')
    .remove(b'@')
    .remove(b'!')
    .remove(b'$')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b'=')
    .remove(b'&');
/// And the query (pk11-qchar).
const QUERY: &AsciiSet = &PATH.remove(b'/').remove(b'?').remove(b'|').add(b'&');

/// A token, named by what it says of itself; no slot number, which changes as devices come and go.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenUri {
    /// The token's label.
    pub token: Option<String>,
    /// Its serial number.
    pub serial: Option<String>,
    /// Its maker.
    pub manufacturer: Option<String>,
    /// Its model.
    pub model: Option<String>,
    /// The label of an object on it.
    pub object: Option<String>,
    /// The kind of that object: `secret-key`, `private`, `public`, `cert`, `data`.
    pub kind: Option<String>,
    /// The id of that object.
    pub id: Option<Vec<u8>>,
    /// The module's maker.
    pub library_manufacturer: Option<String>,
    /// What the module says that it is.
    pub library_description: Option<String>,
    /// The module's version.
    pub library_version: Option<String>,
    /// The module's file.
    pub module_path: Option<PathBuf>,
    /// The module's name, as p11-kit knows it.
    pub module_name: Option<String>,
    /// Where the PIN comes from.
    pub pin_source: Option<String>,
}

impl TokenUri {
    /// The module's file: the one that is named, or the one that is known by this name here.
    ///
    /// # Errors
    /// When the URI names no module, or one that is not here.
    pub fn module(&self) -> Result<PathBuf> {
        if let Some(path) = &self.module_path {
            return Ok(path.clone());
        }
        let name = self.module_name.as_deref().ok_or_else(|| {
            bad_input("the token's URI names no module").fix("add ?module-path=/path/to/the/driver.so to it")
        })?;
        discover::named(name).map(|known| known.path).ok_or_else(|| {
            Error::new(
                Code::TokenMissing,
                format!("no PKCS#11 module named {name:?} is known here"),
            )
            .fix("install the token's driver, or give the file with module-path")
        })
    }

    /// Whether a token is one that the URI names: `maker` and `model` are the token's own, `identity` has the rest.
    pub fn fits(&self, identity: &Identity, maker: &str, model: &str) -> bool {
        // Blanks at the end are padding.
        let is = |wanted: &Option<String>, said: &str| {
            let wanted = wanted.as_deref().map(str::trim_end);
            wanted.is_none_or(|wanted| wanted == said)
        };
        let (library, version) = identity.module.rsplit_once(", ").unwrap_or_default();
        is(&self.token, &identity.label)
            && is(&self.serial, &identity.serial)
            && is(&self.manufacturer, maker)
            && is(&self.model, model)
            && self.library_manufacturer.as_deref().is_none_or(|maker| {
                library
                    .split_once(maker)
                    .is_some_and(|(before, rest)| before.is_empty() && rest.starts_with(", "))
            })
            && self.library_description.as_deref().is_none_or(|text| {
                library
                    .rsplit_once(text)
                    .is_some_and(|(before, rest)| before.ends_with(", ") && rest.is_empty())
            })
            && self.library_version.as_deref().is_none_or(|wanted| {
                // A version without a minor number means that it is 0.
                version == wanted || version.strip_suffix(".0") == Some(wanted)
            })
    }

    fn place(&mut self, name: &str) -> Option<&mut Option<String>> {
        Some(match name {
            "token" => &mut self.token,
            "serial" => &mut self.serial,
            "manufacturer" => &mut self.manufacturer,
            "model" => &mut self.model,
            "object" => &mut self.object,
            "type" => &mut self.kind,
            "library-manufacturer" => &mut self.library_manufacturer,
            "library-description" => &mut self.library_description,
            "library-version" => &mut self.library_version,
            _ => return None,
        })
    }

    fn query_place(&mut self, name: &str) -> Option<&mut Option<String>> {
        match name {
            "module-name" => Some(&mut self.module_name),
            "pin-source" => Some(&mut self.pin_source),
            _ => None,
        }
    }

    fn set_path(&mut self, name: &str, value: &str) -> Result<()> {
        if name == "id" {
            let id: Vec<u8> = percent_decode_str(value).collect();
            return put(&mut self.id, name, id);
        }
        if name.starts_with("slot-") {
            return Err(bad_input(format!(
                "the token's URI names a slot ({name}), and slots change when devices come and go"
            ))
            .fix("name the token by token= (its label) or serial="));
        }
        match self.place(name) {
            Some(place) => put(place, name, text(name, value)?),
            None => Err(unknown(name)),
        }
    }

    fn set_query(&mut self, name: &str, value: &str) -> Result<()> {
        match name {
            "pin-value" => Err(bad_input("the token's URI holds the PIN itself (pin-value): it would stand in clear in a file, or in an argument that every process can see")
                .fix("use pin-source=file:/path, or leave it out and type the PIN; if the PIN was stored so, change it")),
            "module-path" => put(&mut self.module_path, name, PathBuf::from(text(name, value)?)),
            _ => match self.query_place(name) {
                Some(place) => put(place, name, text(name, value)?),
                // Another program's own; the RFC has those ignored here, and matched in the path.
                None if name.starts_with("x-") => Ok(()),
                None => Err(unknown(name)),
            },
        }
    }
}

impl FromStr for TokenUri {
    type Err = Error;

    fn from_str(uri: &str) -> Result<Self> {
        let rest = uri
            .split_at_checked(7)
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("pkcs11:"))
            .ok_or_else(|| bad_input("a token's URI begins with pkcs11:"))?
            .1;
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut parsed = Self::default();
        for part in path.split(';').filter(|part| !part.is_empty()) {
            let (name, value) = pair(part)?;
            parsed.set_path(name, value)?;
        }
        for part in query.split('&').filter(|part| !part.is_empty()) {
            let (name, value) = pair(part)?;
            parsed.set_query(name, value)?;
        }
        Ok(parsed)
    }
}

impl fmt::Display for TokenUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("pkcs11:")?;
        let mut between = "";
        let path = [
            ("token", &self.token),
            ("serial", &self.serial),
            ("manufacturer", &self.manufacturer),
            ("model", &self.model),
            ("library-manufacturer", &self.library_manufacturer),
            ("library-description", &self.library_description),
            ("library-version", &self.library_version),
            ("object", &self.object),
            ("type", &self.kind),
        ];
        for (name, value) in path
            .iter()
            .filter_map(|(name, value)| Some((name, value.as_ref()?)))
        {
            write!(f, "{between}{name}={}", utf8_percent_encode(value, PATH))?;
            between = ";";
        }
        if let Some(id) = &self.id {
            write!(f, "{between}id=")?;
            id.iter().try_for_each(|byte| write!(f, "%{byte:02X}"))?;
        }
        let module_path = self
            .module_path
            .as_ref()
            .map(|path| path.to_string_lossy().into_owned());
        let query = [
            ("module-path", &module_path),
            ("module-name", &self.module_name),
            ("pin-source", &self.pin_source),
        ];
        between = "?";
        for (name, value) in query
            .iter()
            .filter_map(|(name, value)| Some((name, value.as_ref()?)))
        {
            write!(f, "{between}{name}={}", utf8_percent_encode(value, QUERY))?;
            between = "&";
        }
        Ok(())
    }
}

fn pair(part: &str) -> Result<(&str, &str)> {
    let escape = |rest: &str| matches!(rest.as_bytes(), [high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit());
    if !part.split('%').skip(1).all(escape) {
        // The name alone: the value may be a PIN.
        let name = part.split('=').next().unwrap_or_default();
        return Err(bad_input(format!(
            "the token's URI has a `%` that begins no escape, in its part {name:?}"
        ))
        .fix("write a percent sign as %25"));
    }
    part.split_once('=')
        .ok_or_else(|| bad_input("a part of the token's URI has no value").fix("write it as name=value"))
}

fn put<T>(place: &mut Option<T>, name: &str, value: T) -> Result<()> {
    if place.replace(value).is_some() {
        return Err(bad_input(format!("the token's URI says {name} twice")));
    }
    Ok(())
}

fn text(name: &str, value: &str) -> Result<String> {
    let odd = || {
        bad_input(format!(
            "the {name} of the token's URI is not UTF-8 without control characters"
        ))
    };
    let text = percent_decode_str(value).decode_utf8().map_err(|_| odd())?;
    if text.chars().any(char::is_control) {
        Err(odd())
    } else {
        Ok(text.into_owned())
    }
}

fn unknown(name: &str) -> Error {
    bad_input(format!("the token's URI has an unknown part {name:?}"))
        .fix("use token, serial, manufacturer, model, and after the question mark module-path, module-name, pin-source")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_is_read_and_written() {
        let text = "pkcs11:token=My%20token%3B;serial=ab12;manufacturer=M;model=X;object=o;type=private;id=%00%FF?module-path=/usr/lib/x.so&pin-source=file:/etc/pin";
        let uri: TokenUri = text.parse().unwrap();
        assert_eq!(uri.token.as_deref(), Some("My token;"));
        assert_eq!(uri.id, Some(vec![0, 255]));
        assert_eq!(uri.module().unwrap(), PathBuf::from("/usr/lib/x.so"));
        assert_eq!(uri.to_string(), text);
        assert_eq!("PKCS11:".parse::<TokenUri>().unwrap(), TokenUri::default());
    }

    #[test]
    fn a_pin_a_slot_and_the_unknown_are_refused() {
        for (text, part) in [
            ("pkcs11:token=a?pin-value=1234", "in clear"),
            ("pkcs11:token=a?pin-value=1234%zz", "begins no escape"),
            ("pkcs11:slot-id=0", "slot"),
            ("pkcs11:slot-description=x", "slot"),
            ("pkcs11:token=a;token=b", "twice"),
            ("pkcs11:colour=red", "unknown"),
            ("pkcs11:token", "no value"),
            ("pkcs11:token=%FF", "UTF-8"),
            ("pkcs11:token=%0A", "control"),
            ("token=a", "begins with"),
        ] {
            let refused = text.parse::<TokenUri>().unwrap_err();
            assert!(refused.message().contains(part), "{text}: {refused}");
            assert!(!refused.message().contains("1234"));
        }
    }

    #[test]
    fn a_uri_fits_the_token_that_it_names() {
        let token = Identity {
            module: "SoftHSM, Implementation, of PKCS11, 2.0".into(),
            label: "t".into(),
            serial: "1".into(),
            ..Identity::default()
        };
        let fits = |text: &str| {
            let uri = text.parse::<TokenUri>().unwrap();
            uri.fits(&token, "SoftHSM project", "SoftHSM v2")
        };
        for named in [
            "pkcs11:",
            "pkcs11:token=t;manufacturer=SoftHSM%20project;model=SoftHSM%20v2?x-other=1",
            "pkcs11:library-manufacturer=SoftHSM;library-version=2.0",
            "pkcs11:library-description=Implementation%2C%20of%20PKCS11;library-version=2",
        ] {
            assert!(fits(named), "{named}");
        }
        for another in [
            "pkcs11:token=t;serial=2",
            "pkcs11:model=SoftHSM",
            "pkcs11:manufacturer=SoftHSM",
            "pkcs11:manufacturer=",
            "pkcs11:library-manufacturer=Soft",
            "pkcs11:library-description=PKCS11%2C%202.0",
            "pkcs11:library-version=2.1",
            "pkcs11:library-version=0",
        ] {
            assert!(!fits(another), "{another}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_is_read_back(token in "[ -~ä€]{0,20}", source in "[ -~]{0,20}", id: Vec<u8>) {
            let uri = TokenUri { token: Some(token), pin_source: Some(source), id: Some(id), ..TokenUri::default() };
            proptest::prop_assert_eq!(uri.to_string().parse::<TokenUri>().unwrap(), uri);
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "\\PC{0,60}") {
            let _ = text.parse::<TokenUri>();
            let _ = format!("pkcs11:{text}").parse::<TokenUri>();
        }
    }
}
