//! The commands of the OATH applet (Yubico, "YKOATH protocol"), in a transaction with it.

use super::{
    answers::{self, Listed, Selected, kind_of},
    code,
};
use crate::{
    algorithm::MacAlgorithm,
    error::failed,
    secret::{BlockKey, Secret},
    token::{
        Mac, Result, TokenError,
        pcsc::{Answer, Command, Transaction},
    },
};

const AID: [u8; 7] = [0xa0, 0, 0, 5, 0x27, 0x21, 0x01];
/// By which the rest of a long answer is fetched.
const MORE: u8 = 0xa5;

const PUT: u8 = 0x01;
const DELETE: u8 = 0x02;
const SET_CODE: u8 = 0x03;
const LIST: u8 = 0xa1;
const CALCULATE: u8 = 0xa2;
const VALIDATE: u8 = 0xa3;

const NAME: u8 = 0x71;
const KEY: u8 = 0x73;
const CHALLENGE: u8 = 0x74;
const RESPONSE: u8 = 0x75;
/// A tag whose value follows at once, without a length.
const PROPERTY: u8 = 0x78;
const TOUCH: u8 = 2;
/// Every credential has a number of digits, used or not.
const DIGITS: u8 = 6;

/// The longest message, in bytes.
pub(super) const LONGEST_MESSAGE: usize = 64;
/// A credential's key, in bytes.
const SHORTEST_KEY: usize = 14;
pub(super) const LONGEST_KEY: usize = 64;

/// What the applet answers where it does not do what it is asked.
pub(super) mod status {
    pub const LOCKED: u16 = 0x6982;
    /// What others answer where no touch came.
    pub const NOT_NOW: u16 = 0x6985;
    /// There is no such credential: Yubico's, and what ISO 7816-4 has for it.
    pub const NONE: [u16; 4] = [0x6984, 0x6a82, 0x6a83, 0x6a88];
    pub const WRONG: u16 = 0x6a80;
    pub const FULL: u16 = 0x6a84;
}

/// The applet, selected in a transaction.
pub(super) struct Applet<'t, 's> {
    transaction: &'t Transaction<'s>,
    /// What it said of itself.
    pub selected: Selected,
}

/// Why the applet did not answer a command as was hoped.
#[derive(Debug)]
pub(super) enum Refused {
    /// By this status word.
    Status(u16),
    /// Otherwise.
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
            Self::Status(status::LOCKED) => TokenError::Locked {
                what: "the OATH applet is locked by its access code".to_owned(),
                fix: "give the code, or set pin-source for the token in config.toml".to_owned(),
            },
            Self::Status(status) => {
                TokenError::Failed(format!("the key refused to {what} (status {status:04X})"))
            }
        }
    }
}

impl<'t, 's> Applet<'t, 's> {
    /// Selects it. None where the card has no such applet.
    pub fn select(transaction: &'t Transaction<'s>) -> Result<Option<Self>> {
        let command = Command::new(0xa4, 0x04, 0).with(&AID);
        match transaction.ask(&command, MORE)?.done() {
            Ok(answer) => Ok(Some(Self {
                transaction,
                selected: Selected::parse(&answer)?,
            })),
            Err(_) => Ok(None),
        }
    }

    fn ask(&self, command: &Command) -> Result<Vec<u8>, Refused> {
        self.answer(command)?.done().map_err(Refused::Status)
    }

    fn answer(&self, command: &Command) -> Result<Answer> {
        self.transaction.ask(command, MORE)
    }

    /// Opens it with the key of its access code. Answers whether that is the right one.
    ///
    /// # Errors
    /// When the card fails, or does not prove that it knows the code as well.
    pub fn validate(&self, key: &Secret, challenge: &[u8]) -> Result<bool> {
        let ours = random()?;
        let mut command = Command::new(VALIDATE, 0, 0);
        command.tlv(RESPONSE, &code::respond(key, challenge)?);
        command.tlv(CHALLENGE, &ours);
        match self.ask(&command) {
            Ok(answer) => {
                let proof = answers::proof(&answer)?;
                if code::is_response(key, &ours, proof)? {
                    return Ok(true);
                }
                Err(TokenError::Failed(
                    "the card took the access code and cannot prove that it knows it: it is not the key that it seems"
                        .to_owned(),
                ))
            }
            // Yubico's applet says the first of a response that is not right; a word of others is as good.
            Err(Refused::Status(status::WRONG | status::LOCKED | 0x6300..=0x63cf)) => Ok(false),
            Err(refused) => Err(refused.told("take its access code")),
        }
    }

    /// Sets the access code, by its key; none takes it away.
    pub fn set_code(&self, key: Option<&Secret>) -> Result<()> {
        let command = match key {
            None => {
                let mut command = Command::new(SET_CODE, 0, 0);
                command.tlv(KEY, &[]);
                command
            }
            Some(key) => {
                let challenge = random()?;
                let mut command = Command::secret(SET_CODE, 0, 0, 64)?;
                command.head(KEY, 1 + key.len());
                // TOTP with HMAC-SHA1.
                command.put(&[0x21]);
                command.put(key.expose());
                command.tlv(CHALLENGE, &challenge);
                command.tlv(RESPONSE, &code::respond(key, &challenge)?);
                command
            }
        };
        let done = self
            .ask(&command)
            .map_err(|refused| refused.told("change its access code"));
        done.map(drop)
    }

    /// All credentials.
    pub fn list(&self) -> Result<Vec<Listed>> {
        let answer = self
            .ask(&Command::new(LIST, 0, 0))
            .map_err(|refused| refused.told("list its credentials"))?;
        answers::list(&answer)
    }

    /// Stores a key under a name. One of that name would be overwritten: who calls has listed them.
    ///
    /// # Errors
    /// When the key is too long for the applet, or the key is full.
    pub fn put(&self, name: &[u8], key: &BlockKey, touch: bool) -> Result<(), Refused> {
        let kind = kind_of(key.algorithm()).ok_or_else(|| {
            TokenError::Unsupported(format!("an OATH applet makes no {}", key.algorithm().name()))
        })?;
        let key = trimmed(key.expose());
        if key.len() > LONGEST_KEY {
            return Err(TokenError::TooLarge {
                what: "a secret".to_owned(),
                actual: key.len(),
                limit: LONGEST_KEY,
                fix: "use another token".to_owned(),
            }
            .into());
        }
        let padding = SHORTEST_KEY.saturating_sub(key.len());
        let mut command = Command::secret(PUT, 0, 0, 8 + name.len() + LONGEST_KEY)?;
        command.tlv(NAME, name);
        command.head(KEY, 2 + key.len() + padding);
        command.put(&[kind, DIGITS]);
        command.put(key);
        command.put(&[0; SHORTEST_KEY][..padding]);
        if touch {
            command.put(&[PROPERTY, TOUCH]);
        }
        self.ask(&command).map(drop)
    }

    /// The MAC of a message with the key of this name; none where the applet gives codes of some digits only.
    pub fn calculate(
        &self,
        name: &[u8],
        algorithm: MacAlgorithm,
        message: &[u8],
    ) -> Result<Option<Mac>, Refused> {
        let mut command = Command::new(CALCULATE, 0, 0);
        command.tlv(NAME, name);
        command.tlv(CHALLENGE, message);
        let answer = self.ask(&command)?;
        Ok(answers::mac(&answer, algorithm)?)
    }

    /// Deletes the credential of this name. Answers whether there was one.
    pub fn delete(&self, name: &[u8]) -> Result<bool> {
        let mut command = Command::new(DELETE, 0, 0);
        command.tlv(NAME, name);
        match self.ask(&command) {
            Ok(_) => Ok(true),
            Err(Refused::Status(status)) if status::NONE.contains(&status) => Ok(false),
            Err(refused) => Err(refused.told("delete a credential")),
        }
    }
}

/// A block key without the zeros at its end, which HMAC puts there anyway (RFC 2104, section 2).
fn trimmed(key: &[u8]) -> &[u8] {
    let len = key.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    &key[..len]
}

fn random() -> Result<[u8; 8]> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|_| failed("the system gave no random bytes"))?;
    Ok(bytes)
}
