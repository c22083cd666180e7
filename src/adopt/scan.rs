//! Looking through a folder, and the git histories in it, for exchange secrets that were left there.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::{
    document::{Format, LONGEST},
    loose,
    recognise::recognise,
};
use crate::{
    error::{Error, Result, bad_input, failed},
    exchange::Catalogue,
    home::io_error,
    secret::{Secret, traceless},
};

/// Where a secret was seen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sighting {
    /// The file; in a history, its path there below the repository's folder.
    pub path: PathBuf,
    /// The commit that it was seen in, abbreviated; none for a file that is there.
    pub commit: Option<String>,
    /// The line, from 1.
    pub line: usize,
    /// The field.
    pub field: String,
    /// The exchange's id.
    pub exchange: String,
}

/// The ends of names of files that hold programs and settings in other formats.
const LOOSE: [&str; 20] = [
    "py", "ipynb", "js", "mjs", "cjs", "ts", "jsx", "tsx", "sh", "bash", "zsh", "toml", "ini", "cfg", "conf",
    "go", "rs", "rb", "php", "txt",
];

/// Looks at every file below a folder that is in a format that bots use, and at all that git repositories there remember.
/// Answers what was seen, and what could not be looked at.
///
/// # Errors
/// When the folder cannot be read.
pub fn scan(folder: &Path, catalogue: &Catalogue) -> Result<(Vec<Sighting>, Vec<String>)> {
    let mut seen = BTreeSet::new();
    let mut missed = Vec::new();
    let mut folders = vec![folder.to_owned()];
    fs::read_dir(folder).map_err(|error| io_error("the folder", folder, "be read", &error))?;
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) => {
                missed.push(format!("{}: {error}", folder.display()));
                continue;
            }
        };
        for entry in entries.flatten() {
            let (path, kind) = (entry.path(), entry.file_type());
            if entry.file_name() == ".git" {
                if let Err(error) = history(&folder, catalogue, &mut seen) {
                    missed.push(format!(
                        "the history of {}: {}",
                        folder.display(),
                        error.message()
                    ));
                }
            } else if kind.as_ref().is_ok_and(std::fs::FileType::is_dir) {
                folders.push(path);
            } else if kind.is_ok_and(|kind| kind.is_file())
                && is_interesting(&path)
                && let Err(error) = file(&path, catalogue, &mut seen)
            {
                missed.push(error.message().to_owned());
            }
        }
    }
    Ok((seen.into_iter().collect(), missed))
}

fn is_interesting(path: &Path) -> bool {
    let loose = path
        .extension()
        .and_then(|end| end.to_str())
        .is_some_and(|end| LOOSE.contains(&end));
    loose || Format::of_name(path).is_some()
}

fn file(path: &Path, catalogue: &Catalogue, seen: &mut BTreeSet<Sighting>) -> Result<()> {
    let unread = |error| io_error("", path, "be read", &error);
    let mut file = fs::File::open(path).map_err(unread)?;
    let length = file.metadata().map_err(unread)?.len();
    if length > LONGEST {
        return Err(bad_input(format!(
            "{} is larger than {LONGEST} bytes",
            path.display()
        )));
    }
    let text = read_exact(&mut file, length)
        .map_err(|error| failed(format!("{}: {}", path.display(), error.message())))?;
    if matches!(text.expose(), [0xff, 0xfe, ..] | [0xfe, 0xff, ..]) {
        return Err(bad_input(format!("{} is written in UTF-16", path.display())));
    }
    look(path, None, &text, catalogue, seen);
    Ok(())
}

/// Up to so many bytes, in locked memory.
fn read_exact(from: &mut impl std::io::Read, length: u64) -> Result<Secret> {
    let length = usize::try_from(length).map_err(|_| failed("it is too long"))?;
    let mut text = Secret::with_capacity(length)?;
    while text.len() < length {
        let room = length - text.len();
        match from.read(&mut text.spare_mut()[..room]) {
            Ok(0) => break,
            Ok(read) => text.grow(read),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(format!("it cannot be read: {error}"))),
        }
    }
    Ok(text)
}

/// Finds the secrets of one text.
fn look(
    path: &Path,
    commit: Option<&str>,
    text: &Secret,
    catalogue: &Catalogue,
    seen: &mut BTreeSet<Sighting>,
) {
    let found = traceless(|| {
        let text = text.expose();
        // What is not in its format, as a half-written file, is looked at as a program is.
        let scalars = Format::of_name(path).and_then(|format| format.scalars(text).ok());
        let (mut found, _) = recognise(text, &scalars.unwrap_or_default(), catalogue, None)?;
        let new: Vec<_> = loose::seen(text, catalogue)?
            .into_iter()
            .filter(|one| found.iter().all(|other| other.line != one.line))
            .collect();
        found.extend(new);
        Ok::<_, Error>(found)
    });
    for found in found.unwrap_or_default() {
        seen.insert(Sighting {
            path: path.to_owned(),
            commit: commit.map(str::to_owned),
            line: found.line,
            field: found.field,
            exchange: found.exchange,
        });
    }
}

/// Looks at every file that a repository remembers, of whatever branch, also of those that only the reflog knows.
fn history(folder: &Path, catalogue: &Catalogue, seen: &mut BTreeSet<Sighting>) -> Result<()> {
    let git = |args: &[&str]| {
        let mut command = Command::new("git");
        command
            .arg("-C")
            .arg(folder)
            .args(args)
            .stdin(Stdio::null())
            .stderr(Stdio::null());
        command
    };
    let listed = git(&["rev-list", "--objects", "--all", "--reflog"])
        .output()
        .map_err(|error| failed(format!("git cannot be run: {error}")))?;
    if !listed.status.success() {
        return Err(failed("git cannot read it"));
    }
    let names = String::from_utf8_lossy(&listed.stdout);
    let wanted: BTreeMap<&str, &str> = names
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter(|(_, path)| is_interesting(Path::new(path)))
        .collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let mut reader = git(&["cat-file", "--batch"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| failed(format!("git cannot be run: {error}")))?;
    let (Some(mut asks), Some(answers)) = (reader.stdin.take(), reader.stdout.take()) else {
        return Err(failed("git has no input and output"));
    };
    let mut answers = BufReader::new(answers);
    for (id, path) in wanted {
        let broken = |error: std::io::Error| failed(format!("git ended early: {error}"));
        writeln!(asks, "{id}").map_err(broken)?;
        let mut head = String::new();
        answers.read_line(&mut head).map_err(broken)?;
        let length: u64 = head
            .trim_end()
            .rsplit(' ')
            .next()
            .and_then(|size| size.parse().ok())
            .unwrap_or(0);
        if !head.contains(" blob ") || length > LONGEST {
            std::io::copy(&mut answers.by_ref().take(length + 1), &mut std::io::sink()).map_err(broken)?;
            continue;
        }
        let text = read_exact(&mut answers, length)?;
        answers.read_exact(&mut [0]).map_err(broken)?;
        let mut here = BTreeSet::new();
        look(Path::new(path), Some(id), &text, catalogue, &mut here);
        if !here.is_empty() {
            let found = git(&[
                "log",
                "--all",
                "--reflog",
                "--format=%h",
                &format!("--find-object={id}"),
            ])
            .output();
            let commits = found
                .map(|found| String::from_utf8_lossy(&found.stdout).into_owned())
                .unwrap_or_default();
            // The first commit that has it is the last of the list.
            let commit = commits
                .lines()
                .last()
                .unwrap_or(&id[..id.len().min(10)])
                .to_owned();
            seen.extend(here.into_iter().map(|sighting| Sighting {
                path: folder.join(&sighting.path),
                commit: Some(commit.clone()),
                ..sighting
            }));
        }
    }
    drop(asks);
    let _ended = reader.wait();
    Ok(())
}
