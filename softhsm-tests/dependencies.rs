//! docs/dependencies.md has every crate that the program is built with, and no other.
#![allow(clippy::unwrap_used)]

use std::{collections::BTreeSet, fs, path::Path, process::Command};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The crates of the program, on every system that deny.toml names.
fn built_in() -> BTreeSet<String> {
    let policy: toml::Table = fs::read_to_string(root().join("deny.toml"))
        .unwrap()
        .parse()
        .unwrap();
    let targets = policy["graph"]["targets"].as_array().unwrap().clone();
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .current_dir(root())
        .args([
            "tree",
            "--locked",
            "--package",
            env!("CARGO_PKG_NAME"),
            "--edges",
            "normal",
        ])
        .args(["--prefix", "none", "--format", "{p}"]);
    for target in &targets {
        command.args(["--target", target.as_str().unwrap()]);
    }
    let done = command.output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let text = String::from_utf8(done.stdout).unwrap();
    text.lines()
        .filter_map(|line| line.split(' ').next())
        .filter(|name| !name.is_empty() && *name != env!("CARGO_PKG_NAME"))
        .map(str::to_owned)
        .collect()
}

/// The rows of the tables: crate, what for, what it sees.
fn rows() -> Vec<[String; 3]> {
    let page = fs::read_to_string(root().join("docs/dependencies.md")).unwrap();
    page.lines()
        .filter_map(|line| line.strip_prefix("| `")?.strip_suffix(" |"))
        .map(|row| {
            let cells: Vec<String> = row.replacen('`', "", 1).split(" | ").map(str::to_owned).collect();
            cells
                .try_into()
                .unwrap_or_else(|_| panic!("{row} has no three cells"))
        })
        .collect()
}

#[test]
fn every_crate_has_its_row_with_a_reason_and_no_row_is_left_over() {
    let rows = rows();
    let listed: BTreeSet<String> = rows.iter().map(|[name, ..]| name.clone()).collect();
    assert_eq!(listed.len(), rows.len(), "a crate stands in two tables");
    let built_in = built_in();
    assert!(
        built_in.contains("cryptoki-sys") && built_in.len() > 50,
        "{built_in:?}"
    );
    let missing: Vec<_> = built_in.difference(&listed).collect();
    let left: Vec<_> = listed.difference(&built_in).collect();
    assert!(
        missing.is_empty() && left.is_empty(),
        "docs/dependencies.md has no row for {missing:?}, and rows without a crate for {left:?}"
    );
    for [name, reason, sees] in &rows {
        assert!(
            reason.len() > 3 && sees.len() > 3,
            "{name} has no reason, or nothing that it sees"
        );
    }
}

#[test]
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn a_command_loads_no_library_but_that_of_c() {
    let program = env!("CARGO_BIN_EXE_hsmsign");
    // The loader says what it would load, and begins nothing.
    let done = Command::new(program)
        .env("LD_TRACE_LOADED_OBJECTS", "1")
        .output()
        .unwrap();
    let text = String::from_utf8(done.stdout).unwrap();
    let files: Vec<&str> = text
        .lines()
        .filter_map(|line| Path::new(line.split_whitespace().next()?).file_name()?.to_str())
        .filter(|name| !name.starts_with("linux-") && !name.starts_with("ld-linux"))
        // GNU's linker takes the unwinder from its library all the same.
        .filter(|name| *name != "libgcc_s.so.1")
        .collect();
    assert_eq!(files, ["libc.so.6"], "{text}");
}
