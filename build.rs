//! Has the linker put next to each other what a command needs that signs (see `layout.ld`), and write the program in
//! large pieces.

use std::{
    env,
    io::Write as _,
    process::{Command, Stdio},
};

/// Linkers that take no script of sections.
const OTHERS: [&str; 3] = ["mold", "wild", "gold"];

/// A file that is written through a mapping lies in the page cache in single pages, until it is read from the disk
/// again: each command then starts about 0.7 ms later. LLD writes so where it is not told otherwise.
const IN_LARGE_PIECES: &str = "-Wl,--no-mmap-output-file";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=layout.ld");
    let linker = told("RUSTC_LINKER") + &told("CARGO_ENCODED_RUSTFLAGS");
    if told("OPT_LEVEL") == "0" || told("CARGO_CFG_TARGET_OS") != "linux" {
        return;
    }
    if !OTHERS.iter().any(|other| linker.contains(other)) {
        let folder = told("CARGO_MANIFEST_DIR");
        println!("cargo::rustc-link-arg-bin=hsmsign=-Wl,-T,{folder}/layout.ld");
    }
    if links_with(IN_LARGE_PIECES).unwrap_or(false) {
        println!("cargo::rustc-link-arg={IN_LARGE_PIECES}");
    }
}

fn told(name: &str) -> String {
    env::var(name).unwrap_or_default()
}

/// Whether the linker of this build knows an option: there is nothing else to tell LLD from GNU's by.
fn links_with(option: &str) -> std::io::Result<bool> {
    let mut rustc = Command::new(told("RUSTC"));
    let flags = told("CARGO_ENCODED_RUSTFLAGS");
    rustc
        .args(flags.split('\x1f').filter(|flag| !flag.is_empty()))
        .args(["--target", &told("TARGET"), "--crate-name", "tried"])
        .args(["-C", &format!("link-arg={option}"), "-o"])
        .arg(told("OUT_DIR") + "/tried");
    if let Ok(linker) = env::var("RUSTC_LINKER") {
        rustc.args(["-C", &format!("linker={linker}")]);
    }
    let mut running = rustc
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    if let Some(mut source) = running.stdin.take() {
        source.write_all(b"fn main() {}")?;
    }
    Ok(running.wait()?.success())
}
