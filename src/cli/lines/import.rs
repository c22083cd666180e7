use std::{
    io::{self, IsTerminal as _},
    os::fd::AsFd as _,
    process::ExitCode,
};

use hsmsign::{
    enrol::{Enrol, ImportLine, NewKey},
    error::Result,
    keyring::Record,
    request::error_line,
    secret::{Secret, traceless},
};
use indicatif::{ProgressBar, ProgressStyle};

use super::{
    ended::Ended,
    stdio::{Output, read, too_long, waiting},
};
use crate::cli::import::answer;

/// The longest line with a secret in it, in bytes.
const LONGEST: usize = 64 << 10;
/// The room for lines at first: locked memory is scarce.
const USUAL: usize = 8 << 10;

/// A key a line in, an answer a line out. Lines are read into locked memory, one at a time.
pub fn import(enrol: &Enrol, flags: &NewKey, note: &dyn Fn(&Record)) -> Result<ExitCode> {
    let mut output = Output::new();
    let progress = progress();
    let stdin = io::stdin();
    let mut buffer = Secret::with_capacity(USUAL)?;
    let mut input_ended = false;
    let mut skipping = false;
    let mut answered = 0;
    let ended = Ended::default();
    while !input_ended && !ended.is_so() {
        if !has_line(&buffer) {
            if !waiting() && !output.flush()? {
                break;
            }
            if buffer.spare_mut().is_empty() && buffer.capacity() < LONGEST {
                buffer = traceless(|| larger(&buffer))?;
            }
            let room = buffer.spare_mut();
            if room.is_empty() {
                buffer.truncate(0);
                if !skipping {
                    output.failed = true;
                    answered += 1;
                    output.push(&error_line(None, &too_long(LONGEST)))?;
                }
                skipping = true;
                continue;
            }
            let read = read(stdin.as_fd(), room)?;
            buffer.grow(read);
            input_ended = read == 0;
        }
        while let Some(line) = traceless(|| take_line(&mut buffer, input_ended))? {
            if std::mem::take(&mut skipping) || line.expose().trim_ascii().is_empty() {
                continue;
            }
            let read = ImportLine::parse(&line, flags);
            let name = match &read {
                Ok(read) => read.name(),
                Err(_) => ImportLine::name_in(&line, flags),
            };
            drop(line);
            let line = read;
            answered += 1;
            match line.and_then(|line| enrol.import_line(line)) {
                Ok(enrolled) => {
                    note(&enrolled.record);
                    output.push(&answer(&enrolled))?;
                }
                Err(error) => {
                    output.failed = true;
                    output.push(&with_key(&error_line(None, &error), name.as_deref()))?;
                    if ended.by(&error, enrol.pin_missed(error.code())) {
                        break;
                    }
                }
            }
            progress.inc(1);
            if progress.is_hidden() && !waiting() {
                output.flush()?;
            }
        }
    }
    progress.finish_and_clear();
    ended.told(output.end(), answered)
}

/// `{"ok":false,"key":…,"error":…}`: the refusal names the key, where the line did.
fn with_key(line: &str, key: Option<&str>) -> String {
    match (key, line.strip_prefix("{\"ok\":false")) {
        (Some(key), Some(rest)) => format!("{{\"ok\":false,\"key\":{}{rest}", serde_json::Value::from(key)),
        _ => line.to_owned(),
    }
}

fn progress() -> ProgressBar {
    if !io::stderr().is_terminal() || io::stdout().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{spinner} {pos} lines done, {per_sec}, {elapsed}");
    ProgressBar::new_spinner().with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
}

fn has_line(buffer: &Secret) -> bool {
    buffer.expose().contains(&b'\n')
}

/// The same bytes with twice the room.
fn larger(buffer: &Secret) -> Result<Secret> {
    let mut larger = Secret::with_capacity((buffer.capacity() * 2).min(LONGEST))?;
    larger.push(buffer.expose());
    Ok(larger)
}

/// Takes the first line out of the buffer; at the end of the input, what is left is one too.
fn take_line(buffer: &mut Secret, ended: bool) -> Result<Option<Secret>> {
    let held = buffer.expose();
    let (end, next) = match held.iter().position(|&byte| byte == b'\n') {
        Some(end) => (end, end + 1),
        None if ended && !held.is_empty() => (held.len(), held.len()),
        None => return Ok(None),
    };
    let mut line = Secret::with_capacity(end)?;
    line.push(&held[..end]);
    buffer.remove_front(next);
    Ok(Some(line))
}
