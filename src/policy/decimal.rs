//! Amounts: exact decimal numbers, never binary fractions.

use std::fmt;

/// How many decimal places an amount is counted with.
const PLACES: i32 = 18;
/// How many digits a number may have between its first and last that is not zero.
const DIGITS: usize = 18;
/// How far its point may be moved, either way.
const FAR: i32 = 30;

/// The powers of ten of which most amounts are multiples.
const POWERS: [u64; 19] = {
    let mut all = [1; 19];
    let mut at = 1;
    while at < all.len() {
        all[at] = all[at - 1] * 10;
        at += 1;
    }
    all
};

/// An amount that is counted, in units of 10⁻¹⁸, rounded up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Amount(pub u128);

/// A number as a request spells it, without its sign: `mantissa` · 10^`exponent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decimal {
    mantissa: u128,
    exponent: i32,
}

impl Decimal {
    /// Reads `12`, `0.10`, `.5`, `1e-3`. The sign is dropped: a sale is an amount too. None for anything else, such as
    /// blanks, separators, hex, infinities, or more digits than any exchange takes.
    pub fn parse(text: &str) -> Option<Self> {
        Self::plain(text).or_else(|| Self::parse_any(text))
    }

    /// Reads digits with a point among them or without one, as most numbers are; none for what takes a closer look.
    fn plain(text: &str) -> Option<Self> {
        if text.len() > DIGITS {
            return None;
        }
        let mut mantissa = 0_u64;
        let (mut digits, mut places) = (0, None);
        for byte in text.bytes() {
            match (byte, places) {
                (b'0'..=b'9', _) => {
                    mantissa = mantissa * 10 + u64::from(byte - b'0');
                    digits += 1;
                }
                (b'.', None) => places = Some(digits),
                _ => return None,
            }
        }
        (digits > 0).then(|| Self {
            mantissa: mantissa.into(),
            exponent: places.map_or(0, |before| before - digits),
        })
    }

    #[inline(never)]
    fn parse_any(text: &str) -> Option<Self> {
        let text = text.strip_prefix(['-', '+']).unwrap_or(text);
        let (number, exponent) = match text.split_once(['e', 'E']) {
            None => (text, 0),
            Some((number, exponent)) => {
                let digits = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
                if digits.is_empty() || digits.len() > 4 || !digits.bytes().all(|byte| byte.is_ascii_digit())
                {
                    return None;
                }
                (number, exponent.parse::<i32>().ok()?)
            }
        };
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        let digits = || whole.bytes().chain(part.bytes());
        let count = whole.len() + part.len();
        if count == 0 || count > 80 || !digits().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let zero = |byte: &u8| *byte == b'0';
        let (before, behind) = (
            digits().take_while(zero).count(),
            digits().rev().take_while(zero).count(),
        );
        let Some(count) = count.checked_sub(before + behind).filter(|count| *count > 0) else {
            return Some(Self {
                mantissa: 0,
                exponent: 0,
            });
        };
        let exponent = exponent - i32::try_from(part.len()).ok()? + i32::try_from(behind).ok()?;
        if count > DIGITS || exponent.abs() > FAR {
            return None;
        }
        let mantissa = digits()
            .skip(before)
            .take(count)
            .fold(0_u64, |sum, byte| sum * 10 + u64::from(byte - b'0'));
        Some(Self {
            mantissa: mantissa.into(),
            exponent,
        })
    }

    /// The product; none where it is out of all proportion.
    pub fn times(self, other: Self) -> Option<Self> {
        Some(Self {
            mantissa: self.mantissa.checked_mul(other.mantissa)?,
            exponent: self.exponent + other.exponent,
        })
    }

    /// As it is counted; none where it is too great to be.
    pub fn amount(self) -> Option<Amount> {
        let shift = self.exponent + PLACES;
        if self.mantissa == 0 {
            return Some(Amount(0));
        }
        if let (Ok(mantissa), Some(power)) = (
            u64::try_from(self.mantissa),
            usize::try_from(shift).ok().and_then(|shift| POWERS.get(shift)),
        ) {
            return Some(Amount(u128::from(mantissa) * u128::from(*power)));
        }
        let power = |of: i32| 10_u128.checked_pow(of.unsigned_abs());
        let units = if shift >= 0 {
            self.mantissa.checked_mul(power(shift)?)?
        } else {
            // What is less than a unit counts as one.
            power(shift).map_or(1, |by| self.mantissa.div_ceil(by))
        };
        Some(Amount(units))
    }
}

impl Amount {
    /// This many whole ones.
    pub const fn whole(count: u64) -> Self {
        Self(count as u128 * 1_000_000_000_000_000_000)
    }

    /// The sum; the greatest amount where there is no greater.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one = Self::whole(1).0;
        let part = format!("{:018}", self.0 % one);
        let part = part.trim_end_matches('0');
        let point = if part.is_empty() { "" } else { "." };
        write!(f, "{}{point}{part}", self.0 / one)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn plain_numbers_are_what_a_closer_look_finds(text in "[0-9.]{0,19}|[0-9]{0,3}[.+e-]{0,2}[0-9]{0,3}", other in "[0-9.]{0,19}") {
            let times = |one: Option<Decimal>| one?.times(Decimal::parse_any(&other)?)?.amount();
            if let Some(plain) = Decimal::plain(&text) {
                prop_assert_eq!(plain.amount(), Decimal::parse_any(&text).and_then(Decimal::amount), "{}", text);
                prop_assert_eq!(times(Some(plain)), times(Decimal::parse_any(&text)), "{} {}", text, other);
            }
        }
    }

    fn amount(text: &str) -> Option<String> {
        Decimal::parse(text)?.amount().map(|amount| amount.to_string())
    }

    #[test]
    fn every_spelling_of_a_number_is_the_same_amount() {
        for text in [
            "0.1", ".1", "+0.100", "1e-1", "1E-1", "0.01e1", "-0.1", "00.1", "100e-3",
        ] {
            assert_eq!(amount(text).as_deref(), Some("0.1"), "{text}");
        }
        assert_eq!(amount("1e3").as_deref(), Some("1000"));
        assert_eq!(amount("0").as_deref(), Some("0"));
        assert_eq!(amount("5.").as_deref(), Some("5"));
        assert_eq!(
            amount("0.000000000000000000000001").as_deref(),
            Some("0.000000000000000001")
        );
    }

    #[test]
    fn what_is_no_plain_number_is_none() {
        for text in [
            "",
            "-",
            "+",
            ".",
            "e5",
            "1e",
            "0x10",
            "1_000",
            "1,5",
            " 1",
            "1 ",
            "inf",
            "NaN",
            "١",
            "1e99999",
            "1e-31",
            "--1",
            "+-1",
            "1.2.3",
            "1e1.5",
            "1f",
            "1e400",
            "1234567890123456789",
            "1\u{0}",
            "１",
        ] {
            assert_eq!(amount(text), None, "{text:?}");
        }
    }

    #[test]
    fn products_are_exact_and_too_great_ones_none() {
        let product = |a: &str, b: &str| {
            let of = Decimal::parse(a)?.times(Decimal::parse(b)?)?;
            of.amount().map(|amount| amount.to_string())
        };
        assert_eq!(product("37500", "1.25").as_deref(), Some("46875"));
        assert_eq!(product("0.1", "0.2").as_deref(), Some("0.02"));
        assert_eq!(product("1e20", "1e20"), None);
    }
}
