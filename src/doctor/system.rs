//! What the system gives the process: memory for secrets, and what it reads of itself.

use std::path::Path;

use super::Report;
use crate::{error::failed, nonce::Nonces, process::refuse_strangers, secret::Secret};

impl Report {
    pub(super) fn memory(&mut self) {
        match Secret::with_capacity(1) {
            Ok(secret) if secret.is_sealed() => {
                self.good("secrets are read into memory that no other process and not the kernel's map reaches (memfd_secret)");
            }
            Ok(_) => self.note(
                "secrets are read into locked memory; this kernel has no memfd_secret, so root can read them for the time of an import",
                None,
            ),
            Err(error) => self.bad(&error),
        }
        match refuse_strangers() {
            Ok(notes) => notes.iter().for_each(|note| self.note(note, None)),
            Err(error) => self.bad(&error),
        }
    }

    pub(super) fn proc(&mut self, nonces: &Nonces) {
        if !Path::new("/proc/self/exe").exists() {
            let gone = failed("/proc is not there: no agent can be started, and no module of a token tried");
            return self.bad(&gone.fix("mount it: mount -t proc proc /proc"));
        }
        if !nonces.know_boot() {
            self.note(
                "the system does not tell when it was started, so nonces leap by a minute with each process that signs, as after a power cut",
                Some("have it read /proc/sys/kernel/random/boot_id; or let an agent sign, which leaps once"),
            );
        }
    }
}
