//! Which of the tokens that are present is meant: by label or serial number, never by slot.

use cryptoki_sys::*;

use super::module::{Answer, Module};
use crate::token::{Identity, TokenError};

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
        .collect();
    match (matching.len(), matching.pop()) {
        (1, Some(token)) => Ok(token),
        (0, _) => Err(TokenError::Missing {
            what: match wanted(label, serial) {
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
                    wanted(label, serial).as_deref().unwrap_or("token"),
                    list(&matching)
                ),
                fix: match label {
                    None => "say which by its label or serial number".to_owned(),
                    Some(_) => "say which by its serial number".to_owned(),
                },
            })
        }
    }
}

/// What was asked for, in words; nothing where any token would do.
fn wanted(label: Option<&str>, serial: Option<&str>) -> Option<String> {
    let by = match (label, serial) {
        (None, None) => return None,
        (Some(label), None) => format!("label {label:?}"),
        (None, Some(serial)) => format!("serial number {serial:?}"),
        (Some(label), Some(serial)) => format!("label {label:?} and the serial number {serial:?}"),
    };
    Some(format!("token with the {by}"))
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
