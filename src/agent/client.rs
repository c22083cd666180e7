//! A client of the agent: lines out, lines in.

use std::{
    io::{BufRead as _, BufReader},
    os::{fd::BorrowedFd, unix::net::UnixStream},
    path::{Path, PathBuf},
};

use base64ct::Encoding as _;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{socket, wire};
use crate::{
    error::{Code, Error, Result, failed},
    keyring::KeyName,
    request::{Answer, Request, SignedRequest},
};

/// Why a socket that is there is not for this user.
fn no_member(path: &Path) -> Error {
    Error::new(
        Code::AgentUnavailable,
        format!("the agent at {} does not let this user in", path.display()),
    )
    .fix("its administrator adds the user to the group of bots, as in: usermod -aG hsmsign-bots USER; then log in again")
}

/// After how long an answer is slow.
const SLOW: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 300_000_000,
};

/// A connection to an agent.
pub struct Client {
    stream: BufReader<UnixStream>,
    when_slow: Option<Box<dyn Fn()>>,
    /// Where it is.
    pub path: PathBuf,
    /// Whether the environment says that it is the one to be used.
    pub told: bool,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// The agent that is meant by the environment; none where none listens and nothing says that one must.
    ///
    /// # Errors
    /// `agent-unavailable` where `HSMSIGN_SOCKET` names a socket and no agent answers there.
    pub fn find() -> Result<Option<Self>> {
        let (places, told) = socket::places();
        for path in places {
            match UnixStream::connect(&path) {
                Ok(stream) => {
                    return Ok(Some(Self {
                        stream: BufReader::new(stream),
                        when_slow: None,
                        path,
                        told,
                    }));
                }
                Err(error) if told && error.kind() == std::io::ErrorKind::PermissionDenied => {
                    return Err(no_member(&path));
                }
                Err(error) if told => {
                    return Err(Error::new(
                        Code::AgentUnavailable,
                        format!("no agent answers at {}: {error}", path.display()),
                    )
                    .fix("start it: hsmsign agent start; or leave HSMSIGN_SOCKET unset, to open the token here"));
                }
                Err(_) => {}
            }
        }
        Ok(None)
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

    /// What to do, once, while an answer takes longer than 0.3 s: its token may be waiting for a touch.
    pub fn when_slow(&mut self, tell: Box<dyn Fn()>) {
        self.when_slow = Some(tell);
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
        if let Some(tell) = self.when_slow.take() {
            let mut ready = [PollFd::new(self.stream.get_ref(), PollFlags::IN)];
            if poll(&mut ready, Some(&SLOW)) == Ok(0) {
                tell();
            }
        }
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
