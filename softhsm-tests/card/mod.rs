//! Virtual YubiKeys on the machine's real PC/SC stack: a pcscd of its own, with the driver vpcd, to which cards connect that
//! run in the test. It has a network of its own, since vpcd listens on every address there is; the user's own pcscd is left
//! alone.
#![allow(dead_code, unused_imports)] // Each test target uses its part.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::cast_possible_truncation)]

pub mod device;
pub mod faults;
pub mod management;
pub mod manner;
pub mod oath;
pub mod pairs;
pub mod piv;
pub mod service;
pub mod tlv;
mod wire;

use std::{
    path::{Path, PathBuf},
    process::{Child, Command},
    time::Duration,
};

pub use device::{Card, Profile, Touch};
pub use manner::Manner;
pub use pairs::Attests;

/// How long pcscd may take to come up, and a card to be seen.
const PATIENCE: Duration = Duration::from_secs(20);

/// A pcscd with two readers, in a network of its own.
pub struct Desk {
    folder: PathBuf,
    pcscd: Option<Child>,
    cards: Vec<Card>,
}

impl Desk {
    /// With these cards, one or two, put into the readers. None, with a line on stderr, where it cannot be had.
    pub fn with(folder: &Path, profiles: Vec<Profile>) -> Option<Self> {
        if let Err(why) = service::at_hand() {
            eprintln!("SKIPPED: {why}");
            return None;
        }
        assert!(profiles.len() <= 2, "vpcd has two readers");
        let mut desk = Self {
            folder: folder.join("pcscd"),
            pcscd: None,
            cards: (service::PORT..)
                .zip(profiles)
                .map(|(port, profile)| Card::new(port, profile))
                .collect(),
        };
        desk.start();
        Some(desk)
    }

    /// The card in a reader, from 0.
    pub fn card(&self, reader: usize) -> &Card {
        &self.cards[reader]
    }

    /// The socket of its pcscd, for the variable that libpcsclite reads.
    pub fn environment(&self) -> (String, String) {
        environment(&self.folder)
    }

    /// Starts pcscd, and waits until it has seen the cards.
    pub fn start(&mut self) {
        assert!(self.pcscd.is_none(), "it runs");
        let pcscd = service::start(&self.folder, PATIENCE);
        for card in &self.cards {
            card.enter(&pcscd);
        }
        self.pcscd = Some(pcscd);
    }

    /// Ends pcscd.
    pub fn stop(&mut self) {
        if let Some(mut pcscd) = self.pcscd.take() {
            service::stop(&mut pcscd, &self.folder);
        }
    }

    /// What pcscd wrote down of what it was asked.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// A command with this desk's pcscd in place of the machine's.
    pub fn at<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        let (name, value) = self.environment();
        command.env(name, value)
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The variable that names the socket of a desk in this folder of its own.
pub fn environment(folder: &Path) -> (String, String) {
    let socket = folder.join("run/pcscd.comm");
    ("PCSCLITE_CSOCK_NAME".to_owned(), socket.display().to_string())
}
