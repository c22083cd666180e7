//! What the front and a token's worker say to each other over their pipes or socket.
//!
//! A frame is its length in bytes (4, little-endian, of what follows), the number of the request it belongs to (8), a kind
//! (1) and the rest. Both ends are the same program, so a frame that is not as it should be ends the connection.

use zeroize::Zeroize as _;

use crate::{
    algorithm::Algorithm,
    error::{Code, Error, Result, failed},
    secret::Secret,
    token::{KeyRef, Wanted},
};

const HEAD: usize = 4;
/// The longest frame in bytes: a message is no longer than a line, which is at most this.
const LONGEST: usize = 64 << 20;

/// What the front asks of a worker.
#[derive(Debug)]
pub enum Ask<'a> {
    /// The MAC or signature of a message.
    Compute {
        /// The key and its algorithm, as [`place`] wrote them: the worker reads each once.
        place: &'a [u8],
        /// The message.
        message: &'a [u8],
    },
    /// A data object, as a passphrase.
    Data {
        /// Where it is.
        place: &'a [u8],
    },
    /// Open the token, with what a person gave for it.
    Open {
        /// What comes along, by a descriptor; none where nothing does.
        given: Option<Wanted>,
    },
    /// A command, as JSON: who asks for it, and its arguments; the descriptors of [`super::errand::FDS`] come along.
    Errand(&'a [u8]),
    /// Whether a person agrees.
    Question {
        /// How long they may take.
        seconds: u32,
        /// What they are asked.
        text: &'a [u8],
    },
    /// The MAC of a seal of the log, by the key on the token that seals.
    Seal(&'a [u8]),
    /// That the token keeps how far the log is sealed, as [`crate::audit::Marked`] in JSON.
    Mark(&'a [u8]),
}

/// What a worker answers.
#[derive(Debug)]
pub enum Told {
    /// A MAC or signature; or the JSON of a job that was done.
    Done(Vec<u8>),
    /// A data object.
    Data(Secret),
    /// It was not done.
    Refused(Error),
    /// It was not done, since the token has no such object. Of the token itself that says nothing.
    Without(Error),
    /// So many PINs were given to the token since this was told last. It answers nothing.
    Tried(u64),
}

/// A key's place on its token with what it computes, as a worker reads it.
pub fn place(key: &KeyRef, algorithm: Algorithm) -> Result<Vec<u8>> {
    serde_json::to_vec(&(key, algorithm))
        .map_err(|error| failed(format!("a key's place cannot be told: {error}")))
}

/// Reads what [`place`] wrote.
pub fn read_place(bytes: &[u8]) -> Result<(KeyRef, Algorithm)> {
    serde_json::from_slice(bytes).map_err(|error| failed(format!("a key's place cannot be read: {error}")))
}

impl Ask<'_> {
    /// Appends the frame.
    pub fn write(&self, id: u64, out: &mut Vec<u8>) {
        match self {
            Self::Compute { place, message } => {
                let length = u32::try_from(place.len()).unwrap_or(u32::MAX).to_le_bytes();
                write(out, id, 0, &[&length, place, message]);
            }
            Self::Data { place } => write(out, id, 1, &[place]),
            Self::Open { given } => write(out, id, 2, &[given.map_or("", Wanted::name).as_bytes()]),
            Self::Errand(arguments) => write(out, id, 3, &[arguments]),
            Self::Seal(message) => write(out, id, 4, &[message]),
            Self::Mark(marked) => write(out, id, 6, &[marked]),
            Self::Question { seconds, text } => write(out, id, 5, &[&seconds.to_le_bytes(), text]),
        }
    }
}

/// Reads a frame that a worker was sent.
pub fn read_ask(frame: &[u8]) -> Result<(u64, Ask<'_>)> {
    let (id, kind, rest) = parts(frame)?;
    let ask = match (kind, rest) {
        (0, rest) => {
            let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(torn)?;
            let length = u32::from_le_bytes(*length) as usize;
            let (place, message) = rest.split_at_checked(length).ok_or_else(torn)?;
            Ask::Compute { place, message }
        }
        (1, place) => Ask::Data { place },
        (2, []) => Ask::Open { given: None },
        (2, name) => Ask::Open {
            given: Some(named(name).ok_or_else(torn)?),
        },
        (3, arguments) => Ask::Errand(arguments),
        (4, message) => Ask::Seal(message),
        (5, rest) => {
            let (seconds, text) = rest.split_first_chunk::<4>().ok_or_else(torn)?;
            Ask::Question {
                seconds: u32::from_le_bytes(*seconds),
                text,
            }
        }
        (6, marked) => Ask::Mark(marked),
        _ => return Err(torn()),
    };
    Ok((id, ask))
}

fn named(name: &[u8]) -> Option<Wanted> {
    std::str::from_utf8(name).ok().and_then(Wanted::named)
}

impl Told {
    /// Appends the frame.
    pub fn write(&self, id: u64, out: &mut Vec<u8>) {
        match self {
            Self::Done(bytes) => write(out, id, 0, &[bytes]),
            Self::Data(data) => write(out, id, 1, &[data.expose()]),
            Self::Refused(error) | Self::Without(error) => {
                let told = serde_json::json!([error.code().name(), error.message(), error.remedy()]);
                let kind = if matches!(self, Self::Refused(_)) { 2 } else { 4 };
                write(out, id, kind, &[told.to_string().as_bytes()]);
            }
            Self::Tried(times) => write(out, id, 3, &[&times.to_le_bytes()]),
        }
    }
}

/// Reads a frame that a worker wrote. The bytes of a data object are wiped where they stood.
pub fn read_told(frame: &mut [u8]) -> Result<(u64, Told)> {
    let (id, kind, rest) = parts(frame)?;
    let told = match kind {
        0 => Told::Done(rest.to_vec()),
        1 => {
            let data = Secret::take(&mut frame[HEAD + 9..])?;
            frame.zeroize();
            Told::Data(data)
        }
        2 | 4 => {
            let (code, message, fix): (String, String, Option<String>) =
                serde_json::from_slice(rest).map_err(|_| torn())?;
            let error = Error::new(Code::named(&code).unwrap_or(Code::Failed), message);
            let error = match fix {
                Some(fix) => error.fix(fix),
                None => error,
            };
            if kind == 2 {
                Told::Refused(error)
            } else {
                Told::Without(error)
            }
        }
        3 => Told::Tried(u64::from_le_bytes(rest.try_into().map_err(|_| torn())?)),
        _ => return Err(torn()),
    };
    Ok((id, told))
}

/// How long the first frame in the buffer is, its head included; none where it is not whole yet.
pub fn first(buffer: &[u8]) -> Result<Option<usize>> {
    let Some(head) = buffer.first_chunk::<HEAD>() else {
        return Ok(None);
    };
    let length = u32::from_le_bytes(*head) as usize;
    if length > LONGEST {
        return Err(torn());
    }
    Ok((buffer.len() >= HEAD + length).then_some(HEAD + length))
}

fn parts(frame: &[u8]) -> Result<(u64, u8, &[u8])> {
    let rest = frame.get(HEAD..).ok_or_else(torn)?;
    let (id, rest) = rest.split_first_chunk::<8>().ok_or_else(torn)?;
    let (kind, rest) = rest.split_first().ok_or_else(torn)?;
    Ok((u64::from_le_bytes(*id), *kind, rest))
}

fn write(out: &mut Vec<u8>, id: u64, kind: u8, parts: &[&[u8]]) {
    let length = 9 + parts.iter().map(|part| part.len()).sum::<usize>();
    out.reserve(HEAD + length);
    out.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(&id.to_le_bytes());
    out.push(kind);
    for part in parts {
        out.extend_from_slice(part);
    }
}

fn torn() -> Error {
    failed("the agent and its worker do not understand each other")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_back_as_they_went() {
        let mut out = Vec::new();
        let ask = Ask::Compute {
            place: b"p",
            message: b"m\0",
        };
        ask.write(7, &mut out);
        let given = Some(Wanted::PivPin);
        Ask::Open { given }.write(8, &mut out);
        Ask::Open { given: None }.write(9, &mut out);
        let length = first(&out).unwrap().unwrap();
        let (id, ask) = read_ask(&out[..length]).unwrap();
        assert!(
            id == 7
                && matches!(
                    ask,
                    Ask::Compute {
                        place: b"p",
                        message: b"m\0"
                    }
                )
        );
        let rest = &out[length..];
        let (second, third) = rest.split_at(first(rest).unwrap().unwrap());
        let given = Some(Wanted::PivPin);
        assert!(matches!(read_ask(second).unwrap(), (8, Ask::Open { given: read }) if read == given));
        assert!(matches!(read_ask(third).unwrap(), (9, Ask::Open { given: None })));
        assert_eq!(first(&out[..length - 1]).unwrap(), None);
        assert!(first(&[0xff; 8]).is_err());
        assert!(read_ask(&out[..12]).is_err());

        let mut out = Vec::new();
        Told::Without(Error::new(Code::TokenMissing, "no such key")).write(9, &mut out);
        assert!(matches!(
            read_told(&mut out),
            Ok((9, Told::Without(error))) if error.message() == "no such key" && error.remedy().is_none()
        ));
        out.clear();
        Told::Refused(Error::new(Code::TokenMissing, "gone").fix("plug it in")).write(9, &mut out);
        let Ok((9, Told::Refused(error))) = read_told(&mut out) else {
            panic!()
        };
        assert_eq!(
            (error.code(), error.message(), error.remedy()),
            (Code::TokenMissing, "gone", Some("plug it in"))
        );

        let mut out = Vec::new();
        Told::Tried(2).write(0, &mut out);
        assert!(matches!(read_told(&mut out), Ok((0, Told::Tried(2)))));
    }

    #[test]
    fn a_passphrase_is_wiped_out_of_the_frame() {
        let mut out = Vec::new();
        Told::Data(Secret::take(&mut b"passphrase".to_vec()).unwrap()).write(1, &mut out);
        let (_, Told::Data(data)) = read_told(&mut out).unwrap() else {
            panic!()
        };
        assert_eq!(data.expose(), b"passphrase");
        assert!(out.iter().all(|&byte| byte == 0));
    }
}
