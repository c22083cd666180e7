//! Libraries that were put into hsmsign's process: no secret is typed where one of them would see it.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, chown},
    path::PathBuf,
    process::{Command, Stdio},
};

use crate::{
    bench::{Done, Place, finish},
    held::compile,
    keys::Key,
};

/// A place with a token, and a library that writes down what is read.
struct Spied {
    place: Place,
    spy: PathBuf,
}

impl Spied {
    fn new() -> Option<Self> {
        let place = Place::with_token()?;
        let spy = compile(place.path(), "spy.c", &["-shared", "-fPIC"]);
        Some(Self { place, spy })
    }

    fn run(&self, args: &[&str], environment: &[(&str, &str)], input: &str) -> Done {
        let mut command = self.place.command(args);
        self.go(&mut command, environment, input)
    }

    fn go(&self, command: &mut Command, environment: &[(&str, &str)], input: &str) -> Done {
        command
            .env("SPY_LOG", self.place.path().join("spied"))
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        finish(command.spawn().unwrap(), input.as_bytes())
    }

    fn spied(&self) -> String {
        let bytes = fs::read(self.place.path().join("spied")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

#[test]
fn a_library_that_was_put_into_the_process_sees_no_secret() {
    let Some(spied) = Spied::new() else { return };
    let key = Key::kraken();
    let spy = spied.spy.to_str().unwrap().to_owned();
    // It does its work.
    let mut cat = Command::new("cat");
    spied.go(&mut cat, &[("LD_PRELOAD", &spy)], "what a spy sees");
    assert!(spied.spied().contains("what a spy sees"));
    let json = format!("{}\n", key.json);
    let ways: [&[(&str, &str)]; 3] = [
        &[("LD_PRELOAD", &spy)],
        &[("LD_PRELOAD", &spy), ("SPY_HIDES", "1")],
        &[("LD_AUDIT", &spy)],
    ];
    for environment in ways {
        for (args, input) in [
            (&key.import_args()[..], key.line()),
            (&["import", "--json"], json.clone()),
        ] {
            let done = spied.run(args, environment, &input);
            assert_eq!(done.code, 1, "{environment:?} {args:?}: {done:?}");
            assert!(
                done.stderr.contains(&format!("would see the secret: {spy}"))
                    && done.stderr.contains(environment[0].0),
                "{environment:?} {args:?}: {done:?}"
            );
            assert!(!spied.spied().contains(&key.text[..12]));
        }
        let done = spied.run(&["doctor"], environment, "");
        assert!(done.code != 0 && done.stdout.contains(&spy), "{done:?}");
    }
    // Nor when one is to be replaced. Without it, all goes well, and signing goes on with it.
    assert_eq!(spied.run(&key.import_args(), &[], &key.line()).code, 0);
    let rotate = ["rotate", "kraken", "--api-key", "b"];
    assert_eq!(spied.run(&rotate, &[("LD_PRELOAD", &spy)], &key.line()).code, 1);
    assert!(!spied.spied().contains(&key.text[..12]));
    let sign = ["sign", "kraken", "POST", "/0/private/Balance"];
    assert_eq!(spied.run(&sign, &[("LD_PRELOAD", &spy)], "").code, 0);
}

/// What a program at the terminal is asked for, in place of a person.
#[test]
fn no_pin_is_typed_where_such_a_library_sees_it() {
    let Some(spied) = Spied::new() else { return };
    let key = Key::kraken();
    assert_eq!(spied.run(&key.import_args(), &[], &key.line()).code, 0);
    let config = spied.place.home().join("config.toml");
    let text = fs::read_to_string(&config).unwrap();
    let line = text.lines().find(|line| line.starts_with("pin-source")).unwrap();
    fs::write(&config, text.replace(line, "pin-source = \"pinentry\"")).unwrap();
    let asked = spied.place.path().join("asked");
    let pinentry = spied.place.path().join("pinentry");
    fs::write(
        &pinentry,
        format!("#!/bin/sh\necho asked > '{}'\n", asked.display()),
    )
    .unwrap();
    fs::set_permissions(&pinentry, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!(
        "{}:{}",
        spied.place.path().display(),
        std::env::var("PATH").unwrap()
    );
    let sign = ["sign", "kraken", "POST", "/0/private/Balance"];
    let spy = spied.spy.to_str().unwrap();
    let done = spied.run(&sign, &[("PATH", &path), ("LD_PRELOAD", spy)], "");
    assert!(done.code == 4 || done.code == 1, "{done:?}");
    assert!(done.stderr.contains("would see the secret"), "{done:?}");
    assert!(!asked.exists(), "nobody was asked");
    spied.run(&sign, &[("PATH", &path)], "");
    assert!(asked.exists(), "without it somebody is");
}

#[test]
fn libraries_of_another_folder_are_told_of_and_its_own_from_there_refused() {
    let Some(spied) = Spied::new() else { return };
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: giving a file to another user needs root");
        return;
    }
    let key = Key::kraken();
    let folder = spied.place.path().join("libraries");
    fs::create_dir(&folder).unwrap();
    let named = folder.to_str().unwrap();
    let import = |key_name: &str, path: &str| {
        let args = [
            &["import", "--exchange", "kraken", "--api-key", "a", "--key"],
            &[key_name][..],
        ];
        spied.run(&args.concat(), &[("LD_LIBRARY_PATH", path)], &key.line())
    };
    // One of its own user's, or of root's.
    let done = import("a", named);
    assert!(
        done.code == 0 && !done.stderr.contains("LD_LIBRARY_PATH"),
        "{done:?}"
    );
    // One where others may put something, and one that is not named.
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
    for (name, path, words) in [
        ("b", named.to_owned(), "where others may put some"),
        ("c", format!("{named}/none:"), "the folder hsmsign is started in"),
    ] {
        let done = import(name, &path);
        assert!(done.code == 0 && done.stderr.contains(words), "{done:?}");
    }
    // The C library, from another user.
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let library = maps
        .split_whitespace()
        .find(|word| word.ends_with("/libc.so.6"))
        .expect("this program is linked with it as well");
    let copy = folder.join("libc.so.6");
    fs::copy(library, &copy).unwrap();
    chown(&copy, Some(65534), None).unwrap();
    let done = import("d", named);
    assert!(
        done.code == 1 && done.stderr.contains(copy.to_str().unwrap()),
        "{done:?}"
    );
}
