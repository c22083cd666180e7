//! A client of the agent: lines out, lines in.

use std::{
    io::{BufRead as _, BufReader},
    os::{fd::BorrowedFd, unix::net::UnixStream},
    path::{Path, PathBuf},
};

use base64ct::Encoding as _;

use super::{socket, wire};
use crate::{
    error::{Code, Error, Result, failed},
    json::Json,
    keyring::KeyName,
    request::{Answer, Request, SignedRequest},
    signer::{Explained, Route, Signs},
};

/// Why a socket that is there is not for this user.
fn no_member(path: &Path) -> Error {
    Error::new(
        Code::AgentUnavailable,
        format!("the agent at {} does not let this user in", path.display()),
    )
    .fix("its administrator adds the user to the group of bots, as in: usermod -aG hsmsign-bots USER; then log in again")
}

/// An agent that signs for a sender. Each time it is connected to anew, since it may have been restarted while the sender
/// waited.
#[derive(Debug)]
pub struct ByAgent {
    path: PathBuf,
}

impl ByAgent {
    /// That of a client.
    pub fn of(client: &Client) -> Self {
        Self {
            path: client.path.clone(),
        }
    }

    fn client(&self) -> Result<Client> {
        Client::at(&self.path).map_err(|error| Client::nobody(&self.path, &error))
    }
}

impl Signs for ByAgent {
    fn route(&self, request: &Request) -> Result<Route> {
        self.client()?.route(request)
    }

    fn sign(&self, request: &Request) -> Result<SignedRequest> {
        self.client()?.sign(request)
    }
}

/// A connection to an agent.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<UnixStream>,
    /// Where it is.
    pub path: PathBuf,
    /// Whether the environment says that it is the one to be used.
    pub told: bool,
}

impl Client {
    /// The agent that is meant by the environment; none where none listens and nothing says that one must.
    ///
    /// # Errors
    /// `agent-unavailable` where `HSMSIGN_SOCKET` names a socket and no agent answers there.
    pub fn find() -> Result<Option<Self>> {
        let (places, told) = socket::places();
        for path in places {
            match Self::at(&path) {
                Ok(client) => return Ok(Some(Self { told, ..client })),
                Err(error) if told => return Err(Self::nobody(&path, &error)),
                Err(_) => {}
            }
        }
        Ok(None)
    }

    fn at(path: &Path) -> std::io::Result<Self> {
        Ok(Self {
            stream: BufReader::new(UnixStream::connect(path)?),
            path: path.to_owned(),
            told: false,
        })
    }

    /// That no agent answers where one must be.
    fn nobody(path: &Path, error: &std::io::Error) -> Error {
        if error.kind() == std::io::ErrorKind::PermissionDenied {
            return no_member(path);
        }
        Error::new(
            Code::AgentUnavailable,
            format!("no agent answers at {}: {error}", path.display()),
        )
        .fix("start it: hsmsign agent start; or leave HSMSIGN_SOCKET unset, to open the token here")
    }

    /// As [`Client::find`], where there must be one.
    ///
    /// # Errors
    /// `agent-unavailable` where no agent answers.
    pub fn connect() -> Result<Self> {
        Self::find()?.ok_or_else(|| {
            Self::barred().unwrap_or_else(|| {
                Error::new(Code::AgentUnavailable, "no agent is running").fix("start it: hsmsign agent start")
            })
        })
    }

    /// That there is an agent's socket, and that this user may not connect to it; none where that is not so.
    pub fn barred() -> Option<Error> {
        let (places, _) = socket::places();
        let denied = |path: &PathBuf| {
            UnixStream::connect(path).is_err_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied)
        };
        places.into_iter().find(denied).map(|path| no_member(&path))
    }

    /// Sends a line and waits for its answer.
    ///
    /// # Errors
    /// `agent-unavailable` where the agent goes away.
    pub fn ask(&mut self, line: &str) -> Result<String> {
        self.ask_with(line, &[])
    }

    /// As [`Client::ask`], with descriptors that come along.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub fn ask_with(&mut self, line: &str, fds: &[BorrowedFd<'_>]) -> Result<String> {
        let gone = |error: std::io::Error| {
            Error::new(Code::AgentUnavailable, format!("the agent went away: {error}"))
                .fix("see `hsmsign agent status`; the request may have been signed")
        };
        wire::send_all(self.stream.get_mut(), format!("{line}\n").as_bytes(), fds)
            .map_err(|error| gone(error.into()))?;
        let mut answer = String::new();
        self.stream.read_line(&mut answer).map_err(gone)?;
        if answer.pop() != Some('\n') {
            return Err(gone(std::io::ErrorKind::UnexpectedEof.into()));
        }
        Ok(answer)
    }

    /// Has a request signed.
    ///
    /// # Errors
    /// Those of the road, as the agent tells them; and as [`Client::ask`].
    pub fn sign(&mut self, request: &Request) -> Result<SignedRequest> {
        SignedRequest::parse_line(&self.ask(&request.to_line())?)
    }

    /// As [`Client::sign`]; what was signed comes along.
    ///
    /// # Errors
    /// As [`Client::sign`].
    pub fn explain(&mut self, request: &Request) -> Result<Explained> {
        Explained::parse_line(&self.ask(&request.to_op_line(Some("explain")))?)
    }

    /// Where a request would go. Nothing is decided or given out.
    ///
    /// # Errors
    /// As [`Client::sign`].
    pub fn route(&mut self, request: &Request) -> Result<Route> {
        Route::parse_line(&self.ask(&request.to_op_line(Some("route")))?)
    }

    /// Which rules decide about a request, and the rule by which a person is asked. Nothing is signed or counted.
    ///
    /// # Errors
    /// `denied` where it is not allowed; and as [`Client::sign`].
    pub fn check(&mut self, request: &Request) -> Result<(Vec<String>, Option<String>)> {
        let mut answer = Answer::parse(&self.ask(&request.to_op_line(Some("check")))?)?;
        if answer.take("allowed") == Some(Json::Bool(false)) {
            let told = Error::new(Code::Denied, answer.text("message")?.unwrap_or_default());
            return Err(told.fix(answer.text("fix")?.unwrap_or_default()));
        }
        let Some(Json::List(rules)) = answer.take("rules") else {
            return Err(failed("the agent's answer is not understood"));
        };
        let rules = rules.into_iter().filter_map(|rule| match rule {
            Json::String(rule) => Some(rule),
            _ => None,
        });
        Ok((rules.collect(), answer.text("confirm")?))
    }

    /// Has bytes MACed with a key's own algorithm.
    ///
    /// # Errors
    /// As [`Client::sign`].
    pub fn hmac(&mut self, key: &KeyName, message: &[u8]) -> Result<Vec<u8>> {
        let message = base64ct::Base64::encode_string(message);
        let answer = self.ask(&format!(
            "{{\"hmac\":{{\"key\":\"{key}\",\"message_base64\":\"{message}\"}}}}"
        ))?;
        let mac = Answer::parse(&answer)?.text("mac_base64")?.unwrap_or_default();
        base64ct::Base64::decode_vec(&mac).map_err(|_| failed("the agent's answer is not understood"))
    }

    /// The stream itself, for whoever sends many lines.
    pub fn into_stream(self) -> UnixStream {
        self.stream.into_inner()
    }
}
