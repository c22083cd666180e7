//! Which of the tokens that are present is meant: by label or serial number, never by slot.

use cryptoki_sys::*;

use super::module::{Answer, Module};
use crate::token::{Identity, TokenError, uri::TokenUri};

/// A token that is present.
#[derive(Debug, Clone)]
pub(super) struct Present {
    pub slot: CK_SLOT_ID,
    pub info: CK_TOKEN_INFO,
    pub identity: Identity,
}

impl Present {
    pub fn has(&self, flag: CK_FLAGS) -> bool {
        self.info.flags & flag != 0
    }
}

/// Every token that is present. One that goes away meanwhile is left out.
pub(super) fn present(module: &Module) -> Answer<Vec<Present>> {
    let about = about(module);
    let mut all = Vec::new();
    let mut broken = None;
    for slot in module.slots()? {
        let info = match module.token_info(slot) {
            Ok(info) => info,
            Err(refused)
                if matches!(
                    refused.code,
                    CKR_TOKEN_NOT_PRESENT
                        | CKR_TOKEN_NOT_RECOGNIZED
                        | CKR_DEVICE_REMOVED
                        | CKR_SLOT_ID_INVALID
                ) =>
            {
                continue;
            }
            // One that SoftHSM was killed in the middle of making, beside others that are whole.
            Err(refused) if refused.code == CKR_GENERAL_ERROR => {
                broken = Some(refused);
                continue;
            }
            Err(refused) => return Err(refused),
        };
        let identity = Identity {
            kind: "pkcs11".to_owned(),
            module: about.clone(),
            label: text(&info.label),
            serial: text(&info.serialNumber),
            model: format!("{} {}", text(&info.manufacturerID), text(&info.model))
                .trim()
                .to_owned(),
        };
        all.push(Present { slot, info, identity });
    }
    match broken {
        Some(refused) if all.is_empty() => Err(refused),
        _ => Ok(all),
    }
}

/// The one token that is meant. Blanks at the end of a name do not count: tokens pad with them.
pub(super) fn choose(
    present: Vec<Present>,
    label: Option<&str>,
    serial: Option<&str>,
    uri: &TokenUri,
) -> Result<Present, TokenError> {
    let (label, serial) = (label.map(str::trim_end), serial.map(str::trim_end));
    let ready: Vec<_> = present
        .into_iter()
        .filter(|token| token.has(CKF_TOKEN_INITIALIZED))
        .collect();
    let there = if ready.is_empty() {
        "no initialised token is there".to_owned()
    } else {
        format!("there is {}", list(&ready))
    };
    let mut matching: Vec<_> = ready
        .into_iter()
        .filter(|token| label.is_none_or(|label| token.identity.label == label))
        .filter(|token| serial.is_none_or(|serial| token.identity.serial == serial))
        .filter(|token| {
            let (maker, model) = (text(&token.info.manufacturerID), text(&token.info.model));
            uri.fits(&token.identity, &maker, &model)
        })
        .collect();
    let wanted = wanted(label, serial, uri);
    match (matching.len(), matching.pop()) {
        (1, Some(token)) => Ok(token),
        (0, _) => Err(TokenError::Missing {
            what: match wanted {
                None => there,
                Some(wanted) => format!("there is no {wanted}; {there}"),
            },
            fix: "plug the token in, or name one that is there by its label or serial number; a new one is made by `hsmsign init`".to_owned(),
        }),
        (_, last) => {
            matching.extend(last);
            Err(TokenError::Missing {
                what: format!(
                    "there is more than one {}: {}",
                    wanted.as_deref().unwrap_or("token"),
                    list(&matching)
                ),
                fix: match label.or(uri.token.as_deref()) {
                    None => "say which by its label or serial number".to_owned(),
                    Some(_) => "say which by its serial number".to_owned(),
                },
            })
        }
    }
}

/// What was asked for, in words; nothing where any token would do.
fn wanted(label: Option<&str>, serial: Option<&str>, uri: &TokenUri) -> Option<String> {
    let by: Vec<_> = [
        ("label", label.or(uri.token.as_deref())),
        ("serial number", serial.or(uri.serial.as_deref())),
        ("maker", uri.manufacturer.as_deref()),
        ("model", uri.model.as_deref()),
        ("module's maker", uri.library_manufacturer.as_deref()),
        ("module's description", uri.library_description.as_deref()),
        ("module's version", uri.library_version.as_deref()),
    ]
    .into_iter()
    .filter_map(|(what, value)| Some(format!("{what} {:?}", value?)))
    .collect();
    (!by.is_empty()).then(|| format!("token with the {}", by.join(" and the ")))
}

fn list(tokens: &[Present]) -> String {
    let tokens: Vec<_> = tokens
        .iter()
        .map(|token| {
            format!(
                "{:?} (serial {}, {})",
                token.identity.label, token.identity.serial, token.identity.model
            )
        })
        .collect();
    tokens.join(", ")
}

/// What the module says of itself, as `SoftHSM, Implementation of PKCS11, 2.6`.
fn about(module: &Module) -> String {
    module.info().map_or_else(
        |_| String::new(),
        |info| {
            let version = info.libraryVersion;
            let maker = text(&info.manufacturerID);
            let description = text(&info.libraryDescription);
            format!("{maker}, {description}, {}.{}", version.major, version.minor)
        },
    )
}

/// A padded field without its padding; bytes that are not UTF-8 are replaced, control characters dropped.
fn text(field: &[u8]) -> String {
    let end = field.iter().position(|&byte| byte == 0).unwrap_or(field.len());
    let text = String::from_utf8_lossy(&field[..end]);
    text.trim_end().chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(label: &str, serial: &str) -> Present {
        let info = CK_TOKEN_INFO {
            flags: CKF_TOKEN_INITIALIZED,
            ..CK_TOKEN_INFO::default()
        };
        let identity = Identity {
            label: label.into(),
            serial: serial.into(),
            ..Identity::default()
        };
        Present {
            slot: 1,
            info,
            identity,
        }
    }

    fn choose(
        present: Vec<Present>,
        label: Option<&str>,
        serial: Option<&str>,
    ) -> Result<Present, TokenError> {
        super::choose(present, label, serial, &TokenUri::default())
    }

    #[test]
    fn a_uri_chooses_by_all_that_it_says() {
        let of = |maker: &str, serial: &str| {
            let mut token = token("same", serial);
            token.info.manufacturerID = [b' '; 32];
            token.info.manufacturerID[..maker.len()].copy_from_slice(maker.as_bytes());
            token
        };
        let two = || vec![of("Maker", "1"), of("Maker & Co", "2")];
        let by = |uri: &str| super::choose(two(), None, None, &uri.parse().unwrap());
        assert_eq!(by("pkcs11:manufacturer=Maker").unwrap().identity.serial, "1");
        assert_eq!(by("pkcs11:serial=2;token=same%20").unwrap().identity.serial, "2");
        let refused = by("pkcs11:token=same").unwrap_err().to_string();
        assert!(
            refused.contains("more than one token with the label \"same\""),
            "{refused}"
        );
        let refused = by("pkcs11:token=same;manufacturer=Mak").unwrap_err().to_string();
        assert!(refused.contains("and the maker \"Mak\""), "{refused}");
        // What config.toml says beside the URI holds as well.
        let uri = "pkcs11:serial=2".parse().unwrap();
        assert!(super::choose(two(), None, Some("1"), &uri).is_err());
    }

    #[test]
    fn one_token_needs_no_name_and_two_do() {
        assert!(choose(vec![token("a", "1")], None, None).is_ok());
        let two = || vec![token("a", "1"), token("a", "2")];
        let refused = choose(two(), Some("a"), None).unwrap_err().to_string();
        assert!(
            refused.contains("serial 1") && refused.contains("serial 2"),
            "{refused}"
        );
        assert_eq!(choose(two(), Some("a"), Some("2")).unwrap().identity.serial, "2");
        assert!(choose(two(), None, None).is_err());
        let refused = choose(two(), Some("b"), None).unwrap_err().to_string();
        assert!(refused.contains("no token with the label \"b\""), "{refused}");
        let refused = choose(Vec::new(), None, None).unwrap_err().to_string();
        assert!(refused.starts_with("no initialised token is there"), "{refused}");
    }

    #[test]
    fn blanks_behind_a_name_are_padding() {
        let spaced = || vec![token("a b", "1"), token(" a b", "2")];
        assert_eq!(
            choose(spaced(), Some("a b  "), None).unwrap().identity.serial,
            "1"
        );
        assert_eq!(
            choose(spaced(), Some(" a b"), Some("2 "))
                .unwrap()
                .identity
                .serial,
            "2"
        );
        assert!(choose(spaced(), Some("  a b"), None).is_err());
    }

    #[test]
    fn padding_and_control_characters_go() {
        assert_eq!(text(b"label   "), "label");
        assert_eq!(text(b"la\x1bbel\0\xff\xff"), "label");
    }
}
