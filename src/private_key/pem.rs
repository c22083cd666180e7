//! PEM blocks (RFC 7468), read as laxly as tools and people write them: any width of line, CR LF, and line feeds written
//! as `\n`, as they are copied out of a JSON file.

use super::decode_base64;
use crate::{
    error::{Error, Result, bad_input},
    secret::Secret,
};

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";
const DASHES: &[u8] = b"-----";

/// What a block says it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Label {
    /// PKCS #8 (RFC 5958).
    Pkcs8,
    /// SEC 1 (RFC 5915).
    Sec1,
    /// PKCS #1 (RFC 8017).
    Pkcs1,
}

/// Whether the text begins as a PEM block does.
pub fn is_pem(text: &[u8]) -> bool {
    text.trim_ascii_start().starts_with(BEGIN)
}

/// The bytes of the one private key in the text. The parameters of its curve may stand before it, as OpenSSL writes them.
pub(super) fn decode(text: &[u8]) -> Result<(Label, Secret)> {
    let mut rest = text;
    loop {
        let (label, body, behind) = block(rest)?;
        if label.ends_with(b"PARAMETERS") {
            rest = behind;
            continue;
        }
        let label = known(label, body)?;
        if !skip_blanks(behind).is_empty() {
            return Err(bad_input("something stands behind the private key")
                .fix("give the block of the private key alone"));
        }
        let mut stripped = Secret::with_capacity(body.len())?;
        let mut body = skip_blanks(body);
        while let Some((byte, more)) = body.split_first() {
            stripped.push(&[*byte]);
            body = skip_blanks(more);
        }
        let der = decode_base64(stripped.expose()).map_err(|_| broken())?;
        return Ok((label, der));
    }
}

/// The first block: its label, what stands in it, and what behind.
fn block(text: &[u8]) -> Result<(&[u8], &[u8], &[u8])> {
    let cut = |text, by: &[u8]| split(text, by).ok_or_else(broken);
    let begin = skip_blanks(text).strip_prefix(BEGIN).ok_or_else(broken)?;
    let (label, inside) = cut(begin, DASHES)?;
    let (body, end) = cut(inside, END)?;
    let (again, behind) = cut(end, DASHES)?;
    if again != label {
        return Err(broken());
    }
    Ok((label, body, behind))
}

fn known(label: &[u8], body: &[u8]) -> Result<Label> {
    let encrypted = || {
        bad_input("the private key is encrypted").fix(
            "decrypt it in a pipe, so that it is never in a file: openssl pkey -in KEY.pem | hsmsign import …",
        )
    };
    let other = |what: &str| {
        Err(bad_input(format!("the PEM block is {what}, and no private key"))
            .fix("give the block that begins with -----BEGIN PRIVATE KEY-----"))
    };
    match label {
        _ if split(body, b"ENCRYPTED").is_some() => Err(encrypted()),
        b"ENCRYPTED PRIVATE KEY" => Err(encrypted()),
        b"PRIVATE KEY" => Ok(Label::Pkcs8),
        b"EC PRIVATE KEY" => Ok(Label::Sec1),
        b"RSA PRIVATE KEY" => Ok(Label::Pkcs1),
        b"OPENSSH PRIVATE KEY" => Err(bad_input("the private key is in OpenSSH's own format")
            .fix("give it as PKCS #8, which begins with -----BEGIN PRIVATE KEY-----")),
        b"PUBLIC KEY" | b"RSA PUBLIC KEY" => other("a public key"),
        b"CERTIFICATE" => other("a certificate"),
        _ => other("something else"),
    }
}

/// The text without white space in front, whether as it is or written as `\n`, `\r`, `\t`.
fn skip_blanks(mut text: &[u8]) -> &[u8] {
    loop {
        text = match text {
            [b' ' | b'\t' | b'\r' | b'\n', rest @ ..] | [b'\\', b'n' | b'r' | b't', rest @ ..] => rest,
            _ => return text,
        };
    }
}

fn split<'a>(text: &'a [u8], by: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = text.windows(by.len()).position(|window| window == by)?;
    Some((&text[..at], &text[at + by.len()..]))
}

fn broken() -> Error {
    bad_input("the PEM block is not whole").fix(
        "give all of it, from -----BEGIN … PRIVATE KEY----- to -----END … PRIVATE KEY-----, as the exchange or tool wrote it",
    )
}
