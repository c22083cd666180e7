//! Refusing commands whose interpreter would not load the hooks.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use crate::error::{Code, Error, Result};

/// Refuses a command that starts Python with `-I`, `-E` or `-S`, by its arguments or by a script's first line: such an
/// interpreter does not look for the hooks, and the bot would sign with the placeholder itself.
///
/// # Errors
/// `unsupported`, with the option.
pub fn refuse_unhooked(command: &[OsString]) -> Result<()> {
    let words: Vec<String> = command
        .iter()
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    if let Some(option) = unhooked(&words) {
        return Err(refused(&option, "the command"));
    }
    let script = command
        .first()
        .and_then(|program| find(program))
        .and_then(|path| first_line(&path));
    if let Some(line) = script {
        let mut words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        words.push("script".to_owned());
        if let Some(option) = unhooked(&words) {
            return Err(refused(&option, "the script's first line"));
        }
    }
    Ok(())
}

fn refused(option: &str, whose: &str) -> Error {
    Error::new(
        Code::Unsupported,
        format!("{whose} starts Python with {option}, which keeps it from loading hsmsign's hook"),
    )
    .fix(format!(
        "start it without {option}, or change the bot to use the package hsmsign, which needs no hook"
    ))
}

/// The option by which these words start a Python without hooks.
fn unhooked(words: &[String]) -> Option<String> {
    let (program, rest) = words.split_first()?;
    let name = Path::new(program).file_name()?.to_str()?;
    if name == "env" {
        // `env -S python -I`, `env NAME=value python -I`
        let at = rest
            .iter()
            .position(|word| !word.starts_with('-') && !word.contains('='))?;
        return unhooked(&rest[at..]);
    }
    let version = name
        .strip_prefix("python")
        .or_else(|| name.strip_prefix("pypy"))?;
    if !version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return None;
    }
    let mut words = rest.iter();
    while let Some(word) = words.next() {
        let letters = word
            .strip_prefix('-')
            .filter(|letters| !letters.is_empty() && !letters.starts_with('-'))?;
        for (at, letter) in letters.char_indices() {
            match letter {
                'I' | 'E' | 'S' => return Some(format!("-{letter}")),
                'c' | 'm' => return None,
                'W' | 'X' => {
                    if at + 1 == letters.len() {
                        words.next();
                    }
                    break;
                }
                _ => {}
            }
        }
    }
    None
}

/// The file that a command's name means.
fn find(program: &OsStr) -> Option<PathBuf> {
    let path = Path::new(program);
    if path.components().count() > 1 {
        return Some(path.to_owned());
    }
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|folder| folder.join(path))
        .find(|path| path.is_file())
}

/// What stands behind `#!` in a script.
fn first_line(path: &Path) -> Option<String> {
    let mut beginning = [0; 256];
    let mut length = 0;
    let mut file = File::open(path).ok()?;
    while let Ok(read) = file.read(&mut beginning[length..]) {
        length += read;
        if read == 0 || length == beginning.len() {
            break;
        }
    }
    let line = beginning[..length]
        .strip_prefix(b"#!")?
        .split(|&byte| byte == b'\n')
        .next()?;
    Some(String::from_utf8_lossy(line).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn option(command: &str) -> Option<String> {
        unhooked(&command.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn options_that_keep_the_hook_out_are_seen() {
        for (command, wanted) in [
            ("python -I bot.py", "-I"),
            ("/usr/bin/python3.11 -uE bot.py", "-E"),
            ("python3 -W error -S bot.py", "-S"),
            ("python3 -Xdev -BI -m bot", "-I"),
            ("env -S A=b python3 -E bot.py", "-E"),
        ] {
            assert_eq!(option(command).as_deref(), Some(wanted), "{command}");
        }
        for command in [
            "python bot.py -I",
            "python -m bot -E",
            "python -c -S",
            "python3 -u bot.py",
            "python-config -I",
            "node -E",
            "python -W -I bot.py",
        ] {
            assert_eq!(option(command), None, "{command}");
        }
    }
}
