//! The units as systemd itself reads them.

use std::{fs, path::Path, process::Command};

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/systemd"))
}

/// systemd-analyze with these arguments; none where it is not installed.
fn analyze(arguments: &[&str]) -> Option<(bool, String)> {
    // A user's manager has its runtime folder somewhere, also where nobody is logged in.
    let done = Command::new("systemd-analyze")
        .args(arguments)
        .env("XDG_RUNTIME_DIR", std::env::temp_dir())
        .output();
    let Ok(done) = done else {
        eprintln!("SKIPPED: systemd is not installed, so that the units were not looked at");
        return None;
    };
    let told = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned();
    Some((done.status.success(), told))
}

#[test]
fn systemd_understands_every_unit() {
    for kind in ["system", "user"] {
        // Where the program is that they start: the one that is tested.
        let place = tempfile::tempdir().unwrap();
        let mut units = Vec::new();
        for unit in fs::read_dir(folder().join(kind)).unwrap() {
            let unit = unit.unwrap().path();
            let text = fs::read_to_string(&unit).unwrap();
            assert!(text.contains("/usr/bin/hsmsign") || unit.extension().unwrap() == "socket");
            let name = unit
                .file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .replace("@.", "@1000.");
            let copy = place.path().join(name);
            fs::write(
                &copy,
                text.replace("/usr/bin/hsmsign", env!("CARGO_BIN_EXE_hsmsign")),
            )
            .unwrap();
            units.push(copy.to_str().unwrap().to_owned());
        }
        assert!(units.len() >= 2);
        let wanted: Vec<_> = units.iter().map(String::as_str).collect();
        let manager = format!("--{kind}");
        let arguments = [
            &["verify", &manager, "--man=no", "--recursive-errors=no"],
            &wanted[..],
        ]
        .concat();
        let Some((understood, told)) = analyze(&arguments) else {
            return;
        };
        let ours: Vec<_> = told.lines().filter(|line| line.contains("hsmsign")).collect();
        assert!(understood && ours.is_empty(), "{kind}: {told}");
    }
}

/// Else systemd ends the agent with it, and with that the logins of all other tokens.
#[test]
fn a_worker_that_the_kernel_ends_for_want_of_memory_ends_alone() {
    for kind in ["system", "user"] {
        let unit = fs::read_to_string(folder().join(kind).join("hsmsign-agent.service")).unwrap();
        let policy = unit.lines().find_map(|line| line.strip_prefix("OOMPolicy="));
        assert_eq!(policy, Some("continue"), "{kind}");
    }
}

/// The lower the better; 10 is a service without any sandbox. Its figure is in the documentation.
#[test]
fn the_system_unit_is_as_tight_as_the_documentation_says() {
    let unit = folder().join("system/hsmsign-agent.service");
    let Some((_, told)) = analyze(&["security", "--offline=true", unit.to_str().unwrap()]) else {
        return;
    };
    let line = told
        .lines()
        .find(|line| line.contains("Overall exposure level"))
        .unwrap_or_else(|| panic!("{told}"));
    let score: f64 = line
        .split(": ")
        .nth(1)
        .unwrap()
        .split(' ')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    assert!(score <= 1.0, "{line}");
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/agent.md")).unwrap();
    let told = page
        .split("exposure of ")
        .nth(1)
        .and_then(|rest| rest.split_whitespace().next())
        .unwrap();
    let told: f64 = told.trim_end_matches(['.', ',']).parse().unwrap();
    // Other versions of systemd weigh the same settings a little differently.
    assert!(
        (score - told).abs() <= 0.3,
        "the page says {told}, and systemd {score}"
    );
}
