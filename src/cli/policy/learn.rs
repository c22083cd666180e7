//! The policy that a bot would need.

use std::process::ExitCode;

use hsmsign::{
    audit::{self, Filter, Reader},
    error::{Result, bad_input, failed},
    keyring::{GENERIC, KeyName},
    nonce,
    policy::{NoExchange, Policies, Seen},
};

use crate::cli::{Around, audit::warn_of, output};

/// Watch a bot, and print the smallest policy that would have let it through
///
/// Between --begin and --end the log has all names of fields, and the values of symbols and amounts.
#[derive(Debug, clap::Args)]
pub struct LearnArgs {
    /// The key
    key: KeyName,
    /// Begin to watch
    #[arg(long)]
    begin: bool,
    /// Watch no longer
    #[arg(long, conflicts_with = "begin")]
    end: bool,
}

pub fn learn(args: &LearnArgs) -> Result<ExitCode> {
    let around = Around::find()?;
    let record = super::record(&around, &args.key)?;
    let switch = Policies::new(&around.home);
    let switch = switch.switch();
    if args.begin {
        let now = audit::moment("0s", nonce::now())?;
        switch.change(|denied| drop(denied.learning.insert(record.name.clone(), now)))?;
        return output::line(&format!(
            "watching {0}; when its bot has done all that it does: hsmsign policy learn {0}",
            record.name
        ));
    }
    let since = switch
        .read()?
        .learning
        .get(&record.name)
        .cloned()
        .ok_or_else(|| {
            bad_input(format!("the bot of {} is not watched", record.name))
                .fix(format!("hsmsign policy learn {} --begin", record.name))
        })?;
    if args.end {
        switch.change(|denied| drop(denied.learning.remove(&record.name)))?;
        return output::line(&format!("no longer watching {}", record.name));
    }
    let filter = Filter {
        key: Some(record.name.to_string()),
        since: Some(since),
        ..Filter::default()
    };
    let mut seen = Seen::default();
    let mut reader = Reader::new(&around.home)?;
    reader.read(&mut |_, line| {
        if filter.wants(line) {
            seen.take(line);
        }
        Ok(())
    })?;
    warn_of(&mut reader);
    if seen.is_empty() {
        return Err(failed("nothing was signed since the watching began").fix("let the bot run for a while"));
    }
    let text = match record.exchange.as_str() {
        GENERIC => seen.propose(&NoExchange),
        exchange => seen.propose(&*around.catalogue().get(exchange)?),
    };
    output::write(text.as_bytes())
}
