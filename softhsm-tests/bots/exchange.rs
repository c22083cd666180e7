//! An exchange on the loopback interface, which checks signatures with the secret itself: `kraken.py`.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

/// How long a bot may take to its next request, on a machine that has much else to do.
const PATIENCE: Duration = Duration::from_secs(240);

/// The exchange; it ends with the value.
pub struct Exchange {
    child: Child,
    seen: Receiver<Value>,
    /// Where it listens.
    pub port: u16,
}

impl Exchange {
    /// Starts one whose only client has this secret, and the API key `example`.
    pub fn start(secret: &str) -> Self {
        let mut child = Command::new("python3")
            .arg(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/softhsm-tests/bots/kraken.py"
            ))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        writeln!(child.stdin.as_mut().unwrap(), "{secret}").unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = lines.next().unwrap().unwrap().parse().unwrap();
        let (give, seen) = channel();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let _unheard = give.send(serde_json::from_str(&line).unwrap());
            }
        });
        Self { child, seen, port }
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The fields of the first request to this path, which must be signed, as must all before it. Where none comes, the
    /// bot's own words are shown.
    pub fn signed(&self, path: &str, said: impl Fn() -> String) -> Value {
        let end = Instant::now() + PATIENCE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let request = self
                .seen
                .recv_timeout(left)
                .unwrap_or_else(|_| panic!("{path} was not asked for: {}", said()));
            assert_eq!(request["told"], "signed", "{request}");
            if request["path"] == path {
                return request["fields"].clone();
            }
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _ended = self.child.wait();
    }
}
