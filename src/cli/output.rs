//! How commands answer: results on standard output, everything else on standard error.

use std::{
    io::{self, IsTerminal as _, Write as _},
    process::ExitCode,
};

use anstyle::{AnsiColor, Style};
use hsmsign::error::{Code, Error, Result, failed};
use serde_json::Value;

use super::standard;

/// Tells an error: what happened, then what to do. Answers its exit code.
pub fn report(error: &Error) -> ExitCode {
    let (bold, reset) = paint(Style::new().bold().fg_color(Some(AnsiColor::Red.into())));
    // In one piece, so that processes running at once do not write into each other's lines.
    let text = format!(
        "{bold}hsmsign:{reset} {}\n  {}\n",
        error.message(),
        error.advice()
    );
    let _ = io::stderr().write_all(text.as_bytes());
    ExitCode::from(error.code().exit())
}

/// As [`report`], and as a JSON line on standard output where that was asked for.
pub fn report_json(error: &Error, json: bool) -> ExitCode {
    if json {
        let _ = line(&hsmsign::request::error_line(None, error));
    }
    report(error)
}

/// Tells what was done, where the result is for a program or to be pasted.
pub fn aside(text: &str) {
    let _ = io::stderr().write_all(format!("{text}\n").as_bytes());
}

/// Tells something beside the result.
pub fn warn(text: &str) {
    let (yellow, reset) = paint(Style::new().fg_color(Some(AnsiColor::Yellow.into())));
    let _ = io::stderr().write_all(format!("{yellow}note:{reset} {text}\n").as_bytes());
}

/// Refuses to take a secret where a library that is not hsmsign's own would see it.
pub fn refuse_strangers() -> Result<()> {
    hsmsign::process::refuse_strangers().map(|notes| notes.iter().for_each(|note| warn(note)))
}

fn paint(style: Style) -> (String, String) {
    if colourless() || !io::stderr().is_terminal() {
        Default::default()
    } else {
        (style.render().to_string(), style.render_reset().to_string())
    }
}

/// Whether the user wants no colours, or the terminal has none: <https://no-color.org>.
fn colourless() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
        || std::env::var_os("TERM").is_some_and(|kind| kind == "dumb")
}

/// Writes a line of the result.
pub fn line(text: &str) -> Result<ExitCode> {
    write(format!("{text}\n").as_bytes())
}

/// Writes JSON: in one line for programs, indented on a terminal.
pub fn json(value: &Value) -> Result<ExitCode> {
    let text = if io::stdout().is_terminal() {
        serde_json::to_string_pretty(value)
    } else {
        serde_json::to_string(value)
    };
    line(&text.map_err(|error| failed(format!("the answer cannot be written: {error}")))?)
}

/// A message as text, with all but printable ASCII as escapes.
pub fn escaped(message: &[u8]) -> String {
    message
        .iter()
        .flat_map(|byte| byte.escape_ascii())
        .map(char::from)
        .collect()
}

/// Writes bytes of the result. A reader that went away ends the work quietly.
pub fn write(bytes: &[u8]) -> Result<ExitCode> {
    Ok(if standard::put(bytes)? {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(Code::Failed.exit())
    })
}

/// Tells what clap has to say: help on standard output, errors on standard error.
pub fn of_clap(error: &clap::Error) -> ExitCode {
    if error.use_stderr() {
        error.exit();
    }
    let text = error.render();
    let text = if io::stdout().is_terminal() && !colourless() {
        text.ansi().to_string()
    } else {
        text.to_string()
    };
    write(text.as_bytes()).unwrap_or_else(|error| report(&error))
}

/// A table without frames, as `ls -l` has none.
pub fn table<const N: usize>(
    header: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> Result<ExitCode> {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING).set_header(header);
    for row in rows {
        table.add_row(row);
    }
    let text: Vec<_> = table
        .lines()
        .map(|line| line.strip_prefix(' ').unwrap_or(&line).trim_end().to_owned())
        .collect();
    line(&text.join("\n"))
}
