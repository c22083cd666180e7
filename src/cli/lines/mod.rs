//! The line protocols on standard input and output: `sign --json` and `import --json`.

mod import;
mod sign;
mod stdio;

pub use import::import;
pub use sign::sign;
