//! A client of the agent: lines out, lines in.

use std::{
    cell::Cell,
    io::{BufRead as _, BufReader, ErrorKind, Read as _},
    os::{
        fd::{BorrowedFd, OwnedFd},
        unix::{fs::FileTypeExt as _, net::UnixStream},
    },
    path::{Path, PathBuf},
    rc::Rc,
    time::{Duration, Instant},
};

use base64ct::Encoding as _;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    process::{PidfdFlags, pidfd_open},
};

use super::{patience, peer::Peer, socket, wire};
use crate::{
    error::{Code, Error, Result, failed},
    json::Json,
    keyring::KeyName,
    request::{Answer, Request, SignedRequest},
    signer::{Explained, Route},
};

/// How long an agent may take to end. It gives what it has in hand some seconds.
const LAST: Duration = Duration::from_secs(30);

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

/// For how long what was found ahead is good: standard input may take minutes to be read, and the agent may end meanwhile.
const FRESH: Duration = Duration::from_millis(50);

thread_local! {
    /// What was found ahead, and when.
    static AHEAD: Cell<Option<(Instant, Result<Option<Client>>)>> = const { Cell::new(None) };
}

/// A connection to an agent.
pub struct Client {
    stream: BufReader<UnixStream>,
    when_slow: Option<Rc<dyn Fn()>>,
    unheard: bool,
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
        match AHEAD.take() {
            Some((since, found)) if since.elapsed() < FRESH => found,
            _ => Self::look(),
        }
    }

    /// Does at once what the next [`Client::find`] would do: the agent looks who connects to it while this process reads its
    /// arguments.
    pub fn find_ahead() {
        AHEAD.set(Some((Instant::now(), Self::look())));
    }

    fn look() -> Result<Option<Self>> {
        let (places, told) = socket::places();
        for path in places {
            if told {
                socket::fits(&path)?;
            }
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
            when_slow: None,
            unheard: false,
            path: path.to_owned(),
            told: false,
        })
    }

    /// That no agent answers where one must be.
    fn nobody(path: &Path, error: &std::io::Error) -> Error {
        if std::fs::metadata(path).is_ok_and(|there| !there.file_type().is_socket()) {
            return Error::new(Code::AgentUnavailable, format!("{} is no socket", path.display()))
                .fix("set HSMSIGN_SOCKET to the agent's, or leave it unset");
        }
        if error.kind() == ErrorKind::PermissionDenied {
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
            UnixStream::connect(path).is_err_and(|error| error.kind() == ErrorKind::PermissionDenied)
        };
        places.into_iter().find(denied).map(|path| no_member(&path))
    }

    /// What to do, once, while an answer takes longer than 0.3 s: its token may be waiting for a touch.
    pub fn when_slow(&mut self, tell: Rc<dyn Fn()>) {
        self.when_slow = Some(tell);
    }

    /// Sends a line and waits for its answer.
    ///
    /// # Errors
    /// `agent-unavailable` where the agent goes away or stands still.
    pub fn ask(&mut self, line: &str) -> Result<String> {
        self.ask_with(line, &[])
    }

    /// As [`Client::ask`], with descriptors that come along.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub fn ask_with(&mut self, line: &str, fds: &[BorrowedFd<'_>]) -> Result<String> {
        let sent = wire::send_all(self.stream.get_mut(), format!("{line}\n").as_bytes(), fds);
        if sent.is_ok()
            && let Some(tell) = self.when_slow.take()
        {
            let mut ready = [PollFd::new(self.stream.get_ref(), PollFlags::IN)];
            if poll(&mut ready, Some(&SLOW)) == Ok(0) {
                tell();
            }
        }
        if self.stream.buffer().is_empty() {
            patience::wait(self.stream.get_ref(), &self.path)?;
        }
        let mut answer = String::new();
        let read = self.stream.read_line(&mut answer);
        // An agent that takes no more connections says so and closes, before it is asked.
        if answer.ends_with('\n') {
            answer.pop();
            return Ok(answer);
        }
        let error = match (sent, read) {
            (Err(error), _) => error.into(),
            (_, Err(error)) => error,
            _ => ErrorKind::UnexpectedEof.into(),
        };
        // So says the kernel where the other end was closed before it had read all, as by an agent that is ending.
        self.unheard =
            answer.is_empty() && matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe);
        let (what, fix) = match self.unheard {
            true => (
                "the agent ended before it took the request",
                "see `hsmsign agent status`, and try again",
            ),
            false => (
                "the agent went away",
                "see `hsmsign agent status`; the request may have been signed",
            ),
        };
        Err(Error::new(Code::AgentUnavailable, format!("{what}: {error}")).fix(fix))
    }

    /// Whether the agent ended before it took the last line whole: nothing came of it.
    pub const fn unheard(&self) -> bool {
        self.unheard
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
            let told = told.fix(answer.text("fix")?.unwrap_or_default());
            return Err(match answer.text("rule")? {
                Some(rule) => told.by(rule),
                None => told,
            });
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

    /// Has the agent end, and waits until it has: then its socket is gone, unless systemd has that, and so is its process.
    ///
    /// # Errors
    /// `denied` for who may not; when it does not end; and as [`Client::ask`].
    pub fn stop(mut self) -> Result<()> {
        let pinged = self.ask("{\"op\":\"ping\"}")?;
        // Who is refused at the door asks no further.
        Answer::parse(&pinged)?;
        let process = self.process(&pinged);
        Answer::parse(&self.ask("{\"op\":\"stop\"}")?)?;
        let until = Instant::now() + LAST;
        let left = || Some(until.saturating_duration_since(Instant::now())).filter(|left| !left.is_zero());
        let cannot =
            |error: &dyn std::fmt::Display| failed(format!("the agent's end cannot be waited for: {error}"));
        // Its connections are closed when it ends.
        let ended = loop {
            let Some(left) = left() else { break false };
            self.stream
                .get_ref()
                .set_read_timeout(Some(left))
                .map_err(|error| cannot(&error))?;
            match self.stream.read(&mut [0; 64]) {
                Ok(1..) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break false,
                Ok(0) | Err(_) => break true,
            }
        };
        let ended = match process {
            Some(process) if ended => loop {
                let Some(left) = left() else { break false };
                let left = Timespec::try_from(left).map_err(|error| cannot(&error))?;
                match poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&left)) {
                    Ok(1..) => break true,
                    Ok(0) | Err(Errno::INTR) => {}
                    Err(error) => return Err(cannot(&error)),
                }
            },
            _ => ended,
        };
        if ended {
            return Ok(());
        }
        Err(failed(format!(
            "the agent was told to end, and still runs after {} s",
            LAST.as_secs()
        ))
        .fix("see its log; `hsmsign agent status` has its pid, for kill -9"))
    }

    /// The agent's process, where it is the one that made the socket and this process can see it.
    fn process(&self, pinged: &str) -> Option<OwnedFd> {
        let mut answer = Answer::parse(pinged).ok()?;
        let Json::Number(said) = answer.take("pid")? else {
            return None;
        };
        // A socket of systemd is systemd's; and in a container a process may have another number.
        let seen = Peer::of(self.stream.get_ref()).ok()?.pid?;
        let same = said == seen.as_raw_nonzero().get().to_string();
        same.then(|| pidfd_open(seen, PidfdFlags::empty()).ok()).flatten()
    }

    /// Has the agent do nothing but sign from here on, for whoever takes lines from somebody who may ask for no more.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub fn only_requests(&mut self) -> Result<()> {
        Answer::parse(&self.ask("{\"op\":\"requests\"}")?).map(drop)
    }

    /// The stream itself, for whoever sends many lines; and where the agent is.
    pub fn into_stream(self) -> (UnixStream, PathBuf) {
        (self.stream.into_inner(), self.path)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn an_agent_that_refuses_before_it_is_asked_is_heard() {
        let (ours, mut agents) = UnixStream::pair().unwrap();
        agents.write_all(b"refused\n").unwrap();
        drop(agents);
        let mut client = Client {
            stream: BufReader::new(ours),
            when_slow: None,
            unheard: false,
            path: PathBuf::new(),
            told: false,
        };
        assert_eq!(client.ask("{}").unwrap(), "refused");
        let gone = client.ask("{}").unwrap_err();
        assert_eq!(gone.code(), Code::AgentUnavailable);
        assert!(client.unheard());
    }
}
