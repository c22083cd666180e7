//! What is sent is signed by the agent where one runs: one policy, one sequence of nonces, no token opened beside it.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Stdio};

use rustix::process::Signal;
use serde_json::Value;

use crate::{
    BALANCE, ORDER, SHOP,
    bench::{
        Done, KRAKEN_SECRET, Place, finish,
        people::{BOT, OWNER, People},
    },
    binance_at, judge_kraken, judges, kraken_at,
    running::{Connection, Running, kill, nonce, until},
    send, send_json,
    server::{Server, ok, status},
};

#[test]
fn the_agent_signs_and_gives_out_the_nonces_of_one_sequence() {
    let server = Server::new(vec![ok(r#"{"error":[],"result":{}}"#)]);
    let Some(place) = kraken_at(&server) else { return };
    let agent = Running::start(&place);
    let sign = || nonce(&place.json(&["sign", "kraken", "POST", "/0/private/Balance"]));
    let before = sign();
    for _ in 0..3 {
        let done = send(&place, &server, &BALANCE);
        assert_eq!(
            (done.code, done.stdout.as_str()),
            (0, r#"{"error":[],"result":{}}"#),
            "{done:?}"
        );
    }
    let after = sign();
    assert_eq!(judge_kraken(&server), 3);
    let sent: Vec<_> = server.received().iter().map(judges::kraken).collect();
    assert!(before < sent[0] && sent[2] < after, "{before} {sent:?} {after}");
    assert_eq!(agent.status()["signed"], 5);
}

#[test]
fn what_the_agent_refuses_is_not_sent() {
    let server = Server::new(vec![ok("{}")]);
    let Some(place) = kraken_at(&server) else { return };
    let agent = Running::start(&place);
    let withdraw = ["kraken", "POST", "/0/private/Withdraw", "--param", "asset=XBT"];
    let done = send(&place, &server, &withdraw);
    assert!(
        done.code == 3 && done.stderr.contains("moves money out"),
        "{done:?}"
    );
    let (code, told) = send_json(&place, &server, &withdraw);
    assert_eq!((code, &told["error"]["code"]), (3, &"denied".into()), "{told}");
    assert_eq!(send(&place, &server, &["nobody", "GET", "/"]).code, 5);
    // Its own token could be opened here, and is not.
    place.ok(&["lock"]);
    let done = send(&place, &server, &BALANCE);
    assert!(
        done.code == 4 && done.stderr.contains("hsmsign unlock softhsm"),
        "{done:?}"
    );
    place.ok(&["unlock"]);
    assert_eq!(send(&place, &server, &BALANCE).code, 0);
    assert_eq!(judge_kraken(&server), 1);
    drop(agent);
}

#[test]
fn each_attempt_is_signed_anew_though_the_agent_is_another_by_then() {
    let server = Server::new(vec![status(503, "busy"), ok(r#"{"error":[]}"#)]);
    let Some(place) = kraken_at(&server) else { return };
    let agent = Running::start(&place);
    let child = crate::command(&place, &server, &BALANCE).spawn().unwrap();
    until("the first attempt", || server.received().len() == 1);
    let sender = i32::try_from(child.id()).unwrap();
    kill(sender, Signal::STOP);
    drop(agent);
    let next = Running::start(&place);
    kill(sender, Signal::CONT);
    let done = finish(child, b"");
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(judge_kraken(&server), 2);
    assert_eq!(next.status()["signed"], 1);
}

#[test]
fn an_attempt_is_signed_by_the_token_itself_where_the_agent_has_ended() {
    let (busy, done) = (status(503, "busy"), ok(r#"{"error":[]}"#));
    let server = Server::new(vec![busy.clone(), done, busy]);
    let Some(place) = kraken_at(&server) else { return };
    let bereft = |told: bool| {
        let agent = Running::start(&place);
        let mut command = crate::command(&place, &server, &BALANCE);
        if told {
            command.env("HSMSIGN_SOCKET", place.home().join("agent.sock"));
        }
        let before = server.received().len();
        let child = command.spawn().unwrap();
        until("the first attempt", || server.received().len() > before);
        let sender = i32::try_from(child.id()).unwrap();
        kill(sender, Signal::STOP);
        drop(agent);
        kill(sender, Signal::CONT);
        finish(child, b"")
    };
    let done = bereft(false);
    assert_eq!(done.code, 0, "{done:?}");
    // Which agent is to sign was said.
    let done = bereft(true);
    assert!(
        done.code != 0 && done.stderr.contains("no agent answers"),
        "{done:?}"
    );
    assert_eq!(judge_kraken(&server), 3);
}

#[test]
fn a_measured_clock_is_signed_by_through_the_agent_too() {
    let hour = 3_600_000;
    let now = || i64::try_from(hsmsign::nonce::now().as_millis()).unwrap();
    let before = now();
    let server = Server::new(vec![
        ok(&format!("{{\"serverTime\":{}}}", before + hour)),
        ok("{}"),
        ok("{}"),
    ]);
    let Some(place) = binance_at(&server) else { return };
    place.ok(&["set", "binance", "--offset-ms", &(-hour).to_string()]);
    let _agent = Running::start(&place);
    let account = ["binance", "GET", "/api/v3/account"];
    assert_eq!(
        send(&place, &server, &[&account[..], &["--measure-clock"]].concat()).code,
        0
    );
    assert_eq!(send(&place, &server, &account).code, 0);
    let took = now() - before;
    let received = server.received();
    for (request, offset) in [(&received[1], hour), (&received[2], -hour)] {
        let ahead = i64::try_from(judges::binance(request)).unwrap() - before;
        assert!((ahead - offset).abs() <= 2 * took, "{ahead} {offset} {took}");
    }
}

#[test]
fn a_clock_that_the_owner_set_right_is_not_blamed() {
    let hour = 3_600_000;
    let now = i64::try_from(hsmsign::nonce::now().as_millis()).unwrap();
    let refusal = r#"{"code":-1021,"msg":"Timestamp for this request is outside of the recvWindow."}"#;
    let time = ok(&format!("{{\"serverTime\":{}}}", now + hour));
    let server = Server::new(vec![
        status(400, refusal),
        time.clone(),
        status(400, refusal),
        time,
    ]);
    let Some(place) = binance_at(&server) else { return };
    let account = ["binance", "GET", "/api/v3/account"];
    let done = send(&place, &server, &account);
    assert!(done.stderr.contains("hsmsign set KEY --offset-ms 3"), "{done:?}");
    // As far off as this machine is slow, at most.
    place.ok(&["set", "binance", "--offset-ms", &hour.to_string()]);
    let done = send(&place, &server, &account);
    assert!(done.stderr.contains("for an offset of 3600000 ms"), "{done:?}");
}

#[test]
fn a_dry_run_shows_no_passphrase_though_the_agent_signed() {
    let server = Server::new(vec![ok("{}")]);
    let Some(place) = Place::with_token() else { return };
    let secret = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldC0hISEhISEhIQ==";
    let url = server.url();
    let import = [
        "-e",
        "coinbaseexchange",
        "--api-key",
        "example",
        "--base-url",
        &url,
    ];
    place.import(&import, &format!("{secret}\nwords-of-the-phrase"));
    let _agent = Running::start(&place);
    let done = send(
        &place,
        &server,
        &["coinbaseexchange", "GET", "/orders", "--dry-run"],
    );
    assert!(
        done.code == 0 && done.stdout.contains("CB-ACCESS-PASSPHRASE: ***"),
        "{done:?}"
    );
    assert!(!format!("{done:?}").contains("words-of-the-phrase"), "{done:?}");
    assert!(server.received().is_empty());
}

/// Sends as a user that has the agent's socket and no folder of hsmsign.
fn send_as_bot(people: &People, server: &Server, args: &[&str]) -> Done {
    let authority = server.authority(&people.path(""));
    fs::set_permissions(&authority, fs::Permissions::from_mode(0o644)).unwrap();
    let child = people
        .command(BOT, &people.path("hsmsign"), &[&["send"], args].concat())
        .env("SSL_CERT_FILE", &authority)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    finish(child, b"")
}

#[test]
fn who_has_only_the_socket_sends_by_what_the_agent_says() {
    let Some(mut people) = People::new() else { return };
    let server = Server::new(vec![ok(r#"{"error":[],"result":{}}"#)]);
    let url = server.url();
    let done = people.run(
        OWNER,
        &["set", "kraken", "--base-url", &url, "--offset-ms", "1000"],
        "",
    );
    assert_eq!(done.code, 0, "{done:?}");
    let scheme = SHOP.replace("HOST", "shop.example");
    let folder = people.path("owner/hsmsign/schemes");
    let write = format!("umask 077; mkdir -p {0}; cat > {0}/shop.toml", folder.display());
    let child = people
        .command(OWNER, Path::new("/bin/sh"), &["-c", &write])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    assert_eq!(finish(child, scheme.as_bytes()).code, 0);
    let import = [
        "import",
        "--exchange",
        "shop",
        "--api-key",
        "example",
        "--base-url",
        &url,
    ];
    let done = people.run(OWNER, &import, judges::SHOP_SECRET);
    assert_eq!(done.code, 0, "{done:?}");
    people.start_agent();

    let done = send_as_bot(&people, &server, &BALANCE);
    assert_eq!(done.code, 0, "{done:?}");
    let done = send_as_bot(&people, &server, &["shop", "GET", "/orders"]);
    assert_eq!(done.code, 0, "{done:?}");
    let done = send_as_bot(&people, &server, &[&ORDER[..], &["--json"]].concat());
    let told: Value = serde_json::from_str(&done.stdout).unwrap_or_else(|error| panic!("{error}: {done:?}"));
    assert_eq!(told["status"], 200, "{told}");
    let done = send_as_bot(&people, &server, &["kraken", "POST", "/0/private/Withdraw"]);
    assert_eq!(done.code, 3, "{done:?}");
    let done = send_as_bot(&people, &server, &["nobody", "POST", "/"]);
    assert!(done.code == 5 && done.stderr.contains("nobody"), "{done:?}");
    let done = send_as_bot(
        &people,
        &server,
        &["kraken", "POST", "/0/private/Balance", "--host", "evil.com"],
    );
    assert_eq!(done.code, 5, "{done:?}");

    let received = server.received();
    assert_eq!(received.len(), 3);
    assert!(judges::kraken(&received[0]) < judges::kraken(&received[2]));
    judges::shop(&received[1]);
}

#[test]
fn a_key_of_ones_own_is_used_where_the_agent_has_none_of_that_name() {
    let Some(others) = Place::with_kraken() else {
        return;
    };
    let runtime = others.path().join("runtime");
    let socket = runtime.join("hsmsign/agent.sock");
    let agent = others.command(&["agent", "--socket", socket.to_str().unwrap()]);
    let _agent = Running::at(&others, agent, &socket);
    let server = Server::new(vec![ok(r#"{"error":[]}"#)]);
    let own = Place::new();
    let run = |args: &[&str], input: &str| {
        let mut command = own.command(args);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .env("SSL_CERT_FILE", server.authority(own.path()))
            .env_remove("HSMSIGN_HOME")
            .env("XDG_CONFIG_HOME", own.path().join("config"))
            .env("XDG_STATE_HOME", own.path().join("state"))
            .env("XDG_RUNTIME_DIR", &runtime);
        finish(command.spawn().unwrap(), input.as_bytes())
    };
    assert_eq!(run(&["init", "--softhsm"], "").code, 0);
    let url = server.url();
    let import = [
        "import",
        "-e",
        "kraken",
        "-k",
        "mine",
        "--api-key",
        "example",
        "--base-url",
        &url,
    ];
    let done = run(&import, KRAKEN_SECRET);
    assert_eq!(done.code, 0, "{done:?}");

    let done = run(&["send", "mine", "POST", "/0/private/Balance"], "");
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(judge_kraken(&server), 1);
    assert_eq!(Connection::to(&socket).ask(r#"{"op":"status"}"#)["signed"], 0);
    // What it may not is told as that, and not as a key that nobody knows.
    for command in ["send", "sign"] {
        let done = run(&[command, "mine", "POST", "/0/private/Withdraw"], "");
        assert!(
            done.code == 3 && done.stderr.contains("moves money out"),
            "{done:?}"
        );
        let done = run(&[command, "nobody", "POST", "/0/private/Balance"], "");
        assert!(done.code == 5 && done.stderr.contains("nobody"), "{done:?}");
    }
}
