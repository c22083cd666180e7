//! The policies of all keys: their files, read again where they changed, whole or not at all.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use sha2::{Digest as _, Sha256};

use super::{counts::Counts, mark::is_fresh, rules::Policy, switch::Switch};
use crate::{
    error::{Code, Error, Result, bad_input},
    home::{Home, Mark, check_folder, create_folder, list_folder, read_private, write_private},
    keyring::KeyName,
    watch::Epoch,
};

const LIMIT: u64 = 1 << 20;

/// Whose policy a file has.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Whose {
    /// That of every key, `policy.toml`.
    Everyone,
    /// That of one key, `policy/KEY.toml`.
    Key(KeyName),
}

/// What is in force of one file.
#[derive(Debug, Clone)]
pub(super) struct Known {
    mark: Option<Mark>,
    /// Without the file: whether its copy is there, which is in force then.
    kept: bool,
    /// Whether it is read again though the file is as it was.
    again: bool,
    pub(super) policy: Option<Arc<Policy>>,
    pub(super) trouble: Option<Error>,
}

/// The policies, their counts, and the switch.
pub struct Policies {
    config: PathBuf,
    accepted: PathBuf,
    pub(super) counts: Counts,
    switch: Switch,
    known: Mutex<HashMap<Whose, Known>>,
    standing: Mutex<HashMap<KeyName, (Epoch, Arc<Standing>)>>,
    looks_only: bool,
    changed: AtomicBool,
    changes: Mutex<Vec<String>>,
}

/// What decides about a key that is not switched off.
pub(super) struct Standing {
    /// Whether its bot is watched.
    pub learning: bool,
    /// A request must pass each.
    pub policies: Vec<Arc<Policy>>,
}

/// What holds for a key.
#[derive(Debug, Clone, Default)]
pub struct InForce {
    /// The policies; a request must pass each.
    pub policies: Vec<Arc<Policy>>,
    /// Why a file is not in force in its present form, where an earlier one is.
    pub troubles: Vec<Error>,
}

impl Policies {
    /// The policies of these folders.
    pub fn new(home: &Home) -> Self {
        Self {
            config: home.config(""),
            accepted: home.state("policy").join("accepted"),
            counts: Counts::new(home.state("policy").join("counts")),
            switch: Switch::new(home),
            known: Mutex::default(),
            standing: Mutex::default(),
            looks_only: false,
            changed: AtomicBool::new(false),
            changes: Mutex::default(),
        }
    }

    /// For who only looks, and tells the log of nothing: whoever signs next finds what changed, and tells it.
    #[must_use]
    pub fn only_looking(mut self) -> Self {
        self.looks_only = true;
        self
    }

    /// What changed since it was asked last, in words for the log.
    pub fn take_changes(&self) -> Vec<String> {
        if !self.changed.swap(false, Ordering::Relaxed) {
            return Vec::new();
        }
        std::mem::take(&mut self.changes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn note(&self, change: String) {
        let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        changes.push(change);
        self.changed.store(true, Ordering::Relaxed);
    }

    /// The switch that denies everything.
    pub const fn switch(&self) -> &Switch {
        &self.switch
    }

    /// The file that an owner writes.
    pub fn path(&self, whose: &Whose) -> PathBuf {
        match whose {
            Whose::Everyone => self.config.join("policy.toml"),
            Whose::Key(key) => self.config.join("policy").join(format!("{key}.toml")),
        }
    }

    /// A copy of what was last in force, from which a process starts that finds the file broken.
    pub(super) fn accepted(&self, whose: &Whose) -> PathBuf {
        match whose {
            Whose::Everyone => self.accepted.join("ALL.toml"),
            Whose::Key(key) => self.accepted.join(format!("{key}.toml")),
        }
    }

    /// What holds for a key now.
    ///
    /// # Errors
    /// `denied` where a file cannot be used, and there is no earlier form of it.
    pub fn of(&self, key: &KeyName) -> Result<InForce> {
        let mut all = InForce::default();
        for whose in [Whose::Everyone, Whose::Key(key.clone())] {
            let known = self.current(&whose)?;
            all.policies.extend(known.policy);
            all.troubles.extend(known.trouble);
        }
        Ok(all)
    }

    /// What was found to stand in this state of the files.
    pub(super) fn standing(&self, key: &KeyName, epoch: Epoch) -> Option<Arc<Standing>> {
        let all = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        let (known, standing) = all.get(key)?;
        (epoch == *known).then(|| Arc::clone(standing))
    }

    /// Looks at the files, for as long as they do not change.
    pub(super) fn stand(&self, key: &KeyName, learning: bool, epoch: Epoch) -> Result<Arc<Standing>> {
        let policies = self.of(key)?.policies;
        let standing = Arc::new(Standing { learning, policies });
        let mut all = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(key.clone(), (epoch, Arc::clone(&standing)));
        Ok(standing)
    }

    pub(super) fn current(&self, whose: &Whose) -> Result<Known> {
        let (path, accepted) = (self.path(whose), self.accepted(whose));
        let mut mark = Mark::of(&path)?;
        let mut kept = mark.is_none() && Mark::of(&accepted)?.is_some();
        let mut all = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = all.get(whose)
            && !known.again
            && (known.mark, known.kept) == (mark, kept)
        {
            return Ok(known.clone());
        }
        let before = match all.remove(whose) {
            Some(known) => known.policy,
            None => self.earlier(whose)?,
        };
        let mut again = mark.is_some_and(is_fresh);
        let read = self.read(whose, &path, before.as_deref());
        match read {
            // It may have gone since it was looked at. Only who takes a policy out of force removes the copy too.
            Ok(None) => (mark, kept) = (None, Mark::of(&accepted)?.is_some()),
            Ok(Some((_, copied))) => again |= !copied,
            Err(_) => {}
        }
        let (policy, trouble) = match read {
            Ok(Some((policy, _))) => (Some(Arc::new(policy)), None),
            Ok(None) if before.is_none() || !kept => (None, None),
            Ok(None) => {
                let error = Error::new(
                    Code::Denied,
                    format!("{} is gone; what it said is still in force", path.display()),
                );
                (
                    before,
                    Some(error.fix(format!(
                        "write it again, or: hsmsign policy remove {}",
                        argument(whose)
                    ))),
                )
            }
            Err(error) if before.is_some() => (before, Some(error)),
            Err(error) => {
                return Err(Error::new(
                    Code::Denied,
                    format!("there is a policy that cannot be used, so nothing is signed: {error}"),
                )
                .fix(error.advice()));
            }
        };
        let known = Known {
            mark,
            kept,
            again,
            policy,
            trouble,
        };
        all.insert(whose.clone(), known.clone());
        Ok(known)
    }

    /// What the file says, and whether there is a copy of it. It is in force without one, too: room for a file may be
    /// missing where the log still has some.
    fn read(&self, whose: &Whose, path: &Path, before: Option<&Policy>) -> Result<Option<(Policy, bool)>> {
        let Some(text) = text(path)? else { return Ok(None) };
        let policy = Policy::parse(&text, name(whose))?;
        if self.looks_only {
            return Ok(Some((policy, true)));
        }
        let copied = self.copy(whose, &text);
        let other = || before.is_none_or(|before| before.text() != text);
        if copied.as_ref().map_or_else(|_| other(), |first| *first) {
            self.note_in_force(whose, &text);
        }
        Ok(Some((policy, copied.is_ok())))
    }

    /// Has a copy of what is in force, and says whether there was none of it before.
    fn copy(&self, whose: &Whose, text: &str) -> Result<bool> {
        let accepted = self.accepted(whose);
        if self::text(&accepted)?.as_deref() == Some(text) {
            return Ok(false);
        }
        create_folder(&self.accepted)?;
        write_private(&accepted, text.as_bytes())?;
        Ok(true)
    }

    pub(super) fn note_in_force(&self, whose: &Whose, text: &str) {
        let digest = base16ct::lower::encode_string(&Sha256::digest(text.as_bytes())[..16]);
        self.note(format!("{} is in force, with the hash {digest}", name(whose)));
    }

    fn earlier(&self, whose: &Whose) -> Result<Option<Arc<Policy>>> {
        let Some(text) = text(&self.accepted(whose))? else {
            return Ok(None);
        };
        Policy::parse(&text, name(whose)).map(|policy| Some(Arc::new(policy)))
    }

    /// What is in force of each file, or its text where it cannot be used, by its name.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn texts(&self) -> Result<BTreeMap<Whose, String>> {
        let mut all = BTreeSet::from([Whose::Everyone]);
        for folder in [self.config.join("policy"), self.accepted.clone()] {
            let names = list_folder(&folder)?.into_iter();
            all.extend(names.filter_map(|name| name.strip_suffix(".toml")?.parse().ok().map(Whose::Key)));
        }
        let mut texts = BTreeMap::new();
        for whose in all {
            let text = match self.current(&whose) {
                Ok(known) => known.policy.map(|policy| policy.text().to_owned()),
                Err(_) => text(&self.path(&whose))?,
            };
            texts.extend(text.map(|text| (whose, text)));
        }
        Ok(texts)
    }
}

/// The file's name as errors and the log have it.
pub(super) fn name(whose: &Whose) -> String {
    whose.to_string()
}

impl fmt::Display for Whose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everyone => f.write_str("policy.toml"),
            Self::Key(key) => write!(f, "policy/{key}.toml"),
        }
    }
}

impl FromStr for Whose {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        if name == "policy.toml" {
            return Ok(Self::Everyone);
        }
        let key = name
            .strip_prefix("policy/")
            .and_then(|name| name.strip_suffix(".toml"));
        key.ok_or_else(|| bad_input(format!("{name:?} is no policy's name")))?
            .parse()
            .map(Self::Key)
    }
}

/// How a person says it on the command line.
pub(super) fn argument(whose: &Whose) -> String {
    match whose {
        Whose::Everyone => "--all".into(),
        Whose::Key(key) => key.to_string(),
    }
}

pub(super) fn text(path: &Path) -> Result<Option<String>> {
    if let Some(folder) = path.parent() {
        check_folder(folder)?;
    }
    let Some(bytes) = read_private(path, LIMIT)? else {
        return Ok(None);
    };
    String::from_utf8(bytes)
        .map(Some)
        .map_err(|_| bad_input(format!("{} is not UTF-8", path.display())))
}

#[cfg(test)]
mod tests;
