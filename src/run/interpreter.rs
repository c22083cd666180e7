//! Refusing commands whose interpreter would not load the hooks, and telling why one cannot be started.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use crate::error::{Code, Error, Result, failed};

/// Programs that start another with the environment that they have, by their arguments.
const PASSING: [&str; 14] = [
    "chrt", "hatch", "ionice", "nice", "nohup", "pdm", "pipenv", "poetry", "setsid", "stdbuf", "taskset",
    "time", "timeout", "uv",
];
/// The variables without which no hook is loaded.
const WANTED: [&str; 3] = ["PYTHONPATH", "NODE_OPTIONS", "HSMSIGN_SOCKET"];

/// Refuses a command that starts an interpreter without its hook, and the bot would sign with the placeholder itself: Python
/// with `-I`, `-E` or `-S`, by its arguments or by a script's first line; `env` and `sudo` where they take the variables away
/// that lead to the hooks.
///
/// # Errors
/// `unsupported`, with the option.
pub fn refuse_unhooked(command: &[OsString]) -> Result<()> {
    let words: Vec<String> = command
        .iter()
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    if let Some(why) = unhooked(&words) {
        return Err(why.told("the command"));
    }
    let script = command
        .first()
        .and_then(|program| find(program))
        .and_then(|path| first_line(&path));
    if let Some(line) = script {
        let mut words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        words.push("script".to_owned());
        if let Some(why) = unhooked(&words) {
            return Err(why.told("the script's first line"));
        }
    }
    Ok(())
}

/// What keeps a hook from being loaded.
#[derive(Debug, PartialEq)]
enum Unhooked {
    /// An option of Python's.
    Option(char),
    /// What `env` does to a variable.
    Env(String),
    /// A program that gives another user's environment.
    User(String),
}

impl Unhooked {
    fn told(&self, whose: &str) -> Error {
        let error = |message: String| Error::new(Code::Unsupported, message);
        match self {
            Self::Option(option) => error(format!(
                "{whose} starts Python with -{option}, which keeps it from loading hsmsign's hook"
            ))
            .fix(format!(
                "start it without -{option}, or change the bot to use the package hsmsign, which needs no hook"
            )),
            Self::Env(word) => error(format!(
                "{whose} has env take hsmsign's variables away ({word}), and no hook would be loaded"
            ))
            .fix("give env to the whole: env … hsmsign run -- COMMAND"),
            Self::User(program) => error(format!(
                "{whose} starts with {program}, which takes hsmsign's variables away, and no hook would be loaded"
            ))
            .fix(format!("give it the whole: {program} … hsmsign run -- COMMAND")),
        }
    }
}

/// Why these words start an interpreter without its hook, where they do.
fn unhooked(words: &[String]) -> Option<Unhooked> {
    let (program, rest) = words.split_first()?;
    let name = Path::new(program).file_name()?.to_str()?;
    match name {
        "env" => return in_env(rest),
        "sudo" | "doas" => return Some(Unhooked::User(name.to_owned())),
        _ if PASSING.contains(&name) => {
            let at = rest.iter().position(|word| is_python(word) || is_taking(word))?;
            return unhooked(&rest[at..]);
        }
        _ if !is_python(program) => return None,
        _ => {}
    }
    let mut words = rest.iter();
    while let Some(word) = words.next() {
        let letters = word
            .strip_prefix('-')
            .filter(|letters| !letters.is_empty() && !letters.starts_with('-'))?;
        for (at, letter) in letters.char_indices() {
            match letter {
                'I' | 'E' | 'S' => return Some(Unhooked::Option(letter)),
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

/// What `env` does to the variables, and what it starts: `env -S 'python -I'`, `env NAME=value python -I`, `env -i python`,
/// `env -u PYTHONPATH python`. Short options may stand in one word, long ones may be cut short.
fn in_env(all: &[String]) -> Option<Unhooked> {
    let taken = |name: &str| WANTED.contains(&name);
    let mut words = all.iter();
    while let Some(word) = words.next() {
        if let Some(long) = word.strip_prefix("--") {
            let (name, value) = long
                .split_once('=')
                .map_or((long, None), |(name, value)| (name, Some(value)));
            let mut value = || value.or_else(|| words.next().map(String::as_str));
            match name.as_bytes().first() {
                Some(b'u') => {
                    if let Some(name) = value().filter(|name| taken(name)) {
                        return Some(Unhooked::Env(format!("-u {name}")));
                    }
                }
                Some(b'c') => _ = value(),
                Some(b's') => return in_split(value()?, words.as_slice()),
                _ if name.starts_with("ignore-e") => return Some(Unhooked::Env(word.clone())),
                _ => {}
            }
        } else if word == "-" {
            return Some(Unhooked::Env(word.clone()));
        } else if let Some(letters) = word.strip_prefix('-') {
            for (at, letter) in letters.char_indices() {
                let mut value = || match &letters[at + 1..] {
                    "" => words.next().map(String::as_str),
                    value => Some(value),
                };
                match letter {
                    'i' => return Some(Unhooked::Env(word.clone())),
                    'u' => match value() {
                        Some(name) if taken(name) => return Some(Unhooked::Env(format!("-u {name}"))),
                        _ => break,
                    },
                    'C' => {
                        value();
                        break;
                    }
                    'S' => return in_split(value()?, words.as_slice()),
                    _ => {}
                }
            }
        } else if let Some((name, _)) = word.split_once('=') {
            if taken(name) {
                return Some(Unhooked::Env(word.clone()));
            }
        } else {
            return unhooked(&[std::slice::from_ref(word), words.as_slice()].concat());
        }
    }
    None
}

/// What `env -S` makes of a text and the words behind it.
fn in_split(text: &str, behind: &[String]) -> Option<Unhooked> {
    let words = text
        .split_whitespace()
        .map(|word| word.trim_matches(['"', '\'']).to_owned());
    in_env(&words.chain(behind.iter().cloned()).collect::<Vec<_>>())
}

/// Whether a word is a Python, by its name.
fn is_python(word: &str) -> bool {
    let name = Path::new(word)
        .file_name()
        .and_then(OsStr::to_str)
        .unwrap_or_default();
    name.strip_prefix("python")
        .or_else(|| name.strip_prefix("pypy"))
        .is_some_and(|version| version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'))
}

/// Whether a word is a program that may take variables away.
fn is_taking(word: &str) -> bool {
    matches!(word, "env" | "sudo" | "doas" | "/usr/bin/env")
}

/// Why a program could not take this process's place.
pub fn not_started(program: &OsStr, error: &io::Error) -> Error {
    let told = program.display();
    let path = find(program).filter(|path| path.exists());
    match (error.kind(), &path) {
        (io::ErrorKind::NotFound, None) => failed(format!("{told} cannot be run: there is no such command"))
            .fix("give a command that is on the PATH, or its path"),
        (io::ErrorKind::NotFound, Some(path)) => match first_line(path) {
            Some(line) => failed(format!(
                "{told} cannot be run: the interpreter of its first line is not there: {}",
                line.trim()
            ))
            .fix("install it, or change the first line"),
            None => failed(format!(
                "{told} cannot be run: the loader that it names is not there"
            ))
            .fix("see that it was built for this system: file COMMAND"),
        },
        (io::ErrorKind::PermissionDenied, Some(path)) if path.is_dir() => {
            failed(format!("{told} cannot be run: it is a folder")).fix("give the program that is in there")
        }
        (io::ErrorKind::PermissionDenied, Some(_)) => {
            failed(format!("{told} cannot be run: it is not executable for you")).fix(format!(
                "chmod +x {told}; or start its interpreter: hsmsign run -- python3 {told}"
            ))
        }
        _ => failed(format!("{told} cannot be run: {error}"))
            .fix("give a command that is on the PATH, or its path"),
    }
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

    fn why(command: &str) -> Option<Unhooked> {
        unhooked(&command.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn options_that_keep_the_hook_out_are_seen() {
        for (command, wanted) in [
            ("python -I bot.py", 'I'),
            ("/usr/bin/python3.11 -uE bot.py", 'E'),
            ("python3 -W error -S bot.py", 'S'),
            ("python3 -Xdev -BI -m bot", 'I'),
            ("env -S A=b python3 -E bot.py", 'E'),
            ("env -u HOME -C /tmp python3 -E bot.py", 'E'),
            ("env --unset HOME --chdir /tmp python3 -E bot.py", 'E'),
            ("env -vuHOME -C/tmp -- python3 -E bot.py", 'E'),
            ("env -vS A=b python3 -E bot.py", 'E'),
            ("env --split-string=A=b python3 -E bot.py", 'E'),
            ("timeout 60 python3 -I bot.py", 'I'),
            ("nice -n 5 env A=b python3 -S bot.py", 'S'),
            ("uv run python -I bot.py", 'I'),
        ] {
            assert_eq!(why(command), Some(Unhooked::Option(wanted)), "{command}");
        }
        for command in [
            "python bot.py -I",
            "python -m bot -E",
            "python -c -S",
            "python3 -u bot.py",
            "python-config -I",
            "node -E",
            "python -W -I bot.py",
            "env",
            "env A=b python bot.py -i",
            "env -u HOME python bot.py",
            "timeout 60 bot -I",
            "bot sudo",
        ] {
            assert_eq!(why(command), None, "{command}");
        }
    }

    #[test]
    fn programs_that_take_the_hooks_variables_away_are_seen() {
        for (command, word) in [
            ("env -i python3 bot.py", "-i"),
            ("/usr/bin/env - node bot.mjs", "-"),
            ("env --ignore-environment A=b bot", "--ignore-environment"),
            ("env -u PYTHONPATH python3 bot.py", "-u PYTHONPATH"),
            ("env --unset=NODE_OPTIONS node bot.mjs", "-u NODE_OPTIONS"),
            ("env --unset NODE_OPTIONS node bot.mjs", "-u NODE_OPTIONS"),
            ("env -vu PYTHONPATH python3 bot.py", "-u PYTHONPATH"),
            ("env -vi python3 bot.py", "-vi"),
            ("env -iS A=b python3 bot.py", "-iS"),
            ("env --ignore-env python3 bot.py", "--ignore-env"),
            ("env -S -i python3 bot.py", "-i"),
            ("env PYTHONPATH=lib python3 bot.py", "PYTHONPATH=lib"),
            ("nohup env HSMSIGN_SOCKET=/x python3 bot.py", "HSMSIGN_SOCKET=/x"),
        ] {
            assert_eq!(why(command), Some(Unhooked::Env(word.to_owned())), "{command}");
        }
        let words = ["env", "-S", "A=b python3 '-I'", "bot.py"].map(str::to_owned);
        assert_eq!(unhooked(&words), Some(Unhooked::Option('I')));
        assert_eq!(
            why("sudo -u bot python3 bot.py"),
            Some(Unhooked::User("sudo".to_owned()))
        );
    }
}
