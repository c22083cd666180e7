//! Nonces: numbers that count up, random ones, and those that are the timestamp again.

use super::{Unit, misshapen};
use crate::{
    error::{Result, bad_input, failed},
    exchange::file::NonceFile,
};

/// How a scheme's nonce is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Series {
    /// A number that counts up.
    Count(Unit),
    /// The same, written as seconds with a decimal point: counted in microseconds, `1700000000.123456`.
    Decimal(Unit),
    /// Random.
    Random {
        /// What a made one looks like.
        shape: Shape,
        /// Whether one that is brought may be any word.
        word: bool,
    },
    /// The timestamp again.
    Timestamp,
    /// The timestamp again; one that is brought may be a word.
    Word,
}

/// What a random nonce looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A UUID (RFC 9562, version 4), lower case.
    Uuid,
    /// 16 bytes in lower-case hex.
    Hex,
}

impl Series {
    pub(crate) fn new(file: &NonceFile) -> Result<Self> {
        let series = match (file.unit.as_deref(), file.random.as_deref(), file.like.as_deref()) {
            (Some(unit), None, None) => {
                let unit = Unit::parse(unit).ok_or_else(|| {
                    bad_input(format!("there is no nonce unit {unit:?}")).fix("use s, ms, us or ns")
                })?;
                if file.decimal {
                    Self::Decimal(unit)
                } else {
                    Self::Count(unit)
                }
            }
            (None, Some("uuid"), None) => Self::random(Shape::Uuid, file.word),
            (None, Some("hex32"), None) => Self::random(Shape::Hex, file.word),
            (None, None, Some("timestamp")) if file.word => Self::Word,
            (None, None, Some("timestamp")) => Self::Timestamp,
            _ => {
                return Err(bad_input("`nonce` must have one of unit, random and like")
                    .fix("write unit = \"ms\", random = \"uuid\" or \"hex32\", or like = \"timestamp\""));
            }
        };
        let is_counted = matches!(series, Self::Count(_) | Self::Decimal(_));
        if file.word && is_counted {
            return Err(bad_input("`nonce` cannot be a word and have a `unit`"));
        }
        if (file.decimal || file.increasing) && !is_counted {
            return Err(bad_input(
                "`nonce` can be decimal or increasing only with a `unit`",
            ));
        }
        Ok(series)
    }

    const fn random(shape: Shape, word: bool) -> Self {
        Self::Random { shape, word }
    }

    /// Whether one that is brought is text that the request chooses.
    pub(crate) const fn is_chosen(self) -> bool {
        matches!(self, Self::Word | Self::Random { word: true, .. })
    }

    /// Refuses a nonce that is not of the form.
    pub(crate) fn check(self, nonce: &str) -> Result<()> {
        let (fits, form) = match self {
            Self::Count(_) | Self::Timestamp => (
                count(nonce).is_some(),
                "a whole number of 1 to 20 digits below 2^64, without sign or leading zero",
            ),
            Self::Decimal(unit) => (
                decimal(nonce, unit).is_some(),
                "a number without sign or leading zero, with at most 9 digits behind the point",
            ),
            Self::Word | Self::Random { word: true, .. } => {
                (is_word(nonce), "1 to 64 letters, digits and -_.")
            }
            Self::Random {
                shape: Shape::Uuid, ..
            } => (is_uuid(nonce), "a UUID in lower case"),
            Self::Random {
                shape: Shape::Hex, ..
            } => (
                matches!(nonce.len(), 32 | 64) && nonce.bytes().all(is_lower_hex),
                "32 or 64 hex digits in lower case",
            ),
        };
        if fits {
            Ok(())
        } else {
            Err(misshapen("nonce", nonce).fix(format!("this exchange wants {form}")))
        }
    }

    /// The number that a brought nonce of a series that counts stands for, in the series' own unit.
    pub(crate) fn value(self, nonce: &str) -> Option<u64> {
        match self {
            Self::Count(_) => count(nonce),
            Self::Decimal(unit) => decimal(nonce, unit),
            Self::Random { .. } | Self::Timestamp | Self::Word => None,
        }
    }

    /// A number of a series that counts, as it stands on the wire.
    pub(crate) fn write(self, number: u64) -> String {
        match self {
            Self::Decimal(unit) if unit != Unit::Seconds => {
                let rate = unit.per_second();
                let digits = rate.ilog10() as usize;
                format!("{}.{:0digits$}", number / rate, number % rate)
            }
            _ => number.to_string(),
        }
    }
}

impl Shape {
    /// A random nonce.
    pub(crate) fn make(self) -> Result<String> {
        let mut bytes = [0_u8; 16];
        getrandom::fill(&mut bytes)
            .map_err(|error| failed(format!("the system gave no random bytes: {error}")))?;
        if self == Self::Hex {
            return Ok(base16ct::lower::encode_string(&bytes));
        }
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        let hex = base16ct::lower::encode_string(&bytes);
        Ok(format!(
            "{}-{}-{}-{}-{}",
            &hex[..8],
            &hex[8..12],
            &hex[12..16],
            &hex[16..20],
            &hex[20..]
        ))
    }
}

/// The value of a brought nonce of digits.
fn count(nonce: &str) -> Option<u64> {
    let canonical = !nonce.is_empty()
        && nonce.bytes().all(|byte| byte.is_ascii_digit())
        && (nonce == "0" || !nonce.starts_with('0'));
    if canonical { nonce.parse().ok() } else { None }
}

/// Seconds with decimals as a count of the unit, rounded down: what is made next lies above what was brought.
fn decimal(nonce: &str, unit: Unit) -> Option<u64> {
    let (whole, part) = nonce.split_once('.').unwrap_or((nonce, "0"));
    let fits = (1..=9).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    let nanos = fits.then(|| format!("{part:0<9}"))?.parse::<u64>().ok()?;
    let rate = unit.per_second();
    count(whole)?
        .checked_mul(rate)?
        .checked_add(nanos / (1_000_000_000 / rate))
}

fn is_word(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

/// Whether it is a UUID in lower-case hex, of any version.
pub(crate) fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => is_lower_hex(byte),
        })
}

fn is_lower_hex(byte: u8) -> bool {
    byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brought_nonces_must_have_the_form() {
        let counted = Series::Count(Unit::Millis);
        for good in ["0", "1", "18446744073709551615"] {
            counted.check(good).unwrap();
        }
        for bad in ["", "01", "-1", "+1", "1.0", " 1", "18446744073709551616", "1a"] {
            assert!(counted.check(bad).is_err(), "{bad:?}");
        }
        let random = |shape, word| Series::Random { shape, word };
        let uuid = "5685d624-04fc-d555-5daf-106db8dee081";
        random(Shape::Uuid, false).check(uuid).unwrap();
        assert!(random(Shape::Uuid, false).check(&uuid.to_uppercase()).is_err());
        assert!(random(Shape::Hex, false).check("xyz").is_err());
        assert!(Series::Timestamp.check("1iqt2wls").is_err());
        for word in [uuid, "n_1700000000000", "1iqt2wls", "A", &"z".repeat(64)] {
            random(Shape::Uuid, true).check(word).unwrap();
            Series::Word.check(word).unwrap();
        }
        for no_word in ["", "a b", "a/b", "a=b", "a\n", "é", &"z".repeat(65)] {
            assert!(random(Shape::Hex, true).check(no_word).is_err(), "{no_word:?}");
            assert!(Series::Word.check(no_word).is_err(), "{no_word:?}");
        }
    }

    #[test]
    fn decimal_nonces_count_in_their_unit() {
        let micros = Series::Decimal(Unit::Micros);
        assert_eq!(micros.write(1_700_000_000_000_007), "1700000000.000007");
        for (text, value) in [
            ("1700000000.000007", Some(1_700_000_000_000_007)),
            ("1716549322.00799990", Some(1_716_549_322_007_999)),
            ("1700000000", Some(1_700_000_000_000_000)),
            ("0.1", Some(100_000)),
            ("1700000000.", None),
            (".5", None),
            ("01.5", None),
            ("-1.5", None),
            ("1.5.5", None),
            ("1.0000000000", None),
            ("18446744073709551615.0", None),
        ] {
            assert_eq!(micros.value(text), value, "{text}");
            assert_eq!(micros.check(text).is_ok(), value.is_some(), "{text}");
        }
        assert_eq!(Series::Decimal(Unit::Seconds).write(5), "5");
    }

    #[test]
    fn random_nonces_fit_their_own_check() {
        for shape in [Shape::Uuid, Shape::Hex] {
            let (a, b) = (shape.make().unwrap(), shape.make().unwrap());
            Series::Random { shape, word: false }.check(&a).unwrap();
            assert_ne!(a, b);
        }
    }
}
