use std::{
    io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::CommandFactory;
use hsmsign::{
    error::{Code, Error, Result, failed},
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
    /// The command, as `audit verify`; the program itself where none is given
    command: Vec<String>,
}

pub fn man<C: CommandFactory>(args: &ManArgs) -> Result<ExitCode> {
    let mut command = C::command().disable_help_subcommand(true);
    command.build();
    if let Some(folder) = &args.all {
        return std::fs::create_dir_all(folder)
            .and_then(|()| write_pages(&command, folder))
            .map(|()| ExitCode::SUCCESS)
            .map_err(|error| io_error("the pages", folder, "be written", &error));
    }
    let mut wanted = &command;
    for name in &args.command {
        wanted = wanted.find_subcommand(name).ok_or_else(|| {
            let words = format!("there is no command {:?}", args.command.join(" "));
            Error::new(Code::Usage, words).fix("`hsmsign --help` lists the commands")
        })?;
    }
    let mut text = Vec::new();
    page(wanted)
        .render(&mut text)
        .map_err(|error| failed(format!("the page cannot be made: {error}")))?;
    output::write(&text)
}

fn write_pages(command: &clap::Command, folder: &Path) -> io::Result<()> {
    for command in command.get_subcommands() {
        write_pages(command, folder)?;
    }
    page(command).generate_to(folder).map(drop)
}

/// The page of a command, which has the program's version at its foot.
fn page(command: &clap::Command) -> clap_mangen::Man {
    clap_mangen::Man::new(command.clone()).source(concat!("hsmsign ", env!("CARGO_PKG_VERSION")))
}
