//! An HTTPS server on loopback that does what its script says, one act a connection, and keeps what it received.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    thread,
};

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::certificates::{Odd, tls};

/// What the server does with a connection.
#[derive(Debug, Clone)]
pub enum Act {
    /// Reads the request, answers, says goodbye.
    Answer {
        status: u16,
        headers: Vec<(&'static str, String)>,
        body: String,
    },
    /// Reads the request, writes these bytes, says goodbye.
    Raw(Vec<u8>),
    /// As `Raw`, and cuts the connection without TLS's goodbye.
    Cut(Vec<u8>),
    /// As `Raw`, and then says nothing more until the other side goes.
    Stall(Vec<u8>),
    /// Closes before the handshake.
    Close,
    /// Accepts, and does not take part in the handshake.
    Mute,
    /// Closes behind the handshake, and reads nothing.
    Leave,
}

/// A 200 with this body.
pub fn ok(body: &str) -> Act {
    status(200, body)
}

/// This status with this body.
pub fn status(status: u16, body: &str) -> Act {
    Act::Answer {
        status,
        headers: Vec::new(),
        body: body.to_owned(),
    }
}

/// This status with a header.
pub fn with_header(status: u16, name: &'static str, value: &str) -> Act {
    Act::Answer {
        status,
        headers: vec![(name, value.to_owned())],
        body: "{}".to_owned(),
    }
}

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Received {
    pub method: String,
    pub target: String,
    /// Names as they came.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Received {
    /// The only value of a header.
    #[track_caller]
    pub fn header(&self, name: &str) -> &str {
        let mut values = self
            .headers
            .iter()
            .filter(|(have, _)| have.eq_ignore_ascii_case(name));
        let (_, value) = values.next().unwrap_or_else(|| panic!("no {name} in {self:?}"));
        assert!(values.next().is_none(), "two {name} in {self:?}");
        value
    }

    pub fn has(&self, name: &str) -> bool {
        self.headers
            .iter()
            .any(|(have, _)| have.eq_ignore_ascii_case(name))
    }
}

pub struct Server {
    port: u16,
    plain: bool,
    authority: String,
    received: Arc<Mutex<Vec<Received>>>,
    connections: Arc<Mutex<usize>>,
}

impl Server {
    /// Does the acts one after the other, the last one for ever.
    pub fn new(acts: Vec<Act>) -> Self {
        Self::with(Odd::Nothing, acts)
    }

    pub fn with(odd: Odd, acts: Vec<Act>) -> Self {
        let (config, authority) = tls(odd);
        Self::start(Some(config), authority, acts)
    }

    /// Without TLS.
    pub fn plain(acts: Vec<Act>) -> Self {
        Self::start(None, String::new(), acts)
    }

    fn start(config: Option<Arc<ServerConfig>>, authority: String, acts: Vec<Act>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            port: listener.local_addr().unwrap().port(),
            plain: config.is_none(),
            authority,
            received: Arc::default(),
            connections: Arc::default(),
        };
        let (received, connections) = (Arc::clone(&server.received), Arc::clone(&server.connections));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let at = {
                    let mut count = connections.lock().unwrap();
                    *count += 1;
                    *count - 1
                };
                let act = acts.get(at).or(acts.last()).unwrap().clone();
                let (config, received) = (config.clone(), Arc::clone(&received));
                // A client that goes away in the middle is no fault of the server's.
                thread::spawn(move || serve(stream.unwrap(), config, &act, &received));
            }
        });
        server
    }

    pub const fn port(&self) -> u16 {
        self.port
    }

    pub fn host(&self) -> String {
        format!("localhost:{}", self.port)
    }

    pub fn url(&self) -> String {
        let protocol = if self.plain { "http" } else { "https" };
        format!("{protocol}://{}", self.host())
    }

    /// A file with the authority in PEM.
    pub fn authority(&self, folder: &Path) -> PathBuf {
        let file = folder.join("authority.pem");
        std::fs::write(&file, &self.authority).unwrap();
        file
    }

    /// All that came, in order.
    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// How many connections there were.
    pub fn connections(&self) -> usize {
        *self.connections.lock().unwrap()
    }
}

fn serve(
    mut stream: TcpStream,
    config: Option<Arc<ServerConfig>>,
    act: &Act,
    received: &Mutex<Vec<Received>>,
) {
    match act {
        Act::Close => return,
        Act::Mute => {
            let _ = stream.read_to_end(&mut Vec::new());
            // The hello was read above; the other side gives up.
            return;
        }
        _ => {}
    }
    let Some(config) = config else {
        let _ = talk(&mut stream, act, received);
        return;
    };
    let mut connection = ServerConnection::new(config).unwrap();
    if connection.complete_io(&mut stream).is_err() || matches!(act, Act::Leave) {
        return;
    }
    let mut stream = StreamOwned::new(connection, stream);
    if talk(&mut stream, act, received).is_ok() && !matches!(act, Act::Cut(_)) {
        stream.conn.send_close_notify();
        let _ = stream.flush();
    }
}

fn talk(stream: &mut (impl Read + Write), act: &Act, received: &Mutex<Vec<Received>>) -> std::io::Result<()> {
    let request = read(stream)?;
    received.lock().unwrap().push(request);
    match act {
        Act::Answer {
            status,
            headers,
            body,
        } => {
            let mut head = format!("HTTP/1.1 {status} Whatever\r\nContent-Length: {}\r\n", body.len());
            if !body.is_empty() {
                head.push_str("Content-Type: application/json\r\n");
            }
            for (name, value) in headers {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
            stream.write_all(format!("{head}\r\n{body}").as_bytes())?;
        }
        Act::Raw(bytes) | Act::Cut(bytes) => stream.write_all(bytes)?,
        Act::Stall(bytes) => {
            stream.write_all(bytes)?;
            stream.flush()?;
            let _ = stream.read(&mut [0]);
        }
        Act::Close | Act::Mute | Act::Leave => unreachable!(),
    }
    stream.flush()
}

fn read(stream: &mut impl Read) -> std::io::Result<Received> {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at;
        }
        match stream.read(&mut piece)? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            count => bytes.extend_from_slice(&piece[..count]),
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let mut words = lines.next().unwrap().split(' ');
    let (method, target) = (words.next().unwrap().to_owned(), words.next().unwrap().to_owned());
    assert_eq!((words.next(), words.next()), (Some("HTTP/1.1"), None), "{head}");
    let headers: Vec<(String, String)> = lines
        .map(|line| line.split_once(": ").unwrap())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let length = headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length: usize = length.map_or(0, |(_, value)| value.parse().unwrap());
    let mut body = bytes.split_off(end + 4);
    while body.len() < length {
        match stream.read(&mut piece)? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            count => body.extend_from_slice(&piece[..count]),
        }
    }
    assert_eq!(body.len(), length, "more came than Content-Length says");
    Ok(Received {
        method,
        target,
        headers,
        body: String::from_utf8(body).unwrap(),
    })
}
