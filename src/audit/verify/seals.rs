//! The seals of the log: what they are about, and whether their tokens made them.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    io::BufReader,
    path::PathBuf,
    sync::Arc,
};

use super::{FindToken, NotAsked, Walk};
use crate::{
    audit::{
        file::{first_line, open},
        line::{self, Hash, NONE},
        seal::{is_of, keys, message},
    },
    error::{Error, Result, failed},
    home::io_error,
    json::Json,
    token::{KeyRef, Token},
};

/// A seal that a line of the log claims.
#[derive(Debug, Clone)]
pub(super) struct Sealed {
    seal: u64,
    upto: u64,
    head: Hash,
    mac: Vec<u8>,
    token: String,
    number: u64,
}

/// The tokens that were asked, with the keys on them that seal: a token with many keys takes long to find those, and there is
/// a seal a minute.
struct Asked<'a> {
    find: &'a FindToken<'a>,
    tokens: BTreeMap<String, (Arc<dyn Token>, Vec<KeyRef>)>,
}

impl Asked<'_> {
    /// Whether the token that a seal names made it; none where it has no key that seals.
    fn made(&mut self, sealed: &Sealed) -> Result<Option<bool>> {
        let (token, keys) = match self.tokens.entry(sealed.token.clone()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let token = (self.find)(&sealed.token)?;
                let keys = keys(&*token)?;
                new.insert((token, keys))
            }
        };
        let message = message(sealed.seal, sealed.upto, &sealed.head);
        let any = !keys.is_empty();
        Ok(any.then_some(is_of(&**token, keys, &message, &sealed.mac)?))
    }
}

/// That a token has no key that could have made a seal. Whether the log was changed that does not tell: its owner's PIN
/// deletes the key.
fn keyless(token: &str) -> Error {
    failed(format!("token {token} has no key that seals")).fix(
        "it was deleted, or another token has that name by now. Of a token that never sealed, the log was written anew: see docs/incident.md",
    )
}

impl Walk {
    /// Takes note of a line that is one.
    pub(super) fn seal(&mut self, number: u64, line: &[u8]) {
        match read_seal(line, number) {
            Some(sealed) => {
                let head = self.recent.iter().rev().find(|(at, _)| *at == sealed.upto);
                if let Some((at, hash)) = head {
                    self.heads.insert(*at, *hash);
                }
                self.seals.push(sealed);
            }
            None => self.wrong(number, "it is no seal that can be read"),
        }
    }

    /// Looks up the lines that stand further in front of their seals than is remembered: many were written while the token
    /// made one, as where it waited for a PIN.
    pub(super) fn find_heads(&mut self, files: &[PathBuf]) -> Result<()> {
        let mut wanted: BTreeSet<u64> = self
            .seals
            .iter()
            .filter(|sealed| sealed.upto < sealed.number && !self.heads.contains_key(&sealed.upto))
            .map(|sealed| sealed.upto)
            .collect();
        let begins = |path: &PathBuf| first_line(path.file_name()?.to_str()?);
        for (at, path) in files.iter().enumerate() {
            let from = begins(path).unwrap_or_default();
            let to = files.get(at + 1).and_then(begins).unwrap_or(u64::MAX);
            let mut here: BTreeSet<u64> = wanted
                .iter()
                .copied()
                .filter(|at| (from..to).contains(at))
                .collect();
            if here.is_empty() {
                continue;
            }
            let read = |error| io_error("the audit log", path, "be read", &error);
            let mut reader = BufReader::with_capacity(1 << 20, open(path)?);
            let mut text = Vec::new();
            while !here.is_empty() && line::read(&mut reader, &mut text).map_err(read)? > 0 {
                if let Some(number) = line::number(&text).filter(|number| here.remove(number))
                    && let Some((_, hash)) = line::open(text.trim_ascii_end())
                {
                    wanted.remove(&number);
                    self.heads.insert(number, hash);
                }
            }
        }
        Ok(())
    }

    /// Takes note that a token could not be asked about the seals that name it.
    pub(super) fn not_asked(&mut self, token: String, number: u64, error: Error, keyless: bool) {
        self.found.not_asked.entry(token).or_insert(NotAsked {
            number,
            error,
            keyless,
        });
    }

    /// Goes through the seals.
    pub(super) fn seals(&mut self, token: Option<&FindToken<'_>>) {
        let mut asked = token.map(|find| Asked {
            find,
            tokens: BTreeMap::new(),
        });
        let changed = self.found.findings.iter().map(|finding| finding.number).min();
        let mut before = 0;
        // Where the last seal stands.
        let mut line = 0;
        // What the seals of the last number are about.
        let mut latest = Vec::new();
        self.file = None;
        self.found.claimed = self.seals.len() as u64;
        for sealed in std::mem::take(&mut self.seals) {
            // Cut off between a seal's line and the file that keeps its number, hsmsign gives the next the same.
            if sealed.seal != before || latest.is_empty() {
                latest.clear();
                if sealed.seal != before + 1 {
                    // So it is numbered where there is nothing to go on from.
                    let why = match sealed.upto.checked_add(1) == Some(sealed.seal) {
                        true => ": audit.seal was gone, or could not be read, when it was made",
                        false => "",
                    };
                    let told = format!("it is seal {} where {} is due{why}", sealed.seal, before + 1);
                    self.wrong(sealed.number, told);
                }
            }
            before = sealed.seal;
            latest.push((sealed.upto, sealed.head));
            // Each covers the one before it, so that a copy counts nowhere.
            let covered = std::mem::replace(&mut line, sealed.number);
            if sealed.upto < covered {
                self.wrong(
                    sealed.number,
                    format!(
                        "seal {} is up to line {} and stands behind that in line {covered}: it was copied here",
                        sealed.seal, sealed.upto
                    ),
                );
                continue;
            }
            if self.heads.get(&sealed.upto) != Some(&sealed.head) {
                self.wrong(
                    sealed.upto,
                    format!("seal {} is about another line than this", sealed.seal),
                );
                continue;
            }
            if let Some(asked) = &mut asked {
                if self.found.not_asked.contains_key(&sealed.token) {
                    continue;
                }
                match asked.made(&sealed) {
                    Ok(Some(true)) => {}
                    Ok(None) => {
                        let error = keyless(&sealed.token);
                        self.not_asked(sealed.token, sealed.number, error, true);
                        continue;
                    }
                    Ok(Some(false)) => {
                        self.wrong(
                            sealed.number,
                            format!(
                                "seal {} was not made by token {}, or by a key that was deleted from it since",
                                sealed.seal, sealed.token
                            ),
                        );
                        continue;
                    }
                    Err(error) => {
                        self.not_asked(sealed.token, sealed.number, error, false);
                        continue;
                    }
                }
            }
            if asked.is_some() && changed.is_none_or(|changed| sealed.upto < changed) {
                self.found.proved = Some((sealed.seal, sealed.upto));
            }
            self.found.seals += 1;
            self.found.tokens.insert(sealed.token.clone());
            let head = base16ct::lower::encode_string(&sealed.head);
            self.found.sealed.push(format!("{}:{}", sealed.seal, &head[..16]));
            self.found.last = Some((sealed.seal, sealed.upto, head));
        }
        self.latest = (before, latest);
        let upto = self.found.last.as_ref().map_or(0, |(_, upto, _)| *upto);
        self.found.unsealed = self.number.saturating_sub(upto);
    }
}

fn read_seal(line: &[u8], number: u64) -> Option<Sealed> {
    let json = Json::parse_bytes(line).ok()?;
    let text = |name: &str| json.get(name)?.scalar();
    let mut head = NONE;
    base16ct::lower::decode(text("head")?, &mut head).ok()?;
    Some(Sealed {
        seal: text("seal")?.parse().ok().filter(|seal| *seal <= line::LAST)?,
        upto: text("upto")?.parse().ok()?,
        head,
        mac: base16ct::lower::decode_vec(text("mac")?).ok()?,
        token: text("token")?.to_owned(),
        number,
    })
}
