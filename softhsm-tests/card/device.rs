//! A virtual YubiKey: its applets behind one connection, what it was asked, and its faults.

use std::{
    fs::File,
    net::{Shutdown, TcpStream},
    os::fd::AsFd as _,
    path::PathBuf,
    process::Child,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, sleep},
    time::{Duration, Instant},
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::{
    faults::Fault,
    management::Management,
    manner::Manner,
    oath::Oath,
    pairs::Attests,
    piv::Piv,
    wire::{self, Order},
};

/// The NFC form: ykman takes the USB form under Yubico's own reader names only.
pub const ATR: [u8; 18] = [
    0x3b, 0x8d, 0x80, 0x01, 0x80, 0x73, 0xc0, 0x21, 0xc0, 0x57, 0x59, 0x75, 0x62, 0x69, 0x4b, 0x65, 0x79,
    0xf9,
];

/// pcscd looks every 400 ms whether a card is there.
const TWO_LOOKS: Duration = Duration::from_millis(900);

/// What kind of key it is.
#[derive(Debug, Clone)]
pub struct Profile {
    /// Its firmware, which all its applets tell.
    pub firmware: [u8; 3],
    /// Its serial number; none where it has no applet that tells one, as other makers' tokens.
    pub serial: Option<u32>,
    /// A YubiKey FIPS.
    pub fips: bool,
    /// It answers truncated codes only, as the Nitrokey 3 and Solo 2.
    pub truncates: bool,
    /// The longest challenge that it takes.
    pub challenge: usize,
    /// The most bytes of one answer; the rest is asked for.
    pub chunk: usize,
    /// Whether and when a touch that it waits for comes.
    pub touch: Touch,
    /// Its PIV applet is there.
    pub piv: bool,
    /// What it attests its keys with.
    pub attests: Attests,
    /// Its management applet tells no serial number, and its OTP applet is off.
    pub silent: bool,
    /// How it answers.
    pub manner: Manner,
}

/// Whether a touch comes that a key waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Touch {
    /// After this time.
    After(Duration),
    /// Not within this time, in which the key gives up; fifteen seconds on the real one.
    Never(Duration),
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            firmware: [5, 7, 4],
            serial: Some(12_345_678),
            fips: false,
            truncates: false,
            challenge: 64,
            chunk: 256,
            touch: Touch::After(Duration::from_millis(10)),
            piv: true,
            attests: Attests::Soundly,
            silent: false,
            manner: Manner::default(),
        }
    }
}

/// One APDU with its answer, and how long the card worked on it.
#[derive(Debug, Clone)]
pub struct Exchange {
    pub command: Vec<u8>,
    pub answer: Vec<u8>,
    pub took: Duration,
}

/// What is behind the connection.
pub struct Inside {
    pub profile: Profile,
    pub oath: Oath,
    pub piv: Piv,
    management: Management,
    selected: Option<Applet>,
    rest: Vec<u8>,
    chain: Vec<u8>,
    fault: Option<Fault>,
    log: Vec<Exchange>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Applet {
    Oath,
    Management,
    Otp,
    Piv,
}

/// A card with a place in a reader.
pub struct Card {
    port: u16,
    inside: Arc<Mutex<Inside>>,
    link: Arc<Link>,
}

/// Where the card stands to its reader.
#[derive(Default)]
struct Link {
    /// The network that the reader is in, as a file of /proc.
    network: Mutex<Option<PathBuf>>,
    out: AtomicBool,
    /// How often the reader powered it.
    powered: AtomicUsize,
    /// How often the reader looked whether it is there.
    looks: AtomicUsize,
    /// The instruction that it does not answer, and that which it is at.
    gate: Mutex<Option<u8>>,
    held: Mutex<Option<u8>>,
    stream: Mutex<Option<TcpStream>>,
}

impl Card {
    /// For the reader that listens on this port.
    pub fn new(port: u16, profile: Profile) -> Self {
        let card = Self {
            port,
            inside: Arc::new(Mutex::new(Inside::new(profile))),
            link: Arc::default(),
        };
        let (inside, link) = (Arc::clone(&card.inside), Arc::clone(&card.link));
        thread::spawn(move || {
            while Arc::strong_count(&link) > 1 {
                if let Some(mut stream) = link.connect(port) {
                    serve(&mut stream, &inside, &link);
                    let _ = stream.shutdown(Shutdown::Both);
                }
                sleep(Duration::from_millis(5));
            }
        });
        card
    }

    /// Goes into the reader of this pcscd, and waits until it is seen.
    pub fn enter(&self, pcscd: &Child) {
        let before = self.link.powered.load(Ordering::SeqCst);
        // Those of a reader before are none of this one's.
        self.link.looks.store(0, Ordering::SeqCst);
        *self.link.network.lock().unwrap() = Some(format!("/proc/{}/ns/net", pcscd.id()).into());
        if self.is_in() {
            // A pcscd that starts powers every card that it finds.
            self.wait_until_seen(before, usize::MAX);
        }
    }

    /// What is in it.
    pub fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Becomes another key, of this kind.
    pub fn become_another(&self, profile: Profile) {
        *self.inside() = Inside::new(profile);
    }

    /// Resets its OATH applet, as anybody may.
    pub fn reset_oath(&self) {
        let mut inside = self.inside();
        let profile = inside.profile.clone();
        inside.oath.command(&profile, 0x04, 0xde, 0xad, &[]);
    }

    /// From here on it has this fault.
    pub fn fail(&self, fault: Fault) {
        self.inside().fault = Some(fault);
    }

    /// It has no fault.
    pub fn mend(&self) {
        self.inside().fault = None;
    }

    /// Takes the log of what it was asked since the last time.
    pub fn exchanges(&self) -> Vec<Exchange> {
        std::mem::take(&mut self.inside().log)
    }

    /// The instructions that it was asked since the last time.
    pub fn instructions(&self) -> Vec<u8> {
        self.exchanges()
            .iter()
            .map(|exchange| exchange.command[1])
            .collect()
    }

    /// From here on it takes its time with this instruction, until it is let go on.
    pub fn hold_at(&self, instruction: u8) {
        *self.link.gate.lock().unwrap() = Some(instruction);
    }

    /// Waits until it was asked the instruction that it holds at.
    pub fn wait_until_held(&self) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while *self.link.held.lock().unwrap() != *self.link.gate.lock().unwrap() {
            assert!(Instant::now() < deadline, "the card is not asked that");
            sleep(Duration::from_millis(1));
        }
    }

    /// Lets it go on.
    pub fn go_on(&self) {
        *self.link.gate.lock().unwrap() = None;
    }

    /// Whether it is in its reader.
    pub fn is_in(&self) -> bool {
        !self.link.out.load(Ordering::SeqCst)
    }

    /// Pulls it out, and gives pcscd the time to see it.
    pub fn pull(&self) {
        self.link.out.store(true, Ordering::SeqCst);
        if let Some(stream) = self.link.stream.lock().unwrap().as_ref() {
            let _ = stream.shutdown(Shutdown::Both);
        }
        sleep(TWO_LOOKS);
    }

    /// Puts it back, and waits until the reader has seen it.
    pub fn put_back(&self) {
        // What comes back between two looks was never gone to pcscd.
        sleep(TWO_LOOKS);
        self.inside().power_off();
        let before = self.link.powered.load(Ordering::SeqCst);
        self.link.looks.store(0, Ordering::SeqCst);
        self.link.out.store(false, Ordering::SeqCst);
        // Where it was not missed it is powered only when it is used next.
        self.wait_until_seen(before, 5);
    }

    /// Waits until it is powered, or was looked at so often.
    fn wait_until_seen(&self, before: usize, looks: usize) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.link.powered.load(Ordering::SeqCst) == before
            && self.link.looks.load(Ordering::SeqCst) < looks
        {
            assert!(Instant::now() < deadline, "the reader does not see the card");
            sleep(Duration::from_millis(5));
        }
    }
}

impl Link {
    /// Stands still while this is the instruction that is not answered.
    fn hold(&self, instruction: Option<u8>) {
        let is_gated = || instruction.is_some() && *self.gate.lock().unwrap() == instruction;
        while is_gated() {
            *self.held.lock().unwrap() = instruction;
            sleep(Duration::from_millis(1));
        }
        *self.held.lock().unwrap() = None;
    }

    fn connect(&self, port: u16) -> Option<TcpStream> {
        if self.out.load(Ordering::SeqCst) {
            return None;
        }
        let network = File::open(self.network.lock().unwrap().as_ref()?).ok()?;
        // This thread alone; what it opens there stays there.
        move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network)).ok()?;
        let stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
        stream.set_nodelay(true).ok()?;
        *self.stream.lock().unwrap() = Some(stream.try_clone().ok()?);
        Some(stream)
    }
}

fn serve(stream: &mut TcpStream, inside: &Mutex<Inside>, link: &Link) {
    while let Ok(order) = wire::read(stream) {
        if let Order::Apdu(apdu) = &order {
            link.hold(apdu.get(1).copied());
        }
        let mut card = inside.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = match order {
            Order::Off | Order::Reset => {
                card.power_off();
                continue;
            }
            Order::On => {
                link.powered.fetch_add(1, Ordering::SeqCst);
                continue;
            }
            Order::Atr => {
                link.looks.fetch_add(1, Ordering::SeqCst);
                ATR.to_vec()
            }
            Order::Apdu(apdu) => match card.exchange(&apdu) {
                Some(answer) => answer,
                None => return link.out.store(true, Ordering::SeqCst),
            },
        };
        drop(card);
        if wire::write(stream, &answer).is_err() {
            return;
        }
    }
}

impl Inside {
    fn new(profile: Profile) -> Self {
        Self {
            oath: Oath::new(&profile),
            piv: Piv::new(&profile),
            management: Management::new(&profile),
            profile,
            selected: None,
            rest: Vec::new(),
            chain: Vec::new(),
            fault: None,
            log: Vec::new(),
        }
    }

    fn power_off(&mut self) {
        self.selected = None;
        self.rest.clear();
        self.chain.clear();
        self.oath.lock();
        self.piv.lock();
    }

    /// The answer to one APDU; none where the card is pulled out at this moment.
    fn exchange(&mut self, apdu: &[u8]) -> Option<Vec<u8>> {
        let begun = Instant::now();
        if let Some(Fault::PulledAt(count)) = &mut self.fault {
            *count -= 1;
            if *count == 0 {
                self.fault = None;
                self.log.push(Exchange {
                    command: apdu.to_vec(),
                    answer: Vec::new(),
                    took: begun.elapsed(),
                });
                return None;
            }
        }
        let (mut data, mut status) = self.answer(apdu);
        match self.fault {
            Some(Fault::Answers(ins, bytes)) if apdu.get(1) == Some(&ins) => data = bytes.to_vec(),
            Some(Fault::Status(ins, other)) if apdu.get(1) == Some(&ins) => {
                (data, status) = (Vec::new(), other);
            }
            Some(Fault::WantsLength(ins)) if apdu.get(1) == Some(&ins) && apdu.len() > 5 => {
                (data, status) = (Vec::new(), 0x6c00);
            }
            Some(Fault::ForgesValidation) if apdu.get(1) == Some(&0xa3) => {
                if let Some(last) = data.last_mut() {
                    *last ^= 1;
                }
            }
            Some(Fault::TurnsABit) if apdu.get(1) == Some(&0xa2) => {
                if let Some(last) = data.last_mut() {
                    *last ^= 1;
                }
            }
            Some(Fault::NeverEnds(ins)) if [Some(&ins), Some(&0xa5)].contains(&apdu.get(1)) => {
                (data, status) = (vec![0x72; 200], 0x61ff);
            }
            _ => {}
        }
        let room = match self.profile.manner.fetched && status == 0x9000 && !self.is_fetching(apdu) {
            true => 0,
            false => self.profile.chunk,
        };
        if data.len() > room {
            self.rest = data.split_off(room);
            status = 0x6100 | self.rest.len().min(0xff) as u16;
        }
        // The command is done; its answer waits for the command that names its length.
        if let Some(length) = self.inexact(apdu, &data, status) {
            self.rest = data;
            (data, status) = (Vec::new(), 0x6c00 | length);
        }
        data.extend(status.to_be_bytes());
        if let Some(Fault::CutTo(ins, len)) = self.fault
            && apdu.get(1) == Some(&ins)
        {
            data.truncate(len);
        }
        self.log.push(Exchange {
            command: apdu.to_vec(),
            answer: data.clone(),
            took: begun.elapsed(),
        });
        Some(data)
    }

    fn is_fetching(&self, apdu: &[u8]) -> bool {
        apdu.get(1) == Some(&self.more())
    }

    /// The instruction that fetches the rest of an answer.
    fn more(&self) -> u8 {
        match self.selected {
            Some(Applet::Oath) if !self.profile.manner.by_get_response => 0xa5,
            _ => 0xc0,
        }
    }

    /// The length that a command should have named, where it named another.
    fn inexact(&self, apdu: &[u8], data: &[u8], status: u16) -> Option<u16> {
        let named = apdu.get(4).copied().filter(|_| apdu.len() == 5)?;
        let exact = data.len() == usize::from(named) || status != 0x9000;
        let len = u16::try_from(data.len())
            .ok()
            .filter(|len| (1..=0xff).contains(len))?;
        (self.profile.manner.exact && !exact).then_some(len)
    }

    fn answer(&mut self, apdu: &[u8]) -> (Vec<u8>, u16) {
        let Some((class, [ins, p1, p2], data)) = parse(apdu) else {
            return (Vec::new(), 0x6700);
        };
        if self.profile.manner.strict && apdu.len() == 4 {
            return (Vec::new(), 0x6700);
        }
        if self.profile.manner.exact && apdu.len() == 5 && !self.rest.is_empty() && apdu[4] != 0 {
            return (std::mem::take(&mut self.rest), 0x9000);
        }
        if class & 0x10 != 0 {
            self.chain.extend(data);
            return (Vec::new(), 0x9000);
        }
        let data = [&std::mem::take(&mut self.chain)[..], data].concat();
        if ins == 0xa4 && p1 == 0x04 {
            return self.select(&data);
        }
        if ins == self.more() {
            return (std::mem::take(&mut self.rest), 0x9000);
        }
        match self.selected {
            None => (Vec::new(), 0x6d00),
            Some(Applet::Oath) => self.oath.command(&self.profile, ins, p1, p2, &data),
            Some(Applet::Piv) => self.piv.command(&self.profile, ins, p1, p2, &data),
            Some(Applet::Management) => self.management.command(ins, p1),
            Some(Applet::Otp) => match (ins, p1, self.profile.serial) {
                (0x01, 0x10, Some(serial)) => (serial.to_be_bytes().to_vec(), 0x9000),
                _ => (Vec::new(), 0x6a80),
            },
        }
    }

    fn select(&mut self, aid: &[u8]) -> (Vec<u8>, u16) {
        let whole: &[u8] = &[0xa0, 0, 0, 3, 8, 0, 0, 0x10, 0, 1, 0];
        let (applet, answer) = match aid {
            [0xa0, 0, 0, 3, 8, ..] if self.profile.manner.whole_ids && aid != whole => {
                return (Vec::new(), 0x6a82);
            }
            [0xa0, 0, 0, 5, 0x27, 0x21, 0x01] => (Applet::Oath, self.oath.select(&self.profile)),
            [0xa0, 0, 0, 5, 0x27, 0x47, 0x11, 0x17] if self.profile.serial.is_some() => {
                (Applet::Management, self.management.select())
            }
            [0xa0, 0, 0, 5, 0x27, 0x20, 0x01] if self.profile.serial.is_some() && !self.profile.silent => {
                let version = self.profile.firmware;
                (Applet::Otp, [&version[..], &[0, 0, 0]].concat())
            }
            [0xa0, 0, 0, 3, 8, ..] if self.profile.piv => (Applet::Piv, self.piv.select()),
            _ => return (Vec::new(), 0x6a82),
        };
        self.selected = Some(applet);
        self.rest.clear();
        (answer, 0x9000)
    }
}

/// Class, header and data of an APDU, short or extended; none where its lengths do not agree.
fn parse(apdu: &[u8]) -> Option<(u8, [u8; 3], &[u8])> {
    let (&[class, ins, p1, p2], rest) = apdu.split_first_chunk::<4>()?;
    let data = match rest {
        [] | [_] => &[][..],
        [0, high, low, rest @ ..] => rest.get(..usize::from(*high) << 8 | usize::from(*low))?,
        [len, rest @ ..] if (usize::from(*len)..=usize::from(*len) + 1).contains(&rest.len()) => {
            &rest[..usize::from(*len)]
        }
        _ => return None,
    };
    Some((class, [ins, p1, p2], data))
}
