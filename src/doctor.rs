//! What is set up, what works and what does not, each with what to do.

mod agent;
mod closed;
mod rules;
mod system;

use std::sync::Arc;

use crate::{
    algorithm::Algorithm,
    ask::Ask,
    config::Config,
    enrol::{Enrol, Finding, RAW_CONSENT},
    error::{Error, Result},
    exchange::{Catalogue, Scheme, builtin},
    home::{Home, list_folder},
    keyring::{Allow, Copy, FileKeyring, Journal, KeyName, Keyring, Record},
    nonce::Nonces,
    token::{Tokens, leaky},
};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// As it should be.
    Good,
    /// To be known.
    Note,
    /// Something does not work.
    Bad,
}

/// One thing that was looked at.
#[derive(Debug, Clone)]
pub struct Diagnosis {
    /// How bad.
    pub level: Level,
    /// What was found.
    pub text: String,
    /// What to do.
    pub fix: Option<String>,
}

/// Looks at everything. Tokens are opened, with their PIN.
pub fn examine(home: &Home, ask: &Arc<dyn Ask>) -> Vec<Diagnosis> {
    let mut report = Report(Vec::new());
    report.memory();
    report.proc(&Nonces::new(home));
    let served = report.agent();
    let config = match Config::load(home) {
        Ok(config) => config,
        Err(error) => {
            report.bad(&error);
            return report.0;
        }
    };
    // Who has only an agent's socket needs neither.
    let served = served && config.tokens.is_empty();
    if config.tokens.is_empty() && !served {
        report.note("no token is set up", Some("hsmsign init"));
    }
    let tokens = Arc::new(Tokens::new(home, config.clone(), Arc::clone(ask)));
    let closed: Vec<&str> = config
        .tokens
        .keys()
        .map(String::as_str)
        .filter(|name| !report.token(&tokens, name))
        .collect();
    let enrol = Enrol::new(home, Arc::clone(&tokens));
    report.journal(home, &enrol);
    report.schemes(home);
    report.keys(home, &enrol, &tokens, &closed, served);
    report.policies(home, &config, &FileKeyring::new(home).names().unwrap_or_default());
    report.log(home);
    report.0
}

/// Looks at what there is without folders of one's own; none where no agent of another user serves this one.
pub fn examine_served() -> Option<Vec<Diagnosis>> {
    let mut report = Report(Vec::new());
    report.memory();
    report.agent().then_some(report.0)
}

struct Report(Vec<Diagnosis>);

impl Report {
    fn good(&mut self, text: impl Into<String>) {
        self.0.push(Diagnosis {
            level: Level::Good,
            text: text.into(),
            fix: None,
        });
    }

    fn note(&mut self, text: impl Into<String>, fix: Option<&str>) {
        self.0.push(Diagnosis {
            level: Level::Note,
            text: text.into(),
            fix: fix.map(str::to_owned),
        });
    }

    fn bad(&mut self, error: &Error) {
        let fix = error.remedy().map(str::to_owned);
        self.0.push(Diagnosis {
            level: Level::Bad,
            text: error.message().to_owned(),
            fix,
        });
    }

    /// Whether it opens.
    fn token(&mut self, tokens: &Tokens, name: &str) -> bool {
        let token = match tokens.present(name) {
            Ok(token) => token,
            Err(error) => {
                self.bad(&error);
                return false;
            }
        };
        let (identity, can) = (token.identity(), token.capabilities());
        let algorithms: Vec<_> = can.algorithms.iter().map(|algorithm| algorithm.name()).collect();
        self.good(format!(
            "token {name} opens: {} (serial {}), {}",
            identity.label, identity.serial, identity.module
        ));
        if algorithms.is_empty() {
            self.note(
                format!("token {name} names none of the algorithms that exchanges want"),
                Some("docs/tokens.md tells which tokens do"),
            );
        } else {
            self.good(format!("token {name} computes {}", algorithms.join(", ")));
        }
        if let Some(limit) = can.longest_message {
            self.note(
                format!("token {name} takes messages of up to {limit} bytes for a MAC"),
                Some(&format!(
                    "hsmsign exchanges --token {name} shows which requests fit"
                )),
            );
        }
        match tokens.known_leaks(name) {
            _ if token.gives_nothing() => {
                self.good(format!("token {name} has no command by which a key comes out"))
            }
            Ok(Some(leaks)) if leaks.is_empty() => {
                self.good(format!(
                    "token {name} kept its keys in every attack that was tried"
                ));
            }
            Ok(Some(leaks)) => self.note(
                format!("token {name} gives its keys away: {}", leaky(&leaks)),
                Some("use another token for what matters, then issue new secrets at the exchange"),
            ),
            Ok(None) => self.note(
                format!("whether token {name} keeps its keys was not tried yet"),
                Some(&format!("hsmsign token test {name}")),
            ),
            Err(error) => self.bad(&error),
        }
        if !can.hardware {
            self.note(
                format!("token {name} is software: its keys are in files and in the memory of the process that signs"),
                Some("for money, use a hardware token: hsmsign init --pkcs11 MODULE"),
            );
        }
        true
    }

    fn journal(&mut self, home: &Home, enrol: &Enrol) {
        match enrol.sweep() {
            Ok(0) => {}
            Ok(swept) => self.note(
                format!("{swept} changes that were cut off have been cleaned up"),
                None,
            ),
            Err(error) => self.bad(&error),
        }
        match Journal::new(home).pending() {
            Ok(pending) => {
                for pending in pending {
                    self.note(
                        format!(
                            "a change of the key {} was cut off, and its token could not be cleaned up yet",
                            pending.key
                        ),
                        Some(&format!(
                            "plug the token in and run hsmsign doctor again; if it is lost for good: hsmsign remove {} --forget",
                            pending.key
                        )),
                    );
                }
            }
            Err(error) => self.bad(&error),
        }
    }

    fn schemes(&mut self, home: &Home) {
        let read = home.user_schemes();
        for file in list_folder(&home.config("schemes")).unwrap_or_default() {
            let Some(id) = file.strip_suffix(".toml") else {
                continue;
            };
            if builtin(id).is_some() {
                self.note(
                    format!("schemes/{file} is not used: {id} is built in"),
                    Some("give yours another id"),
                );
            } else {
                match read(id).and_then(|text| Scheme::parse(&text.unwrap_or_default(), &file)) {
                    Ok(scheme) => self.good(format!("your scheme {} is read", scheme.id())),
                    Err(error) => self.bad(&error),
                }
            }
        }
    }

    /// Keys on tokens that do not open are told together: each would ask for the PIN again, and say the same.
    fn keys(&mut self, home: &Home, enrol: &Enrol, tokens: &Tokens, closed: &[&str], served: bool) {
        let keyring = FileKeyring::new(home);
        let names = match keyring.names() {
            Ok(names) => names,
            Err(error) => return self.bad(&error),
        };
        if names.is_empty() && !served {
            self.note("no key is imported", Some("hsmsign import --exchange EXCHANGE"));
        }
        let (catalogue, nonces) = (Catalogue::new(home.user_schemes()), Nonces::new(home));
        for name in &names {
            if let Err(error) = self.key(&keyring, enrol, &catalogue, (tokens, closed, &nonces), name) {
                self.bad(&error.within(format_args!("key {name}")));
            }
        }
        self.not_looked_at(&keyring, &names, closed);
    }

    /// Which requests of a key fit the tokens that it is on.
    fn lengths(&mut self, record: &Record, scheme: &Scheme, tokens: &Tokens, closed: &[&str]) {
        let Algorithm::Mac(_) = record.algorithm else {
            return;
        };
        let open = |copy: &&Copy| !closed.contains(&copy.token.as_str());
        for copy in record.current.copies.iter().filter(open) {
            let limit = tokens
                .get(&copy.token)
                .ok()
                .and_then(|token| token.capabilities().longest_message);
            let Some(limit) = limit else { continue };
            for coverage in scheme.coverage() {
                self.note(
                    format!(
                        "key {} on token {}: {}: {}",
                        record.name,
                        copy.token,
                        coverage.requests,
                        coverage.size.within(limit)
                    ),
                    None,
                );
            }
        }
    }

    fn key(
        &mut self,
        keyring: &dyn Keyring,
        enrol: &Enrol,
        catalogue: &Catalogue,
        (tokens, closed, nonces): (&Tokens, &[&str], &Nonces),
        name: &KeyName,
    ) -> Result<()> {
        let record = keyring.get(name)?;
        let generic = record.is_generic();
        if !generic {
            let scheme = catalogue.get(&record.exchange)?;
            if scheme.needs_api_key() && record.current.api_key.is_none() {
                self.note(
                    format!("key {name} has no API key yet"),
                    Some(&format!("hsmsign set {name} --api-key KEY")),
                );
            }
            if let Some(note) = scheme.note() {
                self.note(format!("key {name}: {note}"), None);
            }
            self.lengths(&record, &scheme, tokens, closed);
        }
        nonces.high_water(name)?;
        for checked in enrol.test_where(&record, &|token| !closed.contains(&token)) {
            let what = format!("key {name}: its {} on token {}", checked.slot, checked.token);
            match checked.finding {
                Ok(Finding::Proved) => self.good(format!("{what} makes the MAC recorded at import")),
                Ok(Finding::Signs) => self.good(format!("{what} signs as its public key wants it")),
                Ok(Finding::Present) => self.good(format!("{what} is there")),
                Err(error) => self.bad(&error.within(what)),
            }
        }
        if record.allow.contains(&Allow::Raw) {
            self.note(format!("key {name}: {RAW_CONSENT}"), None);
        }
        if record.allow.contains(&Allow::Withdrawals) {
            self.note(format!("key {name} may move money out"), None);
        }
        if record.previous.is_some() {
            self.note(
                format!("key {name}: the last rotation is open"),
                Some(&format!("hsmsign rotate {name} --commit, or --undo")),
            );
        }
        if record.next.is_some() {
            self.note(
                format!("key {name}: a new key waits for its API key"),
                Some(&format!("hsmsign rotate {name} --api-key KEY, or --undo")),
            );
        }
        if generic && matches!(record.algorithm, Algorithm::Mac(_)) && !record.allow.contains(&Allow::Raw) {
            self.note(
                format!("key {name} is for no exchange and allows no raw MACs, so it can sign nothing"),
                Some("import it again with --allow raw"),
            );
        }
        Ok(())
    }
}
