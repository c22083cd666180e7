//! Another program that takes a reader for itself: Python, with the client library of pcscd.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

use crate::user::User;

const PROGRAM: &str = "\
import ctypes, sys, time
lib = ctypes.CDLL('libpcsclite.so.1')
context, handle, protocol = ctypes.c_long(), ctypes.c_long(), ctypes.c_ulong()
assert lib.SCardEstablishContext(ctypes.c_ulong(2), None, None, ctypes.byref(context)) == 0
share = ctypes.c_ulong(1 if sys.argv[1] == 'alone' else 2)
code = lib.SCardConnect(context, b'Virtual PCD 00 00', share, ctypes.c_ulong(3), ctypes.byref(handle), ctypes.byref(protocol))
if sys.argv[1] == 'busy':
    code = code or lib.SCardBeginTransaction(handle)
print(code, flush=True)
time.sleep(600)
";

/// It, while it holds the first reader.
pub struct Holder(Child);

impl Holder {
    /// That takes the reader for itself. None, with a line on stderr, where there is no Python.
    pub fn start(user: &User) -> Option<Self> {
        Self::how(user, "alone")
    }

    /// That is in the middle of something on the key, and does not come to its end.
    pub fn busy(user: &User) -> Option<Self> {
        Self::how(user, "busy")
    }

    fn how(user: &User, how: &str) -> Option<Self> {
        let mut command = Command::new("python3");
        command.args(["-c", PROGRAM, how]).stdout(Stdio::piped());
        let Ok(mut child) = user.desk.at(&mut command).spawn() else {
            eprintln!("SKIPPED: python3 is not there to hold a reader");
            return None;
        };
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert_eq!(line.trim(), "0", "the reader is held");
        Some(Self(child))
    }

    pub fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
