use std::{
    io::{self, IsTerminal as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use hsmsign::{
    audit::What,
    backup::{self, Snapshot},
    error::{Result, bad_input},
    home::write_private,
    keyring::Keyring as _,
    policy::Whose,
};

use super::{Around, given::Given, output};

/// Write everything but secrets to a file: keys' records, API keys, tokens' settings, own schemes, policies, nonces.
///
/// The secrets are on the token and cannot be written anywhere: back them up by importing each to two tokens.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  hsmsign backup hsmsign.backup\n  hsmsign backup - | age -r RECIPIENT > hsmsign.age"
)]
pub struct BackupArgs {
    /// The file, written with mode 0600; `-` for standard output
    file: PathBuf,
}

pub fn backup(args: &BackupArgs) -> Result<ExitCode> {
    let snapshot = backup::take(&Around::find()?.home)?.to_text()?;
    if args.file == Path::new("-") {
        if io::stdout().is_terminal() {
            output::warn("a backup holds your API keys");
        }
        return output::line(&snapshot);
    }
    let file = target(&args.file)?;
    let is_backup = || {
        BACKUP
            .text(Some(&file))
            .and_then(|text| Snapshot::parse(&text))
            .is_ok()
    };
    if file.exists() && !is_backup() {
        return Err(bad_input(format!(
            "{} is there already, and is no backup of hsmsign",
            args.file.display()
        ))
        .fix("choose another file; an earlier backup would be replaced"));
    }
    write_private(&file, format!("{snapshot}\n").as_bytes())?;
    output::line(&format!(
        "backed up to {}: all but the secrets, which are on the token",
        args.file.display()
    ))
}

/// The file to write: what a link points to, and no device or folder, which the new file would take the place of.
fn target(file: &Path) -> Result<PathBuf> {
    let file = file
        .canonicalize()
        .or_else(|_| std::path::absolute(file))
        .map_err(|error| bad_input(format!("{} is no file's name: {error}", file.display())))?;
    if file.exists() && !file.is_file() {
        return Err(bad_input(format!("{} is not a plain file", file.display()))
            .fix("name a file, or `-` for standard output"));
    }
    Ok(file)
}

/// Put back what a backup has and is missing here; nothing that is here is overwritten.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  hsmsign restore hsmsign.backup\n  age -d hsmsign.age | hsmsign restore -"
)]
pub struct RestoreArgs {
    /// The file; `-` for standard input
    file: PathBuf,
}

const BACKUP: Given = Given {
    what: "the backup",
    most: 256 << 20,
    fix: "see that it is a file of `hsmsign backup`",
};

pub fn restore(args: &RestoreArgs) -> Result<ExitCode> {
    let file = (args.file != Path::new("-")).then_some(args.file.as_path());
    let text = BACKUP.text(file)?;
    let around = Around::find()?;
    let restored = Snapshot::parse(&text)?.restore(&around.home)?;
    for whose in &restored.policies {
        let key = match whose {
            Whose::Everyone => "",
            Whose::Key(key) => key.as_str(),
        };
        around.note(What::Policy, key, format!("{whose} was restored"));
    }
    if restored.denied.all {
        around.note(What::Lock, "", "every key, as in the backup");
        output::warn("every key is locked, as it was in the backup; when you know why: hsmsign unlock --all");
    }
    for key in &restored.denied.keys {
        around.note(What::Lock, key.as_str(), "deny-all, as in the backup");
        output::warn(&format!(
            "everything is denied to the key {key}, as it was in the backup; when you know why: hsmsign policy deny-all {key} --undo"
        ));
    }
    let keyring = around.keyring();
    for key in &restored.keys {
        let told = keyring
            .get(key)
            .map_or_else(|_| String::new(), |record| record.told());
        around.note(What::Import, key.as_str(), format!("restored: {told}"));
    }
    output::line(&format!(
        "restored: keys {} ({} were here already), tokens {}, schemes {}, policies {}; nonces go on above all that were used\nthe secrets are on the tokens: `hsmsign doctor` says whether each is there",
        restored.keys.len(),
        restored.same,
        restored.tokens.len(),
        restored.schemes.len(),
        restored.policies.len()
    ))
}
