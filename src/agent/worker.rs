//! The process that holds one token: it loads the vendor's module, knows the PIN, and computes what the front asks for.

use std::{
    collections::{HashMap, VecDeque},
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::io::{Errno, read, retry_on_intr, write};
use zeroize::Zeroize as _;

use super::{
    confirm, errand,
    frame::{self, Ask, Told},
    handed::Handed,
    wire,
};
use crate::{
    algorithm::Algorithm,
    ask::read_secret_line_within,
    audit::{self, Sealer},
    config::Config,
    error::{Code, Error, Result, failed},
    home::Home,
    process::let_go_of_code,
    secret::Secret,
    token::{KeyRef, PinSource, SignInput, Token, TokenError, Tokens, Wanted, pin_source, piv_pin_source},
};

const CHUNK: usize = 64 << 10;
/// After how many answers they are sent, where more is waiting to be computed.
const BATCH: usize = 8;
/// How long an answer waits for others to be sent with it.
const BATCH_TIME: Duration = Duration::from_micros(500);
/// For how long after its device was missed a token is not looked for again.
const MISSED: Duration = Duration::from_millis(250);
/// How many bytes of answers are sent at the latest.
const FULL: usize = 2 << 10;
/// How soon a PIN is whole in its pipe: whoever else wants something of the token waits meanwhile.
const PIN_COMES: Duration = Duration::from_secs(5);
/// How many keys' places are remembered.
const MOST_PLACES: usize = 4096;

/// Serves the front until that is gone. It is at the other end of standard input, a socket; a token's worker and the front
/// talk through two pipes, whose ends come over the socket first, as the descriptors of later frames do.
///
/// # Errors
/// When the configuration cannot be read or the front is not understood.
pub fn run(token: &str) -> Result<()> {
    // Whatever happens to who started it, no process with a PIN stays behind.
    super::launcher::tie()?;
    let home = Home::from_env()?;
    let front = rustix::stdio::stdin();
    if token == errand::NAME {
        set_up(front)?;
        return errand::run(front);
    }
    if token == confirm::NAME {
        set_up(front)?;
        return confirm::run(front);
    }
    let [asked, answers] = pipes(front)?;
    let mut config = set_up(asked.as_fd())?;
    let mut asks = false;
    if let Some(settings) = config.tokens.get_mut(token) {
        // Whoever unlocks the token asks the person, and hands over what they gave.
        let by_hand = |source: Result<PinSource>| source.is_ok_and(|source| source.interactive());
        let (pin, piv_pin) = (by_hand(pin_source(settings)), by_hand(piv_pin_source(settings)));
        if settings.yubikey && piv_pin {
            settings.piv_pin_source = Some("terminal".to_owned());
            asks = true;
        }
        if pin {
            settings.pin_source = Some("terminal".to_owned());
            asks = true;
        }
    }
    let handed = Arc::new(Handed::default());
    let tokens = Arc::new(Tokens::new(&home, config, Arc::clone(&handed) as _));
    // Open until the process ends.
    let open = Arc::clone(&tokens);
    let served = Worker {
        token: token.to_owned(),
        tokens,
        handed,
        asks,
        places: HashMap::new(),
        sealer: Sealer::default(),
        missed: None,
        pins_told: 0,
        lost: false,
        without: false,
        opened: false,
        front,
    }
    .serve(&asked, &answers);
    open.leave();
    std::mem::forget(open);
    served
}

/// The pipes that the front asks through and is answered through.
fn pipes(front: BorrowedFd<'_>) -> Result<[OwnedFd; 2]> {
    descriptors(front)?
        .try_into()
        .map_err(|_| failed("the agent is gone"))
}

/// The descriptors that come along with a frame, or before the first.
fn descriptors(front: BorrowedFd<'_>) -> Result<Vec<OwnedFd>> {
    let mut fds = VecDeque::new();
    wire::receive(front, &mut [0], &mut fds)
        .map_err(|error| failed(format!("the agent is gone: {error}")))?;
    Ok(fds.into())
}

/// The configuration, which the front sends first: it may have changed since the front read it.
fn set_up(front: BorrowedFd<'_>) -> Result<Config> {
    let mut head = [0; 4];
    read_exact(front, &mut head)?;
    let mut text = vec![0; u32::from_le_bytes(head) as usize];
    read_exact(front, &mut text)?;
    let text = String::from_utf8(text).map_err(|_| failed("the configuration is not UTF-8"))?;
    Config::parse(&text, "config.toml")
}

fn read_exact(from: BorrowedFd<'_>, mut room: &mut [u8]) -> Result<()> {
    while !room.is_empty() {
        match retry_on_intr(|| read(from, &mut *room)) {
            Ok(0) => return Err(failed("the agent is gone")),
            Ok(read) => room = &mut room[read..],
            Err(error) => return Err(failed(format!("the agent is gone: {error}"))),
        }
    }
    Ok(())
}

fn write_all(to: &OwnedFd, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        let written = retry_on_intr(|| write(to, bytes))?;
        bytes = &bytes[written..];
    }
    Ok(())
}

struct Worker<'a> {
    token: String,
    tokens: Arc<Tokens>,
    handed: Arc<Handed>,
    /// Whether the PIN comes from a person.
    asks: bool,
    places: HashMap<Vec<u8>, (KeyRef, Algorithm)>,
    sealer: Sealer,
    /// That its device was missed, and when: whoever waited in line meanwhile is told the same at once.
    missed: Option<(Instant, Error)>,
    /// How many PINs the token was given that the front knows of.
    pins_told: u64,
    /// Whether it computed nothing since it was missed: its token is to be looked at anew.
    lost: bool,
    /// Whether the token is there and does not have the object that was asked for.
    without: bool,
    /// Whether its token was opened once.
    opened: bool,
    /// Where the descriptors of frames come from.
    front: BorrowedFd<'a>,
}

impl Worker<'_> {
    fn serve(&mut self, asked: &OwnedFd, answers: &OwnedFd) -> Result<()> {
        let mut room = vec![0; CHUNK];
        let mut held = 0;
        // Room enough that it need not grow, which would leave the bytes of a passphrase behind.
        let mut output = Vec::with_capacity(2 * FULL);
        loop {
            if held == room.len() {
                room.resize(2 * held, 0);
            }
            let read = retry_on_intr(|| read(asked, &mut room[held..])).unwrap_or(0);
            if read == 0 {
                return Ok(());
            }
            held += read;
            let input = &room[..held];
            let mut done = 0;
            let mut waiting = 0;
            let mut since = Instant::now();
            while let Some(length) = frame::first(&input[done..])? {
                let (id, ask) = frame::read_ask(&input[done..done + length])?;
                let told = self.answer(ask);
                let pins = self.tokens.pins_given();
                if pins > self.pins_told {
                    Told::Tried(pins - self.pins_told).write(0, &mut output);
                    self.pins_told = pins;
                }
                told.write(id, &mut output);
                done += length;
                waiting += 1;
                // A slow token's answers go out one by one: whoever waits sees that it goes on.
                if waiting >= BATCH
                    || output.len() > FULL
                    || since.elapsed() > BATCH_TIME
                    || frame::first(&input[done..])?.is_none()
                {
                    waiting = 0;
                    since = Instant::now();
                    if write_all(answers, &output).is_err() {
                        return Ok(());
                    }
                    // What was written, and not the room behind it, which is as it was.
                    output[..].zeroize();
                    output.clear();
                }
            }
            room.copy_within(done..held, 0);
            held -= done;
            if held == 0 && room.len() > CHUNK {
                room = vec![0; CHUNK];
            }
        }
    }

    fn answer(&mut self, ask: Ask<'_>) -> Told {
        self.without = false;
        let told = match ask {
            Ask::Compute { place, message } => self.compute(place, message).map(Told::Done),
            Ask::Data { place } => self.data(place).map(Told::Data),
            Ask::Open { given } => self.open(given).map(Told::Done),
            Ask::Seal(message) => self
                .token()
                .and_then(|token| self.sealer.seal(&self.token, token.as_ref(), message))
                .map(Told::Done),
            Ask::Mark(marked) => self.mark(marked).map(Told::Done),
            Ask::Errand(_) => Err(failed("a worker does no errands")),
            Ask::Question { .. } => Err(failed("a worker asks nobody")),
        };
        told.unwrap_or_else(if self.without {
            Told::Without
        } else {
            Told::Refused
        })
    }

    /// An error about an object, and whether it is only that the token does not have it.
    fn of_object(&mut self, error: TokenError) -> Error {
        self.without = matches!(error, TokenError::NotFound(_));
        error.into()
    }

    fn token(&self) -> Result<Arc<dyn Token>> {
        self.tokens.get(&self.token)
    }

    fn compute(&mut self, place: &[u8], message: &[u8]) -> Result<Vec<u8>> {
        if let Some((when, error)) = &self.missed {
            if when.elapsed() < MISSED {
                return Err(error.clone());
            }
            self.missed = None;
        }
        let computed = self.compute_now(place, message);
        if let Err(error) = &computed
            && !self.without
            && matches!(error.code(), Code::TokenMissing | Code::TokenBusy)
        {
            self.missed = Some((Instant::now(), error.clone()));
            self.lost = true;
        }
        computed
    }

    fn compute_now(&mut self, place: &[u8], message: &[u8]) -> Result<Vec<u8>> {
        let token = self.token()?;
        let (key, algorithm) = match self.places.get(place) {
            Some(known) => known,
            None => {
                if self.places.len() >= MOST_PLACES {
                    self.places.clear();
                }
                let read = frame::read_place(place)?;
                self.places.entry(place.to_owned()).or_insert(read)
            }
        };
        match *algorithm {
            Algorithm::Mac(algorithm) => token
                .mac(key, algorithm, message)
                .map(|mac| mac.as_bytes().to_vec()),
            Algorithm::Signature(algorithm) => token.sign(key, algorithm, SignInput::Message(message)),
        }
        .map_err(|error| self.of_object(error))
    }

    /// Has the token keep how far the log is sealed.
    fn mark(&self, marked: &[u8]) -> Result<Vec<u8>> {
        let marked = serde_json::from_slice(marked)
            .map_err(|error| failed(format!("a seal cannot be read: {error}")))?;
        match audit::raise(self.token()?.as_ref(), &Home::from_env()?, &marked)? {
            None => Ok(Vec::new()),
            Some(mark) => Err(audit::went_back(&self.token, &mark)),
        }
    }

    fn data(&mut self, place: &[u8]) -> Result<Secret> {
        let (key, _) = frame::read_place(place)?;
        self.token()?
            .get_data(&key)
            .map_err(|error| self.of_object(error))
    }

    /// Whether the token is there: one that was missed is opened again, since it may only seem to be open.
    fn look(&mut self) -> Result<()> {
        let token = self.token()?;
        if self.lost {
            token.reopen()?;
            self.lost = false;
        }
        Ok(())
    }

    /// Opens the token, by what was given. Answers the members of a JSON object: what it would ask a person for besides.
    fn open(&mut self, given: Option<Wanted>) -> Result<Vec<u8>> {
        if given.is_some() {
            let from = descriptors(self.front)?
                .pop()
                .ok_or_else(|| failed("the PIN did not come along"))?;
            self.handed
                .take(read_secret_line_within(from.as_fd(), PIN_COMES)?);
        }
        self.missed = None;
        let opened = self.look().and_then(|()| match given {
            Some(given) => self.token()?.unlock(given).map_err(Error::from),
            None => Ok(()),
        });
        // A PIN that was refused is not kept for another try.
        self.handed.forget();
        opened?;
        if !std::mem::replace(&mut self.opened, true) {
            let_go_of_code();
        }
        self.still_wanted()
    }

    fn still_wanted(&self) -> Result<Vec<u8>> {
        let wanted = match self.asks {
            true => self.token()?.wants()?,
            false => Vec::new(),
        };
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let names: Vec<_> = wanted.into_iter().map(Wanted::name).collect();
        Ok(format!("\"wants\":{}", serde_json::json!(names)).into_bytes())
    }
}
