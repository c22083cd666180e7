//! What is known of a field's name, found at one look.

use std::{collections::HashMap, sync::LazyLock};

use super::{AMOUNTS, ORDERS, SPENDING, SYMBOLS, UNITS, closing::CLOSES, ends_as_amount};

/// What a field may be to rules by its name: a bit each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::policy) struct Marks(u8);

impl Marks {
    /// It says how much is traded, moved or spent.
    pub const AMOUNT: Self = Self(1);
    /// It names what is traded.
    pub const SYMBOL: Self = Self(2);
    /// It may say in which unit an amount is.
    pub const UNIT: Self = Self(4);
    /// It may close what there is.
    pub const CLOSES: Self = Self(8);
    /// An order has it, and little else.
    pub const ORDER: Self = Self(16);
    /// It may say that an order spends its price.
    pub const SPENDS: Self = Self(32);

    /// Those of a folded name.
    #[cfg(test)]
    pub fn of(name: &str) -> Self {
        Self::at(Table::place(name), name)
    }

    /// Those of a name that is folded as it stands; none for another.
    pub fn of_folded(name: &str) -> Option<Self> {
        let mut hash = name.len();
        for byte in name.bytes() {
            if !byte.is_ascii_lowercase() && !byte.is_ascii_digit() {
                return None;
            }
            hash = Table::with(hash, byte);
        }
        Some(Self::at(hash % Table::SIZE, name))
    }

    fn at(place: usize, name: &str) -> Self {
        match TABLE.get(place, name) {
            Some(marks) => marks,
            None if ends_as_amount(name) => Self::AMOUNT,
            None => Self::default(),
        }
    }

    /// Those of either.
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether it has this mark.
    pub const fn has(self, mark: Self) -> bool {
        self.0 & mark.0 != 0
    }
}

/// The names that are known, each at the place that it hashes to or behind it.
struct Table([Option<(&'static str, Marks)>; Self::SIZE]);

static TABLE: LazyLock<Table> = LazyLock::new(Table::new);

impl Table {
    const SIZE: usize = 1024;

    fn new() -> Self {
        let mut all: HashMap<&str, u8> = HashMap::new();
        let marked: [(&mut dyn Iterator<Item = &&str>, Marks); 7] = [
            (&mut AMOUNTS.iter(), Marks::AMOUNT),
            (&mut SYMBOLS.iter(), Marks::SYMBOL),
            (&mut UNITS.iter().map(|(name, _)| name), Marks::UNIT),
            (&mut CLOSES.iter(), Marks::CLOSES),
            (&mut ["close", "flags", "execinst"].iter(), Marks::CLOSES),
            (&mut ORDERS.iter(), Marks::ORDER),
            (&mut SPENDING.iter().map(|(name, _)| name), Marks::SPENDS),
        ];
        for (names, marks) in marked {
            names.for_each(|name| *all.entry(name).or_default() |= marks.0);
        }
        let mut table = Self([None; Self::SIZE]);
        for (name, mut marks) in all {
            if ends_as_amount(name) {
                marks |= Marks::AMOUNT.0;
            }
            let mut at = Self::place(name);
            while table.0[at].is_some() {
                at = (at + 1) % Self::SIZE;
            }
            table.0[at] = Some((name, Marks(marks)));
        }
        table
    }

    fn place(name: &str) -> usize {
        name.bytes().fold(name.len(), Self::with) % Self::SIZE
    }

    fn with(hash: usize, byte: u8) -> usize {
        hash.wrapping_mul(31).wrapping_add(usize::from(byte))
    }

    /// The marks of a name that hashes to a place.
    fn get(&self, place: usize, name: &str) -> Option<Marks> {
        let mut at = place;
        while let Some((have, marks)) = &self.0[at] {
            if *have == name {
                return Some(*marks);
            }
            at = (at + 1) % Self::SIZE;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{
        super::{closes, is_amount, is_unit, spends},
        *,
    };

    fn check(name: &str) {
        let marks = Marks::of(name);
        assert_eq!(Some(marks), Marks::of_folded(name));
        assert_eq!(marks.has(Marks::AMOUNT), is_amount(name), "{name}");
        assert_eq!(marks.has(Marks::SYMBOL), SYMBOLS.contains(&name), "{name}");
        assert_eq!(marks.has(Marks::UNIT), is_unit(name), "{name}");
        assert_eq!(marks.has(Marks::ORDER), ORDERS.contains(&name), "{name}");
        for (_, kind) in SPENDING {
            assert!(marks.has(Marks::SPENDS) || !spends(name, kind), "{name}");
        }
        for value in ["true", "1", "512", "close", "x"] {
            assert!(marks.has(Marks::CLOSES) || !closes(name, value), "{name}");
        }
    }

    #[test]
    fn every_known_name_has_its_marks() {
        let all = [AMOUNTS, SYMBOLS, CLOSES, ORDERS, &["close", "flags", "execinst"]];
        all.iter()
            .flat_map(|names| names.iter())
            .for_each(|name| check(name));
        UNITS.iter().chain(SPENDING).for_each(|(name, _)| check(name));
        ["totalspend", "quoteordersize", "fromcoinsize"]
            .into_iter()
            .for_each(check);
    }

    proptest! {
        #[test]
        fn any_name_has_its_marks(begin in "(iceberg|min|x)?", middle in "[a-z0-9]{0,3}", end in "(qty|amount|valueev|sz|spend|ordersize|close|flags|side|pair)?") {
            check(&[begin, middle, end].concat());
        }
    }
}
