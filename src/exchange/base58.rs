//! Bitcoin's base58, in which keys and signatures of Solana and Orderly are written.

const LETTERS: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/// The base58 of bytes; each zero in front is a `1`.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let mut digits: Vec<u8> = Vec::with_capacity(bytes.len() * 138 / 100 + 1);
    for byte in &bytes[zeros..] {
        let mut carry = u32::from(*byte);
        for digit in &mut digits {
            carry += u32::from(*digit) << 8;
            *digit = u8::try_from(carry % 58).unwrap_or_default();
            carry /= 58;
        }
        while carry > 0 {
            digits.push(u8::try_from(carry % 58).unwrap_or_default());
            carry /= 58;
        }
    }
    let ones = std::iter::repeat_n('1', zeros);
    let rest = digits
        .iter()
        .rev()
        .map(|digit| char::from(LETTERS[usize::from(*digit)]));
    ones.chain(rest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values_come_out() {
        for (bytes, text) in [
            (&b""[..], ""),
            (b"\0", "1"),
            (b"Hello World!", "2NEpo7TZRRrLZSi2U"),
            (b"\0\0\x28\x7f\xb4\xcd", "11233QC4"),
            (&[255; 8], "jpXCZedGfVQ"),
        ] {
            assert_eq!(encode(bytes), text);
        }
    }
}
