//! What pcscd answers, in words: what each code means here, and what to do.

use std::time::Duration;

use super::{
    Reader,
    holder::{Holder, holders},
    library::Code,
};
use crate::token::TokenError;

/// SCARD_E_SHARING_VIOLATION
pub(super) const SHARING: Code = 0x8010_000b;
/// SCARD_E_NO_SMARTCARD
pub(super) const NO_CARD: Code = 0x8010_000c;
/// SCARD_W_REMOVED_CARD
pub(super) const REMOVED: Code = 0x8010_0069;
/// SCARD_W_RESET_CARD
pub(super) const RESET: Code = 0x8010_0068;
/// SCARD_E_NO_READERS_AVAILABLE
pub(super) const NO_READERS: Code = 0x8010_002e;
/// SCARD_E_NO_ACCESS and SCARD_W_SECURITY_VIOLATION
pub(super) const NOT_ALLOWED: [Code; 2] = [0x8010_0027, 0x8010_006a];
/// SCARD_E_NO_MEMORY
pub(super) const NO_MEMORY: Code = 0x8010_0006;
/// No code of PC/SC: another program's transaction did not end while it was waited for.
pub(super) const OCCUPIED: Code = 0x8000_0001;

const SERVICE: &str = "pcscd, the service through which smart cards are reached,";
const START: &str = "start it: sudo systemctl enable --now pcscd.socket; where it is not installed: apt install pcscd (Debian, Ubuntu), dnf install pcsc-lite pcsc-lite-ccid (Fedora), pacman -S pcsclite ccid (Arch)";

/// A code that is not success.
pub(super) struct Trouble(pub Code);

/// What to tell where the client library cannot be loaded.
pub(super) fn no_library(why: &str) -> TokenError {
    TokenError::Missing {
        what: format!("libpcsclite, through which smart cards are reached, cannot be loaded: {why}"),
        fix: "install it: apt install pcscd libpcsclite1 (Debian, Ubuntu), dnf install pcsc-lite pcsc-lite-ccid (Fedora), pacman -S pcsclite ccid (Arch)".to_owned(),
    }
}

/// What to tell where pcscd takes a connection and says nothing for so long.
pub(super) fn silent(waited: Duration) -> TokenError {
    TokenError::Missing {
        what: format!(
            "{SERVICE} took the connection and said nothing for {} s: it hangs",
            waited.as_secs()
        ),
        fix: "start it anew: sudo systemctl restart pcscd".to_owned(),
    }
}

/// What to tell where there is no reader at all.
pub fn no_reader() -> TokenError {
    let daemon = holders().into_iter().find(|holder| holder.name == "scdaemon");
    let fix = match daemon {
        Some(holder) => format!(
            "if it is plugged in, {holder} of GnuPG may hold it by its own driver: gpgconf --kill scdaemon, and write disable-ccid into ~/.gnupg/scdaemon.conf"
        ),
        None => "plug it in; if it is in: its CCID interface may be off (ykman config usb), or the driver missing (apt install libccid; dnf install pcsc-lite-ccid; pacman -S ccid), and `pcsc_scan` shows what pcscd sees".to_owned(),
    };
    TokenError::Missing {
        what: "pcscd sees no reader, so no YubiKey is plugged in".to_owned(),
        fix,
    }
}

impl Trouble {
    /// Told of pcscd itself.
    pub fn at_service(self) -> TokenError {
        match self.0 {
            // NO_SERVICE, SERVICE_STOPPED, SERVER_TOO_BUSY, COMM_ERROR, COMM_DATA_LOST; INVALID_HANDLE, which one that was
            // started anew says of what its forerunner gave out
            0x8010_001d | 0x8010_001e | 0x8010_0031 | 0x8010_0013 | 0x8010_002f | 0x8010_0003 => {
                TokenError::Missing {
                    what: format!("{SERVICE} does not answer"),
                    fix: START.to_owned(),
                }
            }
            NO_READERS => no_reader(),
            code if NOT_ALLOWED.contains(&code) => TokenError::Missing {
                what: "pcscd does not let this user reach smart cards".to_owned(),
                fix: "allow it to the user by a polkit rule for org.debian.pcsc-lite.access_pcsc and access_card: docs/yubikey.md has one; a session at the machine itself needs none".to_owned(),
            },
            code => TokenError::Failed(format!("pcscd refused with code {code:08X}")),
        }
    }

    /// Told of the card in a reader.
    pub fn at(self, reader: &Reader) -> TokenError {
        let name = reader.name();
        match self.0 {
            SHARING => held(&name, &holders()),
            OCCUPIED => occupied(&name, &holders()),
            // UNKNOWN_READER, NO_SMARTCARD, READER_UNAVAILABLE, REMOVED_CARD, UNPOWERED_CARD, UNRESPONSIVE_CARD,
            // NOT_TRANSACTED
            0x8010_0009 | NO_CARD | 0x8010_0017 | REMOVED | 0x8010_0067 | 0x8010_0066 | 0x8010_0016 => {
                TokenError::Missing {
                    what: format!("the key in the reader {name} was pulled out, or does not answer"),
                    fix: "put it back and try again; nothing else needs to be started anew".to_owned(),
                }
            }
            RESET => TokenError::Transient(format!(
                "another program reset the key in the reader {name} meanwhile"
            )),
            0x8010_0008 => TokenError::Failed("the card's answer is longer than any it may give".to_owned()),
            _ => self.at_service(),
        }
    }
}

/// What to tell where there are readers, and no key in them that can serve.
pub fn no_key() -> TokenError {
    TokenError::Missing {
        what: "there is a reader, and no key with an OATH applet in it".to_owned(),
        fix: "put the key in; a YubiKey's applet may be turned off: ykman config usb --enable OATH"
            .to_owned(),
    }
}

/// Who it may be, in words.
fn who(holders: &[Holder]) -> String {
    match holders {
        [] => "another program".to_owned(),
        [one] => one.to_string(),
        [first, rest @ ..] => rest
            .iter()
            .fold(first.to_string(), |all, holder| format!("{all} or {holder}")),
    }
}

/// Told of a reader with whose key another program has not finished.
fn occupied(reader: &str, holders: &[Holder]) -> TokenError {
    let who = who(holders);
    TokenError::Held {
        what: format!(
            "{who} is in the middle of something on the key in the reader {reader}, and did not come to its end"
        ),
        fix: "let it end, as by the touch that it may wait for, or end it; then try again".to_owned(),
    }
}

/// Told of a reader that others hold.
fn held(reader: &str, holders: &[Holder]) -> TokenError {
    let who = who(holders);
    let fix = match holders.first().map(|holder| holder.name.as_str()) {
        Some("scdaemon") => "gpgconf --kill scdaemon; to have both, write pcsc-shared and disable-ccid into ~/.gnupg/scdaemon.conf".to_owned(),
        Some(name) => format!("end {name}, or wait until it is done, and try again"),
        None => "end the other program, GnuPG's scdaemon being the usual one (gpgconf --kill scdaemon), and try again".to_owned(),
    };
    TokenError::Held {
        what: format!("{who} holds the reader {reader} for itself"),
        fix,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Code as Kind, Error};

    #[test]
    fn each_trouble_has_its_own_error_and_remedy() {
        let reader = Reader(c"Yubico YubiKey 00 00".to_owned());
        let cases = [
            (0x8010_001d, Kind::TokenMissing, "pcscd", "pcscd.socket"),
            (0x8010_000c, Kind::TokenMissing, "pulled out", "put it back"),
            (0x8010_0069, Kind::TokenMissing, "pulled out", "put it back"),
            (0x8010_006a, Kind::TokenMissing, "this user", "polkit"),
            (0x8010_002e, Kind::TokenMissing, "no reader", "plug"),
            (0x8010_000b, Kind::TokenBusy, "Yubico YubiKey 00 00", "try again"),
            (
                OCCUPIED,
                Kind::TokenBusy,
                "in the middle of something",
                "let it end",
            ),
            (0x8010_0003, Kind::TokenMissing, "pcscd", "pcscd.socket"),
            (0x8010_0068, Kind::TokenBusy, "reset", "try again"),
            (0x8010_0001, Kind::Failed, "80100001", "doctor"),
        ];
        for (code, kind, words, fix) in cases {
            let error = Error::from(Trouble(code).at(&reader));
            assert_eq!(error.code(), kind, "{error}");
            assert!(error.message().contains(words), "{error}");
            assert!(error.advice().contains(fix), "{error}: {}", error.advice());
        }
    }

    #[test]
    fn who_holds_the_reader_is_named() {
        let holder = |name: &str, pid| Holder {
            name: name.to_owned(),
            pid,
        };
        let error = Error::from(held("R", &[holder("scdaemon", 7), holder("ykman", 8)]));
        assert!(
            error
                .message()
                .starts_with("scdaemon (process 7) or ykman (process 8)"),
            "{error}"
        );
        assert!(
            error.advice().contains("gpgconf --kill scdaemon"),
            "{}",
            error.advice()
        );
    }
}
