//! The documents are true: their examples do what they show, and their links lead somewhere.
//!
//! In a block marked `console` a line that begins with `$ ` is a command for bash; what follows is its output, standard
//! error included. The blocks of one document run in order, in one fresh place. A block marked `python NAME` or
//! `toml NAME` is the file NAME of that place. Blocks with other marks are not run.

#![allow(clippy::unwrap_used)]

mod bench;
#[path = "readme/tables.rs"]
mod tables;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use bench::{KRAKEN_SIGN, Place};

/// The documents whose examples are run.
const RUN: [&str; 11] = [
    "README.md",
    "docs/json.md",
    "docs/tokens.md",
    "docs/exchanges.md",
    "docs/adding-an-exchange.md",
    "docs/sending.md",
    "docs/agent.md",
    "docs/protocol.md",
    "docs/operations.md",
    "docs/policy.md",
    "docs/audit.md",
];
/// The nonce of Kraken's documented request: it never varies.
const KRAKEN_NONCE: &str = "1616492376594";

/// Members of the agent's answers that differ from run to run, or from kernel to kernel.
const OF_THE_RUN: [&str; 9] = [
    "landlock",
    "seccomp",
    "pid",
    "worker_pid",
    "uid",
    "uptime_s",
    "longest_us",
    "created",
    "socket",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The fenced blocks of a document: the words behind the fence, and the lines.
fn blocks(text: &str) -> Vec<(&str, Vec<&str>)> {
    let mut all = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(mark) = line.strip_prefix("```") {
            let inside = lines.by_ref().take_while(|line| *line != "```").collect();
            all.push((mark, inside));
        }
    }
    all
}

/// The commands of a `console` block, each with the output that the document shows.
fn examples(lines: &[&str]) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = Vec::new();
    for line in lines {
        match (line.strip_prefix("$ "), all.last_mut()) {
            (Some(command), _) => all.push((command.to_owned(), String::new())),
            (None, Some((_, output))) => output.push_str(&format!("{line}\n")),
            (None, None) => panic!("a console block begins with output: {line}"),
        }
    }
    all
}

/// The text with what differs from run to run replaced: ids and serial numbers, times and nonces, MACs.
fn without_what_varies(text: &str) -> String {
    let mut text = text.to_owned();
    for name in OF_THE_RUN {
        let member = format!("\"{name}\":");
        let mut parts = text.split(&member);
        let first = parts.next().unwrap_or_default().to_owned();
        text = parts.fold(first, |done, part| {
            let end = part.find([',', '}']).unwrap_or(part.len());
            format!("{done}{member}VALUE{}", &part[end..])
        });
    }
    runs(&text, |letter| {
        letter.is_ascii_alphanumeric() || matches!(letter, '+' | '/')
    })
    .map(|run| {
        let all = |kind: fn(&u8) -> bool| run.bytes().all(|byte| kind(&byte));
        match run.len() {
            _ if run == KRAKEN_NONCE || run == KRAKEN_SIGN.trim_end_matches('=') => run.to_owned(),
            16.. if all(u8::is_ascii_hexdigit) && !all(u8::is_ascii_digit) => "HEX".to_owned(),
            40.. if all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/')) => {
                "BASE64".to_owned()
            }
            _ => runs(run, |letter| letter.is_ascii_digit())
                .map(|run| match run.len() {
                    10.. if run.bytes().all(|byte| byte.is_ascii_digit()) => "NUMBER",
                    _ => run,
                })
                .collect(),
        }
    })
    .collect()
}

/// The text cut where letters of a kind begin and end.
fn runs(text: &str, kind: fn(char) -> bool) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let first = kind(rest.chars().next()?);
        let end = rest.find(|letter| kind(letter) != first).unwrap_or(rest.len());
        let (run, after) = rest.split_at(end);
        rest = after;
        Some(run)
    })
}

/// Runs a command with the program in front of the PATH, and answers all that it says.
fn run(place: &Place, command: &str) -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_hsmsign"));
    let path = std::env::var("PATH").unwrap_or_default();
    let done = Command::new("bash")
        .args(["-c", &format!("exec 2>&1\n{command}")])
        .env_clear()
        .env("PATH", format!("{}:{path}", program.parent().unwrap().display()))
        .env("HOME", place.path())
        .env("HSMSIGN_HOME", place.home())
        .current_dir(place.path())
        .output()
        .unwrap();
    String::from_utf8(done.stdout).unwrap()
}

/// Runs the examples of a document; answers the document with the output that they have.
fn perform(text: &str) -> (String, Vec<String>) {
    let place = Place::new();
    let mut performed = text.to_owned();
    let mut differ = Vec::new();
    for (mark, lines) in blocks(text) {
        if let Some(("python" | "toml", name)) = mark.split_once(' ') {
            fs::write(place.path().join(name), lines.join("\n") + "\n").unwrap();
        }
        if mark != "console" {
            continue;
        }
        for (command, shown) in examples(&lines) {
            if command.contains("python3 ") && !run(&place, "python3 --version").starts_with("Python 3") {
                eprintln!("SKIPPED: {command}: there is no python3 here");
                continue;
            }
            let said = run(&place, &command);
            if without_what_varies(&said) != without_what_varies(&shown) {
                let line = format!("$ {command}\n");
                performed = performed.replacen(&format!("{line}{shown}"), &format!("{line}{said}"), 1);
                differ.push(format!("{line}it is shown with\n{shown}and says\n{said}"));
            }
        }
    }
    // An agent that an example left behind would outlive its folders.
    if place.home().join("agent.sock").exists() {
        run(&place, "hsmsign agent stop");
    }
    (performed, differ)
}

fn to_be_written() -> bool {
    std::env::var("HSMSIGN_DOCS").is_ok_and(|wish| wish == "write")
}

#[test]
fn the_tables_are_those_of_the_scheme_files() {
    for document in RUN {
        let text = fs::read_to_string(root().join(document)).unwrap();
        assert!(
            to_be_written() || tables::renewed(&text) == text,
            "{document} has other tables; renew them with: HSMSIGN_DOCS=write cargo test --test readme"
        );
    }
}

/// With `HSMSIGN_DOCS=write` the documents get the output that there is now, to be read before it is committed.
#[test]
fn the_examples_do_what_they_show() {
    if Place::with_token().is_none() {
        return;
    }
    let mut wrong = String::new();
    for document in RUN {
        let path = root().join(document);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("```console\n$ "), "{document} has no example");
        let (performed, differ) = perform(&tables::renewed(&text));
        if to_be_written() {
            fs::write(&path, performed).unwrap();
        } else if !differ.is_empty() {
            wrong.push_str(&format!("{document}:\n{}", differ.join("\n")));
        }
    }
    assert!(
        wrong.is_empty(),
        "{wrong}\nif that is as it should be: HSMSIGN_DOCS=write cargo test --test readme"
    );
}

#[test]
fn every_testnet_stands_in_the_page_on_sending() {
    let page = fs::read_to_string(root().join("docs/sending.md")).unwrap();
    let mut rows: Vec<&str> = Vec::new();
    for id in hsmsign::exchange::builtin_ids() {
        let text = hsmsign::exchange::builtin(id).unwrap();
        let scheme = hsmsign::exchange::Scheme::parse(text, id).unwrap();
        let first = format!("| `{id}` |");
        for (host, test) in scheme.sending().testnet() {
            let row = page
                .lines()
                .skip_while(|line| !line.starts_with(&first))
                .enumerate()
                .take_while(|(at, line)| *at == 0 || line.starts_with("| |"))
                .map(|(_, line)| line)
                .find(|line| line.contains(&format!("`{host}`")) && line.contains(&format!("`{test}`")));
            rows.push(row.unwrap_or_else(|| panic!("{id}: no row with {host} and {test}")));
        }
    }
    let shown = page
        .lines()
        .skip_while(|line| !line.starts_with("| `--exchange`"));
    for row in shown.skip(2).take_while(|line| line.starts_with('|')) {
        assert!(rows.contains(&row), "no file has {row}");
    }
}

/// README.md and the pages of docs/.
fn documents() -> Vec<PathBuf> {
    let pages = fs::read_dir(root().join("docs")).unwrap();
    let mut all: Vec<_> = pages
        .map(|page| page.unwrap().path())
        .filter(|page| page.extension().is_some_and(|end| end == "md"))
        .collect();
    all.push(root().join("README.md"));
    all.sort();
    all
}

/// The anchors of a document's headings, as GitHub makes them.
fn anchors(text: &str) -> Vec<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|line| {
            let words = line.trim_start_matches('#').trim().to_lowercase();
            words
                .chars()
                .filter(|letter| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_'))
                .map(|letter| if letter == ' ' { '-' } else { letter })
                .collect()
        })
        .collect()
}

/// The targets of a document's links, those in fenced blocks and `code` left out.
fn links(text: &str) -> Vec<String> {
    let mut fenced = false;
    let mut prose = String::new();
    for line in text.lines() {
        if line.starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            prose.push_str(line);
            prose.push(' ');
        }
    }
    let prose: String = prose.split('`').step_by(2).collect();
    prose
        .split("](")
        .skip(1)
        .filter_map(|rest| Some(rest.split_once(')')?.0.to_owned()))
        .collect()
}

#[test]
fn relative_links_lead_to_files_and_headings() {
    let mut broken = BTreeMap::new();
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        for link in links(&text).into_iter().filter(|link| !link.contains("://")) {
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if file.is_empty() {
                document.clone()
            } else {
                document.parent().unwrap().join(file)
            };
            let is_there = target.exists()
                && (anchor.is_empty()
                    || fs::read_to_string(&target)
                        .is_ok_and(|text| anchors(&text).iter().any(|known| known == anchor)));
            if !is_there {
                broken.insert(link.clone(), document.clone());
            }
        }
    }
    assert!(broken.is_empty(), "these links lead nowhere: {broken:#?}");
}

/// Every file of Rust under a folder.
fn sources(folder: &Path) -> Vec<String> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(sources(&path));
        } else if path.extension().is_some_and(|end| end == "rs") {
            all.push(fs::read_to_string(&path).unwrap());
        }
    }
    all
}

/// The names of all tests: functions marked as one, and those that the lists of `on!`, `on_every!`, `promises!` and `hardening!` make
/// tests of on each kind of token.
fn tests() -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for source in [
        sources(&root().join("src")),
        sources(&root().join("softhsm-tests")),
    ]
    .concat()
    {
        let mut marked = false;
        let mut listed = false;
        for line in source.lines().map(str::trim) {
            let list = ["on! {", "$(on! {", "on_every! {", "promises! {", "hardening! {"];
            listed |= list.iter().any(|head| line.starts_with(head));
            if listed {
                let names = line
                    .split([' ', ':', ';', '{', '}'])
                    .filter(|word| word.contains('_'));
                all.extend(names.map(str::to_owned));
                listed = !line.ends_with('}');
            }
            if line == "#[test]" {
                marked = true;
            } else if marked && let Some(name) = line.strip_prefix("fn ") {
                all.extend(name.split('(').next().map(str::to_owned));
                marked = false;
            }
        }
    }
    all
}

/// Where the threat model says that a sentence is tested, the tests are named, and they are there.
#[test]
fn the_tests_that_the_threat_model_names_are_there() {
    let page = fs::read_to_string(root().join("docs/threat-model.md")).unwrap();
    let tests = tests();
    let mut named = BTreeSet::new();
    for mark in page.split("**[test").skip(1) {
        let (mark, _) = mark.split_once("]**").expect("a mark ends");
        let names: Vec<_> = mark.split('`').skip(1).step_by(2).collect();
        // What explains the mark itself names none.
        if mark == ": names" {
            continue;
        }
        assert!(
            mark.starts_with(": `") && !names.is_empty(),
            "no test is named in {mark:?}"
        );
        named.extend(names);
    }
    let missing: Vec<_> = named.iter().filter(|name| !tests.contains(**name)).collect();
    assert!(missing.is_empty(), "there are no such tests: {missing:#?}");
    assert!(named.len() > 40, "the page names {} tests", named.len());
}
