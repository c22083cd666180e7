//! `audit report`: a page of the log.

use std::process::ExitCode;

use hsmsign::{
    audit::{self, Reader},
    error::{Error, Result, failed},
};

use super::{Around, FilterArgs, output, warn_of, warn_of_nothing};

/// Write a page that shows what was signed and refused
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    filter: FilterArgs,
    /// The file; standard output where none is named
    #[arg(long, short)]
    output: Option<std::path::PathBuf>,
}

pub fn run(args: Args) -> Result<ExitCode> {
    let around = Around::find()?;
    let filter = args.filter.filter()?;
    let told = filter.told();
    let mut report = audit::Report::of(filter);
    let mut reader = Reader::new(&around.home)?;
    reader.read(&mut |_, line| {
        report.take(line);
        Ok(())
    })?;
    report.passed_over(warn_of(&mut reader));
    if let (0, all) = report.lines() {
        warn_of_nothing(&around, &told, all);
    }
    report.set_back().iter().for_each(|told| output::warn(told));
    let page = report.page();
    let Some(path) = args.output else {
        return output::write(page.as_bytes());
    };
    std::fs::write(&path, page).map_err(|error| -> Error {
        failed(format!("{} cannot be written: {error}", path.display()))
            .fix("name a file in a folder that is there, where you may write and there is room")
    })?;
    output::line(&format!("written: {}", path.display()))
}
