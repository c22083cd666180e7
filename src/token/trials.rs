//! Whether the tokens that are set up keep their keys: tried once for each module, remembered, and held against them.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{MutexGuard, PoisonError},
    time::Duration,
};

use super::{
    ObjectId, Tokens,
    extraction::{LABEL, Report, Trial, Verdict},
    mark::Mark,
    trust::{self, Known},
    uri::TokenUri,
};
use crate::{
    algorithm::{Algorithm, SignatureAlgorithm},
    error::{Code, Error, Result},
    home::FileLock,
};

/// How long a trial waits for another process's change of keys.
const PATIENCE: Duration = Duration::from_secs(60);

/// A shorter PIN is pointed out: where wrong ones are counted, and where they are not.
const SHORT_ON_HARDWARE: usize = 6;
const SHORT_IN_SOFTWARE: usize = 12;

/// Stands for the attacks where the suite could not be run, and the owner took the token all the same.
pub const NOT_TRIED: &str = "not-tried";

impl Tokens {
    /// The attacks by which keys come out of this token, as far as they are remembered.
    ///
    /// # Errors
    /// When the token cannot be opened, or what is remembered cannot be read.
    pub fn known_leaks(&self, name: &str) -> Result<Option<Vec<String>>> {
        if let Some(leaks) = self.tried().get(name) {
            return Ok(Some(leaks.clone()));
        }
        let token = self.get(name)?;
        if token.gives_nothing() {
            return Ok(Some(Vec::new()));
        }
        Ok(trust::find(&self.home, token.identity(), &self.module(name)?)?.map(|known| known.leaks))
    }

    /// The same; a module that was never tried is tried now, in the quick form, and what was found is remembered.
    ///
    /// # Errors
    /// When the token cannot be opened or tried.
    pub fn leaks(&self, name: &str) -> Result<Vec<String>> {
        if let Some(leaks) = self.known_leaks(name)? {
            self.tried().insert(name.to_owned(), leaks.clone());
            return Ok(leaks);
        }
        let _lock = self.turn()?;
        // Another process may have tried it meanwhile.
        match self.known_leaks(name)? {
            Some(leaks) => Ok(leaks),
            None => self.try_now(name, true).map(|report| report.leaks()),
        }
    }

    /// Tries to get a key out of the token, and remembers what was found. Where the token is of a kind that gives
    /// nothing to try, the report is empty.
    ///
    /// # Errors
    /// When the token cannot be opened, or the suite cannot be run on it.
    pub fn try_out(&self, name: &str, quick: bool) -> Result<Report> {
        self.get(name)?;
        let _lock = self.turn()?;
        self.try_now(name, quick)
    }

    fn try_now(&self, name: &str, quick: bool) -> Result<Report> {
        let token = self.get(name)?;
        let mut report = Report::default();
        for algorithm in kinds(&token.capabilities().algorithms) {
            let trial = Trial {
                algorithm,
                key: None,
                generated: true,
                id: ObjectId::random()?,
                quick,
            };
            let tried = self.attack_now(name, &trial).map_err(|error| {
                error.within(format_args!(
                    "whether token {name} keeps its keys could not be found out"
                ))
            })?;
            report.tried.extend(tried.tried);
        }
        if report.tried.is_empty() {
            return Ok(report);
        }
        let known = Known::now(token.identity(), &self.module(name)?, report.leaks());
        self.tried().insert(name.to_owned(), known.leaks.clone());
        trust::remember(&self.home, known)?;
        Ok(report)
    }

    /// Runs the suite on a token, while no other process changes keys: it stores keys too.
    ///
    /// # Errors
    /// When the token cannot be opened, or the suite cannot be run on it.
    pub fn attack(&self, name: &str, trial: &Trial) -> Result<Report> {
        self.get(name)?;
        let _lock = self.turn()?;
        self.attack_now(name, trial)
    }

    /// Under the keyring's lock: what a trial stores is not to be taken for what a killed import left.
    fn turn(&self) -> Result<FileLock> {
        FileLock::acquire(
            &self.home.state("keyring.lock"),
            PATIENCE,
            "another hsmsign process has been changing keys",
        )
    }

    /// Marked while it is under way, so that what a trial leaves that is cut off is taken away at the next start.
    fn attack_now(&self, name: &str, trial: &Trial) -> Result<Report> {
        let token = self.get(name)?;
        for earlier in Mark::all(&self.home)?.iter().filter(|mark| mark.token() == name) {
            self.take_away(earlier)?;
        }
        let mark = Mark::set(&self.home, name, &trial.id)?;
        let tried = token.try_extraction(trial).map(Option::unwrap_or_default);
        let whole = |report: &Report| report.tried.iter().all(|tried| tried.verdict != Verdict::Crashed);
        if tried.as_ref().is_ok_and(whole) {
            mark.remove()?;
        } else {
            // What cannot be taken away now is at the next start.
            let _later = self.take_away(&mark);
        }
        tried.map_err(|error| self.unwritable(name).unwrap_or_else(|| error.into()))
    }

    /// Whether there is nothing of a trial, not even of one that was cut off while it was written down.
    ///
    /// # Errors
    /// When the folder of marks cannot be read.
    pub fn no_trials(&self) -> Result<bool> {
        Mark::none(&self.home)
    }

    /// The trials that were cut off, or are under way in another process that holds the keyring's lock.
    ///
    /// # Errors
    /// When the folder of marks cannot be read.
    pub fn cut_off(&self) -> Result<Vec<Mark>> {
        Mark::all(&self.home)
    }

    /// Takes away what a trial left that was cut off. Only under the keyring's lock.
    ///
    /// # Errors
    /// When the token cannot be opened or does not let it go.
    pub fn take_away(&self, mark: &Mark) -> Result<()> {
        let token = self.get(mark.token())?;
        token.sweep(mark.id())?;
        token.sweep_cut(mark.id(), LABEL)?;
        self.clean_up(mark.token())?;
        mark.remove()
    }

    /// Refuses a token that gives its keys away, unless its owner accepts that, here or in `config.toml`. Answers the
    /// attacks by which it does.
    ///
    /// # Errors
    /// `unsupported`, with what it means; or the token cannot be tried.
    pub fn refuse_leaky(&self, name: &str, accept: bool) -> Result<Vec<String>> {
        let accept = accept || self.config.token(name)?.accept_leaky_token;
        let token = self.get(name)?;
        match self.leaks(name) {
            Ok(leaks) if leaks.is_empty() || accept => Ok(leaks),
            Ok(leaks) => Err(Error::new(
                Code::Unsupported,
                format!(
                    "token {name} ({}) gives its keys away: {}",
                    token.identity().module,
                    leaky(&leaks)
                ),
            )
            .fix("use another token; to use this one as no safer than a file that its PIN opens: --accept-leaky-token")),
            Err(_) if accept => Ok(vec![NOT_TRIED.to_owned()]),
            Err(error)
                if matches!(error.code(), Code::Failed | Code::Unsupported) && error.remedy().is_none() =>
            {
                Err(error.fix("see `hsmsign doctor`; to use the token untried: --accept-leaky-token"))
            }
            Err(error) => Err(error),
        }
    }

    /// What to know of the PIN that opened a token, where it is short: what "the PIN of the token" is followed by.
    pub fn short_pin(&self, name: &str) -> Option<String> {
        let hardware = self.get(name).ok()?.capabilities().hardware;
        let pins = self.pins.lock().unwrap_or_else(PoisonError::into_inner);
        let length = pins.get(name)?.length()?;
        if hardware && length < SHORT_ON_HARDWARE {
            return Some(format!(
                "has {length} characters: whoever has the token may guess it within the tries there are; use {SHORT_ON_HARDWARE} or more"
            ));
        }
        (!hardware && length < SHORT_IN_SOFTWARE).then(|| format!(
            "has {length} characters: a software token counts no tries, so whoever copies its files can try all PINs and then has the keys; use {SHORT_IN_SOFTWARE} or more random ones"
        ))
    }

    fn module(&self, name: &str) -> Result<PathBuf> {
        let config = self.config.token(name)?;
        match (&config.module, &config.uri) {
            (Some(module), _) => Ok(module.clone()),
            (None, Some(uri)) => uri.parse::<TokenUri>()?.module(),
            (None, None) => Ok(PathBuf::new()),
        }
    }

    fn tried(&self) -> MutexGuard<'_, HashMap<String, Vec<String>>> {
        self.leaks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A MAC key and a private key of those that a token can do: what it does with one it does with all of its kind. RSA
/// only where there is no other, since making such a key takes long.
fn kinds(can: &[Algorithm]) -> Vec<Algorithm> {
    let mac = can
        .iter()
        .find(|algorithm| matches!(algorithm, Algorithm::Mac(_)));
    let pairs = [
        SignatureAlgorithm::P256,
        SignatureAlgorithm::Ed25519,
        SignatureAlgorithm::Rsa2048,
    ];
    let pair = pairs
        .map(Algorithm::Signature)
        .into_iter()
        .find(|pair| can.contains(pair));
    mac.copied().into_iter().chain(pair).collect()
}

/// What it means that keys come out of a token, in words, with the attacks by which they do.
pub fn leaky(leaks: &[String]) -> String {
    if leaks.iter().any(|leak| leak == NOT_TRIED) {
        return "whether it keeps its keys could not be found out".to_owned();
    }
    format!(
        "whoever has its PIN can read a secret back out of it, though it is marked not extractable (by {})",
        leaks.join(", ")
    )
}
