//! Every form in which a secret can lie in memory: as text, as bytes, as HMAC and its hash use it.

use base64ct::Encoding as _;

/// The hash of a secret's HMAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

/// What is looked for.
pub struct Forms(pub Vec<Form>);

/// One form of it.
pub struct Form {
    pub name: String,
    pub bytes: Vec<u8>,
    /// How many bytes in a row are no accident: eight random ones, or what holds as much chance.
    pub least: usize,
}

impl Forms {
    /// The forms of the secret `text`, which stands for the key `decoded`.
    pub fn of(text: &[u8], decoded: &[u8], hash: Hash) -> Self {
        let block = block(decoded, hash);
        let pad = |with: u8| block.iter().map(|byte| byte ^ with).collect::<Vec<_>>();
        let (inner, outer) = (pad(0x36), pad(0x5c));
        let mut forms = Self(Vec::new());
        forms.add("text", text);
        forms.add("text in capitals", &text.to_ascii_uppercase());
        forms.add("text in small letters", &text.to_ascii_lowercase());
        // As a look at its letters could list them.
        let letters = text
            .windows(2)
            .filter(|pair| pair.iter().all(u8::is_ascii_alphabetic));
        let pairs: Vec<u8> = letters.flatten().map(u8::to_ascii_lowercase).collect();
        forms.add("text in pairs of letters", &pairs);
        forms.add("decoded", decoded);
        for (name, bytes) in [
            ("text", text),
            ("decoded", decoded),
            ("block key", &block),
            ("ipad block", &inner),
            ("opad block", &outer),
        ] {
            forms.add(name, bytes);
            // As the hash reads its block: words of the other byte order.
            let word = if hash == Hash::Sha256 { 4 } else { 8 };
            forms.add(&format!("{name}, words swapped"), &swapped(bytes, word));
            for (written, text) in [
                ("base64", base64ct::Base64::encode_string(bytes)),
                ("base64url", base64ct::Base64Url::encode_string(bytes)),
            ] {
                forms.add(&format!("{name}, {written}"), text.as_bytes());
            }
            let hex = base16ct::lower::encode_string(bytes);
            forms.add_hex(&format!("{name}, hex"), &hex);
            forms.add_hex(&format!("{name}, HEX"), &hex.to_ascii_uppercase());
        }
        // What a hash comes to after one of the pads is as good as the key.
        for (name, pad) in [("inner", &inner), ("outer", &outer)] {
            for (order, bytes) in states(pad, hash) {
                forms.add(&format!("{name} hash state, {order}"), &bytes);
                let hex = base16ct::lower::encode_string(&bytes);
                forms.add_hex(&format!("{name} hash state, {order}, hex"), &hex);
            }
        }
        forms
    }

    /// The forms of a private key in a PEM block with these secret numbers, big-endian, in their order.
    pub fn of_numbers(pem: &str, der: &[u8], numbers: &[Vec<u8>]) -> Self {
        let mut forms = Self(Vec::new());
        let find = |number: &[u8]| {
            der.windows(number.len())
                .position(|window| window == number)
                .unwrap()
        };
        let (first, last) = (numbers.first().unwrap(), numbers.last().unwrap());
        // What stands around is public, and so are the letters of base64 that hold some of it.
        let secret = find(first)..find(last) + last.len();
        let letters = secret.start.div_ceil(3) * 4..secret.end / 3 * 4;
        let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        let written = |letter: usize| pem.find('\n').unwrap() + 1 + letter + letter / 64;
        forms.add(
            "text",
            &pem.as_bytes()[written(letters.start)..written(letters.end)],
        );
        forms.add("text in one line", &body.as_bytes()[letters]);
        forms.add("numbers", &der[secret]);
        for number in numbers {
            forms.add("number, little-endian", &swapped(number, number.len()));
            forms.add(
                "number, base64",
                base64ct::Base64::encode_string(number).as_bytes(),
            );
            let hex = base16ct::lower::encode_string(number);
            forms.add_hex("number, hex", &hex);
            forms.add_hex("number, HEX", &hex.to_ascii_uppercase());
        }
        // What an Ed25519 key signs with (RFC 8032, section 5.1.5), when it is read as a seed.
        use sha2::Digest as _;
        let expanded = sha2::Sha512::digest(first);
        forms.add("expanded", &expanded);
        forms.add("expanded, words swapped", &swapped(&expanded, 8));
        forms
    }

    /// The forms of a PIN or passphrase: nothing is computed from it.
    pub fn of_text(text: &[u8]) -> Self {
        let mut forms = Self(Vec::new());
        forms.add("text", text);
        forms.add_hex("hex", &base16ct::lower::encode_string(text));
        forms.add("base64", base64ct::Base64::encode_string(text).as_bytes());
        forms
    }

    fn add(&mut self, name: &str, bytes: &[u8]) {
        let least = 8;
        self.push(name, bytes, least);
    }

    /// Hex has half a byte of chance in each.
    fn add_hex(&mut self, name: &str, text: &str) {
        self.push(name, text.as_bytes(), 16);
    }

    fn push(&mut self, name: &str, bytes: &[u8], least: usize) {
        if bytes.len() >= least && self.0.iter().all(|form| form.bytes != bytes) {
            self.0.push(Form {
                name: name.to_owned(),
                bytes: bytes.to_vec(),
                least,
            });
        }
    }
}

/// RFC 2104: hashed if longer than the hash's block, then zeros up to it.
fn block(key: &[u8], hash: Hash) -> Vec<u8> {
    use sha2::Digest as _;
    let len = if hash == Hash::Sha256 { 64 } else { 128 };
    let mut block = match hash {
        _ if key.len() <= len => key.to_vec(),
        Hash::Sha256 => sha2::Sha256::digest(key).to_vec(),
        Hash::Sha384 => sha2::Sha384::digest(key).to_vec(),
        Hash::Sha512 => sha2::Sha512::digest(key).to_vec(),
    };
    block.resize(len, 0);
    block
}

fn swapped(bytes: &[u8], word: usize) -> Vec<u8> {
    bytes
        .chunks(word)
        .flat_map(|word| word.iter().rev())
        .copied()
        .collect()
}

/// The words of the hash after one block: in both byte orders, and paired as the processor's SHA instructions have them.
fn states(block: &[u8], hash: Hash) -> Vec<(&'static str, Vec<u8>)> {
    let big = match hash {
        Hash::Sha256 => {
            let mut state = INITIAL_256;
            sha2::block_api::compress256(&mut state, &[block.try_into().unwrap()]);
            state
                .iter()
                .flat_map(|word| word.to_be_bytes())
                .collect::<Vec<_>>()
        }
        Hash::Sha384 | Hash::Sha512 => {
            let mut state = if hash == Hash::Sha384 {
                INITIAL_384
            } else {
                INITIAL_512
            };
            sha2::block_api::compress512(&mut state, &[block.try_into().unwrap()]);
            state.iter().flat_map(|word| word.to_be_bytes()).collect()
        }
    };
    let word = big.len() / 8;
    let little = swapped(&big, word);
    let paired = [5, 4, 1, 0, 7, 6, 3, 2]
        .into_iter()
        .flat_map(|index| little[index * word..][..word].to_vec())
        .collect();
    vec![("big-endian", big), ("little-endian", little), ("paired", paired)]
}

/// FIPS 180-4, section 5.3.
const INITIAL_256: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];
const INITIAL_384: [u64; 8] = [
    0xcbbb_9d5d_c105_9ed8,
    0x629a_292a_367c_d507,
    0x9159_015a_3070_dd17,
    0x152f_ecd8_f70e_5939,
    0x6733_2667_ffc0_0b31,
    0x8eb4_4a87_6858_1511,
    0xdb0c_2e0d_64f9_8fa7,
    0x47b5_481d_befa_4fa4,
];
const INITIAL_512: [u64; 8] = [
    0x6a09_e667_f3bc_c908,
    0xbb67_ae85_84ca_a73b,
    0x3c6e_f372_fe94_f82b,
    0xa54f_f53a_5f1d_36f1,
    0x510e_527f_ade6_82d1,
    0x9b05_688c_2b3e_6c1f,
    0x1f83_d9ab_fb41_bd6b,
    0x5be0_cd19_137e_2179,
];

/// The states are right: with them the MAC comes out as the library makes it.
#[test]
fn the_hash_states_are_those_of_hmac() {
    use hmac::{Hmac, KeyInit as _, Mac as _};
    let key: Vec<u8> = (0..64).collect();
    let block: [u8; 64] = block(&key, Hash::Sha256).try_into().unwrap();
    let mut state = states(&block.map(|byte| byte ^ 0x36), Hash::Sha256)[0].1.clone();
    let mut outer = states(&block.map(|byte| byte ^ 0x5c), Hash::Sha256)[0].1.clone();
    let mut last = [0; 64];
    last[0] = 0x80;
    last[62..].copy_from_slice(&512_u16.to_be_bytes());
    state = go_on(&state, last);
    last[..32].copy_from_slice(&state);
    last[32] = 0x80;
    last[62..].copy_from_slice(&768_u16.to_be_bytes());
    outer = go_on(&outer, last);
    let mac = Hmac::<sha2::Sha256>::new_from_slice(&key).unwrap().finalize();
    assert_eq!(outer, mac.into_bytes().to_vec());
}

#[cfg(test)]
fn go_on(state: &[u8], block: [u8; 64]) -> Vec<u8> {
    let mut words: Vec<u32> = state
        .chunks(4)
        .map(|word| u32::from_be_bytes(word.try_into().unwrap()))
        .collect();
    sha2::block_api::compress256(words.as_mut_slice().try_into().unwrap(), &[block]);
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}
