//! Everything a person or program can get wrong: its exit code, what is said, and that nothing was changed.

mod files;
mod imports;
mod places;
mod requests;
mod tokens;

pub use self::tokens::narrow;

const BALANCE: [&str; 4] = ["sign", "kraken", "POST", "/0/private/Balance"];
