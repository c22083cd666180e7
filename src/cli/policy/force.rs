//! Putting a policy into force, and taking it out.

use std::{io::Read as _, process::ExitCode};

use hsmsign::{
    audit::What,
    error::{Code, Error, Result, bad_input},
    keyring::{KeyName, Keyring as _},
    nonce,
    policy::{Policies, Whose},
};

use crate::cli::{Around, output};

/// Put a policy into force, whole, after it was checked
#[derive(Debug, clap::Args)]
pub struct SetArgs {
    #[command(flatten)]
    whose: WhoseArgs,
    /// The file; standard input where none is named
    #[arg(long)]
    file: Option<String>,
}

/// Take a policy out of force
#[derive(Debug, clap::Args)]
pub struct WhoseArgs {
    /// The key whose policy is meant
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    key: Option<KeyName>,
    /// The policy of every key
    #[arg(long)]
    all: bool,
}

impl WhoseArgs {
    fn whose(self) -> Whose {
        self.key.map_or(Whose::Everyone, Whose::Key)
    }
}

/// The longest policy that is read, in bytes.
const LIMIT: u64 = 1 << 20;

pub fn set(args: SetArgs) -> Result<ExitCode> {
    let around = Around::find()?;
    let read = |mut input: Box<dyn std::io::Read>| {
        let mut text = String::new();
        input
            .by_ref()
            .take(LIMIT + 1)
            .read_to_string(&mut text)
            .map(|_| text)
    };
    let input: std::io::Result<Box<dyn std::io::Read>> = match &args.file {
        None => Ok(Box::new(std::io::stdin())),
        Some(file) => std::fs::File::open(file).map(|file| Box::new(file) as _),
    };
    let text = input.and_then(read).map_err(|error| {
        let name = args.file.as_deref().unwrap_or("standard input");
        bad_input(format!("{name} cannot be read: {error}"))
    })?;
    if text.len() as u64 > LIMIT {
        return Err(Error::new(
            Code::TooLarge,
            format!("the policy is longer than {LIMIT} bytes"),
        ));
    }
    around.home.create()?;
    let whose = args.whose.whose();
    if let Whose::Key(key) = &whose {
        around.keyring().get(key)?;
    }
    let policies = Policies::new(&around.home);
    for warning in policies.put(&whose, &text, nonce::now())? {
        output::warn(&warning);
    }
    tell_changes(&around, &policies, &whose);
    output::line(&format!("in force: {}", policies.path(&whose).display()))
}

pub fn remove(args: WhoseArgs) -> Result<ExitCode> {
    let around = Around::find()?;
    let policies = Policies::new(&around.home);
    let whose = args.whose();
    let path = policies.path(&whose);
    policies.remove(&whose)?;
    tell_changes(&around, &policies, &whose);
    output::line(&format!("no longer in force: {}", path.display()))
}

/// Has the log say what was put into force or taken out of it.
pub fn tell_changes(around: &Around, policies: &Policies, whose: &Whose) {
    let key = match whose {
        Whose::Everyone => "",
        Whose::Key(key) => key.as_str(),
    };
    for change in policies.take_changes() {
        around.note(What::Policy, key, change);
    }
}
