//! Readers of the metrics: one HTTP request, one answer, in the same loop as the clients.

use std::{
    net::TcpListener,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
    time::{Duration, Instant},
};

use rustix::{
    io::Errno,
    net::{RecvFlags, SendFlags, Shutdown, SocketFlags, accept_with, recv, send, shutdown},
};

use super::{
    Front,
    metrics::{State, TokenState},
    poll::{Interest, Poll, Ready, Source},
};
use crate::{
    agent::socket::Listening,
    config::MetricsAt,
    error::{Result, failed},
};

/// How many read at once; further ones wait in the kernel's queue.
const MOST: usize = 16;
/// The longest request in bytes.
const LONGEST: usize = 8 << 10;
/// How long one may take from its first byte to its end.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where the metrics are read.
pub enum MetricsSocket {
    /// A port of the loopback.
    Port(TcpListener),
    /// A Unix socket.
    Unix(Listening),
}

impl MetricsSocket {
    /// Makes it; a Unix socket is 0600, or 0660 with this group.
    ///
    /// # Errors
    /// When another program has it, or it cannot be made.
    pub fn at(at: &MetricsAt, group: Option<u32>) -> Result<Self> {
        match at {
            MetricsAt::Port(address) => TcpListener::bind(address).map(Self::Port).map_err(|error| {
                failed(format!("the metrics cannot be served at {address}: {error}"))
                    .fix("choose another port for metrics in [agent] of config.toml")
            }),
            MetricsAt::Unix(path) => Listening::at(path, group)
                .map(Self::Unix)
                .map_err(|error| error.within("the metrics' socket")),
        }
    }
}

impl AsFd for MetricsSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Port(listener) => listener.as_fd(),
            Self::Unix(listening) => listening.socket.as_fd(),
        }
    }
}

/// Who reads them now.
pub struct Scrape {
    socket: Option<MetricsSocket>,
    readers: Vec<Option<Reader>>,
    generation: u32,
}

struct Reader {
    socket: OwnedFd,
    generation: u32,
    since: Instant,
    request: Vec<u8>,
    answer: Option<Vec<u8>>,
    sent: usize,
}

impl Scrape {
    /// Listens, where there is a socket.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub fn new(socket: Option<MetricsSocket>, poll: &Poll) -> Result<Self> {
        let cannot = |error: Errno| failed(format!("the metrics' socket cannot be set up: {error}"));
        if let Some(socket) = &socket {
            rustix::io::ioctl_fionbio(socket, true).map_err(cannot)?;
            poll.add(socket, Source::Metrics, Interest::READ)
                .map_err(cannot)?;
        }
        Ok(Self {
            socket,
            readers: (0..MOST).map(|_| None).collect(),
            generation: 0,
        })
    }

    /// The folder in which the socket's file must be removed at the end; none where there is no such file.
    pub fn folder(&self) -> Option<&Path> {
        match &self.socket {
            Some(MetricsSocket::Unix(listening)) => listening.folder(),
            _ => None,
        }
    }

    /// Takes one that came. One that finds no room takes the place of the oldest.
    pub fn accept(&mut self, poll: &Poll, now: Instant) {
        let Some(listener) = &self.socket else { return };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let Ok(socket) = accept_with(listener, flags) else {
            return;
        };
        let oldest = || {
            let readers = self.readers.iter().enumerate();
            readers.min_by_key(|(_, reader)| reader.as_ref().map(|reader| reader.since))
        };
        let Some((index, _)) = oldest() else { return };
        self.generation = self.generation.wrapping_add(1);
        let source = Source::Reader(u32::try_from(index).unwrap_or(u32::MAX), self.generation);
        if poll.add(&socket, source, Interest::READ).is_ok() {
            self.readers[index] = Some(Reader {
                socket,
                generation: self.generation,
                since: now,
                request: Vec::new(),
                answer: None,
                sent: 0,
            });
        }
    }

    /// Goes on with a reader; `text` is made only where it is asked for.
    pub fn ready(
        &mut self,
        index: u32,
        generation: u32,
        event: Ready,
        poll: &Poll,
        text: impl FnOnce() -> String,
    ) {
        let Some(slot) = self.readers.get_mut(index as usize) else {
            return;
        };
        let Some(reader) = slot.as_mut().filter(|reader| reader.generation == generation) else {
            return;
        };
        let goes_on = if reader.answer.is_none() {
            reader.read(text)
        } else if event.read && !event.write {
            // It says more than it may, or goodbye.
            reader.drain()
        } else {
            true
        };
        let interest = match (goes_on, reader.write()) {
            (true, Ok(unsent)) => Interest {
                read: !unsent,
                write: unsent,
            },
            _ => {
                *slot = None;
                return;
            }
        };
        let _ = poll.change(&reader.socket, Source::Reader(index, generation), interest);
    }

    /// Closes those that take too long.
    pub fn expire(&mut self, now: Instant) {
        for slot in &mut self.readers {
            if slot.as_ref().is_some_and(|reader| reader.since + PATIENCE < now) {
                *slot = None;
            }
        }
    }
}

impl Reader {
    /// Reads the request. Answers whether the connection goes on.
    fn read(&mut self, text: impl FnOnce() -> String) -> bool {
        let mut room = [0; 2048];
        match recv(&self.socket, &mut room, RecvFlags::empty()) {
            Ok((_, 0)) => return false,
            Ok((_, read)) => self.request.extend_from_slice(&room[..read]),
            Err(Errno::AGAIN | Errno::INTR) => return true,
            Err(_) => return false,
        }
        let ends = |end: &[u8]| self.request.windows(end.len()).any(|part| part == end);
        if ends(b"\r\n\r\n") || ends(b"\n\n") {
            self.answer = Some(answer(&self.request, text));
        } else if self.request.len() > LONGEST {
            self.answer = Some(plain(
                "431 Request Header Fields Too Large",
                "",
                "the request is too long\n",
            ));
        }
        true
    }

    /// Passes over what comes behind the request. Answers whether the connection goes on.
    fn drain(&self) -> bool {
        let mut room = [0; 2048];
        match recv(&self.socket, &mut room, RecvFlags::empty()) {
            Ok((_, read)) => read > 0,
            Err(error) => matches!(error, Errno::AGAIN | Errno::INTR),
        }
    }

    /// Writes what is taken. Answers whether something is left.
    fn write(&mut self) -> Result<bool, Errno> {
        let Some(answer) = &self.answer else {
            return Ok(false);
        };
        if self.sent == answer.len() {
            return Ok(false);
        }
        while self.sent < answer.len() {
            match send(&self.socket, &answer[self.sent..], SendFlags::NOSIGNAL) {
                Ok(sent) => self.sent += sent,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(true),
                Err(error) => return Err(error),
            }
        }
        // The reader's goodbye is waited for: closing over bytes that nobody read would take the answer back.
        shutdown(&self.socket, Shutdown::Write)?;
        Ok(false)
    }
}

fn answer(request: &[u8], text: impl FnOnce() -> String) -> Vec<u8> {
    let line = request.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let mut words = line.split_ascii_whitespace();
    let (method, target, version) = (words.next(), words.next(), words.next());
    let path = target.map(|target| target.split('?').next().unwrap_or_default());
    match (method, path, version) {
        (_, _, version) if !version.is_some_and(|version| version.starts_with("HTTP/1.")) => {
            plain("400 Bad Request", "", "the request is not understood\n")
        }
        (Some("GET"), Some("/metrics"), _) => page(&text(), true),
        (Some("HEAD"), Some("/metrics"), _) => page(&text(), false),
        (Some("GET" | "HEAD"), _, _) => plain("404 Not Found", "", "the metrics are at /metrics\n"),
        _ => plain(
            "405 Method Not Allowed",
            "Allow: GET, HEAD\r\n",
            "the metrics are read with GET\n",
        ),
    }
}

fn page(text: &str, whole: bool) -> Vec<u8> {
    let head = head(
        "200 OK",
        "text/plain; version=0.0.4; charset=utf-8",
        "",
        text.len(),
    );
    (head + if whole { text } else { "" }).into_bytes()
}

fn plain(status: &str, fields: &str, text: &str) -> Vec<u8> {
    (head(status, "text/plain; charset=utf-8", fields, text.len()) + text).into_bytes()
}

fn head(status: &str, kind: &str, fields: &str, length: usize) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nCache-Control: no-store\r\n{fields}Connection: close\r\n\r\n"
    )
}

impl Front {
    /// Goes on with a reader.
    pub(super) fn reader_ready(&mut self, index: u32, generation: u32, event: Ready) {
        let tokens = self
            .workers
            .iter()
            .filter(|worker| worker.holds_token())
            .map(|worker| TokenState {
                name: &worker.token,
                open: worker.open && !worker.locked,
                locked: worker.locked,
                restarts: worker.restarts,
                waiting: worker.asked(),
            });
        let state = State {
            signed: self.counts.signed,
            connections: self.clients.len() - self.free.len(),
            in_flight: self.in_flight(),
            tokens: tokens.collect(),
        };
        self.scrape.ready(index, generation, event, &self.poll, || {
            self.counts.metrics.text(&state)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_page_itself_is_answered_with_it() {
        let status = |request: &str| {
            let answer = answer(request.as_bytes(), || "m 1\n".to_owned());
            let text = String::from_utf8(answer).unwrap();
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            assert_eq!(
                body == "m 1\n",
                head.contains("version=0.0.4") && request.starts_with("GET")
            );
            head[9..12].to_owned()
        };
        for (request, wanted) in [
            ("GET /metrics HTTP/1.0\n\n", "200"),
            ("GET /metrics?x=1 HTTP/1.1\r\nHost: a\r\n\r\n", "200"),
            ("HEAD /metrics HTTP/1.1\r\n\r\n", "200"),
            ("GET / HTTP/1.1\r\n\r\n", "404"),
            ("GET /metricsx HTTP/1.1\r\n\r\n", "404"),
            ("POST /metrics HTTP/1.1\r\n\r\n", "405"),
            ("GET /metrics\r\n\r\n", "400"),
            ("GET /metrics SSH-2.0\r\n\r\n", "400"),
            ("\r\n\r\n", "400"),
        ] {
            assert_eq!(status(request), wanted, "{request:?}");
        }
    }
}
