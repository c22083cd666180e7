//! The line protocols on standard input and output: `sign --json` and `import --json`; and an input that is read
//! whole.

mod ended;
mod import;
mod relay;
mod sign;
mod stdio;
mod whole;

pub use import::import;
pub use relay::relay;
pub use sign::sign;
pub use whole::whole_input;
