//! A line of the log: JSON whose last member chains it to the line before.

use std::{
    collections::HashMap,
    fmt::Write as _,
    io::{self, BufRead, Read as _},
};

use sha2::{Digest as _, Sha256};

use super::{Entry, Outcome};
use crate::json;

/// What stands between a line's body and its hash.
const LINK: &str = ",\"h\":\"";
/// How long a line's end is: the link, the hash in hex, `"}`.
const END: usize = LINK.len() + 64 + 2;

/// The longest line that is read, in bytes.
pub const LONGEST: u64 = 4 << 20;
/// How far the end of a longer one is looked for, in bytes.
const FAR: u64 = 128 << 20;
/// The greatest number of a line, or of a seal: the names of files have so many digits.
pub const LAST: u64 = 999_999_999_999;

/// The hash of a line, or of no line.
pub type Hash = [u8; 32];

/// The hash in front of the first line.
pub const NONE: Hash = [0; 32];

/// The hash of a line's body behind the line before.
pub fn hash(before: &Hash, body: &[u8]) -> Hash {
    Sha256::new()
        .chain_update(before)
        .chain_update(body)
        .finalize()
        .into()
}

/// Ends a body with its hash; answers that.
pub fn close(out: &mut String, begin: usize, before: &Hash) -> Hash {
    let hash = hash(before, &out.as_bytes()[begin..]);
    out.push_str(LINK);
    out.push_str(&base16ct::lower::encode_string(&hash));
    out.push_str("\"}\n");
    hash
}

/// The body of a line, without its line feed, and the hash that it claims; none where it is no line.
pub fn open(line: &[u8]) -> Option<(&[u8], Hash)> {
    let at = line.len().checked_sub(END)?;
    let (body, end) = line.split_at(at);
    let hex = end.strip_prefix(LINK.as_bytes())?.strip_suffix(b"\"}")?;
    let mut hash = NONE;
    base16ct::lower::decode(hex, &mut hash).ok()?;
    Some((body, hash))
}

/// The number that a line begins with.
pub fn number(line: &[u8]) -> Option<u64> {
    let rest = line.strip_prefix(b"{\"n\":")?;
    let end = rest.iter().position(|byte| *byte == b',')?;
    let digits = std::str::from_utf8(&rest[..end]).ok()?;
    let number = (digits.len() == 1 || !digits.starts_with('0')).then(|| digits.parse().ok())?;
    number.filter(|number| *number <= LAST)
}

/// Reads a line with its line feed, and of one that is too long its beginning. Answers how many bytes that are.
///
/// # Errors
/// When it cannot be read.
pub fn read(from: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<usize> {
    line.clear();
    from.take(LONGEST).read_until(b'\n', line)
}

/// Passes over the rest of a line that is longer than [`LONGEST`]. Answers how many bytes that is, with the line feed; none
/// where no line feed comes within as much as a file of the log has.
///
/// # Errors
/// When it cannot be read.
pub fn skip(from: &mut impl BufRead) -> io::Result<Option<u64>> {
    let mut skipped = 0;
    while skipped < FAR {
        let here = from.fill_buf()?;
        if here.is_empty() {
            return Ok(None);
        }
        let end = here.iter().position(|byte| *byte == b'\n');
        let some = end.map_or(here.len(), |end| end + 1);
        from.consume(some);
        skipped += some as u64;
        if end.is_some() {
            return Ok(Some(skipped));
        }
    }
    Ok(None)
}

/// Begins a line: number, time, and what happened.
pub fn begin(out: &mut String, number: u64, micros: u64, what: &str) {
    out.push_str("{\"n\":");
    digits(out, number, 1);
    out.push_str(",\"t\":\"");
    time(out, micros);
    out.push_str("\",\"what\":\"");
    out.push_str(what);
    out.push('"');
}

/// A number of at least so many digits; what formats in general takes far longer, and each line has a dozen.
fn digits(out: &mut String, mut number: u64, least: usize) {
    let mut all = [b'0'; 20];
    let mut at = all.len();
    while number > 0 || at > all.len() - least {
        at -= 1;
        all[at] = b'0' + (number % 10) as u8;
        number /= 10;
    }
    out.extend(all[at..].iter().map(|digit| char::from(*digit)));
}

/// A time since 1970 in microseconds, as RFC 3339 in UTC.
pub fn time(out: &mut String, micros: u64) {
    let (days, of_day) = (micros / 86_400_000_000, micros % 86_400_000_000);
    // The civil calendar from days, by Howard Hinnant's algorithm.
    let z = days + 719_468;
    let (era, day_of_era) = (z / 146_097, z % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (seconds, part) = (of_day / 1_000_000, of_day % 1_000_000);
    for (number, least, behind) in [
        (year, 4, '-'),
        (month, 2, '-'),
        (day, 2, 'T'),
        (seconds / 3600, 2, ':'),
        (seconds / 60 % 60, 2, ':'),
        (seconds % 60, 2, '.'),
        (part, 6, 'Z'),
    ] {
        digits(out, number, least);
        out.push(behind);
    }
}

/// The members of an entry.
pub fn members(out: &mut String, entry: &Entry) {
    let mut member = |name: &str, value: &str| {
        for part in [",\"", name, "\":"] {
            out.push_str(part);
        }
        quote(value, out);
    };
    let texts = [
        ("key", &entry.key),
        ("exchange", &entry.exchange),
        ("method", &entry.method),
        ("path", &entry.path),
    ];
    for (name, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
        member(name, text);
    }
    if let Some(parameters) = &entry.parameters {
        member("digest", &parameters.digest());
    }
    if let Some(detail) = &entry.detail {
        member("detail", detail);
    }
    match &entry.outcome {
        Outcome::Done => member("outcome", if entry.what.signs() { "signed" } else { "done" }),
        Outcome::Refused { code, message } => {
            member("outcome", if *code == "denied" { "denied" } else { "failed" });
            member("code", code);
            member("message", message);
        }
    }
    if !entry.rules.is_empty() {
        match entry.rules.as_slice() {
            [one] => member("rule", one),
            all => member("rule", &all.join(" and ")),
        }
    }
    fields(out, &entry.fields);
    if let Some(took) = entry.took {
        out.push_str(",\"us\":");
        digits(out, u64::try_from(took.as_micros()).unwrap_or(u64::MAX), 1);
    }
    let caller = &entry.caller;
    for (name, id) in [
        (",\"uid\":", caller.uid.into()),
        (",\"gid\":", caller.gid.into()),
        (",\"pid\":", u64::try_from(caller.pid).unwrap_or_default()),
    ] {
        out.push_str(name);
        digits(out, id, 1);
    }
    if let Some(executable) = &caller.executable {
        out.push_str(",\"exe\":");
        quote(&executable.to_string_lossy(), out);
    }
    if let Some(cgroup) = &caller.cgroup {
        out.push_str(",\"cgroup\":");
        quote(cgroup, out);
    }
}

/// Whether a terminal or a browser could take the character for more than a letter: controls, and what turns the direction
/// of text.
pub const fn misleads(char: char) -> bool {
    matches!(char, '\0'..='\x1f' | '\x7f'..='\u{9f}' | '\u{61c}' | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Appends a text of a stranger as a JSON string, so that the line can be looked at as it stands.
fn quote(text: &str, out: &mut String) {
    if text.bytes().all(|byte| byte < 0x7f) {
        return json::quote(text, out);
    }
    out.push('"');
    let mut quoted = String::new();
    for part in text.split_inclusive(misleads) {
        let last = part.chars().next_back().filter(|last| misleads(*last));
        quoted.clear();
        json::quote(&part[..part.len() - last.map_or(0, char::len_utf8)], &mut quoted);
        out.push_str(&quoted[1..quoted.len() - 1]);
        if let Some(last) = last {
            let _ = write!(out, "\\u{:04x}", u32::from(last));
        }
    }
    out.push('"');
}

/// How many fields are compared by their names with each other.
const FEW: usize = 32;

/// The fields that rules looked at: a member each, with a list where a name is there more than once, as in a list of orders.
fn fields(out: &mut String, fields: &[(String, String)]) {
    if fields.is_empty() {
        return;
    }
    let few = fields.len() <= FEW;
    let mut many: HashMap<&str, Vec<&str>> = HashMap::new();
    for (name, value) in fields.iter().filter(|_| !few) {
        many.entry(name).or_default().push(value);
    }
    let mut before = ",\"fields\":{";
    for (at, (name, value)) in fields.iter().enumerate() {
        let same = |field: &&(String, String)| field.0 == *name;
        let values = match few {
            true if fields[..at].iter().any(|field| same(&field)) => continue,
            true if !fields[at + 1..].iter().any(|field| same(&field)) => Vec::new(),
            true => fields[at..]
                .iter()
                .filter(same)
                .map(|(_, value)| value.as_str())
                .collect(),
            false => match many.remove(name.as_str()) {
                Some(values) => values,
                None => continue,
            },
        };
        out.push_str(before);
        before = ",";
        quote(name, out);
        out.push(':');
        if values.len() < 2 {
            quote(value, out);
            continue;
        }
        let mut before = '[';
        for value in values {
            out.push(before);
            before = ',';
            quote(value, out);
        }
        out.push(']');
    }
    out.push('}');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_that_is_there_twice_is_one_member() {
        let pairs = [("a", "1"), ("b", "\""), ("a", "2")].map(|(name, value)| (name.into(), value.into()));
        let mut out = String::new();
        fields(&mut out, &pairs);
        assert_eq!(out, r#","fields":{"a":["1","2"],"b":"\""}"#);
        let many: Vec<_> = (0..99)
            .map(|at| ((at % 60).to_string(), at.to_string()))
            .collect();
        out.clear();
        fields(&mut out, &many);
        assert!(
            out.starts_with(r#","fields":{"0":["0","60"],"1":["1","61"]"#) && out.ends_with(r#""59":"59"}"#),
            "{out}"
        );
    }

    #[test]
    fn what_could_be_taken_for_more_than_a_letter_is_escaped_and_read_again_as_it_was() {
        let text = "a\u{9b}31m\u{1b}[\u{7f}é\u{202e}\"\\\u{2066}";
        let mut out = String::new();
        quote(text, &mut out);
        assert_eq!(out, r#""a\u009b31m\u001b[\u007fé\u202e\"\\\u2066""#);
        assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text);
        out.clear();
        quote("plain \u{1b}", &mut out);
        assert_eq!(out, r#""plain \u001b""#);
    }

    #[test]
    fn times_are_those_of_the_calendar() {
        for (seconds, shown) in [
            (0, "1970-01-01T00:00:00.000007Z"),
            (951_782_400, "2000-02-29T00:00:00.000007Z"),
            (1_790_000_000, "2026-09-21T14:13:20.000007Z"),
            (4_107_542_399, "2100-02-28T23:59:59.000007Z"),
        ] {
            let mut out = String::new();
            time(&mut out, seconds * 1_000_000 + 7);
            assert_eq!(out, shown);
        }
    }

    #[test]
    fn numbers_have_the_digits_that_they_should() {
        for (number, least) in [(0, 1), (7, 1), (7, 4), (10, 2), (99_999, 4), (u64::MAX, 1)] {
            let mut out = String::new();
            digits(&mut out, number, least);
            assert_eq!(out, format!("{number:0least$}"));
        }
    }

    #[test]
    fn a_line_closes_with_its_hash_and_opens_again() {
        let mut out = String::new();
        begin(&mut out, 12, 0, "begin");
        let hash = close(&mut out, 0, &NONE);
        let line = out.trim_end().as_bytes();
        assert_eq!(number(line), Some(12));
        let (body, claimed) = open(line).unwrap();
        assert_eq!(claimed, hash);
        assert_eq!(super::hash(&NONE, body), hash);
        assert!(serde_json::from_slice::<serde_json::Value>(line).is_ok());
        assert!(open(b"{}").is_none());
        assert_eq!(number(b"{\"n\":012,"), None);
        assert_eq!(number(b"{\"n\":999999999999,"), Some(LAST));
        for beyond in ["1000000000000", "18446744073709551615", "18446744073709551616"] {
            assert_eq!(number(format!("{{\"n\":{beyond},").as_bytes()), None);
        }
    }
}
