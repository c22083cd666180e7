//! What an answer comes to: what is printed, and how it ends.

use crate::{
    BALANCE, ORDER,
    bench::KRAKEN_SECRET,
    command, judge_kraken, judges, kraken_at, send, send_json,
    server::{Act, Server, ok, status, with_header},
};

#[test]
fn a_request_is_signed_sent_and_its_answer_printed() {
    let body = r#"{"error":[],"result":{"XXBT":"1.0100000000"}}"#;
    let server = Server::new(vec![ok(body)]);
    let Some(place) = kraken_at(&server) else { return };
    let done = send(&place, &server, &BALANCE);
    assert_eq!(
        (done.code, done.stdout.as_str(), done.stderr.as_str()),
        (0, body, ""),
        "{done:?}"
    );
    assert_eq!(judge_kraken(&server), 1);
    let request = &server.received()[0];
    assert_eq!(
        (request.method.as_str(), request.target.as_str()),
        ("POST", "/0/private/Balance")
    );
    assert_eq!(request.header("Host"), server.host());
    assert_eq!(
        request.header("Content-Type"),
        "application/x-www-form-urlencoded"
    );
    assert_eq!(
        request.header("User-Agent"),
        concat!("hsmsign/", env!("CARGO_PKG_VERSION"))
    );
    assert!(!request.has("Accept-Encoding") && !request.has("Transfer-Encoding") && !request.has("Expect"));
}

#[test]
fn a_passphrase_goes_to_the_exchange_and_is_printed_nowhere() {
    let server = Server::new(vec![ok("[]")]);
    let Some(place) = crate::Place::with_token() else {
        return;
    };
    let url = server.url();
    place.import(
        &[
            "--exchange",
            "coinbaseexchange",
            "--key",
            "cb",
            "--api-key",
            "k",
            "--base-url",
            &url,
        ],
        &format!("{KRAKEN_SECRET}\nopen sesame"),
    );
    let done = send(&place, &server, &["cb", "GET", "/orders?status=open", "--json"]);
    assert_eq!(done.code, 0, "{done:?}");
    judges::coinbase(&server.received()[0], KRAKEN_SECRET, "open sesame");
    let shown = send(
        &place,
        &server,
        &["cb", "GET", "/orders?status=open", "--dry-run"],
    );
    assert_eq!(shown.code, 0, "{shown:?}");
    assert!(
        shown
            .stdout
            .starts_with(&format!("GET {url}/orders?status=open\n")),
        "{shown:?}"
    );
    assert!(
        shown.stdout.contains("\nCB-ACCESS-PASSPHRASE: ***\n"),
        "{shown:?}"
    );
    assert!(shown.stdout.contains("\nCB-ACCESS-SIGN: "), "{shown:?}");
    let line = send(&place, &server, &["cb", "GET", "/orders", "--dry-run", "--json"]);
    assert!(
        line.stdout.contains(r#""CB-ACCESS-PASSPHRASE":"***""#),
        "{line:?}"
    );
    for done in [done, shown, line] {
        assert!(!format!("{done:?}").contains("open sesame"), "{done:?}");
    }
    assert_eq!(server.connections(), 1);
}

#[test]
fn an_error_that_comes_with_a_200_is_an_error() {
    let body = r#"{"error":["EOrder:Insufficient funds"]}"#;
    let server = Server::new(vec![ok(body)]);
    let Some(place) = kraken_at(&server) else { return };
    let done = send(&place, &server, &ORDER);
    assert_eq!((done.code, done.stdout.as_str()), (1, body));
    assert!(
        done.stderr.contains("refused it: EOrder:Insufficient funds"),
        "{done:?}"
    );
    assert_eq!(judge_kraken(&server), 1);
}

#[test]
fn an_invalid_nonce_is_explained() {
    let server = Server::new(vec![ok(r#"{"error":["EAPI:Invalid nonce"]}"#)]);
    let Some(place) = kraken_at(&server) else { return };
    let done = send(&place, &server, &ORDER);
    assert_eq!(done.code, 1);
    assert!(
        done.stderr.contains("another program uses this API key"),
        "{done:?}"
    );
}

#[test]
fn any_other_status_fails_and_a_4xx_is_never_sent_again() {
    for code in [400, 401, 403, 404, 408, 409, 418, 451] {
        let server = Server::new(vec![status(code, r#"{"error":["EGeneral:x"]}"#)]);
        let Some(place) = kraken_at(&server) else { return };
        let done = send(&place, &server, &[&BALANCE[..], &["--retry-unsafe"]].concat());
        assert_eq!(done.code, 1, "{done:?}");
        assert!(done.stderr.contains(&format!("answered {code}")), "{done:?}");
        assert!(done.stderr.contains("EGeneral:x"), "{done:?}");
        assert_eq!(server.connections(), 1, "{code}");
    }
}

#[test]
fn a_redirect_is_told_and_not_followed() {
    let elsewhere = Server::new(vec![ok("{}")]);
    for code in [301, 302, 303, 307, 308] {
        let place_of = format!("{}/0/private/Balance", elsewhere.url());
        let server = Server::new(vec![with_header(code, "Location", &place_of)]);
        let Some(place) = kraken_at(&server) else { return };
        let done = send(&place, &server, &BALANCE);
        assert_eq!(done.code, 1, "{done:?}");
        assert!(done.stderr.contains(&format!("answered {code}")), "{done:?}");
        assert!(done.stderr.contains(&place_of), "{done:?}");
        assert_eq!((server.connections(), elsewhere.connections()), (1, 0));
    }
}

#[test]
fn a_web_page_is_no_answer_of_an_api() {
    let page = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 18\r\n\r\n<html>Wait!</html>";
    let server = Server::new(vec![Act::Raw(page.to_vec())]);
    let Some(place) = kraken_at(&server) else { return };
    let done = send(&place, &server, &BALANCE);
    assert_eq!(done.code, 1, "{done:?}");
    assert!(done.stderr.contains("a web page"), "{done:?}");
    assert_eq!(done.stdout, "<html>Wait!</html>");
}

#[test]
fn json_tells_answer_and_attempts() {
    let body = r#"{"error":[],"result":1.0}"#;
    let server = Server::new(vec![Act::Close, status(503, ""), ok(body)]);
    let Some(place) = kraken_at(&server) else { return };
    let (code, told) = send_json(&place, &server, &BALANCE);
    assert_eq!(code, 0, "{told}");
    assert_eq!(told["ok"], true);
    assert_eq!(told["status"], 200);
    assert_eq!(told["headers"]["content-type"], "application/json");
    assert_eq!(told["body"], body);
    assert_eq!(told["sent"], "yes");
    let attempts = told["attempts"].as_array().unwrap();
    let of = |name: &str| {
        attempts
            .iter()
            .map(|attempt| attempt[name].to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(of("sent"), [r#""no""#, r#""yes""#, r#""yes""#]);
    assert_eq!(of("status"), ["null", "503", "200"]);
    assert!(told["elapsed_ms"].is_u64(), "{told}");
    assert!(told.get("error").is_none(), "{told}");
}

#[test]
fn json_tells_an_error_with_the_answer_beside_it() {
    let body = r#"{"error":["EOrder:x"]}"#;
    let server = Server::new(vec![ok(body)]);
    let Some(place) = kraken_at(&server) else { return };
    let (code, told) = send_json(&place, &server, &ORDER);
    assert_eq!(code, 1);
    assert_eq!((&told["ok"], &told["body"]), (&false.into(), &body.into()));
    assert_eq!(told["error"]["code"], "failed");
    assert!(
        told["error"]["message"].as_str().unwrap().contains("EOrder:x"),
        "{told}"
    );
}

#[test]
fn what_cannot_be_signed_is_not_sent_and_has_its_own_code() {
    let server = Server::new(vec![ok("{}")]);
    let Some(place) = kraken_at(&server) else { return };
    for (args, code, name) in [
        (vec!["kraken", "POST", "/0/private/Withdraw"], 3, "denied"),
        (vec!["nobody", "POST", "/0/private/Balance"], 5, "unknown-key"),
        (vec!["kraken", "FETCH", "/0/private/Balance"], 5, "bad-input"),
        (
            vec!["kraken", "POST", "https://api.kraken.example/0/private/Balance"],
            5,
            "bad-input",
        ),
    ] {
        let (ended, told) = send_json(&place, &server, &args);
        assert_eq!(
            (ended, &told["error"]["code"]),
            (code, &name.into()),
            "{args:?}: {told}"
        );
        assert_eq!(
            (&told["ok"], &told["sent"]),
            (&false.into(), &"no".into()),
            "{told}"
        );
    }
    place.ok(&["token", "list"]);
    std::fs::remove_dir_all(place.token_folder()).unwrap();
    let (code, told) = send_json(&place, &server, &BALANCE);
    assert_eq!(
        (code, &told["error"]["code"]),
        (4, &"token-missing".into()),
        "{told}"
    );
    assert_eq!(server.connections(), 0);
}

#[test]
fn bytes_that_are_no_text_are_printed_as_they_are() {
    let zip = b"PK\x03\x04\xff\x00";
    let mut raw =
        b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: 6\r\n\r\n".to_vec();
    raw.extend(zip);
    let server = Server::new(vec![Act::Raw(raw)]);
    let Some(place) = kraken_at(&server) else { return };
    let done = command(&place, &server, &["kraken", "POST", "/0/private/RetrieveExport"])
        .output()
        .unwrap();
    assert_eq!(
        (done.status.code(), done.stdout.as_slice()),
        (Some(0), zip.as_slice())
    );
    let (_, told) = send_json(&place, &server, &["kraken", "POST", "/0/private/RetrieveExport"]);
    assert_eq!(
        (&told["body"], &told["body_base64"]),
        (&serde_json::Value::Null, &"UEsDBP8A".into())
    );
}

#[test]
fn an_answer_may_come_in_pieces_or_end_with_the_connection() {
    let chunked =
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n{\"er\r\n8\r\nror\":[]}\r\n0\r\n\r\n";
    let closed = b"HTTP/1.1 200 OK\r\n\r\n{\"error\":[]}";
    let hinted =
        b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{\"error\":[]}";
    for raw in [&chunked[..], &closed[..], &hinted[..]] {
        let server = Server::new(vec![Act::Raw(raw.to_vec())]);
        let Some(place) = kraken_at(&server) else { return };
        let done = send(&place, &server, &ORDER);
        assert_eq!(
            (done.code, done.stdout.as_str()),
            (0, r#"{"error":[]}"#),
            "{done:?}"
        );
    }
}

#[test]
fn an_answer_that_cannot_be_printed_is_not_silent() {
    let server = Server::new(vec![ok("{}")]);
    let Some(place) = kraken_at(&server) else { return };
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let done = command(&place, &server, &ORDER).stdout(full).output().unwrap();
    let told = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(1), "{told}");
    assert!(
        told.contains("the request is done, but: standard output cannot be written"),
        "{told}"
    );
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let done = command(&place, &server, &ORDER).stdout(writer).output().unwrap();
    assert_eq!(done.status.code(), Some(1));
}
