//! The slots of the PIV applet, and the object in which hsmsign writes down which of them are its own.
//!
//! A slot has no room for an id. So the index stands in a data object of hsmsign's own, which anybody may read and only the
//! management key writes: entries of slot, id, label, and a part of the public key's SHA-256, by which it is seen when
//! another program has put another key there.

use sha2::{Digest as _, Sha256};

use crate::token::{
    ObjectId, Result,
    yubikey::tlv::{items, malformed},
};

/// The object's id: one of those that the makers leave free, "HS".
pub(super) const INDEX: [u8; 3] = [0x5f, 0x48, 0x53];
const VERSION: u8 = 1;
const MARK: usize = 8;

/// A slot by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot(pub u8);

impl Slot {
    /// Those in which a key of hsmsign's may be made where none is named: the retired ones, which other programs use least,
    /// then that for signatures.
    pub fn all() -> impl Iterator<Item = Self> {
        (0x82..=0x95).chain([0x9c, 0x9a, 0x9d, 0x9e]).map(Self)
    }

    /// The slot of this number in hex, as `9c`.
    pub fn named(name: &str) -> Option<Self> {
        let number = u8::from_str_radix(name, 16).ok()?;
        Self::all().find(|slot| slot.0 == number)
    }

    /// The object that holds its certificate.
    pub const fn certificate(self) -> [u8; 3] {
        let last = match self.0 {
            0x9a => 0x05,
            0x9c => 0x0a,
            0x9d => 0x0b,
            0x9e => 0x01,
            retired => retired - 0x82 + 0x0d,
        };
        [0x5f, 0xc1, last]
    }
}

/// An entry of the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    slot: u8,
    /// The id; none where the key was given up on firmware that deletes none, so that the slot may be used again.
    pub id: Option<ObjectId>,
    /// The key's label.
    pub label: String,
    /// Of the public key as the applet writes it; none while the key is being made.
    mark: Option<Vec<u8>>,
}

impl Entry {
    /// For a key that is about to be made.
    pub(super) fn new(slot: Slot, id: &ObjectId, label: &str) -> Self {
        Self {
            slot: slot.0,
            id: Some(id.clone()),
            label: label.chars().take(64).collect(),
            mark: None,
        }
    }

    /// Its slot.
    pub(super) const fn slot(&self) -> Slot {
        Slot(self.slot)
    }

    /// The same for the key that is there now.
    pub(super) fn marked(mut self, public: &[u8]) -> Self {
        self.mark = Some(mark(public));
        self
    }

    /// Whether this is its key, by the public half.
    pub(super) fn is_of(&self, public: Option<&[u8]>) -> bool {
        self.mark.is_none() || self.mark == public.map(mark)
    }
}

fn mark(public: &[u8]) -> Vec<u8> {
    Sha256::digest(public)[..MARK].to_vec()
}

/// Reads the index.
///
/// # Errors
/// When it is not one that this hsmsign wrote.
pub fn read(data: &[u8]) -> Result<Vec<Entry>> {
    let mut items = items(data);
    match items.next().transpose()? {
        None => return Ok(Vec::new()),
        Some((0x80, [VERSION])) => {}
        Some(_) => return Err(malformed("the index of hsmsign's keys is of another version")),
    }
    items.map(|item| entry(item?)).collect()
}

fn entry((tag, value): (u8, &[u8])) -> Result<Entry> {
    let wrong = || malformed("the index of hsmsign's keys is damaged");
    let mut entry = Entry {
        slot: 0,
        id: None,
        label: String::new(),
        mark: None,
    };
    for item in items(value) {
        match item? {
            (0x71, [slot]) if Slot::all().any(|known| known.0 == *slot) => entry.slot = *slot,
            (0x72, id) if (1..=64).contains(&id.len()) => entry.id = Some(ObjectId::from_bytes(id)),
            (0x73, label) => entry.label = String::from_utf8(label.to_vec()).map_err(|_| wrong())?,
            (0x74, mark) if mark.len() == MARK => entry.mark = Some(mark.to_vec()),
            _ => return Err(wrong()),
        }
    }
    match (tag, entry.slot) {
        (0x70, 1..) => Ok(entry),
        _ => Err(wrong()),
    }
}

/// Writes the index.
pub fn write(entries: &[Entry]) -> Vec<u8> {
    let mut out = tlv(0x80, &[VERSION]);
    for entry in entries {
        let mut inner = tlv(0x71, &[entry.slot]);
        inner.extend(entry.id.iter().flat_map(|id| tlv(0x72, id.as_bytes())));
        inner.extend(tlv(0x73, entry.label.as_bytes()));
        inner.extend(entry.mark.iter().flat_map(|mark| tlv(0x74, mark)));
        out.extend(tlv(0x70, &inner));
    }
    out
}

/// An item of up to 65535 bytes.
pub(super) fn tlv(tag: u8, value: &[u8]) -> Vec<u8> {
    let [.., high, low] = value.len().to_be_bytes();
    let head = match value.len() {
        0..=0x7f => vec![tag, low],
        0x80..=0xff => vec![tag, 0x81, low],
        _ => vec![tag, 0x82, high, low],
    };
    [&head[..], value].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_read_as_it_was_written() {
        let id = ObjectId::random().unwrap();
        let one = Entry::new(Slot(0x82), &id, &"hsmsign:".repeat(20));
        let two = Entry::new(Slot(0x9c), &id, "hsmsign:binance").marked(b"a public key");
        let free = Entry {
            id: None,
            ..two.clone()
        };
        let all = vec![one, two.clone(), free];
        assert_eq!(read(&write(&all)).unwrap(), all);
        assert!(read(&[]).unwrap().is_empty());
        assert!(two.is_of(Some(b"a public key")) && !two.is_of(Some(b"another")) && !two.is_of(None));
        let written = write(&all);
        for end in 1..written.len() {
            // Cut off at an entry's end it is shorter, and not damaged.
            if let Ok(entries) = read(&written[..end]) {
                assert_eq!(entries, all[..entries.len()]);
            }
        }
        assert!(read(&[0x80, 1, 2]).is_err());
    }

    #[test]
    fn each_slot_has_its_certificate() {
        assert_eq!(Slot::all().count(), 24);
        let mut objects: Vec<_> = Slot::all().map(Slot::certificate).collect();
        objects.sort_unstable();
        objects.dedup();
        assert_eq!(objects.len(), 24);
        assert_eq!(Slot(0x95).certificate(), [0x5f, 0xc1, 0x20]);
        assert_eq!(Slot::named("9c"), Some(Slot(0x9c)));
        assert_eq!(Slot::named("9b"), None);
    }
}
