//! Bytes that go out as far as the other end takes them.

/// What is gone is given up again, also where there is always more behind it.
#[derive(Default)]
pub struct Outgoing {
    bytes: Vec<u8>,
    /// How many of them are gone.
    sent: usize,
    /// How many were given up before.
    given_up: u64,
}

impl Outgoing {
    /// What begins with this.
    pub const fn new(bytes: Vec<u8>) -> Self {
        Self {
            bytes,
            sent: 0,
            given_up: 0,
        }
    }

    /// What is to go out.
    pub fn left(&self) -> &[u8] {
        &self.bytes[self.sent..]
    }

    /// Where more is put behind it.
    pub const fn behind(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// The place of the next byte to go out, of all that ever were.
    pub const fn place(&self) -> u64 {
        self.given_up + self.sent as u64
    }

    /// The place behind the last.
    pub const fn end(&self) -> u64 {
        self.given_up + self.bytes.len() as u64
    }

    /// So many more bytes are gone. So much room is kept where nothing is left.
    pub fn gone(&mut self, bytes: usize, kept: usize) {
        self.sent += bytes;
        if self.sent == self.bytes.len() {
            self.give_up();
            self.bytes.shrink_to(kept);
        } else if self.sent > self.bytes.len() / 2 {
            // What is moved is no longer than what is given up.
            self.give_up();
        }
    }

    fn give_up(&mut self) {
        self.given_up += self.sent as u64;
        self.bytes.drain(..self.sent);
        self.sent = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_gone_is_not_held_where_there_is_always_more() {
        let mut outgoing = Outgoing::new(vec![0; 100]);
        for byte in 0..100_000_usize {
            outgoing.behind().push(byte.to_le_bytes()[0]);
            assert_eq!(outgoing.place(), byte as u64);
            if let Some(sent) = byte.checked_sub(100) {
                assert_eq!(outgoing.left()[0], sent.to_le_bytes()[0]);
            }
            outgoing.gone(1, 10);
        }
        assert_eq!((outgoing.left().len(), outgoing.end()), (100, 100_100));
        assert!(outgoing.bytes.capacity() < 500);
        outgoing.gone(100, 10);
        assert!(outgoing.left().is_empty() && outgoing.bytes.capacity() <= 10);
    }
}
