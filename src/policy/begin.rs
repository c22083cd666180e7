//! The policy with which a key begins.

use super::{
    rules::Policy,
    store::{Policies, Whose, name},
};
use crate::{
    error::{Error, Result, bad_input},
    home::{create_folder, write_first},
};

impl Policies {
    /// Refuses where a policy is there already that says something else: its owner wrote it, or an earlier key of that
    /// name had it.
    ///
    /// # Errors
    /// As said, or when what is there cannot be read.
    pub fn check_beginning(&self, whose: &Whose, text: &str) -> Result<()> {
        match self.current(whose)?.policy {
            Some(policy) if policy.text() != text => Err(taken(whose)),
            _ => Ok(()),
        }
    }

    /// Puts the first policy into force, and says whether it was not there before.
    ///
    /// # Errors
    /// As [`Policies::check_beginning`], and when it cannot be written.
    pub fn begin(&self, whose: &Whose, text: &str) -> Result<bool> {
        Policy::parse(text, name(whose))?;
        self.check_beginning(whose, text)?;
        let path = self.path(whose);
        if let Some(folder) = path.parent() {
            create_folder(folder)?;
        }
        let first = write_first(&path, text.as_bytes())?;
        self.check_beginning(whose, text)?;
        Ok(first)
    }
}

fn taken(whose: &Whose) -> Error {
    let key = match whose {
        Whose::Everyone => "--all",
        Whose::Key(key) => key.as_str(),
    };
    bad_input(format!(
        "there is a {} already, and it says something else",
        name(whose)
    ))
    .fix(format!(
        "leave --policy out to begin with what is there, or take it away first: hsmsign policy remove {key}"
    ))
}
