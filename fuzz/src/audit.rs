//! The log as it lies there: whatever stands in it, it is read to its end; what was not written so is found, and nothing of
//! it becomes part of the report's page.
//!
//! An input is lines. What follows `+` is members of a line that gets the number and hash of the next one; what follows `=`
//! begins the next file; any other line stands there as it is.

use hsmsign::{
    audit::{Reader, Report, verify},
    home::{Home, write_private},
    json::Json,
};
use sha2::{Digest as _, Sha256};

use super::{place::folder_with, told::told};

/// What is kept beside a log that was never sealed.
const NO_SEAL: &[u8] = br#"{"seal":0,"upto":0,"head":"","token":"","mac":""}"#;

/// What the page is made of.
const TAGS: [&str; 23] = [
    "!doctype", "html", "head", "meta", "title", "style", "body", "main", "h1", "h2", "p", "b", "br", "code",
    "div", "svg", "g", "rect", "text", "table", "tr", "th", "td",
];

/// A log as it is written: its files, oldest first, and how many lines they have.
struct Written {
    files: Vec<(String, Vec<u8>)>,
    lines: u64,
    hash: [u8; 32],
    /// Whether everything is a line of it, none of them a seal.
    whole: bool,
}

/// Runs one input.
pub fn run(data: &[u8]) {
    let written = written(data);
    let folder = folder_with("audit");
    let home = Home::at(folder.path());
    for (name, bytes) in &written.files {
        write_private(&home.state("audit").join(name), bytes).unwrap();
    }
    write_private(&home.state("audit.seal"), NO_SEAL).unwrap();
    match verify(&home, None, &[]) {
        Err(error) => told(&error),
        Ok(found) => {
            let findings = &found.findings;
            assert!(!written.whole || findings.is_empty(), "{findings:?}");
            assert_eq!(found.whole().is_ok(), findings.is_empty());
            if findings.is_empty() && found.torn == 0 {
                assert_eq!(
                    found.lines, written.lines,
                    "a line that nobody wrote is taken for one"
                );
            }
        }
    }
    let (mut report, mut lines) = (Report::default(), 0);
    let mut reader = Reader::new(&home).unwrap();
    let mut each = |text: &str, line: &Json| {
        assert!(!text.contains('\n'));
        lines += 1;
        report.take(line);
        Ok(())
    };
    match reader.read(&mut each) {
        Err(error) => told(&error),
        Ok(()) => assert!(!written.whole || lines == written.lines, "{lines}"),
    }
    is_plain(&report.page());
}

/// Lines in their files, each behind the one before it.
fn written(data: &[u8]) -> Written {
    let mut log = Written {
        files: Vec::new(),
        lines: 0,
        hash: [0; 32],
        whole: true,
    };
    let mut begins = true;
    for line in data.split(|byte| *byte == b'\n') {
        let (kind, rest) = line.split_first().unwrap_or((&b'-', &[]));
        if *kind == b'=' {
            begins = true;
        }
        if begins || log.files.is_empty() {
            let name = format!("{:012}.jsonl", log.lines + 1);
            log.files.push((name, Vec::new()));
        }
        let before = log.hash;
        let bytes = &mut log.files.last_mut().unwrap().1;
        match kind {
            b'+' | b'=' => {
                log.lines += 1;
                let mut body = format!("{{\"n\":{}", log.lines).into_bytes();
                if begins {
                    let before = base16ct::lower::encode_string(&before);
                    body.extend(format!(",\"before\":\"{before}\"").into_bytes());
                }
                body.extend(rest);
                log.hash = Sha256::new()
                    .chain_update(before)
                    .chain_update(&body)
                    .finalize()
                    .into();
                let end = format!(",\"h\":\"{}\"}}", base16ct::lower::encode_string(&log.hash));
                log.whole &= is_line(log.lines, &body, &end);
                bytes.extend([&body, end.as_bytes(), b"\n"].concat());
                begins = false;
            }
            _ => {
                log.whole = false;
                bytes.extend(line);
                bytes.push(b'\n');
            }
        }
    }
    log
}

/// Whether it is one that hsmsign could have written, and no seal.
fn is_line(number: u64, body: &[u8], end: &str) -> bool {
    let begins = format!("{{\"n\":{number},");
    if ![body, end.as_bytes()].concat().starts_with(begins.as_bytes()) {
        return false;
    }
    let text = std::str::from_utf8(body).map(|body| [body, end].concat());
    let read = text.ok().and_then(|text| Json::parse(&text).ok());
    read.is_some_and(|line| line.get("what").and_then(Json::as_str) != Some("seal"))
        && !String::from_utf8_lossy(body).contains("\"seal\"")
}

/// Nothing of the log is a part of the page that is more than text.
fn is_plain(page: &str) {
    for tag in page.split('<').skip(1) {
        let name = tag.trim_start_matches('/');
        let end = name
            .find(|char: char| !char.is_ascii_alphanumeric() && char != '!')
            .unwrap_or(name.len());
        assert!(
            TAGS.contains(&name[..end].to_ascii_lowercase().as_str()),
            "<{tag}"
        );
    }
    assert!(page.ends_with("</html>\n"));
}
