//! Who is asked while a token is set up.

use std::sync::Arc;

use crate::{
    ask::Ask,
    error::{Error, Result},
    secret::Secret,
};

/// The person who sets it up. `config.toml` has no such token yet, so what is missing is no field of it.
pub struct AtSetUp(pub Arc<dyn Ask>);

impl Ask for AtSetUp {
    fn present(&self) -> bool {
        self.0.present()
    }

    fn secret(&self, prompt: &str) -> Result<Secret> {
        self.0.secret(prompt)
    }

    fn line(&self, prompt: &str) -> Result<String> {
        self.0.line(prompt)
    }

    fn tell(&self, text: &str) {
        self.0.tell(text);
    }

    fn nobody(&self, token: &str, what: &str, field: &str) -> Error {
        self.0
            .nobody(token, what, field)
            .fix("run it at a terminal, or say where it is: --pin-source file:PATH, fd:N or credential:NAME")
    }
}
