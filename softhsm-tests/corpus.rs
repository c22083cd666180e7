//! The fuzz targets over the committed corpus, and over what the vectors and scheme files give: all that fuzzing found
//! stays found, where there is no fuzzer too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::cast_possible_truncation)]

#[path = "../fuzz/src/lib.rs"]
mod fuzz;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use fuzz::request::{Outcome, outcome};
use hsmsign::{
    exchange::{builtin, builtin_ids},
    json::Json,
};

/// The committed inputs of a target, by name.
fn corpus(target: &str) -> BTreeMap<PathBuf, Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    files
        .map(|file| file.unwrap().path())
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect()
}

/// Every scheme file that there is.
fn schemes() -> Vec<String> {
    let ids = builtin_ids().iter();
    ids.map(|id| builtin(id).unwrap().to_owned()).collect()
}

/// The requests of the vectors, and of the scheme files' own rows, each with what is known of its key.
fn requests() -> Vec<String> {
    let mut all = Vec::new();
    for line in include_str!("data/vectors.jsonl").lines() {
        let row = Json::parse(line).unwrap();
        let text = |name: &str| row.get(name).and_then(Json::as_str).unwrap();
        let mut key = vec![("algorithm".to_owned(), text("algorithm").to_owned())];
        if let Some(Json::Object(values)) = row.get("credentials") {
            let text = |value: &Json| value.as_str().unwrap().to_owned();
            key.extend(values.iter().map(|(name, value)| (name.clone(), text(value))));
        }
        all.push(input(
            text("exchange"),
            key,
            &row.get("request").unwrap().to_compact(),
        ));
    }
    for text in schemes() {
        let file: toml::Table = text.parse().unwrap();
        let rows = file.get("test").and_then(toml::Value::as_array);
        for row in rows.into_iter().flatten() {
            let text = |value: &toml::Value| value.as_str().unwrap().to_owned();
            let mut key: Vec<_> = row
                .get("algorithm")
                .map(|name| ("algorithm".into(), text(name)))
                .into_iter()
                .collect();
            let values = row.get("credentials").and_then(toml::Value::as_table);
            key.extend(
                values
                    .into_iter()
                    .flatten()
                    .map(|(name, value)| (name.clone(), text(value))),
            );
            all.push(input(&text(&file["id"]), key, &text(&row["request"])));
        }
    }
    all
}

/// An input of the target `request`.
fn input(exchange: &str, key: Vec<(String, String)>, line: &str) -> String {
    let known = key
        .iter()
        .filter(|(name, _)| !name.ends_with("secret") && name != "passphrase");
    let known: String = known.map(|(name, value)| format!(" {name}={value}")).collect();
    format!("{exchange}{known}\n{line}")
}

/// Inputs that need not be committed. Written to the folder HSMSIGN_FUZZ_SEEDS, for a fuzzer to begin with.
fn seeds() -> BTreeMap<&'static str, Vec<String>> {
    let seeds = BTreeMap::from([("request", requests()), ("scheme", schemes())]);
    if let Some(folder) = std::env::var_os("HSMSIGN_FUZZ_SEEDS") {
        for (target, inputs) in &seeds {
            let folder = Path::new(&folder).join(target);
            fs::create_dir_all(&folder).unwrap();
            for (number, input) in inputs.iter().enumerate() {
                fs::write(folder.join(format!("seed-{number:03}")), input).unwrap();
            }
        }
    }
    seeds
}

#[test]
fn every_target_holds_over_its_corpus() {
    for (target, run) in fuzz::TARGETS {
        let inputs = corpus(target);
        assert!(inputs.len() >= 5, "{target} has {} inputs", inputs.len());
        for (path, input) in inputs {
            // So that a failure names its input.
            eprintln!("{}", path.display());
            run(&input);
        }
    }
}

#[test]
fn what_the_vectors_and_files_ask_for_is_signed_and_most_of_it_twice() {
    let mut twice = 0;
    let inputs = &seeds()["request"];
    for input in inputs {
        eprintln!("{input}");
        let outcome = outcome(input.as_bytes());
        assert_ne!(outcome, Outcome::Refused);
        twice += usize::from(outcome == Outcome::SignedTwice);
    }
    // The rest are logins, and exchanges that make a body of the request or a nonce by chance.
    assert!(twice * 10 >= inputs.len() * 7, "{twice} of {}", inputs.len());
}

#[test]
fn every_scheme_file_holds() {
    for text in &seeds()["scheme"] {
        eprintln!("{}", text.lines().next().unwrap());
        fuzz::scheme::run(text.as_bytes());
    }
}
