//! Has the linker put next to each other what a command needs that signs. See `layout.ld`.

use std::env;

/// Linkers that take no script of sections.
const OTHERS: [&str; 3] = ["mold", "wild", "gold"];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=layout.ld");
    let told = |name: &str| env::var(name).unwrap_or_default();
    let linker = told("RUSTC_LINKER") + &told("CARGO_ENCODED_RUSTFLAGS");
    let optimised = told("OPT_LEVEL") != "0";
    if optimised
        && told("CARGO_CFG_TARGET_OS") == "linux"
        && !OTHERS.iter().any(|other| linker.contains(other))
    {
        let folder = told("CARGO_MANIFEST_DIR");
        println!("cargo::rustc-link-arg-bin=hsmsign=-Wl,-T,{folder}/layout.ld");
    }
}
