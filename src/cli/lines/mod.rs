//! The line protocols on standard input and output: `sign --json` and `import --json`.

mod import;
mod relay;
mod sign;
mod stdio;

pub use import::import;
pub use relay::relay;
pub use sign::sign;
