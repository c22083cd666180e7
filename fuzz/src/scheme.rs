//! Scheme files: read, checked, looked through, and used for a request of each shape.

use hsmsign::{exchange::Scheme, request::Request};

use super::{
    signing::{Key, PASSPHRASE, sign, sound},
    told::told,
};

const LINES: [&str; 5] = [
    r#"{"method":"GET","path":"/v1/a/1","query":"b=2&a=1"}"#,
    r#"{"method":"POST","path":"/v1/a","json":{"b":[1,{"c":"d"}],"a":0.10}}"#,
    r#"{"method":"POST","path":"/v1/a","form":[["b","x y"],["a",1]]}"#,
    r#"{"method":"DELETE","path":"/v1/a","params":{"b":true}}"#,
    r#"{"websocket":true}"#,
];

/// Runs one input, the text of a file.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let scheme = match Scheme::parse(text, "x.toml") {
        Ok(scheme) => scheme,
        Err(error) => return told(&error, None),
    };
    for coverage in scheme.coverage() {
        assert!(
            !coverage
                .signed
                .iter()
                .any(|part| coverage.unsigned.contains(part)),
            "{coverage:?}"
        );
    }
    let _ = (scheme.warnings(), scheme.faults());
    for test in scheme.tests().iter().take(4) {
        if let Err(error) = test.run(&scheme) {
            told(&error, None);
        }
    }
    if text.contains(&PASSPHRASE[..5]) {
        // A fuzzer that learned it would have it shown.
        return;
    }
    for line in LINES {
        let request = Request::parse_line(line).unwrap();
        for kind in scheme.kinds() {
            let key = Key {
                kind,
                ..Key::new(&scheme)
            };
            match sign(&key, &request, 7) {
                Ok(signed) => sound(&key, &signed),
                Err(error) => told(&error, Some(PASSPHRASE)),
            }
        }
    }
}
