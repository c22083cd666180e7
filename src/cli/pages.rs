use std::{path::PathBuf, process::ExitCode};

use clap::CommandFactory;
use hsmsign::{
    error::{Result, failed},
    home::io_error,
};

use super::output;

/// Print the completions for a shell.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  hsmsign completions bash > ~/.local/share/bash-completion/completions/hsmsign"
)]
pub struct CompletionArgs {
    /// The shell
    shell: clap_complete::Shell,
}

pub fn completions<C: CommandFactory>(args: &CompletionArgs) -> Result<ExitCode> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut C::command(), "hsmsign", &mut text);
    output::write(&text)
}

/// Print a manual page.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  hsmsign man | man -l -\n  hsmsign man sign | man -l -\n  hsmsign man --all ~/.local/share/man/man1"
)]
pub struct ManArgs {
    /// Write the pages of all commands into this folder
    #[arg(long, value_name = "FOLDER", conflicts_with = "command")]
    all: Option<PathBuf>,
    /// The command; the program itself where none is given
    command: Option<String>,
}

pub fn man<C: CommandFactory>(args: &ManArgs) -> Result<ExitCode> {
    let mut command = C::command();
    if let Some(folder) = &args.all {
        return std::fs::create_dir_all(folder)
            .and_then(|()| clap_mangen::generate_to(command, folder))
            .map(|()| ExitCode::SUCCESS)
            .map_err(|error| io_error("the pages", folder, "be written", &error));
    }
    command.build();
    let page = match &args.command {
        None => command,
        Some(name) => command
            .get_subcommands()
            .find(|sub| sub.get_name() == name)
            .cloned()
            .ok_or_else(|| {
                hsmsign::error::Error::new(
                    hsmsign::error::Code::Usage,
                    format!("there is no command {name:?}"),
                )
            })?
            .name(format!("hsmsign-{name}")),
    };
    let mut text = Vec::new();
    clap_mangen::Man::new(page)
        .render(&mut text)
        .map_err(|error| failed(format!("the page cannot be made: {error}")))?;
    output::write(&text)
}
