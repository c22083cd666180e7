//! The agent: one resident signer that many programs share, behind a Unix socket.
//!
//! Three kinds of process, all of this program. The *front* reads clients' bytes, walks the road of a request up to the
//! token and back, and gives out nonces; it loads no vendor's module and knows no PIN. A *worker* a token holds the login
//! and computes. The *launcher* starts workers, since the front is confined and starts nothing.
//! `docs/agent.md` and `docs/protocol.md` are its pages.

pub mod alone;
pub mod asked;
pub mod client;
mod confirm;
pub mod errand;
pub mod frame;
pub mod front;
mod handed;
pub mod launcher;
pub mod patience;
mod peer;
mod sandbox;
pub mod socket;
pub mod wire;
pub mod worker;
