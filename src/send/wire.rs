//! One request to one host, and its answer. Every request has a connection of its own; nothing is followed, nothing is
//! repeated.

use std::{path::Path, sync::Arc, time::Duration};

use ureq::{Agent, Body, http::Response, tls::TlsConfig, unversioned::resolver::DefaultResolver};

use super::{
    answer::{Answer, status_line},
    outgoing::Outgoing,
    progress::Progress,
    proxy,
    transport::connector,
    trust,
};
use crate::{
    error::{Error, Result, failed},
    nonce,
};

/// The longest answer that is read, in bytes.
const LONGEST: u64 = 16 << 20;
/// How long connecting may take at most, TLS handshake included.
const CONNECT: Duration = Duration::from_secs(10);
/// What every request says of who sends it.
pub(super) const USER_AGENT: &str = concat!("hsmsign/", env!("CARGO_PKG_VERSION"));

/// The way to one host.
#[derive(Debug)]
pub(super) struct Wire {
    agent: Agent,
    host: String,
    timeout: Duration,
    progress: Arc<Progress>,
}

/// Why there is no whole answer.
#[derive(Debug)]
pub(super) struct Fault {
    pub kind: FaultKind,
    pub error: Error,
}

/// How far it got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FaultKind {
    /// Not a byte of the request was written.
    Unwritten,
    /// The request was written, or some of it; the answer is not whole.
    Broken,
    /// The answer is longer than what is read.
    TooLong,
}

impl Wire {
    /// # Errors
    /// When the proxy of the environment or the authorities cannot be used.
    pub(super) fn to(
        origin: &str,
        ca_file: Option<&Path>,
        timeout: Duration,
        progress: Arc<Progress>,
    ) -> Result<Self> {
        let (protocol, host) = origin.split_once("://").unwrap_or(("https", origin));
        let tls = protocol == "https";
        let proxy = if tls {
            proxy::from_environment(host, |name| std::env::var(name).ok())?
        } else {
            None
        };
        let settings = if tls {
            trust::settings(ca_file)?
        } else {
            TlsConfig::default()
        };
        let proxied = proxy.is_some();
        let config = Agent::config_builder()
            .https_only(tls)
            .proxy(proxy)
            .tls_config(settings)
            .user_agent(USER_AGENT)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_idle_connections(0)
            .timeout_global(Some(timeout))
            .timeout_connect(Some(CONNECT.min(timeout)))
            .build();
        Ok(Self {
            agent: Agent::with_parts(
                config,
                connector(Arc::clone(&progress), proxied),
                DefaultResolver::default(),
            ),
            host: host.to_owned(),
            timeout,
            progress,
        })
    }

    /// The host that it leads to.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// When the first byte of what was last sent was written, since 1970.
    pub(super) fn written_at(&self) -> Option<Duration> {
        self.progress.written_at()
    }

    /// Sends, and reads the answer whole.
    pub(super) fn exchange(&self, request: &Outgoing) -> std::result::Result<Answer, Fault> {
        self.progress.connecting();
        let mut response = self.start(request).map_err(|error| self.fault(None, &error))?;
        let status = response.status().as_u16();
        self.progress.status(status);
        let read_at = nonce::now();
        let headers = response
            .headers()
            .iter()
            .map(|(name, value)| {
                (
                    name.as_str().to_owned(),
                    String::from_utf8_lossy(value.as_bytes()).into_owned(),
                )
            })
            .collect();
        let body = match response.body_mut().with_config().limit(LONGEST).read_to_vec() {
            Ok(body) => body,
            // All that counts of it was in its head.
            Err(_) if status == 429 => Vec::new(),
            Err(error) => return Err(self.fault(Some(status), &error)),
        };
        Ok(Answer {
            status,
            headers,
            body,
            read_at,
        })
    }

    fn start(&self, request: &Outgoing) -> std::result::Result<Response<Body>, ureq::Error> {
        let (agent, uri) = (&self.agent, &request.uri);
        let with_body = match request.method.as_str() {
            "POST" => agent.post(uri),
            "PUT" => agent.put(uri),
            "PATCH" => agent.patch(uri),
            method => {
                let mut builder = if method == "DELETE" {
                    agent.delete(uri)
                } else {
                    agent.get(uri)
                };
                for (name, value) in &request.headers {
                    builder = builder.header(name, value);
                }
                return match &request.body {
                    None => builder.call(),
                    Some(body) => builder.force_send_body().send(body.as_slice()),
                };
            }
        };
        let builder = request
            .headers
            .iter()
            .fold(with_body, |builder, (name, value)| builder.header(name, value));
        match &request.body {
            None => builder.send_empty(),
            Some(body) => builder.send(body.as_slice()),
        }
    }

    fn fault(&self, status: Option<u16>, error: &ureq::Error) -> Fault {
        let host = &self.host;
        let within = |time: Duration| format!("within {} s", time.as_secs());
        if matches!(error, ureq::Error::BodyExceedsLimit(_)) {
            let told = format!("{host} answered with more than the {LONGEST} bytes that are read");
            return Fault {
                kind: FaultKind::TooLong,
                error: failed(told).fix("ask for less at once"),
            };
        }
        if self.progress.written_at().is_none() {
            let why = if is_timeout(error) {
                format!(" {}", within(CONNECT.min(self.timeout)))
            } else {
                format!(": {}", why(error))
            };
            return Fault {
                kind: FaultKind::Unwritten,
                error: out_of_reach(host, &why),
            };
        }
        let begun = status.map(|status| format!("{host} answered {}, but", status_line(status)));
        let told = match (begun, is_timeout(error)) {
            (None, true) => format!("{host} did not answer {}", within(self.timeout)),
            (None, false) => format!("{host} broke off before it answered: {}", why(error)),
            (Some(begun), true) => format!("{begun} not to the end {}", within(self.timeout)),
            (Some(begun), false) => format!("{begun} broke off before the end: {}", why(error)),
        };
        Fault {
            kind: FaultKind::Broken,
            error: failed(told),
        }
    }
}

fn out_of_reach(host: &str, why: &str) -> Error {
    let told = failed(format!("{host} could not be reached{why}"));
    if why.contains("UnknownIssuer") || why.contains("BadSignature") {
        return told.fix(
            "where a proxy of your network's opens TLS on the way, name its authority: ca-file under [send] in config.toml",
        );
    }
    told.fix(if why.contains("certificate") {
        "see that this machine's clock is right, and that the host is the one that is meant"
    } else {
        "see that this machine's network leads there, through its proxy if it has one"
    })
}

/// What went wrong, in words.
fn why(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Io(error) => error.to_string(),
        ureq::Error::Rustls(error) => error.to_string(),
        ureq::Error::Other(error) => error.to_string(),
        ureq::Error::HostNotFound => "its name has no address".into(),
        ureq::Error::ConnectProxyFailed(reason) => format!("its proxy leads nowhere: {reason}"),
        ureq::Error::Protocol(error) => format!("what came is not HTTP: {error}"),
        error => error.to_string(),
    }
}

fn is_timeout(error: &ureq::Error) -> bool {
    match error {
        ureq::Error::Timeout(_) => true,
        ureq::Error::Io(error) => {
            error.kind() == std::io::ErrorKind::TimedOut
                || error
                    .get_ref()
                    .and_then(|inner| inner.downcast_ref::<ureq::Error>())
                    .is_some_and(is_timeout)
        }
        _ => false,
    }
}
