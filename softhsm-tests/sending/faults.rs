//! Connections that fail before, in and behind a request.

use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};

use rustix::net::{AddressFamily, SocketType, bind, getsockname, listen, socket};

use crate::{
    BALANCE, ORDER, judge_kraken, kraken_at, send, send_json,
    server::{Act, Server, ok},
};

/// The head of an answer of this length.
fn head(length: usize) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n")
        .into_bytes()
}

#[test]
fn a_refused_connection_is_tried_again_even_for_an_order() {
    let gone = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let server = Server::new(vec![ok("{}")]);
    let Some(place) = kraken_at(&server) else { return };
    place.ok(&[
        "set",
        "kraken",
        "--base-url",
        &format!("https://localhost:{gone}"),
    ]);
    let (code, told) = send_json(&place, &server, &[&ORDER[..], &["--retries", "1"]].concat());
    assert_eq!((code, &told["sent"]), (1, &"no".into()), "{told}");
    assert_eq!(told["attempts"].as_array().unwrap().len(), 2, "{told}");
    let message = told["error"]["message"].as_str().unwrap();
    assert!(
        message.contains("could not be reached") && message.contains("refused"),
        "{told}"
    );
}

#[test]
fn a_name_without_an_address_is_tried_again() {
    let server = Server::new(vec![ok("{}")]);
    let Some(place) = kraken_at(&server) else { return };
    place.ok(&["set", "kraken", "--base-url", "https://no-such-host.invalid"]);
    let (code, told) = send_json(&place, &server, &[&ORDER[..], &["--retries", "1"]].concat());
    assert_eq!((code, &told["sent"]), (1, &"no".into()), "{told}");
    assert_eq!(told["attempts"].as_array().unwrap().len(), 2, "{told}");
}

#[test]
fn an_order_is_sent_again_where_the_handshake_failed() {
    let server = Server::new(vec![Act::Close, Act::Close, ok(r#"{"error":[]}"#)]);
    let Some(place) = kraken_at(&server) else { return };
    let (code, told) = send_json(&place, &server, &ORDER);
    assert_eq!(code, 0, "{told}");
    assert_eq!((server.connections(), judge_kraken(&server)), (3, 1));
    assert_eq!(told["attempts"][0]["sent"], "no", "{told}");
}

#[test]
fn an_order_is_not_sent_again_once_it_may_have_arrived() {
    let half = [head(100), b"{\"error\":[],".to_vec()].concat();
    let chunk = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n{\"er\r\n".to_vec();
    let open = b"HTTP/1.1 200 OK\r\n\r\n{\"error\":[]}".to_vec();
    for act in [
        Act::Leave,
        Act::Cut(Vec::new()),
        Act::Raw(Vec::new()),
        Act::Cut(b"HTTP/1.1 200 O".to_vec()),
        Act::Raw(b"HTTP/1.1 200 OK\r\nContent-Le".to_vec()),
        Act::Cut(half.clone()),
        Act::Raw(half.clone()),
        Act::Cut(chunk.clone()),
        Act::Raw(chunk.clone()),
        // Without a length only TLS's goodbye tells that the answer is whole.
        Act::Cut(open.clone()),
        Act::Raw(b"not HTTP at all\r\n\r\n".to_vec()),
    ] {
        let server = Server::new(vec![act.clone(), ok(r#"{"error":[]}"#)]);
        let Some(place) = kraken_at(&server) else { return };
        let (code, told) = send_json(&place, &server, &ORDER);
        assert_eq!((code, &told["sent"]), (1, &"maybe".into()), "{act:?}: {told}");
        assert!(
            told["error"]["fix"]
                .as_str()
                .unwrap()
                .contains("may have been done"),
            "{act:?}: {told}"
        );
        assert_eq!(server.connections(), 1, "{act:?}");
        assert!(judge_kraken(&server) <= 1);
    }
}

#[test]
fn what_only_reads_is_sent_again_after_every_break() {
    let half = [head(100), b"{\"error\":[],".to_vec()].concat();
    let acts = vec![Act::Cut(Vec::new()), Act::Raw(half), ok(r#"{"error":[]}"#)];
    let server = Server::new(acts);
    let Some(place) = kraken_at(&server) else { return };
    let (code, told) = send_json(&place, &server, &BALANCE);
    assert_eq!((code, &told["sent"]), (0, &"maybe".into()), "{told}");
    assert_eq!(judge_kraken(&server), 3);
}

#[test]
fn a_giant_answer_is_not_read_to_its_end() {
    let piece = vec![b' '; 17 << 20];
    let whole = [head(piece.len()), piece.clone()].concat();
    let endless = [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1100000\r\n".to_vec(),
        piece,
    ]
    .concat();
    for raw in [whole, endless] {
        let server = Server::new(vec![Act::Raw(raw)]);
        let Some(place) = kraken_at(&server) else { return };
        let done = send(&place, &server, &BALANCE);
        assert_eq!((done.code, done.stdout.as_str()), (1, ""), "{}", done.stderr);
        assert!(
            done.stderr.contains("more than the 16777216 bytes"),
            "{}",
            done.stderr
        );
        assert_eq!(server.connections(), 1);
    }
    let heads = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(1 << 20));
    let server = Server::new(vec![Act::Raw(heads.into_bytes())]);
    let Some(place) = kraken_at(&server) else { return };
    let (code, told) = send_json(&place, &server, &ORDER);
    assert_eq!((code, &told["sent"]), (1, &"maybe".into()), "{told}");
    assert_eq!(server.connections(), 1);
}

#[test]
fn time_outs_before_the_request_are_told_from_those_behind_it() {
    let partly = [head(100), b"{\"error\":".to_vec()].concat();
    for (act, sent, words) in [
        (Act::Mute, "no", "could not be reached within 1 s"),
        (Act::Stall(Vec::new()), "maybe", "did not answer within 1 s"),
        (
            Act::Stall(b"HTTP/1.1 200 OK\r\n".to_vec()),
            "maybe",
            "did not answer within 1 s",
        ),
        (
            Act::Stall(partly),
            "maybe",
            "answered 200 OK, but not to the end within 1 s",
        ),
    ] {
        let server = Server::new(vec![act.clone()]);
        let Some(place) = kraken_at(&server) else { return };
        let (code, told) = send_json(
            &place,
            &server,
            &[&ORDER[..], &["--timeout", "1", "--retries", "0"]].concat(),
        );
        assert_eq!((code, &told["sent"]), (1, &sent.into()), "{act:?}: {told}");
        assert!(
            told["error"]["message"].as_str().unwrap().contains(words),
            "{act:?}: {told}"
        );
    }
}

#[test]
fn an_order_that_timed_out_is_not_sent_again_and_a_look_is() {
    let server = Server::new(vec![Act::Stall(Vec::new()), ok(r#"{"error":[]}"#)]);
    let Some(place) = kraken_at(&server) else { return };
    let (code, told) = send_json(&place, &server, &[&ORDER[..], &["--timeout", "1"]].concat());
    assert_eq!((code, &told["sent"]), (1, &"maybe".into()), "{told}");
    assert_eq!(server.connections(), 1);
    let server = Server::new(vec![Act::Stall(Vec::new()), ok(r#"{"error":[]}"#)]);
    place.ok(&["set", "kraken", "--base-url", &server.url()]);
    let (code, told) = send_json(&place, &server, &[&BALANCE[..], &["--timeout", "1"]].concat());
    assert_eq!(code, 0, "{told}");
    assert_eq!(judge_kraken(&server), 2);
}

#[test]
fn a_host_that_does_not_take_connections_is_given_up() {
    // A queue that is full: the kernel answers no more.
    let listener = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&listener, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)).unwrap();
    listen(&listener, 0).unwrap();
    let address: std::net::SocketAddr = getsockname(&listener).unwrap().try_into().unwrap();
    let first = TcpStream::connect(address).unwrap();
    let server = Server::new(vec![ok("{}")]);
    let Some(place) = kraken_at(&server) else { return };
    place.ok(&["set", "kraken", "--base-url", &format!("https://{address}")]);
    let args = [&ORDER[..], &["--timeout", "1", "--retries", "0"]].concat();
    let (code, told) = send_json(&place, &server, &args);
    assert_eq!((code, &told["sent"]), (1, &"no".into()), "{told}");
    let message = told["error"]["message"].as_str().unwrap();
    assert!(message.contains("could not be reached within 1"), "{told}");
    drop(first);
}
