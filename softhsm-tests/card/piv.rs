//! The PIV applet, as far as hsmsign and ykman use it (NIST SP 800-73-4, and Yubico's additions of firmware 5.3 and 5.7).

use std::{collections::BTreeMap, thread::sleep};

use aes::cipher::{Block, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};

use super::{
    device::{Profile, Touch},
    pairs::{Attester, Pair},
    tlv::{find, next, tlv},
};

const OK: u16 = 0x9000;
const WRONG: u16 = 0x6a80;
const NOT_ALLOWED: u16 = 0x6982;
const BLOCKED: u16 = 0x6983;
const NO_KEY: u16 = 0x6a88;
const NO_OBJECT: u16 = 0x6a82;
const FACTORY: [u8; 24] = [
    1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8,
];

/// A slot's key.
pub struct Key {
    pub pair: Pair,
    /// Of PIN and touch.
    pub policies: [u8; 2],
    generated: bool,
}

/// The applet.
pub struct Piv {
    pub keys: BTreeMap<u8, Key>,
    pub objects: BTreeMap<Vec<u8>, Vec<u8>>,
    pub pin: Vec<u8>,
    pub tries: u8,
    /// How often a PIN was tried.
    pub tried: usize,
    manager: (u8, Vec<u8>),
    verified: bool,
    managed: bool,
    witness: Vec<u8>,
    pub attester: Attester,
}

impl Piv {
    pub fn new(profile: &Profile) -> Self {
        let attester = Attester::new(profile.attests, profile.serial);
        let certificate = [tlv(0x70, attester.certificate()), tlv(0x71, &[0]), tlv(0xfe, &[])].concat();
        Self {
            keys: BTreeMap::new(),
            objects: BTreeMap::from([(vec![0x5f, 0xff, 0x01], certificate)]),
            pin: b"123456".to_vec(),
            tries: 3,
            tried: 0,
            manager: (
                if profile.firmware >= [5, 7, 0] { 0x0a } else { 0x03 },
                FACTORY.to_vec(),
            ),
            verified: false,
            managed: false,
            witness: Vec::new(),
            attester,
        }
    }

    /// Has it keep another management key behind its PIN, as ykman does.
    pub fn protect(&mut self, key: &[u8]) {
        self.manager.1 = key.to_vec();
        self.objects
            .insert(vec![0x5f, 0xc1, 0x09], tlv(0x88, &tlv(0x89, key)));
    }

    pub fn lock(&mut self) {
        self.verified = false;
        self.managed = false;
    }

    pub fn select(&mut self) -> Vec<u8> {
        self.lock();
        tlv(
            0x61,
            &[
                tlv(0x4f, &[0, 0, 0x10, 0, 1, 0]),
                tlv(0x79, &tlv(0x4f, &[0xa0, 0, 0, 3, 8])),
            ]
            .concat(),
        )
    }

    pub fn command(&mut self, profile: &Profile, ins: u8, p1: u8, p2: u8, data: &[u8]) -> (Vec<u8>, u16) {
        let done = match (ins, p1, p2) {
            (0x20, 0, 0x80) => self.verify(data),
            (0x24, 0, 0x80) => self.change_pin(data),
            (0x47, 0, slot) => self.generate(profile, slot, data),
            (0x87, algorithm, 0x9b) => self.authenticate(algorithm, data),
            (0x87, algorithm, slot) => self.sign(profile, algorithm, slot, data),
            (0xcb, 0x3f, 0xff) => self.data(data),
            (0xdb, 0x3f, 0xff) => self.put_data(data),
            (0xf6, 0xff, slot) if profile.firmware >= [5, 7, 0] => self.delete(slot),
            (0xf7, 0, slot) if profile.firmware >= [5, 3, 0] && !profile.manner.no_metadata => {
                self.metadata(slot)
            }
            (0xf8, 0, 0) => profile
                .serial
                .map(|serial| serial.to_be_bytes().to_vec())
                .ok_or(0x6d00),
            (0xf9, slot, 0) => self.attest(slot),
            (0xfd, 0, 0) => Ok(profile.firmware.to_vec()),
            (0xfe, algorithm, slot) => self.import(algorithm, slot, data),
            (0xff, 0xff, 0xff | 0xfe) => self.set_manager(data),
            _ => Err(0x6d00),
        };
        match done {
            Ok(answer) => (answer, OK),
            Err(status) => (Vec::new(), status),
        }
    }

    fn verify(&mut self, pin: &[u8]) -> Result<Vec<u8>, u16> {
        if self.tries == 0 {
            return Err(BLOCKED);
        }
        if pin.is_empty() {
            return if self.verified {
                Ok(Vec::new())
            } else {
                Err(0x63c0 | u16::from(self.tries))
            };
        }
        if pin.len() != 8 {
            return Err(WRONG);
        }
        self.tried += 1;
        self.verified = pin
            .iter()
            .copied()
            .take_while(|byte| *byte != 0xff)
            .eq(self.pin.iter().copied());
        if self.verified {
            self.tries = 3;
            return Ok(Vec::new());
        }
        self.tries -= 1;
        Err(if self.tries == 0 {
            BLOCKED
        } else {
            0x63c0 | u16::from(self.tries)
        })
    }

    fn change_pin(&mut self, data: &[u8]) -> Result<Vec<u8>, u16> {
        let (old, new) = data.split_at_checked(8).ok_or(WRONG)?;
        self.verify(old)?;
        self.pin = new.iter().copied().take_while(|byte| *byte != 0xff).collect();
        Ok(Vec::new())
    }

    fn managed(&self) -> Result<(), u16> {
        if self.managed { Ok(()) } else { Err(NOT_ALLOWED) }
    }

    fn generate(&mut self, profile: &Profile, slot: u8, data: &[u8]) -> Result<Vec<u8>, u16> {
        self.managed()?;
        let inner = find(data, 0xac).ok_or(WRONG)?;
        let algorithm = *find(inner, 0x80).and_then(<[u8]>::first).ok_or(WRONG)?;
        if profile.firmware < [5, 7, 0] && ![0x07, 0x11].contains(&algorithm) {
            return Err(WRONG);
        }
        let pair = Pair::generate(algorithm).ok_or(WRONG)?;
        let written = pair.public();
        let public = tlv(0x49, &written);
        self.keys.insert(
            slot,
            Key {
                pair,
                policies: policies(inner),
                generated: true,
            },
        );
        Ok([&[0x7f][..], &public].concat())
    }

    fn import(&mut self, algorithm: u8, slot: u8, data: &[u8]) -> Result<Vec<u8>, u16> {
        self.managed()?;
        let pair = Pair::import(algorithm, data).ok_or(WRONG)?;
        self.keys.insert(
            slot,
            Key {
                pair,
                policies: policies(data),
                generated: false,
            },
        );
        Ok(Vec::new())
    }

    fn sign(&mut self, profile: &Profile, algorithm: u8, slot: u8, data: &[u8]) -> Result<Vec<u8>, u16> {
        let key = self.keys.get(&slot).ok_or(0x6985_u16)?;
        if key.pair.algorithm() != algorithm {
            return Err(WRONG);
        }
        if key.policies[0] != 1 && !self.verified {
            return Err(NOT_ALLOWED);
        }
        if key.policies[0] == 3 {
            self.verified = false;
        }
        if key.policies[1] == 2 {
            match profile.touch {
                Touch::After(time) => sleep(time),
                Touch::Never(time) => {
                    sleep(time);
                    return Err(NOT_ALLOWED);
                }
            }
        }
        let inner = find(data, 0x7c).ok_or(WRONG)?;
        if find(inner, 0x82) != Some(&[]) {
            return Err(WRONG);
        }
        let input = find(inner, 0x81).ok_or(WRONG)?;
        let signature = key.pair.sign(input).ok_or(WRONG)?;
        Ok(tlv(0x7c, &tlv(0x82, &signature)))
    }

    fn authenticate(&mut self, algorithm: u8, data: &[u8]) -> Result<Vec<u8>, u16> {
        let inner = find(data, 0x7c).ok_or(WRONG)?;
        let (number, key) = &self.manager;
        if *number != algorithm {
            return Err(WRONG);
        }
        match (find(inner, 0x80), find(inner, 0x81)) {
            (Some([]), None) => {
                self.witness = vec![0; if algorithm == 3 { 8 } else { 16 }];
                getrandom::fill(&mut self.witness).unwrap();
                Ok(tlv(0x7c, &tlv(0x80, &encrypt(algorithm, key, &self.witness))))
            }
            (Some(witness), Some(challenge)) if !witness.is_empty() && witness == self.witness => {
                self.managed = true;
                Ok(tlv(0x7c, &tlv(0x82, &encrypt(algorithm, key, challenge))))
            }
            _ => Err(NOT_ALLOWED),
        }
    }

    fn set_manager(&mut self, data: &[u8]) -> Result<Vec<u8>, u16> {
        self.managed()?;
        let (algorithm, rest) = data.split_first().ok_or(WRONG)?;
        let (_, key, _) = next(rest).ok_or(WRONG)?;
        self.manager = (*algorithm, key.to_vec());
        Ok(Vec::new())
    }

    fn data(&self, data: &[u8]) -> Result<Vec<u8>, u16> {
        let object = find(data, 0x5c).ok_or(WRONG)?;
        // "Printed information" is behind the PIN.
        if object == [0x5f, 0xc1, 0x09] && !self.verified {
            return Err(NOT_ALLOWED);
        }
        let value = self.objects.get(object).ok_or(NO_OBJECT)?;
        Ok(tlv(0x53, value))
    }

    fn put_data(&mut self, data: &[u8]) -> Result<Vec<u8>, u16> {
        self.managed()?;
        let object = find(data, 0x5c).ok_or(WRONG)?.to_vec();
        match find(data, 0x53).ok_or(WRONG)? {
            [] => drop(self.objects.remove(&object)),
            value => drop(self.objects.insert(object, value.to_vec())),
        }
        Ok(Vec::new())
    }

    fn delete(&mut self, slot: u8) -> Result<Vec<u8>, u16> {
        self.managed()?;
        self.keys.remove(&slot).map(|_| Vec::new()).ok_or(NO_KEY)
    }

    fn metadata(&self, slot: u8) -> Result<Vec<u8>, u16> {
        if slot == 0x9b {
            let default = u8::from(self.manager.1 == FACTORY);
            return Ok([tlv(1, &[self.manager.0]), tlv(2, &[0, 1]), tlv(5, &[default])].concat());
        }
        if [0x80, 0x81].contains(&slot) {
            let default = u8::from(self.pin == b"123456");
            return Ok([tlv(1, &[0xff]), tlv(5, &[default]), tlv(6, &[3, self.tries])].concat());
        }
        let key = self.keys.get(&slot).ok_or(NO_KEY)?;
        let parts = [
            tlv(1, &[key.pair.algorithm()]),
            tlv(2, &key.policies),
            tlv(3, &[if key.generated { 1 } else { 2 }]),
            tlv(4, &key.pair.public()),
        ];
        Ok(parts.concat())
    }

    fn attest(&self, slot: u8) -> Result<Vec<u8>, u16> {
        let key = self.keys.get(&slot).filter(|key| key.generated).ok_or(NO_KEY)?;
        self.attester.attest(&key.pair, slot).ok_or(WRONG)
    }
}

/// Of PIN and touch; what is not said is the slot's usual.
fn policies(data: &[u8]) -> [u8; 2] {
    let of = |tag, usual| find(data, tag).and_then(<[u8]>::first).copied().unwrap_or(usual);
    [of(0xaa, 2), of(0xab, 1)]
}

fn encrypt(algorithm: u8, key: &[u8], block: &[u8]) -> Vec<u8> {
    fn run<C: KeyInit + BlockCipherEncrypt + BlockCipherDecrypt>(key: &[u8], block: &[u8]) -> Vec<u8> {
        let mut block = Block::<C>::try_from(block).unwrap();
        C::new_from_slice(key).unwrap().encrypt_block(&mut block);
        block.to_vec()
    }
    match algorithm {
        0x03 => run::<des::TdesEde3>(key, block),
        0x08 => run::<aes::Aes128>(key, block),
        0x0a => run::<aes::Aes192>(key, block),
        _ => run::<aes::Aes256>(key, block),
    }
}
