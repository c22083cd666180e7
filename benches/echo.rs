//! What a round trip over two processes costs at least: `echo SOCKET [PROGRAM ARGUMENT…]` passes what comes to a second
//! process, and its answer back; this program again, which answers with what it gets, or another, whose standard input is a
//! socket.
//!
//! The agent is measured against it: a front and a worker cost a client no less than this.

use std::{
    error::Error,
    io::{Read, Write},
    os::{
        fd::OwnedFd,
        unix::net::{UnixListener, UnixStream},
    },
    process::{Command, Stdio},
};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let mut room = vec![0; 64 << 10];
    let [socket, program @ ..] = &arguments[..] else {
        // The second process: standard input is a socket.
        let stdin = std::io::stdin();
        loop {
            let read = rustix::io::read(&stdin, &mut room)?;
            if read == 0 {
                return Ok(());
            }
            rustix::io::write(&stdin, &room[..read])?;
        }
    };
    let listener = UnixListener::bind(socket)?;
    let (mut ours, theirs) = UnixStream::pair()?;
    let mut second = match program {
        [] => Command::new(std::env::current_exe()?),
        [program, arguments @ ..] => {
            let mut second = Command::new(program);
            second.args(arguments);
            second
        }
    };
    let mut second = second.stdin(Stdio::from(OwnedFd::from(theirs))).spawn()?;
    let (mut client, _) = listener.accept()?;
    loop {
        let read = client.read(&mut room)?;
        if read == 0 {
            break;
        }
        ours.write_all(&room[..read])?;
        let read = ours.read(&mut room)?;
        client.write_all(&room[..read])?;
    }
    drop(ours);
    second.wait()?;
    Ok(())
}
