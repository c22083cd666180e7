//! Libraries in C that tests build for themselves.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// Builds `libNAME.so` in the folder from a file below softhsm-tests/, which finds `forward.h`; none, with a line on
/// stderr, where there is no C compiler.
pub fn library(folder: &Path, name: &str, source: &str) -> Option<PathBuf> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("softhsm-tests");
    let library = folder.join(format!("lib{name}.so"));
    let built = Command::new("cc")
        .args([
            "-shared",
            "-fPIC",
            "-O1",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-Wl,-z,now",
        ])
        .arg("-I")
        .arg(tests.join("bench"))
        .arg("-o")
        .arg(&library)
        .arg(tests.join(source))
        .arg("-ldl")
        .status();
    let Ok(built) = built else {
        eprintln!("SKIPPED: there is no C compiler (Debian: gcc libc6-dev)");
        return None;
    };
    assert!(built.success(), "{source} compiles");
    Some(library)
}
