//! A file with secrets in it, held in locked memory, and the texts that were found in it.

use std::{
    fs::File,
    io::Read as _,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    env, json, loose,
    recognise::{Found, Left, recognise},
    scalar::Scalar,
    yaml,
};
use crate::{
    error::{Code, Error, Result, bad_input, failed},
    exchange::{Catalogue, Scheme},
    home::io_error,
    secret::{Secret, traceless},
};

/// The longest file that is read, in bytes.
pub(super) const LONGEST: u64 = 1 << 20;

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// JSON, as freqtrade's and ccxt's.
    Json,
    /// YAML, as docker-compose's and hummingbot's.
    Yaml,
    /// `NAME=value` lines.
    Env,
}

impl Format {
    /// The format that a file's name says.
    pub(super) fn of_name(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?.to_ascii_lowercase();
        let end = name.rsplit('.').next()?;
        match end {
            "json" | "jsonc" => Some(Self::Json),
            "yml" | "yaml" => Some(Self::Yaml),
            "env" => Some(Self::Env),
            _ if name.starts_with(".env") => Some(Self::Env),
            _ => None,
        }
    }

    /// The format that a file's beginning shows.
    fn of_text(text: &[u8]) -> Option<Self> {
        let mut lines = text
            .split(|&byte| byte == b'\n')
            .map(<[u8]>::trim_ascii)
            .filter(|line| !line.is_empty() && !line.starts_with(b"#"));
        let first = lines.next()?;
        match first {
            // A section, as of TOML and INI files.
            [b'[', name @ .., b']']
                if name
                    .iter()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"_-. ".contains(byte)) =>
            {
                None
            }
            [b'{' | b'[', ..] | [b'/', b'/' | b'*', ..] => Some(Self::Json),
            _ if env::setting(first).is_some() => Some(Self::Env),
            _ if first == b"---" || first.ends_with(b":") || first.windows(2).any(|pair| pair == b": ") => {
                Some(Self::Yaml)
            }
            _ => None,
        }
    }

    pub(super) fn scalars(self, text: &[u8]) -> Result<Vec<Scalar>> {
        match self {
            Self::Json => json::scalars(text),
            Self::Yaml => Ok(yaml::scalars(text)),
            Self::Env => Ok(env::scalars(text)),
        }
    }
}

/// A file as it was read.
#[derive(Debug)]
pub struct Document {
    pub(super) path: PathBuf,
    pub(super) text: Secret,
    pub(super) inode: (u64, u64),
    format: Format,
    /// The secrets in it, in their order.
    pub found: Vec<Found>,
    /// What looks like a secret, and stays as it is.
    pub left: Vec<Left>,
}

impl Document {
    /// Reads a file and finds the secrets in it. `wished` is the exchange of those whose exchange the file does not say.
    ///
    /// # Errors
    /// When it cannot be read, is too long, or is in no format that is known.
    pub fn read(path: &Path, catalogue: &Catalogue, wished: Option<&Arc<Scheme>>) -> Result<Self> {
        // The file itself is rewritten, and not a link to it.
        let path = path.canonicalize().map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => bad_input(format!("there is no file {}", path.display()))
                .fix("name the file that the bot reads"),
            _ => io_error("", path, "be read", &error),
        })?;
        let file = File::open(&path).map_err(|error| io_error("", &path, "be read", &error))?;
        let metadata = file
            .metadata()
            .map_err(|error| io_error("", &path, "be looked at", &error))?;
        if !metadata.is_file() {
            return Err(bad_input(format!("{} is not a plain file", path.display())));
        }
        if metadata.len() > LONGEST {
            return Err(Error::new(
                Code::TooLarge,
                format!("{} is larger than {LONGEST} bytes", path.display()),
            )
            .fix("move the secrets into a file of their own"));
        }
        let text = read_all(file, metadata.len()).map_err(|error| match error {
            ReadError::File(error) => io_error("", &path, "be read", &error),
            ReadError::Memory(error) => error,
        })?;
        Self::of(path, text, (metadata.dev(), metadata.ino()), catalogue, wished)
    }

    fn of(
        path: PathBuf,
        text: Secret,
        inode: (u64, u64),
        catalogue: &Catalogue,
        wished: Option<&Arc<Scheme>>,
    ) -> Result<Self> {
        let told = |error: Error| {
            Error::new(error.code(), format!("{}: {}", path.display(), error.message())).fix(error.advice())
        };
        if matches!(text.expose(), [0xff, 0xfe, ..] | [0xfe, 0xff, ..]) {
            return Err(bad_input(format!("{} is written in UTF-16", path.display()))
                .fix("save it as UTF-8, as bots read it, then try again"));
        }
        let format = Format::of_name(&path)
            .or_else(|| Format::of_text(text.expose()))
            .ok_or_else(|| {
                bad_input(format!("{} is in no format that adopt knows", path.display())).fix(
                    "it knows .env files, JSON (freqtrade, ccxt) and YAML (docker-compose, hummingbot, ccxt)",
                )
            })?;
        let (found, left) = traceless(|| {
            let scalars = format.scalars(text.expose())?;
            let (found, mut left) = recognise(text.expose(), &scalars, catalogue, wished)?;
            left.extend(elsewhere(text.expose(), &found, &left, catalogue)?);
            Ok((found, left))
        })
        .map_err(told)?;
        Ok(Self {
            path,
            text,
            inode,
            format,
            found,
            left,
        })
    }

    /// The file, as the system names it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How it is written.
    pub const fn format(&self) -> Format {
        self.format
    }

    /// The API key that stands with a secret, where it is not encrypted and no other text is in its place.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn api_key(&self, found: &Found) -> Result<Option<String>> {
        found
            .api_key
            .as_ref()
            .map(|field| field.public(self.text.expose()))
            .transpose()
    }
}

/// Secrets that stand where the format's reader sees no text, as in a comment: they are told, and stay.
fn elsewhere(text: &[u8], found: &[Found], left: &[Left], catalogue: &Catalogue) -> Result<Vec<Left>> {
    let known = |line: usize| {
        found.iter().any(|found| found.line == line) || left.iter().any(|left| left.line == line)
    };
    let stays = |one: &Found| {
        Left {
        line: one.line,
        field: one.field.clone(),
        why: "it stands where adopt changes nothing, as in a comment; put the placeholder there by hand, or take it out"
            .to_owned(),
    }
    };
    let seen = loose::seen(text, catalogue)?;
    Ok(seen.iter().filter(|one| !known(one.line)).map(stays).collect())
}

enum ReadError {
    File(std::io::Error),
    Memory(Error),
}

fn read_all(mut file: File, length: u64) -> std::result::Result<Secret, ReadError> {
    let length = usize::try_from(length).map_err(|_| ReadError::Memory(failed("the file is too long")))?;
    // A byte more shows a file that grows.
    let mut text = Secret::with_capacity(length + 1).map_err(ReadError::Memory)?;
    while !text.spare_mut().is_empty() {
        match file.read(text.spare_mut()) {
            Ok(0) => break,
            Ok(read) => text.grow(read),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(ReadError::File(error)),
        }
    }
    if text.len() > length {
        return Err(ReadError::Memory(
            failed("the file is being written by another program")
                .fix("stop the program that writes it, then try again"),
        ));
    }
    Ok(text)
}
