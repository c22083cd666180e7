//! A SoftHSM token made by hsmsign, and what the other programs need to know to use it.

use std::{
    fmt::Write as _,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use base64ct::{Base64, Encoding};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::{Digest, Sha256, Sha512};

use crate::{Bench, Result, checked, text};

/// The secret of the example in Kraken's documentation.
const SECRET: &str =
    "kQH5HW/8p1uGOVjbgWA7FunAmGO8lsSUXNsu3eow76sz84Q18fWxnyRzBHCd3pd5nE9qa99HAZtuZuj6F1huXg==";
const DOCUMENTED_NONCE: &str = "1616492376594";
const DOCUMENTED_BODY: &str =
    "nonce=1616492376594&ordertype=limit&pair=XBTUSD&price=37500&type=buy&volume=1.25";
const DOCUMENTED_SIGNATURE: &str =
    "4/dpxb3iT4tp/ZCVEwSnEsLxx0bqyhLpdfOpc6fn7OR8+UClSV5n9E6aSS8MPtnRfp32bAb0nmbRn6H8ndwLUQ==";

#[derive(Clone)]
pub struct Token {
    pub home: PathBuf,
    pub conf: PathBuf,
    pub label: String,
    pub pin_file: PathBuf,
    /// The CKA_ID of the key `kraken`, in hex.
    pub id: String,
}

impl Token {
    /// A token with the key `kraken` on it.
    pub fn make(bench: &Bench, name: &str) -> Result<Self> {
        let home = bench.scratch.join(name);
        let mut token = Self {
            home,
            conf: PathBuf::new(),
            label: String::new(),
            pin_file: PathBuf::new(),
            id: String::new(),
        };
        checked(bench.hsmsign(&token).args(["init", "--softhsm"]))?;
        token.conf = find(&token.home, &|file| file.ends_with("softhsm2.conf"))
            .ok_or("hsmsign init --softhsm left no softhsm2.conf")?;
        token.pin_file = token.configured_pin_file()?;
        let mut tokens = Command::new(bench.built.join("examples/bare_sign"));
        let tokens = checked(
            tokens
                .env("SOFTHSM2_CONF", &token.conf)
                .arg("tokens")
                .arg(&bench.module),
        )?;
        text(&tokens)?.clone_into(&mut token.label);
        import(
            bench
                .hsmsign(&token)
                .args(["import", "--exchange", "kraken", "--api-key", "example"]),
        )?;
        token.id = token.documented_key(bench)?;
        Ok(token)
    }

    /// Keys enough that the token holds `count` more.
    pub fn import_more(&self, bench: &Bench, count: usize) -> Result<()> {
        let mut lines = String::new();
        for number in 0..count {
            let mut secret = [0; 64];
            getrandom::fill(&mut secret).map_err(|error| error.to_string())?;
            let secret = Base64::encode_string(&secret);
            writeln!(
                lines,
                r#"{{"exchange":"kraken","key":"key-{number}","api_key":"example","secret":"{secret}"}}"#
            )?;
        }
        feed(bench.hsmsign(self).args(["import", "--json"]), lines)
    }

    /// Has hsmsign use another module for the token, which hands the calls to the token's own.
    pub fn go_through(&self, module: &Path) -> Result<()> {
        let file = self.home.join("config.toml");
        let config = fs::read_to_string(&file)?;
        let was = config
            .lines()
            .find(|line| line.starts_with("module = "))
            .ok_or("config.toml names no module")?;
        fs::write(
            file,
            config.replace(was, &format!("module = \"{}\"", module.display())),
        )?;
        Ok(())
    }

    pub fn pin(&self) -> Result<String> {
        Ok(fs::read_to_string(&self.pin_file)?.trim_end().to_owned())
    }

    fn configured_pin_file(&self) -> Result<PathBuf> {
        let config: toml::Table = toml::from_str(&fs::read_to_string(self.home.join("config.toml"))?)?;
        let tokens = config
            .get("token")
            .and_then(toml::Value::as_table)
            .ok_or("config.toml has no token")?;
        let source = tokens
            .values()
            .find_map(|token| token.get("pin-source")?.as_str()?.strip_prefix("file:"));
        Ok(self
            .home
            .join(source.ok_or("config.toml has no pin-source that is a file")?))
    }

    /// The key that makes the documented signature.
    fn documented_key(&self, bench: &Bench) -> Result<String> {
        for id in text(&checked(&mut bench.bare("keys", self))?)?.lines() {
            let signed = checked(bench.bare("sign", self).args([id, &documented_message_hex()]))?;
            if base16ct::lower::decode_vec(text(&signed)?)
                .is_ok_and(|mac| Base64::encode_string(&mac) == DOCUMENTED_SIGNATURE)
            {
                return Ok(id.to_owned());
            }
        }
        Err("no key on the token makes the documented signature".into())
    }
}

/// Runs an import that takes one secret: the documented one.
pub fn import(command: &mut Command) -> Result<()> {
    feed(command, format!("{SECRET}\n"))
}

fn feed(command: &mut Command, input: String) -> Result<()> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut stdin = child.stdin.take().ok_or("no standard input")?;
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output()?;
    let written = writer.join().map_err(|_| "the writer panicked")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{command:?}: {}\n{said}", output.status).into());
    }
    Ok(written?)
}

fn find(folder: &Path, wanted: &dyn Fn(&Path) -> bool) -> Option<PathBuf> {
    for entry in fs::read_dir(folder).ok()?.flatten() {
        let path = entry.path();
        if wanted(&path) {
            return Some(path);
        }
        if let Some(found) = path.is_dir().then(|| find(&path, wanted)).flatten() {
            return Some(found);
        }
    }
    None
}

/// What the token signs for the documented request.
pub fn documented_message() -> Vec<u8> {
    message("/0/private/AddOrder", DOCUMENTED_NONCE, DOCUMENTED_BODY)
}

pub fn documented_message_hex() -> String {
    base16ct::lower::encode_string(&documented_message())
}

fn message(path: &str, nonce: &str, body: &str) -> Vec<u8> {
    let mut message = path.as_bytes().to_vec();
    message.extend(Sha256::new().chain_update(nonce).chain_update(body).finalize());
    message
}

/// The nonce of an answer line whose signature is right.
pub fn verify(answer: &str) -> Option<u64> {
    let answer: Value = serde_json::from_str(answer).ok()?;
    let path = answer["url"].as_str()?.strip_prefix("https://api.kraken.com")?;
    let body = answer["body"].as_str()?;
    let nonce = body.split('&').find_map(|field| field.strip_prefix("nonce="))?;
    let signature = Base64::decode_vec(answer["headers"]["API-Sign"].as_str()?).ok()?;
    let mac = Hmac::<Sha512>::new_from_slice(&Base64::decode_vec(SECRET).ok()?).ok()?;
    mac.chain_update(message(path, nonce, body))
        .verify_slice(&signature)
        .ok()?;
    nonce.parse().ok()
}
