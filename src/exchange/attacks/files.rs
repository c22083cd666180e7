//! Files whose requests could be taken for others, or that say too little: each is refused.

use super::look;
use crate::{
    error::Code,
    exchange::{Scheme, builtin},
};

#[test]
fn without_a_websocket_login_the_file_says_what_to_do() {
    let error = look("kraken", r#"{"websocket":true}"#).unwrap_err();
    assert_eq!(error.code(), Code::Unsupported);
    assert!(
        error
            .remedy()
            .unwrap()
            .contains("POST /0/private/GetWebSocketsToken")
    );
}

#[test]
fn a_key_below_headers_is_not_taken_for_a_header() {
    let text = "id = \"x\"\nname = \"X\"\nhosts = [\"x.com\"]\nkey = { algorithm = \"hmac-sha256\", secret = \"ascii\", \
                encoding = \"hex\" }\nsignature = { message = \"{body}\" }\n[headers]\nA = \"{signature}\"\n";
    assert!(Scheme::parse(text, "x").is_ok());
    for late in [
        "body = \"{path}\"",
        "add-at = \"first\"",
        "clock = { unit = \"s\" }",
        "nonce = { unit = \"s\" }",
    ] {
        let error = Scheme::parse(&format!("{text}{late}\n"), "x").unwrap_err();
        assert!(
            error.remedy().unwrap().contains("before the first [table]"),
            "{error}"
        );
    }
}

#[test]
fn no_message_holds_its_own_signature() {
    let file = |more: &str| {
        format!(
            "id = \"x\"\nname = \"X\"\nhosts = [\"x.com\"]\nkey = {{ algorithm = \"hmac-sha256\", secret = \"ascii\", \
             encoding = \"hex\" }}\nlet.a = \"{{json.t}}\"\njson.t = {{ s = \"{{signature}}\" }}\n{more}\n"
        )
    };
    let fine = "signature = { message = \"{body}\" }\nheaders = { A = \"{a}\" }";
    assert!(Scheme::parse(&file(fine), "x").is_ok());
    for circle in ["{a}", "{json.t}", "{sha256(path, a)}"] {
        let error =
            Scheme::parse(&file(&format!("signature = {{ message = \"{circle}\" }}")), "x").unwrap_err();
        assert!(error.message().contains("its own signature"), "{circle}: {error}");
    }
    let error = Scheme::parse(&file("signature = { message = \"{signature}\" }"), "x").unwrap_err();
    assert!(error.message().contains("no name `signature`"), "{error}");
}

#[test]
fn faults_of_a_file_say_where_they_are() {
    let text = builtin("kraken").unwrap();
    for (from, to, says) in [
        ("id = \"kraken\"", "id = kraken", "line 1, column 6"),
        ("nonce = { unit", "nonse = { unit", "line 7, column 1"),
        ("{path}{sha256", "{pat}{sha256", "signature.message"),
        ("\"{api_key}\"", "\"{api_key\"", "headers.API-Key"),
        ("unit = \"us\"", "unit = \"min\"", "no nonce unit"),
        (
            "algorithm = \"hmac-sha512\"",
            "algorithm = \"md5\"",
            "no algorithm",
        ),
    ] {
        let broken = text.replacen(from, to, 1);
        assert_ne!(broken, text, "{from}");
        let error = Scheme::parse(&broken, "kraken.toml").unwrap_err();
        assert!(
            error.message().contains(says) && error.message().starts_with("kraken.toml: "),
            "{error}"
        );
    }
}
