//! A token behind a module that fails when it is told to, built from `c/faulty.c` where a test asks for it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::bench::{KRAKEN_SECRET, Place, compile};

/// One token's module.
pub struct Faulty {
    control: PathBuf,
    log: PathBuf,
}

impl Faulty {
    /// Puts the module before a development token; none, with a line on stderr, where there is no C compiler.
    pub fn before(place: &Place, token: &str) -> Option<Self> {
        let module = compile::library(place.path(), "faulty-softhsm2", "agent/c/faulty.c")?;
        let faulty = Self {
            control: place.path().join(format!("{token}.control")),
            log: place.path().join(format!("{token}.log")),
        };
        let environment = [
            ("FAULTY_MODULE", hsmsign::token::softhsm_module().unwrap()),
            ("FAULTY_CONTROL", faulty.control.clone()),
            ("FAULTY_LOG", faulty.log.clone()),
        ];
        change(place, |config| {
            let settings = config["token"][token].as_table_mut().unwrap();
            settings.insert("module".into(), text(&module));
            let environment = environment.map(|(name, path)| (name.to_owned(), text(&path)));
            settings.insert("environment".into(), toml::Table::from_iter(environment).into());
        });
        Some(faulty)
    }

    /// What goes wrong from here on: lines as `C_Sign crash`.
    pub fn fail(&self, faults: &str) {
        let beside = self.control.with_extension("new");
        fs::write(&beside, format!("{faults}\n")).unwrap();
        fs::rename(beside, &self.control).unwrap();
    }

    /// Nothing goes wrong from here on.
    pub fn heal(&self) {
        let _ = fs::remove_file(&self.control);
    }

    /// Whether a fault that happens once has happened.
    pub fn has_failed(&self) -> bool {
        !self.control.exists()
    }

    /// Holds the process that calls this function next, until the guard is dropped.
    pub fn hold(&self, function: &str) -> Held {
        let name = format!("{}.hold", self.control.display());
        fs::write(&name, "").unwrap();
        self.fail(&format!("{function} hold 0 once"));
        Held(name.into())
    }

    /// How often a function was called, in all processes.
    pub fn calls(&self, function: &str) -> usize {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        log.lines()
            .filter(|line| line.split(' ').next() == Some(function))
            .count()
    }

    /// How many processes called a function.
    pub fn processes(&self, function: &str) -> usize {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let mut processes: Vec<_> = log
            .lines()
            .filter_map(|line| line.strip_prefix(function)?.strip_prefix(' '))
            .collect();
        processes.sort_unstable();
        processes.dedup();
        processes.len()
    }
}

fn text(path: &Path) -> toml::Value {
    path.display().to_string().into()
}

/// A call that does not come back before this is dropped.
pub struct Held(PathBuf);

impl Drop for Held {
    fn drop(&mut self) {
        fs::remove_file(&self.0).unwrap();
    }
}

/// Changes config.toml.
pub fn change(place: &Place, how: impl FnOnce(&mut toml::Table)) {
    let path = place.home().join("config.toml");
    let mut config: toml::Table = fs::read_to_string(&path).unwrap().parse().unwrap();
    how(&mut config);
    fs::write(path, config.to_string()).unwrap();
}

/// Writes a setting of `[agent]`.
pub fn set(place: &Place, name: &str, value: impl Into<toml::Value>) {
    change(place, |config| {
        let agent = config.entry("agent").or_insert_with(|| toml::Table::new().into());
        agent.as_table_mut().unwrap().insert(name.into(), value.into());
    });
}

/// A place with Kraken's example key on a token whose module fails when it is told to.
pub fn one() -> Option<(Place, Faulty)> {
    let place = Place::with_kraken()?;
    let faulty = Faulty::before(&place, "softhsm")?;
    Some((place, faulty))
}

/// A place with two tokens, `softhsm` and `second`, that both hold Kraken's example key.
pub fn two() -> Option<Place> {
    let place = Place::with_token()?;
    place.ok(&["init", "--softhsm", "--token", "second"]);
    place.import(
        &[
            "-e",
            "kraken",
            "--api-key",
            "k",
            "--token",
            "softhsm",
            "--token",
            "second",
        ],
        KRAKEN_SECRET,
    );
    Some(place)
}
