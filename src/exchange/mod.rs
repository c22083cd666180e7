//! What an exchange wants: scheme files, their language, composing and checking. Knows no token and does no I/O.
//!
//! A [`Scheme`] is read from a file. It prepares a request, which is the one place where requests are parsed and
//! everything ambiguous is refused; the [`Prepared`] request says what rules must know. Composing gives the messages to
//! be signed one after the other, and attaching puts the signatures in their places.
//! `docs/adding-an-exchange.md` is the reference of the language.

mod about;
mod analyse;
#[cfg(test)]
mod attacks;
mod base_url;
mod bodies;
mod builtin;
mod caps;
mod carried;
mod catalogue;
mod check;
mod classes;
mod compose;
mod context;
mod coverage;
mod endpoint;
mod example;
mod file;
mod functions;
mod impossible;
mod key;
mod lenient;
mod like;
mod locate;
mod logins;
mod named;
mod names;
mod nodes;
mod params;
mod place;
mod plan;
mod prepare;
mod reading;
mod reveals;
mod scheme;
mod secrets;
mod seen;
mod sending;
mod size;
mod sockets;
mod stamps;
mod target;
mod template;
mod withdrawal;

pub use base_url::check_base_url;
pub use builtin::{builtin, builtin_ids};
pub use catalogue::Catalogue;
pub use check::Test;
pub use classes::Template;
pub use compose::{Composed, Part};
pub use coverage::Coverage;
pub use endpoint::Endpoint;
pub use example::Example;
pub use impossible::{Impossible, impossible};
pub use key::KeyKind;
pub use locate::located;
pub use prepare::{Chosen, NonceNeed, Prepared, Stamps};
pub use reveals::Reveals;
pub use scheme::Scheme;
pub use sending::{Field, Sending, TimeSource, TimeUnit};
pub use size::{Fit, Size};
pub use stamps::Unit;

use crate::glob;
