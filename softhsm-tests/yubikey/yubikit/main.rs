//! Yubico's own library on a card, for the tests: `yubikit READER CODE list` prints the names of the credentials;
//! `yubikit READER CODE mac NAME MESSAGE` prints a MAC in hex, of a message in hex. A CODE of `-` is none. It is no part of
//! hsmsign: scripts/test.sh builds it apart.

use yubikit::{oath::OathSession, platform::pcsc::PcscSmartCardConnection};

fn bytes(hex: &str) -> Vec<u8> {
    let digits = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex");
    (0..hex.len()).step_by(2).map(digits).collect()
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [reader, code, rest @ ..] = args.as_slice() else {
        panic!("yubikit READER CODE list | mac NAME MESSAGE");
    };
    // Not open(): that ends the user's scdaemon.
    let connection = PcscSmartCardConnection::new(reader, false).expect("the reader opens");
    let mut session = OathSession::new(connection).map_err(|(error, _)| error).expect("the applet is there");
    if code != "-" {
        let key = session.derive_key(code);
        session.validate(&key).expect("the code is right");
    }
    let words: Vec<&str> = rest.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["list"] => {
            for credential in session.list_credentials().expect("a list") {
                println!("{}", String::from_utf8_lossy(&credential.id));
            }
        }
        ["mac", name, message] => {
            let mac = session.calculate(name.as_bytes(), &bytes(message)).expect("a MAC");
            println!("{}", mac.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
        }
        other => panic!("{other:?}"),
    }
}
