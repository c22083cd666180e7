//! The OATH applet, by Yubico's page of its protocol and as firmware 5.7.4 was observed: an empty challenge is taken, and a
//! challenge's length is judged before the credential is looked for.

use std::thread::sleep;

use hmac::{Hmac, KeyInit as _, Mac as _};

use super::{
    device::{Profile, Touch},
    tlv::{find, next, tlv},
};

/// What one credential is.
#[derive(Clone)]
pub struct Credential {
    pub name: Vec<u8>,
    /// The type in the high half, the hash in the low.
    pub kind: u8,
    pub digits: u8,
    pub key: Vec<u8>,
    pub touch: bool,
    counter: u64,
}

/// The applet.
pub struct Oath {
    pub id: [u8; 8],
    pub credentials: Vec<Credential>,
    code: Option<Vec<u8>>,
    challenge: [u8; 8],
    validated: bool,
}

const OK: u16 = 0x9000;
const WRONG: u16 = 0x6a80;
const LOCKED: u16 = 0x6982;
const NONE: u16 = 0x6984;
const FULL: u16 = 0x6a84;

fn random() -> [u8; 8] {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).unwrap();
    bytes
}

/// HMAC with a hash by its number on the wire.
pub fn mac(hash: u8, key: &[u8], message: &[u8]) -> Option<Vec<u8>> {
    macro_rules! mac {
        ($hash:ty) => {
            Hmac::<$hash>::new_from_slice(key)
                .unwrap()
                .chain_update(message)
                .finalize()
                .into_bytes()
                .to_vec()
        };
    }
    match hash {
        1 => Some(mac!(sha1::Sha1)),
        2 => Some(mac!(sha2::Sha256)),
        3 => Some(mac!(sha2::Sha512)),
        _ => None,
    }
}

impl Oath {
    pub fn new(_: &Profile) -> Self {
        Self {
            id: random(),
            credentials: Vec::new(),
            code: None,
            challenge: random(),
            validated: false,
        }
    }

    /// Whether an access code is set.
    pub fn is_locked(&self) -> bool {
        self.code.is_some()
    }

    /// What ends when the power does.
    pub fn lock(&mut self) {
        self.validated = false;
    }

    pub fn select(&mut self, profile: &Profile) -> Vec<u8> {
        self.validated = false;
        let mut parts = vec![tlv(0x79, &profile.firmware), tlv(0x71, &self.id)];
        if self.code.is_some() {
            self.challenge = random();
            parts.push(tlv(0x74, &self.challenge));
            parts.push(tlv(0x7b, &[0x01]));
        }
        if profile.manner.reversed {
            parts[0] = tlv(0x79, &[&profile.firmware[..], &[9]].concat());
            parts.insert(1, tlv(0x8f, &[1, 2, 3, 4]));
            parts.push(tlv(0x99, &[0; 130]));
            parts.reverse();
        }
        parts.concat()
    }

    pub fn command(&mut self, profile: &Profile, ins: u8, p1: u8, p2: u8, data: &[u8]) -> (Vec<u8>, u16) {
        let open = self.code.is_none() || self.validated;
        let done = match (ins, p1, p2) {
            (0xa3, 0, 0) => self.validate(profile, data),
            (0x04, 0xde, 0xad) => {
                *self = Self::new(profile);
                Ok(Vec::new())
            }
            _ if !open => Err(LOCKED),
            (0x01, 0, 0) => self.put(profile, data),
            (0x02, 0, 0) => self.delete(data),
            (0x03, 0, 0) => self.set_code(data),
            (0xa1, 0, 0) => Ok(self.list()),
            (0xa2, 0, 0 | 1) => self.calculate(profile, p2 == 1, data),
            (0xa4, 0, 1) => self.calculate_all(profile, data),
            _ => Err(0x6d00),
        };
        match done {
            Ok(answer) => (answer, OK),
            Err(status) => (Vec::new(), status),
        }
    }

    fn validate(&mut self, profile: &Profile, data: &[u8]) -> Result<Vec<u8>, u16> {
        let code = self.code.as_ref().ok_or(NONE)?;
        let asked = match profile.manner.fresh_challenges {
            true => std::mem::replace(&mut self.challenge, random()),
            false => self.challenge,
        };
        let (Some(response), Some(challenge)) = (find(data, 0x75), find(data, 0x74)) else {
            return Err(WRONG);
        };
        if response != mac(1, code, &asked).unwrap() {
            return Err(profile.manner.wrong_code);
        }
        self.validated = true;
        Ok(tlv(0x75, &mac(1, code, challenge).unwrap()))
    }

    fn set_code(&mut self, data: &[u8]) -> Result<Vec<u8>, u16> {
        let key = find(data, 0x73).ok_or(WRONG)?;
        if key.is_empty() {
            self.code = None;
            return Ok(Vec::new());
        }
        let (Some(challenge), Some(response)) = (find(data, 0x74), find(data, 0x75)) else {
            return Err(WRONG);
        };
        let (kind, key) = key.split_first().ok_or(WRONG)?;
        if kind & 0x0f != 1 || key.len() != 16 || mac(1, key, challenge).unwrap() != response {
            return Err(WRONG);
        }
        self.code = Some(key.to_vec());
        self.validated = true;
        Ok(Vec::new())
    }

    fn put(&mut self, profile: &Profile, data: &[u8]) -> Result<Vec<u8>, u16> {
        let (0x71, name, rest) = next(data).ok_or(WRONG)? else {
            return Err(WRONG);
        };
        let (0x73, secret, rest) = next(rest).ok_or(WRONG)? else {
            return Err(WRONG);
        };
        let touch = match rest {
            [] => false,
            // Tag and value, without a length.
            [0x78, property] if profile.firmware >= [4, 2, 6] => property & 2 != 0,
            [0x7a, ..] => false,
            _ => return Err(WRONG),
        };
        let [kind, digits, key @ ..] = secret else {
            return Err(WRONG);
        };
        let (kind, digits) = (*kind, *digits);
        let hashes = match profile.firmware {
            [4, ..] if profile.fips => 1..=2,
            version if version < [4, 3, 1] => 1..=2,
            _ => 1..=3,
        };
        let sound = (1..=64).contains(&name.len())
            && (14..=64).contains(&key.len())
            && (6..=8).contains(&digits)
            && matches!(kind >> 4, 1 | 2)
            && hashes.contains(&(kind & 0x0f));
        if !sound {
            return Err(WRONG);
        }
        let new = Credential {
            name: name.to_vec(),
            kind,
            digits,
            key: key.to_vec(),
            touch,
            counter: 0,
        };
        let room = if profile.firmware >= [5, 7, 0] { 64 } else { 32 };
        let full = self.credentials.len() >= room;
        match self.credentials.iter_mut().find(|other| other.name == new.name) {
            Some(other) => *other = new,
            None if full => return Err(FULL),
            None => self.credentials.push(new),
        }
        Ok(Vec::new())
    }

    fn delete(&mut self, data: &[u8]) -> Result<Vec<u8>, u16> {
        let name = find(data, 0x71).ok_or(WRONG)?;
        let before = self.credentials.len();
        self.credentials.retain(|credential| credential.name != name);
        if self.credentials.len() == before {
            return Err(NONE);
        }
        Ok(Vec::new())
    }

    fn list(&self) -> Vec<u8> {
        let all = self
            .credentials
            .iter()
            .map(|credential| tlv(0x72, &[&[credential.kind][..], &credential.name].concat()));
        all.collect::<Vec<_>>().concat()
    }

    fn calculate(&mut self, profile: &Profile, truncate: bool, data: &[u8]) -> Result<Vec<u8>, u16> {
        let name = find(data, 0x71).ok_or(WRONG)?;
        let challenge = find(data, 0x74).ok_or(WRONG)?;
        if challenge.len() > profile.challenge {
            return Err(WRONG);
        }
        let credential = self
            .credentials
            .iter_mut()
            .find(|credential| credential.name == name)
            .ok_or(profile.manner.none)?;
        if credential.touch {
            match profile.touch {
                Touch::After(time) => sleep(time),
                Touch::Never(time) => {
                    sleep(time);
                    return Err(profile.manner.no_touch);
                }
            }
        }
        Ok(credential.answer(truncate || profile.truncates, challenge))
    }

    fn calculate_all(&mut self, profile: &Profile, data: &[u8]) -> Result<Vec<u8>, u16> {
        let challenge = find(data, 0x74).ok_or(WRONG)?;
        if challenge.len() > profile.challenge {
            return Err(WRONG);
        }
        let all = self.credentials.iter_mut().map(|credential| {
            let answer = match (credential.kind >> 4, credential.touch) {
                (1, _) => tlv(0x77, &[credential.digits]),
                (_, true) => tlv(0x7c, &[credential.digits]),
                _ => credential.answer(true, challenge),
            };
            [tlv(0x71, &credential.name), answer].concat()
        });
        Ok(all.collect::<Vec<_>>().concat())
    }
}

impl Credential {
    fn answer(&mut self, truncate: bool, challenge: &[u8]) -> Vec<u8> {
        let counter;
        let message = if self.kind >> 4 == 1 {
            counter = self.counter.to_be_bytes();
            self.counter += 1;
            &counter[..]
        } else {
            challenge
        };
        let mac = mac(self.kind & 0x0f, &self.key, message).unwrap();
        if !truncate {
            return tlv(0x75, &[&[self.digits][..], &mac].concat());
        }
        let at = usize::from(mac[mac.len() - 1] & 0x0f);
        let code = [mac[at] & 0x7f, mac[at + 1], mac[at + 2], mac[at + 3]];
        tlv(0x76, &[&[self.digits][..], &code].concat())
    }
}
