//! The exchanges' side: each signature is computed anew from the bytes that came, by the exchange's documentation.

use base64ct::Encoding as _;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256, Sha512};

use crate::{bench::KRAKEN_SECRET, server::Received};

pub const BINANCE_SECRET: &str = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j";

/// Kraken's rule; answers the nonce.
#[track_caller]
pub fn kraken(request: &Received) -> u64 {
    let nonce = field(&request.body, "nonce");
    let path = request.target.split('?').next().unwrap();
    let mut message = path.as_bytes().to_vec();
    message.extend(Sha256::digest(format!("{nonce}{}", request.body)));
    let key = base64ct::Base64::decode_vec(KRAKEN_SECRET).unwrap();
    let mut mac = Hmac::<Sha512>::new_from_slice(&key).unwrap();
    mac.update(&message);
    let wanted = base64ct::Base64::encode_string(&mac.finalize().into_bytes());
    assert_eq!(request.header("API-Sign"), wanted, "{request:?}");
    assert_eq!(request.header("API-Key"), "example");
    nonce.parse().unwrap()
}

/// Binance's rule; answers the timestamp.
#[track_caller]
pub fn binance(request: &Received) -> u64 {
    let (_, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let all = format!("{query}{}", request.body);
    let (message, signature) = all.rsplit_once("&signature=").unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(BINANCE_SECRET.as_bytes()).unwrap();
    mac.update(message.as_bytes());
    assert_eq!(
        signature,
        base16ct::lower::encode_string(&mac.finalize().into_bytes()),
        "{request:?}"
    );
    assert_eq!(request.header("X-MBX-APIKEY"), "example");
    field(message, "timestamp").parse().unwrap()
}

/// The only value of a form's field.
#[track_caller]
pub fn field<'f>(form: &'f str, name: &str) -> &'f str {
    let mut values = form
        .split('&')
        .filter_map(|piece| piece.strip_prefix(name)?.strip_prefix('='));
    let value = values.next().unwrap_or_else(|| panic!("no {name} in {form}"));
    assert!(values.next().is_none(), "two {name} in {form}");
    value
}

pub const SHOP_SECRET: &str = "the-secret-of-the-shop-which-is-nobodys";

/// The shop's rule; answers the timestamp.
#[track_caller]
pub fn shop(request: &Received) -> u64 {
    let time = request.header("X-Shop-Time");
    let mut mac = Hmac::<Sha256>::new_from_slice(SHOP_SECRET.as_bytes()).unwrap();
    mac.update(format!("{time}{}{}{}", request.method, request.target, request.body).as_bytes());
    let wanted = base16ct::lower::encode_string(&mac.finalize().into_bytes());
    assert_eq!(request.header("X-Shop-Sign"), wanted, "{request:?}");
    time.parse().unwrap()
}

/// Coinbase Exchange's rule, with its passphrase.
#[track_caller]
pub fn coinbase(request: &Received, secret: &str, passphrase: &str) {
    let time = request.header("CB-ACCESS-TIMESTAMP");
    let key = base64ct::Base64::decode_vec(secret).unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    mac.update(format!("{time}{}{}{}", request.method, request.target, request.body).as_bytes());
    let wanted = base64ct::Base64::encode_string(&mac.finalize().into_bytes());
    assert_eq!(request.header("CB-ACCESS-SIGN"), wanted, "{request:?}");
    assert_eq!(request.header("CB-ACCESS-PASSPHRASE"), passphrase);
}
