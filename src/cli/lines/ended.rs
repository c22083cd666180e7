//! Lines that end early: a person gave no right PIN.

use std::sync::OnceLock;

use hsmsign::error::{Error, Result};

/// Why no further line is read. Who mistyped a PIN is not asked again for each line, and runs the command again.
#[derive(Default)]
pub struct Ended(OnceLock<Error>);

impl Ended {
    /// Whether the lines end with one that was refused so; `missed` says whether a person's PIN was the reason.
    pub fn by(&self, refusal: &Error, missed: bool) -> bool {
        if missed {
            self.0.get_or_init(|| refusal.clone());
        }
        self.is_so()
    }

    /// Whether they have ended.
    pub fn is_so(&self) -> bool {
        self.0.get().is_some()
    }

    /// The error that the run ends with, which says how many lines have their answers.
    pub fn told<T>(self, done: Result<T>, answered: u64) -> Result<T> {
        let done = done?;
        let Some(refusal) = self.0.into_inner() else {
            return Ok(done);
        };
        let lines = match answered {
            1 => "the first line has its answer".to_owned(),
            _ => format!("the first {answered} lines have their answers"),
        };
        let told = format!(
            "{}; {lines}, and nothing was done of any behind",
            refusal.message()
        );
        Err(Error::new(refusal.code(), told).fix(refusal.advice()))
    }
}
