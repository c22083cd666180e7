//! What a token keeps of a log: how far it was sealed. Whoever puts an older log in the place of this one, with all that lies
//! beside it, cannot put that back.

use std::{
    collections::BTreeMap,
    io::BufReader,
    path::{Path, PathBuf},
};

use super::{
    file::{files_in, first_line, list, open},
    line,
    seal::Last,
};
use crate::{
    error::{Result, failed},
    home::{Home, io_error},
    json::Json,
    secret::Secret,
    token::{Class, KeyInfo, KeyMeta, KeyRef, ObjectId, Token, Wishes},
};

/// What the label of such an object begins with; the log's name follows. No key of an exchange can have it.
const LABEL: &str = "hsmsign:SEALED:";
/// What its value begins with.
const VERSION: &str = "hsmsign audit mark 1";
/// How long a log's name is.
const NAME: usize = 16;

/// How far a token knows a log to have been sealed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// Whether the log was found to have gone back behind this. It stays so.
    pub back: bool,
    /// The number of the seal.
    pub seal: u64,
    /// The last line that it covers.
    pub upto: u64,
    /// That line's hash, in hex.
    pub head: String,
}

/// A log, as it is to be kept by a token.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Marked {
    /// Its name.
    pub log: String,
    /// Its last seal.
    pub last: Last,
}

impl Mark {
    fn of(last: &Last) -> Self {
        Self {
            back: false,
            seal: last.seal,
            upto: last.upto,
            head: last.head.clone(),
        }
    }

    /// Whether the line that it is about is in these files of the log as it was then.
    ///
    /// # Errors
    /// When they cannot be read.
    pub(super) fn holds(&self, files: &[PathBuf]) -> Result<bool> {
        let begins = |path: &&PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            first_line(&name).is_some_and(|first| first <= self.upto)
        };
        let Some(path) = files.iter().rev().find(begins) else {
            return Ok(false);
        };
        let read = |error| io_error("the audit log", path, "be read", &error);
        let mut reader = BufReader::with_capacity(1 << 20, open(path)?);
        let mut line = Vec::new();
        while line::read(&mut reader, &mut line).map_err(read)? > 0 {
            if line::number(&line) == Some(self.upto) {
                let hash = line::open(line.trim_ascii_end()).map(|(_, hash)| hash);
                return Ok(hash.is_some_and(|hash| base16ct::lower::encode_string(&hash) == self.head));
            }
        }
        Ok(false)
    }

    fn to_text(&self) -> String {
        let back = if self.back { "back\n" } else { "" };
        format!("{VERSION}\n{}\n{}\n{}\n{back}", self.seal, self.upto, self.head)
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut lines = std::str::from_utf8(bytes).ok()?.lines();
        if lines.next()? != VERSION {
            return None;
        }
        Some(Self {
            seal: lines.next()?.parse().ok()?,
            upto: lines.next()?.parse().ok()?,
            head: lines.next()?.to_owned(),
            back: lines.next() == Some("back"),
        })
    }
}

/// Has a token keep how far a log was sealed, in the place of what it kept of it before. Where it must store that anew and is
/// cut off in between, it has both, and the further one counts.
///
/// Answers what the token kept where that is further than the log in `home` goes: then another log was put in its place. The
/// token keeps that from then on, so that the log cannot grow past it.
///
/// # Errors
/// When the token cannot keep it, or the log cannot be read.
pub fn raise(token: &dyn Token, home: &Home, marked: &Marked) -> Result<Option<Mark>> {
    let label = format!("{LABEL}{}", marked.log);
    let kept = marks(token, token.labelled(&label)?)?;
    let now = Mark::of(&marked.last);
    let wanted = match kept.iter().map(|(.., mark)| mark).max() {
        Some(mark) if mark.back => mark.clone(),
        Some(mark) if mark.seal >= now.seal && *mark != now => {
            if !mark.holds(&list(home)?)? {
                Mark {
                    back: true,
                    ..mark.clone()
                }
            } else if mark.seal > now.seal {
                // The file beside the log is of another day: that, verifying tells.
                mark.clone()
            } else {
                now
            }
        }
        _ => now,
    };
    let mut there = false;
    if !kept.iter().any(|(.., mark)| *mark == wanted) {
        let mut text = wanted.to_text().into_bytes();
        let text = Secret::take(&mut text)?;
        // One write to a memory that wears out, and not one more for each object that is stored and deleted.
        if let [(key, ..)] = kept.as_slice()
            && token.set_data(key, &text)?
        {
            return Ok(wanted.back.then_some(wanted));
        }
        let meta = KeyMeta {
            id: ObjectId::random()?,
            label,
            wishes: Wishes {
                changes: true,
                ..Wishes::default()
            },
        };
        token.put_data(&text, &meta)?;
        there = true;
    }
    for (key, _, mark) in &kept {
        // Of several that say the same one stays.
        if *mark != wanted || std::mem::replace(&mut there, true) {
            token.delete(key)?;
        }
    }
    Ok(wanted.back.then_some(wanted))
}

/// What a token keeps of logs, the furthest of each by its name.
///
/// # Errors
/// When it cannot be asked.
pub(super) fn kept(token: &dyn Token) -> Result<BTreeMap<String, Mark>> {
    let mut furthest = BTreeMap::new();
    for (_, log, mark) in marks(token, token.list()?)? {
        let known = furthest.entry(log).or_insert_with(|| mark.clone());
        if mark > *known {
            *known = mark;
        }
    }
    Ok(furthest)
}

/// Those of a token's objects that are marks, with the names of their logs.
fn marks(token: &dyn Token, objects: Vec<KeyInfo>) -> Result<Vec<(KeyRef, String, Mark)>> {
    let mut found = Vec::new();
    for info in objects {
        if let Some(
            key @ KeyRef::Object {
                class: Class::Data, ..
            },
        ) = info.key
            && let Some(log) = info.label.strip_prefix(LABEL)
            && let Some(mark) = Mark::parse(token.get_data(&key)?.expose())
        {
            found.push((key, log.to_owned(), mark));
        }
    }
    Ok(found)
}

/// The name of the log of these folders, by which tokens know it: the beginning of the hash of its first line, which each
/// further file repeats. None where there is no log, or its oldest file does not say.
///
/// # Errors
/// When its oldest file cannot be read.
pub(super) fn name_of_log(home: &Home) -> Result<Option<String>> {
    name_in(&home.state("audit"))
}

/// As [`name_of_log`], for the folder of the log.
pub(super) fn name_in(folder: &Path) -> Result<Option<String>> {
    let Some(path) = files_in(folder)?.into_iter().next() else {
        return Ok(None);
    };
    let mut first = Vec::new();
    line::read(&mut BufReader::new(open(&path)?), &mut first)
        .map_err(|error| io_error("the audit log", &path, "be read", &error))?;
    let Some(first) = first.strip_suffix(b"\n") else {
        return Ok(None);
    };
    if line::number(first) == Some(1) {
        return Ok(
            line::open(first).map(|(_, hash)| base16ct::lower::encode_string(&hash)[..NAME].to_owned())
        );
    }
    let json = Json::parse_bytes(first).ok();
    let named = json.as_ref().and_then(|json| json.get("log")?.scalar());
    Ok(named
        .filter(|name| name.len() == NAME && name.bytes().all(|byte| byte.is_ascii_hexdigit()))
        .map(str::to_owned))
}

/// That another log stands in the place of the one that a token knows.
pub fn went_back(token: &str, mark: &Mark) -> crate::error::Error {
    failed(format!(
        "the audit log is not the one that token {token} knows: it keeps that seal {} was made, up to line {}, and the log went back behind that",
        mark.seal, mark.upto
    ))
    .fix("keep the folder `audit` as it is, and see docs/incident.md")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back_as_it_was_and_the_furthest_counts() {
        let mark = |seal, back| Mark {
            back,
            seal,
            upto: 10 * seal,
            head: "ab".repeat(32),
        };
        for one in [mark(1, false), mark(7, true)] {
            assert_eq!(Mark::parse(one.to_text().as_bytes()), Some(one));
        }
        for odd in [
            "",
            "hsmsign audit mark 2\n1\n2\nab\n",
            "hsmsign audit mark 1\n1\nx\nab\n",
            "\u{0}",
        ] {
            assert_eq!(Mark::parse(odd.as_bytes()), None, "{odd:?}");
        }
        assert!(mark(2, false) > mark(1, false));
        assert!(
            mark(1, true) > mark(2, false),
            "that it went back outlasts every number"
        );
    }
}
