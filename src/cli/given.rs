//! What a command is given whole, in a file or on standard input.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use hsmsign::error::{Code, Error, Result, bad_input, failed};

/// What is given, and how much of it is read.
pub struct Given {
    /// What it is, for errors: "the policy".
    pub what: &'static str,
    /// The most that is read, in bytes.
    pub most: u64,
    /// What helps where there is more.
    pub fix: &'static str,
}

impl Given {
    /// From the file; from standard input where none is named.
    ///
    /// # Errors
    /// `bad-input` where the file cannot be read, `too-large` where it is longer than is read.
    pub fn bytes(&self, file: Option<&Path>) -> Result<Vec<u8>> {
        let read = |input: &mut dyn Read| {
            let mut bytes = Vec::new();
            input.take(self.most + 1).read_to_end(&mut bytes).map(|_| bytes)
        };
        let bytes = match file {
            None => read(&mut io::stdin().lock())
                .map_err(|error| failed(format!("standard input cannot be read: {error}")))?,
            Some(file) => File::open(file)
                .and_then(|mut file| read(&mut file))
                .map_err(|error| bad_input(format!("{} cannot be read: {error}", file.display())))?,
        };
        if bytes.len() as u64 > self.most {
            let longer = format!("{} is longer than {} bytes", self.what, self.most);
            return Err(Error::new(Code::TooLarge, longer).fix(self.fix));
        }
        Ok(bytes)
    }

    /// As [`Given::bytes`], as text.
    ///
    /// # Errors
    /// As there, and `bad-input` where it is no UTF-8.
    pub fn text(&self, file: Option<&Path>) -> Result<String> {
        String::from_utf8(self.bytes(file)?).map_err(|_| bad_input(format!("{} is no UTF-8 text", self.what)))
    }
}
