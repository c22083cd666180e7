//! How hsmsign's credentials are named: the label, a blank, and the id in hex, in 64 bytes; as
//! `hsmsign:kraken 0123456789abcdef0123456789abcdef`. Others show them as accounts of the issuer "hsmsign".

use crate::token::{KeyMeta, ObjectId};

/// The longest name, in bytes.
const LONGEST: usize = 64;
/// Every label begins so.
const OURS: &str = "hsmsign:";
/// The label of a credential that is there for the time of a probe.
pub(super) const PROBE: &str = "hsmsign:probe";

/// The name of a new credential. A label that is too long is cut: the id is what counts.
pub(super) fn of(meta: &KeyMeta) -> String {
    let id = meta.id.to_string();
    let room = LONGEST.saturating_sub(id.len() + 1);
    let mut label = meta.label.as_str();
    while label.len() > room {
        let end = label.char_indices().next_back().map_or(0, |(at, _)| at);
        label = &label[..end];
    }
    format!("{label} {id}")
}

/// The id in a name; none where it is not one of hsmsign's.
pub(super) fn id(name: &[u8]) -> Option<ObjectId> {
    let (label, id) = std::str::from_utf8(name).ok()?.rsplit_once(' ')?;
    label
        .starts_with(OURS)
        .then(|| id.to_owned().try_into().ok())
        .flatten()
}

/// The label in a name; all of it, where it is not one of hsmsign's.
pub(super) fn label(name: &str) -> &str {
    match id(name.as_bytes()) {
        Some(_) => name.rsplit_once(' ').map_or(name, |(label, _)| label),
        None => name,
    }
}

/// Whether it was left by a probe that was cut off.
pub(super) fn is_probe(name: &[u8]) -> bool {
    id(name).is_some() && name.starts_with(PROBE.as_bytes()) && name.get(PROBE.len()) == Some(&b' ')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::Wishes;

    #[test]
    fn a_name_has_label_and_id_and_fits() {
        let new = ObjectId::random().unwrap();
        for label in ["hsmsign:kraken".to_owned(), format!("hsmsign:{}", "k".repeat(63))] {
            let meta = KeyMeta {
                id: new.clone(),
                label: label.clone(),
                wishes: Wishes::default(),
            };
            let name = of(&meta);
            assert!(name.len() <= LONGEST, "{name}");
            assert_eq!(id(name.as_bytes()).as_ref(), Some(&new));
            assert!(label.starts_with(super::label(&name)));
        }
        for other in [
            "GitHub:me",
            "me deadbeef",
            "hsmsign:kraken",
            "hsmsign:kraken x y",
            "",
        ] {
            assert_eq!(id(other.as_bytes()), None, "{other}");
            assert_eq!(super::label(other), other);
        }
    }

    #[test]
    fn only_what_a_probe_left_is_taken_for_it() {
        let named = |label: &str| {
            of(&KeyMeta {
                id: ObjectId::random().unwrap(),
                label: label.to_owned(),
                wishes: Wishes::default(),
            })
        };
        assert!(is_probe(named(PROBE).as_bytes()));
        // A key may be named so, too.
        assert!(!is_probe(named("hsmsign:probe-kraken").as_bytes()));
        assert!(!is_probe(b"hsmsign:probe x"));
    }
}
