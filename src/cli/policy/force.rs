//! Putting a policy into force, and taking it out.

use std::{path::PathBuf, process::ExitCode};

use hsmsign::{
    audit::What,
    error::Result,
    keyring::KeyName,
    nonce,
    policy::{Policies, Whose},
};

use crate::cli::{Around, given::Given, output};

/// Put a policy into force, whole, after it was checked
#[derive(Debug, clap::Args)]
pub struct SetArgs {
    #[command(flatten)]
    whose: WhoseArgs,
    /// The file; standard input where none is named
    #[arg(long)]
    file: Option<PathBuf>,
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

const POLICY: Given = Given {
    what: "the policy",
    most: 1 << 20,
    fix: "one pattern covers many paths: docs/policy.md",
};

pub fn set(args: SetArgs) -> Result<ExitCode> {
    let around = Around::find()?;
    let text = POLICY.text(args.file.as_deref())?;
    around.home.create()?;
    let whose = args.whose.whose();
    if let Whose::Key(key) = &whose {
        super::record(&around, key)?;
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
