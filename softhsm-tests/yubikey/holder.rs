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
exclusive = ctypes.c_ulong(1)
code = lib.SCardConnect(context, b'Virtual PCD 00 00', exclusive, ctypes.c_ulong(3), ctypes.byref(handle), ctypes.byref(protocol))
print(code, flush=True)
time.sleep(60)
";

/// It, while it holds the first reader.
pub struct Holder(Child);

impl Holder {
    /// None, with a line on stderr, where there is no Python.
    pub fn start(user: &User) -> Option<Self> {
        let mut command = Command::new("python3");
        command.args(["-c", PROGRAM]).stdout(Stdio::piped());
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
