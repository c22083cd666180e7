//! May this request be signed? Asked once for every signature, on every path, before a nonce is given out.

use crate::{
    error::{Code, Error, Result},
    keyring::{Allow, KeyName},
};

/// Who asks for a signature, as the kernel tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// The process.
    pub pid: i32,
}

impl Caller {
    /// This process itself.
    pub fn this_process() -> Self {
        Self {
            uid: rustix::process::getuid().as_raw(),
            gid: rustix::process::getgid().as_raw(),
            pid: rustix::process::getpid().as_raw_nonzero().get(),
        }
    }
}

/// What is asked.
#[derive(Debug)]
pub struct Question<'a> {
    /// The key.
    pub key: &'a KeyName,
    /// What its owner allowed it.
    pub allow: &'a [Allow],
    /// Who asks.
    pub caller: &'a Caller,
    /// The rule of the exchange by which the request moves money out, in words; none if no rule says so.
    pub moves_money: Option<&'a str>,
    /// Whether bytes are to be MACed that hsmsign did not compose.
    pub raw: bool,
}

/// Permits or denies.
///
/// # Errors
/// `denied`, with the rule, what it saw and how the owner can allow it.
pub fn decide(question: &Question<'_>) -> Result<()> {
    let key = question.key;
    if question.raw && !question.allow.contains(&Allow::Raw) {
        return Err(Error::new(Code::Denied, format!("the key {key} signs no raw bytes, only whole requests"))
            .fix("raw MACs are allowed at import, by the owner: --allow raw; where a message does not carry the path, a withdrawal cannot be told from an order then"));
    }
    match question.moves_money {
        Some(rule) if !question.allow.contains(&Allow::Withdrawals) => Err(Error::new(
            Code::Denied,
            format!("the key {key} is not allowed to move money out: {rule}"),
        )
        .fix("if this key is to withdraw and transfer, its owner imports it with --allow withdrawals")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(allow: &[Allow], moves_money: Option<&str>, raw: bool) -> Result<()> {
        let key = "kraken".parse().unwrap();
        decide(&Question {
            key: &key,
            allow,
            caller: &Caller::this_process(),
            moves_money,
            raw,
        })
    }

    #[test]
    fn withdrawals_and_raw_are_each_denied_unless_allowed() {
        assert!(ask(&[], None, false).is_ok());
        assert_eq!(ask(&[], Some("r"), false).unwrap_err().code(), Code::Denied);
        assert_eq!(
            ask(&[Allow::Raw], Some("r"), true).unwrap_err().code(),
            Code::Denied
        );
        assert_eq!(
            ask(&[Allow::Withdrawals], Some("r"), true).unwrap_err().code(),
            Code::Denied
        );
        assert!(ask(&[Allow::Withdrawals], Some("r"), false).is_ok());
        assert!(ask(&[Allow::Raw], None, true).is_ok());
        assert!(ask(&[Allow::Raw, Allow::Withdrawals], Some("r"), true).is_ok());
    }
}
