//! A module that takes less than the one behind it, built from `c/narrow.c` where a test asks for it.
#![allow(unsafe_code)]

use std::path::{Path, PathBuf};

use hsmsign::token::pkcs11::Settings;

use crate::bench::compile;

/// The module's library.
pub struct Narrow(PathBuf);

impl Narrow {
    /// Builds it into the folder; none, with a line on stderr, where there is no C compiler.
    pub fn build(folder: &Path) -> Option<Self> {
        compile::library(folder, "narrow", "traps/c/narrow.c").map(Self)
    }

    /// The environment that makes it like this, in front of a module.
    pub fn environment(&self, behind: &Settings, like: &str) -> [(&'static str, String); 2] {
        [
            ("NARROW_MODULE", behind.module.display().to_string()),
            ("NARROW_AS", like.to_owned()),
        ]
    }

    /// The settings of a token behind it, for this process.
    pub fn settings(&self, behind: &Settings, like: &str) -> Settings {
        for (name, value) in self.environment(behind, like) {
            // SAFETY: the test's own process, before the module is loaded; no other thread runs.
            unsafe { std::env::set_var(name, value) };
        }
        Settings {
            module: self.0.clone(),
            ..behind.clone()
        }
    }
}
