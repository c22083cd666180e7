//! Commands to a card and its answers (ISO 7816-4): short APDUs, long data in a chain, long answers fetched in parts.

use super::Transaction;
use crate::{
    secret::{Secret, traceless},
    token::{Result, TokenError},
};

/// The most data of one short APDU.
const SHORT: usize = 255;
/// The longest answer that is taken, in bytes: a certificate has some 3,000.
const LONGEST: usize = 16 << 10;
/// The most bytes that one answer may have. Short APDUs have 258; some cards list all their credentials at once.
const ROOM: usize = 5 << 10;
/// There is more to fetch, or to send.
const MORE: u8 = 0x61;
const CHAINED: u8 = 0x10;
/// The same command is wanted with this length of its answer.
const LENGTH: u8 = 0x6c;
/// GET RESPONSE (ISO 7816-4), which every card should know.
const GET_RESPONSE: u8 = 0xc0;
const DONE: u8 = 0x90;

/// What is asked of a card: an instruction with its parameters, and data.
pub struct Command {
    header: [u8; 3],
    data: Data,
}

enum Data {
    Plain(Vec<u8>),
    /// A key or PIN, in locked memory.
    Secret(Secret),
}

impl Data {
    fn expose(&self) -> &[u8] {
        match self {
            Self::Plain(bytes) => bytes,
            Self::Secret(secret) => secret.expose(),
        }
    }
}

impl Command {
    /// An instruction with its two parameters, and no data yet.
    pub const fn new(ins: u8, p1: u8, p2: u8) -> Self {
        Self {
            header: [ins, p1, p2],
            data: Data::Plain(Vec::new()),
        }
    }

    /// The same for data that is secret, so many bytes of it.
    ///
    /// # Errors
    /// When the system gives no locked memory.
    pub fn secret(ins: u8, p1: u8, p2: u8, room: usize) -> Result<Self> {
        Ok(Self {
            header: [ins, p1, p2],
            data: Data::Secret(Secret::with_capacity(room)?),
        })
    }

    /// The command with this data behind what it has.
    #[must_use]
    pub fn with(mut self, bytes: &[u8]) -> Self {
        self.put(bytes);
        self
    }

    /// Appends to the data.
    pub fn put(&mut self, bytes: &[u8]) {
        match &mut self.data {
            Data::Plain(data) => data.extend(bytes),
            Data::Secret(data) => {
                data.push(bytes);
            }
        }
    }

    /// Appends a tag with its value of up to 65535 bytes.
    pub fn tlv(&mut self, tag: u8, value: &[u8]) {
        self.head(tag, value.len());
        self.put(value);
    }

    /// Appends a tag and the length of the value that is to follow.
    pub fn head(&mut self, tag: u8, len: usize) {
        let [.., high, low] = len.to_be_bytes();
        match len {
            0..=0x7f => self.put(&[tag, low]),
            0x80..=0xff => self.put(&[tag, 0x81, low]),
            _ => self.put(&[tag, 0x82, high, low]),
        }
    }
}

/// A card's answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// What it answered, without the status word.
    pub data: Vec<u8>,
    /// The status word; `9000` is success.
    pub status: u16,
}

impl Answer {
    /// The data, if the card said that all went well.
    ///
    /// # Errors
    /// The status word.
    pub fn done(self) -> std::result::Result<Vec<u8>, u16> {
        match self.status {
            0x9000 => Ok(self.data),
            other => Err(other),
        }
    }
}

impl Transaction<'_> {
    /// Asks the card. `more` is the instruction by which its applet gives the rest of a long answer; where it does not know
    /// that, ISO's own is tried.
    ///
    /// # Errors
    /// When the card does not answer, or its answer has no end or no status word.
    pub fn ask(&self, command: &Command, mut more: u8) -> Result<Answer> {
        let [ins, p1, p2] = command.header;
        let secret = matches!(command.data, Data::Secret(_));
        let mut rest = command.data.expose();
        let mut answer = loop {
            let (now, later) = rest.split_at(rest.len().min(SHORT));
            let class = if later.is_empty() { 0 } else { CHAINED };
            let answer = self.exchange(&[class, ins, p1, p2], now, secret)?;
            if later.is_empty() || answer.status != 0x9000 {
                break answer;
            }
            rest = later;
        };
        while answer.status.to_be_bytes()[0] == MORE {
            let next = self.exchange(&[0, more, 0, 0], &[], false)?;
            let [kind, _] = next.status.to_be_bytes();
            if next.data.is_empty() && ![DONE, MORE].contains(&kind) && more != GET_RESPONSE {
                more = GET_RESPONSE;
                continue;
            }
            // An empty part that promises more would promise it for ever.
            let stuck = next.data.is_empty() && next.status.to_be_bytes()[0] == MORE;
            if stuck || answer.data.len() + next.data.len() > LONGEST {
                return Err(TokenError::Failed("the card's answer does not end".to_owned()));
            }
            answer.data.extend(next.data);
            answer.status = next.status;
        }
        Ok(answer)
    }

    /// One APDU; again with the length of the answer, where the card wants that named. Not one with a key or PIN: it has no
    /// answer whose length could be wrong, and a PIN that is sent twice is two tries.
    fn exchange(&self, header: &[u8; 4], data: &[u8], secret: bool) -> Result<Answer> {
        // Without data the fifth byte is the length of the answer: as long as it may be.
        let bare = if data.is_empty() { Some(0) } else { None };
        let answer = self.exchange_once(header, data, bare, secret)?;
        match answer.status.to_be_bytes() {
            [LENGTH, length] if !secret => self.exchange_once(header, data, Some(length), secret),
            _ => Ok(answer),
        }
    }

    fn exchange_once(
        &self,
        header: &[u8; 4],
        data: &[u8],
        wanted: Option<u8>,
        secret: bool,
    ) -> Result<Answer> {
        let length = if data.is_empty() {
            &[][..]
        } else {
            &data.len().to_be_bytes()[7..]
        };
        let wanted = wanted.as_slice();
        // Answers may be secret, too.
        let mut buffer = zeroize::Zeroizing::new([0; ROOM]);
        let len = if secret {
            let mut command = Secret::with_capacity(header.len() + 2 + data.len())?;
            traceless(|| [header, length, data, wanted].map(|part| command.push(part)));
            self.transmit(command.expose(), buffer.as_mut_slice())?
        } else {
            self.transmit(&[header, length, data, wanted].concat(), buffer.as_mut_slice())?
        };
        let Some((data, status)) = buffer.get(..len).and_then(<[u8]>::split_last_chunk::<2>) else {
            return Err(TokenError::Failed(
                "the card's answer is shorter than a status word".to_owned(),
            ));
        };
        Ok(Answer {
            data: data.to_vec(),
            status: u16::from_be_bytes(*status),
        })
    }
}
