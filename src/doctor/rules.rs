//! What keeps the keys from misuse: policies, the switch, and the log.

use crate::{
    audit::{self, Verified},
    config::Config,
    doctor::Report,
    error::{Error, Result},
    home::{Home, io_error, open_own},
    keyring::KeyName,
    nonce,
    policy::Policies,
};

/// Up to how many bytes of the log are gone through.
const QUICK: u64 = 256 << 20;
/// How many bytes of room for the log are few.
const FEW: u64 = 64 << 20;

impl Report {
    /// Which keys have a policy, what is wrong with it, and against whom it holds.
    pub(super) fn policies(&mut self, home: &Home, config: &Config, keys: &[KeyName]) {
        let policies = Policies::new(home).only_looking();
        match policies.switch().read() {
            Err(error) => self.bad(&error),
            Ok(denied) => {
                if denied.all {
                    self.note(
                        "everything is denied to every key",
                        Some("when you know why: hsmsign unlock --all"),
                    );
                }
                for key in &denied.keys {
                    let undo = format!("when you know why: hsmsign policy deny-all {key} --undo");
                    self.note(format!("everything is denied to the key {key}"), Some(&undo));
                }
                for key in denied.learning.keys() {
                    let end = format!("hsmsign policy learn {key}, then with --end");
                    self.note(
                        format!("the bot of the key {key} is watched: all its fields stand in the log"),
                        Some(&end),
                    );
                }
            }
        }
        let mut any = false;
        let mut told = Vec::new();
        for key in keys {
            let in_force = match policies.of(key) {
                Ok(in_force) => in_force,
                Err(error) => {
                    self.bad(&error.within(format_args!("key {key}")));
                    continue;
                }
            };
            for trouble in &in_force.troubles {
                let error = Error::new(
                    trouble.code(),
                    format!("the policy before holds, since {trouble}"),
                );
                self.once(&mut told, error.fix(trouble.advice()));
            }
            if in_force.policies.is_empty() && in_force.troubles.is_empty() {
                self.note(
                    format!("key {key} has no policy: whatever its exchange takes is signed, but for what was not allowed at import"),
                    Some(&format!("hsmsign policy learn {key} --begin, or write one: docs/policy.md")),
                );
            }
            for policy in &in_force.policies {
                any = true;
                let own = rustix::process::geteuid().as_raw();
                let owns = policy.names_user(own).then(|| {
                    format!("client: uid {own} can write this file, so the rules bind it to nothing; give the bot a user of its own")
                });
                let warnings = policy.warnings(nonce::now());
                if warnings.is_empty() && owns.is_none() && !told.contains(&policy.origin().to_owned()) {
                    told.push(policy.origin().to_owned());
                    self.good(format!("{} is in force", policy.origin()));
                }
                for warning in warnings.into_iter().chain(owns) {
                    let text = format!("{}: {warning}", policy.origin());
                    if !told.contains(&text) {
                        self.note(text.clone(), None);
                        told.push(text);
                    }
                }
            }
        }
        if any && config.agent.group.is_none() {
            self.note(
                format!(
                    "whatever runs as uid {} can write the policies: they protect against nothing that does",
                    rustix::process::geteuid().as_raw()
                ),
                Some("give the bot a user of its own, and let it ask an agent: docs/agent.md"),
            );
        }
    }

    fn once(&mut self, told: &mut Vec<String>, error: Error) {
        if !told.iter().any(|known| known == error.message()) {
            told.push(error.message().to_owned());
            self.bad(&error);
        }
    }

    /// Whether the log can be written, and whether it is as it was written.
    pub(super) fn log(&mut self, home: &Home) {
        if let Err(error) = self.looked_at_log(home) {
            self.bad(&error);
        }
    }

    fn looked_at_log(&mut self, home: &Home) -> Result<()> {
        let folder = home.state("audit");
        let files = audit::list(home)?;
        let Some(last) = files.last() else {
            // Without a file, a seal that was kept tells that there was one.
            let found = audit::verify(home, None, &[])?;
            return found.whole().map(|()| self.note("the audit log is empty", None));
        };
        // What is no file of the owner's alone is not opened to be written: a pipe would wait for its reader.
        open_own(last)?;
        std::fs::File::options()
            .append(true)
            .open(last)
            .map_err(|error| io_error("the audit log", last, "be written, so nothing is signed", &error))?;
        audit::take_turn(home)?;
        let room =
            rustix::fs::statvfs(&folder).map_or(u64::MAX, |of| of.f_bavail.saturating_mul(of.f_frsize));
        if room < FEW {
            self.note(
                format!(
                    "{} MiB are left for the audit log: without room nothing is signed",
                    room >> 20
                ),
                Some("make room on the disk, or move old files of the folder `audit` away"),
            );
        }
        let size: u64 = files
            .iter()
            .filter_map(|path| Some(path.metadata().ok()?.len()))
            .sum();
        if size > QUICK {
            self.note(
                format!(
                    "the audit log can be written; it has {} MiB, and was not gone through",
                    size >> 20
                ),
                Some("hsmsign audit verify"),
            );
            return Ok(());
        }
        let found = audit::verify(home, None, &[])?;
        found.whole()?;
        self.good(format!(
            "the audit log can be written, and its {} lines are as they were written",
            found.lines
        ));
        self.sealed(&found);
        Ok(())
    }

    fn sealed(&mut self, found: &Verified) {
        let behind = found.unsealed;
        match &found.last {
            Some((seal, upto, head)) => self.note(
                format!(
                    "its last seal is {seal}:{}, up to line {upto}; {behind} lines stand behind it, which whoever can write the files could have changed",
                    &head[..16]
                ),
                Some("hsmsign audit verify has the token look at the seals; note the last one where this machine cannot reach it"),
            ),
            None => self.note(
                format!("the audit log has no seal yet: whoever can write its files could have written its {behind} lines anew"),
                Some("hsmsign audit seal"),
            ),
        }
    }
}
