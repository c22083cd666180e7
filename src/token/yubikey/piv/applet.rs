//! The commands of the PIV applet (NIST SP 800-73-4, and Yubico's additions), in a transaction with it.

use zeroize::Zeroizing;

use super::{answers::Metadata, slots::Slot};
use crate::{
    secret::Secret,
    token::{
        Result, TokenError,
        pcsc::{Command, Transaction},
        yubikey::tlv::{malformed, only},
    },
};

/// The applet's id, as far as it is the applet's alone, and whole with its version: a card need not know it by a part.
const AIDS: [&[u8]; 2] = [&[0xa0, 0, 0, 3, 8], &[0xa0, 0, 0, 3, 8, 0, 0, 0x10, 0, 1, 0]];
/// By which the rest of a long answer is fetched.
const MORE: u8 = 0xc0;

const VERIFY: u8 = 0x20;
const GENERATE: u8 = 0x47;
const AUTHENTICATE: u8 = 0x87;
const GET_DATA: u8 = 0xcb;
const PUT_DATA: u8 = 0xdb;
const MOVE_KEY: u8 = 0xf6;
const METADATA: u8 = 0xf7;
const SERIAL: u8 = 0xf8;
const ATTEST: u8 = 0xf9;
const IMPORT: u8 = 0xfe;
const PIN: u8 = 0x80;
/// The longest PIN, filled up with FF.
const PIN_LENGTH: usize = 8;
/// The key of a slot as a part of an answer or command.
const DYNAMIC: u8 = 0x7c;

/// What the applet answers where it does not do what it is asked.
pub(super) mod status {
    /// The PIN is not verified, or no touch came.
    pub const NOT_ALLOWED: u16 = 0x6982;
    pub const BLOCKED: u16 = 0x6983;
    /// No such key or object.
    pub const NOTHING: [u16; 2] = [0x6a82, 0x6a88];
    /// No such instruction.
    pub const UNKNOWN: u16 = 0x6d00;
}

/// The applet, selected in a transaction.
pub(super) struct Applet<'t, 's>(&'t Transaction<'s>);

/// A command's status word, or why there is none.
#[derive(Debug)]
pub(super) enum Refused {
    Status(u16),
    Other(TokenError),
}

impl From<TokenError> for Refused {
    fn from(error: TokenError) -> Self {
        Self::Other(error)
    }
}

impl Refused {
    /// A refusal that has no meaning of its own for the command `what`.
    pub fn told(self, what: &str) -> TokenError {
        match self {
            Self::Other(error) => error,
            Self::Status(status) => {
                TokenError::Failed(format!("the PIV applet refused to {what} (status {status:04X})"))
            }
        }
    }
}

/// The answer to a PIN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verified {
    Yes,
    /// It is wrong, or was not given; so many tries are left.
    No(u32),
    /// It is locked.
    Blocked,
}

impl<'t, 's> Applet<'t, 's> {
    /// Selects it. None where the card has no such applet.
    pub fn select(transaction: &'t Transaction<'s>) -> Result<Option<Self>> {
        for aid in AIDS {
            let command = Command::new(0xa4, 0x04, 0).with(aid);
            if transaction.ask(&command, MORE)?.done().is_ok() {
                return Ok(Some(Self(transaction)));
            }
        }
        Ok(None)
    }

    pub(super) fn ask(&self, command: &Command) -> Result<Vec<u8>, Refused> {
        self.0.ask(command, MORE)?.done().map_err(Refused::Status)
    }

    /// The same; none where there is no such thing.
    fn ask_if_there(&self, command: &Command, what: &str) -> Result<Option<Vec<u8>>> {
        if_there(self.ask(command), what)
    }

    /// The key's serial number; firmware 5 and later.
    pub fn serial(&self) -> Result<u32> {
        let answer = self
            .ask(&Command::new(SERIAL, 0, 0))
            .map_err(|refused| refused.told("tell its serial number"))?;
        let number = answer
            .try_into()
            .map_err(|_| malformed("a serial number of four bytes was expected"))?;
        Ok(u32::from_be_bytes(number))
    }

    /// How many tries the PIN has left; none is spent.
    pub fn tries(&self) -> Result<Verified> {
        self.verified(&Command::new(VERIFY, 0, PIN))
    }

    /// Gives the PIN, once.
    pub fn verify(&self, pin: &Secret) -> Result<Verified> {
        if pin.is_empty() || pin.len() > PIN_LENGTH {
            return Err(TokenError::Locked {
                what: format!("a PIV PIN has 1 to {PIN_LENGTH} characters, and the one that was given has {}", pin.len()),
                fix: "nothing was tried: give the PIV PIN, which is not the OATH access code; where pin-source is for that, set piv-pin-source".to_owned(),
            });
        }
        let mut command = Command::secret(VERIFY, 0, PIN, PIN_LENGTH)?;
        command.put(pin.expose());
        command.put(&[0xff; PIN_LENGTH][pin.len()..]);
        self.verified(&command)
    }

    fn verified(&self, command: &Command) -> Result<Verified> {
        match self.ask(command) {
            Ok(_) => Ok(Verified::Yes),
            Err(Refused::Status(status @ 0x63c0..=0x63cf)) => Ok(Verified::No(u32::from(status & 0x0f))),
            Err(Refused::Status(status::BLOCKED)) => Ok(Verified::Blocked),
            Err(refused) => Err(refused.told("verify its PIN")),
        }
    }

    /// What is known of a slot's key, or of the management key; none where there is no key. Firmware 5.3 and later.
    pub fn metadata(&self, slot: u8) -> Result<Option<Metadata>> {
        let answer = match self.ask(&Command::new(METADATA, 0, slot)) {
            Err(Refused::Status(status::UNKNOWN)) => {
                return Err(TokenError::Unsupported(
                    "the PIV applet of this key does not tell which of its slots have a key (GET METADATA is unknown to it), so that none can be used"
                        .to_owned(),
                ));
            }
            other => if_there(other, "tell of a key")?,
        };
        answer.map(|answer| Metadata::parse(&answer)).transpose()
    }

    /// Makes a key in a slot, with policies for its PIN and touch; answers its public half as the applet writes it.
    pub fn generate(&self, slot: Slot, algorithm: u8, policies: [u8; 2]) -> Result<Vec<u8>> {
        let inner = [0x80, 1, algorithm, 0xaa, 1, policies[0], 0xab, 1, policies[1]];
        let mut command = Command::new(GENERATE, 0, slot.0);
        command.tlv(0xac, &inner);
        let answer = self.ask(&command).map_err(|refused| refused.told("make a key"))?;
        // The tag has two bytes, 7F 49.
        match answer.split_first() {
            Some((0x7f, rest)) => only(rest, 0x49).map(<[u8]>::to_vec),
            _ => Err(malformed("a public key was expected")),
        }
    }

    /// Stores a key in a slot, by the command that has all its parts.
    pub fn import(&self, slot: Slot, algorithm: u8, parts: &[(u8, Secret)], policies: [u8; 2]) -> Result<()> {
        let room = parts.iter().map(|(_, part)| part.len() + 4).sum::<usize>() + 6;
        let mut command = Command::secret(IMPORT, algorithm, slot.0, room)?;
        for (tag, part) in parts {
            command.tlv(*tag, part.expose());
        }
        command.put(&[0xaa, 1, policies[0], 0xab, 1, policies[1]]);
        self.ask(&command)
            .map(drop)
            .map_err(|refused| refused.told("store the key"))
    }

    /// Has a slot's key work on a block or message.
    pub fn sign(&self, slot: u8, algorithm: u8, input: &[u8]) -> Result<Vec<u8>, Refused> {
        let mut inner = Command::new(AUTHENTICATE, algorithm, slot);
        inner.head(DYNAMIC, 2 + tlv_len(input.len()));
        inner.put(&[0x82, 0]);
        inner.tlv(0x81, input);
        let answer = self.ask(&inner)?;
        Ok(only(only(&answer, DYNAMIC)?, 0x82)?.to_vec())
    }

    /// A step of the authentication with the management key.
    pub fn authenticate(&self, algorithm: u8, parts: &[(u8, &[u8])]) -> Result<Vec<u8>, Refused> {
        let mut command = Command::new(AUTHENTICATE, algorithm, 0x9b);
        command.head(DYNAMIC, parts.iter().map(|(_, part)| tlv_len(part.len())).sum());
        for (tag, part) in parts {
            command.tlv(*tag, part);
        }
        let answer = self.ask(&command)?;
        if answer.is_empty() {
            return Ok(answer);
        }
        Ok(only(&answer, DYNAMIC)?.to_vec())
    }

    /// The certificate by which the key says that it made the slot's key itself; none where it did not.
    pub fn attest(&self, slot: Slot) -> Result<Option<Vec<u8>>> {
        match self.ask(&Command::new(ATTEST, slot.0, 0)) {
            Ok(certificate) => Ok(Some(certificate)),
            Err(Refused::Status(_)) => Ok(None),
            Err(refused) => Err(refused.told("attest a key")),
        }
    }

    /// A data object; none where there is no such one.
    pub fn data(&self, object: [u8; 3]) -> Result<Option<Vec<u8>>> {
        let mut command = Command::new(GET_DATA, 0x3f, 0xff);
        command.tlv(0x5c, &object);
        // A protected management key is such an object.
        let answer = self
            .ask_if_there(&command, "read a data object")?
            .map(Zeroizing::new);
        let data = answer
            .map(|answer| only(&answer, 0x53).map(<[u8]>::to_vec))
            .transpose()?;
        Ok(data.filter(|data| !data.is_empty()))
    }

    /// Writes a data object; an empty one is deleted.
    pub fn put_data(&self, object: [u8; 3], data: &[u8]) -> Result<()> {
        let mut command = Command::new(PUT_DATA, 0x3f, 0xff);
        command.tlv(0x5c, &object);
        command.tlv(0x53, data);
        self.ask(&command)
            .map(drop)
            .map_err(|refused| refused.told("write a data object"))
    }

    /// Deletes a slot's key; firmware 5.7 and later.
    pub fn delete_key(&self, slot: Slot) -> Result<()> {
        let done = self.ask_if_there(&Command::new(MOVE_KEY, 0xff, slot.0), "delete a key");
        done.map(drop)
    }
}

/// An answer; none where there is no such thing.
fn if_there(answer: Result<Vec<u8>, Refused>, what: &str) -> Result<Option<Vec<u8>>> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(Refused::Status(status)) if status::NOTHING.contains(&status) => Ok(None),
        Err(refused) => Err(refused.told(what)),
    }
}

/// The length of an item with its tag and length.
const fn tlv_len(len: usize) -> usize {
    match len {
        0..=0x7f => len + 2,
        0x80..=0xff => len + 3,
        _ => len + 4,
    }
}
