//! Putting policies into force, and taking them out.

use std::time::Duration;

use super::{
    rules::Policy,
    store::{Policies, Whose, argument, name, text},
};
use crate::{
    error::{Error, Result, bad_input},
    home::{Fresh, Mark, create_folder, remove_file},
};

impl Policies {
    /// Puts a policy into force, whole, with what the owner should know of it.
    ///
    /// # Errors
    /// When the text is no policy, or cannot be written; then what was in force stays so.
    pub fn put(&self, whose: &Whose, text: &str, now: Duration) -> Result<Vec<String>> {
        let policy = Policy::parse(text, name(whose))?;
        self.write(whose, text, |file| file.put().map(|()| true))?;
        Ok(policy.warnings(now))
    }

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
        let first = self.write(whose, text, |file| file.put_first())?;
        self.check_beginning(whose, text)?;
        Ok(first)
    }

    /// Writes a policy and the copy from which processes start, both or none, and has the log told; not where the file
    /// did not go into its place, which is answered.
    fn write(&self, whose: &Whose, text: &str, put: impl FnOnce(Fresh<'_>) -> Result<bool>) -> Result<bool> {
        let (path, accepted) = (self.path(whose), self.accepted(whose));
        for folder in [&path, &accepted].into_iter().filter_map(|path| path.parent()) {
            create_folder(folder)?;
        }
        let copy = Fresh::write(&accepted, text.as_bytes())?;
        if !put(Fresh::write(&path, text.as_bytes())?)? {
            return Ok(false);
        }
        // Whoever read the file meanwhile has told the log.
        if self::text(&accepted)?.as_deref() != Some(text) {
            copy.put()?;
            self.note_in_force(whose, text);
        }
        match self.current(whose)?.trouble {
            Some(trouble) => Err(trouble),
            None => Ok(true),
        }
    }

    /// Whether there is a policy, in force or broken.
    ///
    /// # Errors
    /// When its place cannot be looked at.
    pub fn is_there(&self, whose: &Whose) -> Result<bool> {
        Ok(Mark::of(&self.path(whose))?.is_some() || Mark::of(&self.accepted(whose))?.is_some())
    }

    /// Takes a policy out of force.
    ///
    /// # Errors
    /// When there is none, or a file cannot be removed.
    pub fn remove(&self, whose: &Whose) -> Result<()> {
        let (path, accepted) = (self.path(whose), self.accepted(whose));
        if !self.is_there(whose)? {
            return Err(bad_input(format!("there is no {}", name(whose)))
                .fix("hsmsign policy show KEY shows what holds"));
        }
        remove_file(&path)?;
        remove_file(&accepted)?;
        self.note(format!("{} is no longer in force", name(whose)));
        Ok(())
    }
}

fn taken(whose: &Whose) -> Error {
    bad_input(format!(
        "there is a {} already, and it says something else",
        name(whose)
    ))
    .fix(format!(
        "leave --policy out to begin with what is there, or take it away first: hsmsign policy remove {}",
        argument(whose)
    ))
}
