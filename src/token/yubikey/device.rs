//! Which keys are there, and what each is: its serial number by the management applet, by the OTP applet of old ones, or by the
//! PIV applet.

use super::{
    firmware::Firmware,
    oath::{self, answers::Selected},
    piv,
    tlv::items,
};
use crate::{
    error::{Code, Error, bad_input},
    token::{
        Result,
        pcsc::{Command, Reader, Service, Transaction, no_key, no_reader},
    },
};

const MANAGEMENT: [u8; 8] = [0xa0, 0, 0, 5, 0x27, 0x47, 0x11, 0x17];
const OTP: [u8; 7] = [0xa0, 0, 0, 5, 0x27, 0x20, 0x01];
/// By which these applets give the rest of a long answer.
const MORE: u8 = 0xc0;

/// A key in a reader.
#[derive(Debug, Clone)]
pub struct Device {
    /// The reader.
    pub reader: Reader,
    /// Its serial number in decimal; none where it tells none.
    pub serial: Option<String>,
    /// Its OATH applet, where it has one.
    pub oath: Option<Selected>,
}

impl Device {
    /// What to call it, for a person.
    pub fn called(&self) -> String {
        match (&self.serial, &self.oath) {
            (Some(serial), _) => format!("YubiKey {serial}"),
            (None, Some(oath)) => format!("OATH key {}", base16ct::lower::encode_string(&oath.id)),
            (None, None) => format!("card in {}", self.reader.name()),
        }
    }

    /// The id of its OATH applet in hex.
    fn applet(&self) -> Option<String> {
        self.oath
            .as_ref()
            .map(|oath| base16ct::lower::encode_string(&oath.id))
    }

    /// By which it is named to `init`, as a person would: its serial number, or the id of its applet.
    pub fn name(&self) -> String {
        self.serial.clone().or_else(|| self.applet()).unwrap_or_default()
    }

    /// Its firmware, as its OATH applet tells it.
    pub fn firmware(&self) -> Option<Firmware> {
        self.oath.as_ref().map(|oath| Firmware(oath.version))
    }
}

/// All keys with an OATH applet, with what went wrong in readers that could not be looked into.
///
/// # Errors
/// When pcscd does not answer.
pub fn all() -> Result<(Vec<Device>, Vec<crate::token::TokenError>)> {
    let service = Service::connect()?;
    let (mut devices, mut troubles) = (Vec::new(), Vec::new());
    for reader in service.readers()? {
        match look(&service, &reader) {
            Ok(device) => devices.extend(device.filter(|device| device.oath.is_some())),
            Err(trouble) => troubles.push(trouble),
        }
    }
    Ok((devices, troubles))
}

/// The key with this serial number or applet id; the only one there is, where nothing is said.
///
/// # Errors
/// When there is none, or there are several.
pub fn choose(wanted: &str) -> Result<Device, Error> {
    let (devices, troubles) = all()?;
    let fits = |device: &&Device| {
        wanted.is_empty()
            || device.serial.as_deref() == Some(wanted)
            || device.applet().is_some_and(|id| id.eq_ignore_ascii_case(wanted))
    };
    let fitting: Vec<_> = devices.iter().filter(fits).collect();
    let there: Vec<_> = devices.iter().map(Device::called).collect();
    match fitting.as_slice() {
        [one] => Ok((*one).clone()),
        [] => match troubles.into_iter().next() {
            Some(trouble) => Err(trouble.into()),
            None if devices.is_empty() && Service::connect()?.readers()?.is_empty() => {
                Err(Error::from(no_reader()))
            }
            None if devices.is_empty() => Err(Error::from(no_key())),
            None => Err(Error::new(
                Code::TokenMissing,
                format!(
                    "no key has the serial number or applet id {wanted:?}; what is there: {}",
                    there.join(", ")
                ),
            )
            .fix("plug it in, or name one that is there")),
        },
        [first, second, ..] if first.applet() == second.applet() => Err(Error::new(
            Code::TokenBusy,
            format!(
                "two readers show the {}, one by cable and one by radio",
                first.called()
            ),
        )
        .fix("take it off the one")),
        [first, rest @ ..]
            if first.serial.is_some() && rest.iter().any(|other| other.serial == first.serial) =>
        {
            let ids: Vec<_> = fitting.iter().filter_map(|device| device.applet()).collect();
            Err(bad_input(format!(
                "there are several keys that call themselves {}, with the OATH applets {}",
                first.called(),
                ids.join(", ")
            ))
            .fix(format!(
                "name one by the id of its applet: hsmsign init --yubikey {}",
                ids.first().map_or("", String::as_str)
            )))
        }
        [first, ..] => Err(
            bad_input(format!("there are several keys: {}", there.join(", "))).fix(format!(
                "name one by its serial number, or the id of its applet: hsmsign init --yubikey {}",
                first.name()
            )),
        ),
    }
}

/// What is in a reader.
pub(super) fn look(service: &Service, reader: &Reader) -> Result<Option<Device>> {
    let Some(transaction) = service.begin(reader)? else {
        return Ok(None);
    };
    let mut serial = None;
    for ask in [managed, from_otp, piv::serial] {
        serial = ask(&transaction)?.filter(|serial| *serial != 0);
        if serial.is_some() {
            break;
        }
    }
    Ok(Some(Device {
        reader: reader.clone(),
        serial: serial.map(|serial| serial.to_string()),
        oath: oath::selected(&transaction)?,
    }))
}

fn select(transaction: &Transaction<'_>, aid: &[u8]) -> Result<bool> {
    let answer = transaction.ask(&Command::new(0xa4, 0x04, 0).with(aid), MORE)?;
    Ok(answer.done().is_ok())
}

/// READ CONFIG, in whose first page the serial number has the tag 2.
fn managed(transaction: &Transaction<'_>) -> Result<Option<u32>> {
    if !select(transaction, &MANAGEMENT)? {
        return Ok(None);
    }
    let answer = transaction.ask(&Command::new(0x1d, 0, 0), MORE)?;
    Ok(answer.done().ok().as_deref().and_then(serial_of))
}

/// The serial number in the answer to READ CONFIG: a length of one byte, then items. One that is cut off, as the real ones
/// are where they go on over more pages, is read as far as it goes.
pub fn serial_of(config: &[u8]) -> Option<u32> {
    let (_, config) = config.split_first()?;
    let mut sound = items(config).map_while(Result::ok);
    let (_, serial) = sound.find(|(tag, _)| *tag == 2)?;
    serial.try_into().ok().map(u32::from_be_bytes)
}

fn from_otp(transaction: &Transaction<'_>) -> Result<Option<u32>> {
    if !select(transaction, &OTP)? {
        return Ok(None);
    }
    let answer = transaction.ask(&Command::new(0x01, 0x10, 0), MORE)?;
    let serial = answer.done().ok().and_then(|serial| serial.try_into().ok());
    Ok(serial.map(u32::from_be_bytes))
}
