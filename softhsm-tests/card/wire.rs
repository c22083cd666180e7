//! The protocol between vpcd and a card (vsmartcard's manual, "virtual reader"): a length of two bytes, big-endian, then so
//! many bytes; a message of one byte is an order, any other an APDU.

use std::{
    io::{self, Read as _, Write as _},
    net::TcpStream,
};

/// What the reader says.
pub enum Order {
    Off,
    On,
    Reset,
    Atr,
    Apdu(Vec<u8>),
}

/// The next message.
pub fn read(stream: &mut TcpStream) -> io::Result<Order> {
    // vpcd writes length and message apart. Unless the first is acknowledged at once, the second waits 40 ms.
    rustix::net::sockopt::set_tcp_quickack(&*stream, true)?;
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    rustix::net::sockopt::set_tcp_quickack(&*stream, true)?;
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut message)?;
    Ok(match message.as_slice() {
        [0] => Order::Off,
        [1] => Order::On,
        [2] => Order::Reset,
        [4] => Order::Atr,
        _ => Order::Apdu(message),
    })
}

/// An answer.
pub fn write(stream: &mut TcpStream, answer: &[u8]) -> io::Result<()> {
    let length = u16::try_from(answer.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes()[..], answer].concat())
}
