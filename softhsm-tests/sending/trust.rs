//! Whom a request is given to: certificates, authorities, proxies.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt as _,
    sync::{Arc, Mutex},
    thread,
};

use crate::{
    BALANCE, ORDER,
    bench::{Place, finish},
    certificates::Odd,
    command, judge_kraken, kraken_at,
    running::Running,
    send, send_json,
    server::{Server, ok},
};

const FINE: &str = r#"{"error":[]}"#;

#[test]
fn a_certificate_that_does_not_fit_gets_no_request() {
    let other = Server::new(vec![ok(FINE)]);
    for (odd, words) in [
        (Odd::ItsName, "not valid for name"),
        (Odd::Expired, "expired"),
        (Odd::Nothing, "UnknownIssuer"),
    ] {
        let server = Server::with(odd, vec![ok(FINE)]);
        let Some(place) = kraken_at(&server) else { return };
        let trusted = if odd == Odd::Nothing { &other } else { &server };
        let (code, told) = send_json(&place, trusted, &[&ORDER[..], &["--retries", "0"]].concat());
        assert_eq!((code, &told["sent"]), (1, &"no".into()), "{told}");
        let message = told["error"]["message"].as_str().unwrap();
        assert!(
            message.contains("could not be reached") && message.contains(words),
            "{odd:?}: {told}"
        );
        assert_eq!(server.received().len(), 0);
    }
}

/// Sends without the variables that name authorities.
fn send_alone(place: &Place, args: &[&str]) -> (i32, String, String) {
    let mut command = place.command(&[&["send"], args].concat());
    command
        .env("SSL_CERT_DIR", place.path().join("none"))
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let done = finish(command.spawn().unwrap(), b"");
    (done.code, done.stdout, done.stderr)
}

#[test]
fn an_authority_of_the_configuration_is_trusted() {
    let server = Server::new(vec![ok(FINE)]);
    let Some(place) = kraken_at(&server) else { return };
    let file = server.authority(place.path());
    let config = place.home().join("config.toml");
    let before = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("{before}\n[send]\nca-file = {file:?}\n")).unwrap();
    let (code, stdout, stderr) = send_alone(&place, &BALANCE);
    assert_eq!((code, stdout.as_str()), (0, FINE), "{stderr}");
    std::fs::write(
        &config,
        format!("{before}\n[send]\nca-file = \"/nowhere/ca.pem\"\n"),
    )
    .unwrap();
    let (code, _, stderr) = send_alone(&place, &BALANCE);
    assert_eq!(code, 5, "{stderr}");
    assert!(stderr.contains("/nowhere/ca.pem"), "{stderr}");
    assert_eq!(judge_kraken(&server), 1);
}

#[test]
fn authorities_of_a_configuration_that_cannot_be_read_are_not_passed_over() {
    let server = Server::new(vec![ok(FINE)]);
    let Some(place) = kraken_at(&server) else { return };
    let agent = Running::start(&place);
    // Who has only the socket has no configuration.
    let mut command = command(&place, &server, &BALANCE);
    command
        .env_remove("HSMSIGN_HOME")
        .env("HSMSIGN_SOCKET", place.home().join("agent.sock"));
    let done = finish(command.spawn().unwrap(), b"");
    assert_eq!(done.code, 0, "{done:?}");
    std::fs::set_permissions(place.home(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let done = send(&place, &server, &BALANCE);
    assert!(done.code == 5 && done.stderr.contains("chmod 700"), "{done:?}");
    assert_eq!(judge_kraken(&server), 1);
    drop(agent);
}

#[test]
fn without_any_authority_nothing_is_sent() {
    let server = Server::new(vec![ok(FINE)]);
    let Some(place) = kraken_at(&server) else { return };
    let (code, _, stderr) = send_alone(&place, &BALANCE);
    assert_eq!(code, 1, "{stderr}");
    assert!(
        stderr.contains("no certificate authorities were found"),
        "{stderr}"
    );
    assert_eq!(server.connections(), 0);
}

#[test]
fn within_this_machine_a_base_url_may_go_without_tls() {
    let server = Server::plain(vec![ok(FINE)]);
    let Some(place) = kraken_at(&server) else { return };
    let (code, stdout, stderr) = send_alone(&place, &BALANCE);
    assert_eq!((code, stdout.as_str()), (0, FINE), "{stderr}");
    assert_eq!(judge_kraken(&server), 1);
}

/// A proxy that takes CONNECT to any host and leads to this port.
fn proxy(to: u16, asked: &Arc<Mutex<Vec<String>>>, answer: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = Arc::clone(asked);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut client = stream.unwrap();
            let mut lines = BufReader::new(client.try_clone().unwrap()).lines();
            asked.lock().unwrap().push(lines.next().unwrap().unwrap());
            while lines.next().is_some_and(|line| !line.unwrap().is_empty()) {}
            client.write_all(answer.as_bytes()).unwrap();
            if !answer.contains("200") {
                continue;
            }
            let mut server = TcpStream::connect(("127.0.0.1", to)).unwrap();
            let (mut from, mut back) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            thread::spawn(move || std::io::copy(&mut from, &mut back));
            let _ = std::io::copy(&mut server, &mut client);
            let _ = client.shutdown(std::net::Shutdown::Both);
        }
    });
    port
}

#[test]
fn a_proxy_of_the_environment_leads_there_and_sees_nothing() {
    let server = Server::with(Odd::ItsName, vec![ok(FINE)]);
    let Some(place) = kraken_at(&server) else { return };
    place.ok(&["set", "kraken", "--base-url", "https://other.example"]);
    let asked = Arc::default();
    let port = proxy(
        server.port(),
        &asked,
        "HTTP/1.1 200 Connection established\r\n\r\n",
    );
    let through = |args: &[&str], variable: &str, port: u16| {
        let mut command = command(&place, &server, args);
        command.env(variable, format!("http://user:hunter2@127.0.0.1:{port}"));
        finish(command.spawn().unwrap(), b"")
    };
    let done = through(&BALANCE, "HTTPS_PROXY", port);
    assert_eq!((done.code, done.stdout.as_str()), (0, FINE), "{done:?}");
    assert_eq!(judge_kraken(&server), 1);
    assert_eq!(*asked.lock().unwrap(), ["CONNECT other.example:443 HTTP/1.1"]);

    // What the proxy refuses was not sent; CONNECT is no part of the request.
    let refusing = proxy(server.port(), &asked, "HTTP/1.1 403 Forbidden\r\n\r\n");
    let order = [&ORDER[..], &["--retries", "1", "--json"]].concat();
    let done = through(&order, "https_proxy", refusing);
    let told: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!((done.code, &told["sent"]), (1, &"no".into()), "{told}");
    assert_eq!(told["attempts"].as_array().unwrap().len(), 2, "{told}");
    assert!(
        told["error"]["message"].as_str().unwrap().contains("proxy"),
        "{told}"
    );
    assert!(!format!("{done:?}").contains("hunter2"));
    assert_eq!(judge_kraken(&server), 1);
}
