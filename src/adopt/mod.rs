//! Moving secrets out of plaintext: finds exchange secrets in the files in which bots keep them, brings each onto a token, and
//! puts the key's placeholder in its place.
//!
//! A file a format: `json`, `yaml` and `env` answer where a file's texts are, `keyfile` opens what hummingbot
//! encrypts, `vault` reads a password manager's export, `loose` programs and comments, which are only told of. `recognise` knows which texts are an exchange's secret,
//! `rewrite` changes a file whole or not at all, and `scan` looks through folders and git histories.

mod bring;
mod document;
mod env;
mod flow;
mod json;
mod keyfile;
mod loose;
mod recognise;
mod rewrite;
mod scalar;
mod scan;
mod vault;
mod words;
mod yaml;

pub use bring::{Adopted, Adoption, Brought, Wishes};
pub use document::{Document, Format};
pub use recognise::{Found, Left};
pub use scan::{Sighting, scan};
pub use vault::{Entry, Vault};
