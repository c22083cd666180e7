//! Clocks that differ: measured, applied, explained.

use hsmsign::nonce::now;

use crate::{
    binance_at, judges, kraken_at, send, send_json,
    server::{Act, Server, ok, status, with_header},
};

const ACCOUNT: [&str; 3] = ["binance", "GET", "/api/v3/account"];

fn now_ms() -> i64 {
    i64::try_from(now().as_millis()).unwrap()
}

/// The exchange's answer of its time, which is this far from ours.
fn time(offset_ms: i64) -> Act {
    ok(&format!("{{\"serverTime\":{}}}", now_ms() + offset_ms))
}

#[test]
fn a_measured_clock_is_signed_by() {
    for hours in [1, -2] {
        let offset = hours * 3_600_000;
        let before = now_ms();
        let server = Server::new(vec![time(offset), status(503, ""), ok("{}")]);
        let Some(place) = binance_at(&server) else { return };
        let (code, told) = send_json(&place, &server, &[&ACCOUNT[..], &["--measure-clock"]].concat());
        let took = now_ms() - before;
        assert_eq!(code, 0, "{told}");
        let [asked, requests @ ..] = &server.received()[..] else {
            panic!("nothing came")
        };
        assert_eq!(
            (asked.method.as_str(), asked.target.as_str()),
            ("GET", "/api/v3/time")
        );
        assert!(!asked.has("X-MBX-APIKEY"), "{asked:?}");
        assert_eq!(requests.len(), 2);
        // Off by no more than all of it took, however slow this machine is; that is far less than the offset.
        for request in requests {
            let ahead = i64::try_from(judges::binance(request)).unwrap() - before;
            assert!((ahead - offset).abs() <= 2 * took, "{ahead} {offset} {took}");
        }
        let measured = told["clock_offset_ms"].as_i64().unwrap();
        assert!(
            (measured - offset).abs() <= 2 * took,
            "{measured} {offset} {took}"
        );
        assert_eq!(told["attempts"].as_array().unwrap().len(), 2);
    }
}

#[test]
fn where_the_endpoint_tells_no_time_the_date_of_its_answer_does() {
    let date = "Mon, 01 Jan 2024 00:00:00 GMT";
    let server = Server::new(vec![with_header(404, "Date", date), ok("{}")]);
    let Some(place) = binance_at(&server) else { return };
    let done = send(&place, &server, &[&ACCOUNT[..], &["--measure-clock"]].concat());
    // It lies more than a day away, which is not believed; the message shows that it was read.
    assert_eq!(done.code, 1, "{done:?}");
    assert!(done.stderr.contains("more than a day"), "{done:?}");
    assert_eq!(server.received().len(), 1);
}

#[test]
fn an_endpoint_without_any_time_is_told() {
    let server = Server::new(vec![ok("{}")]);
    let Some(place) = binance_at(&server) else { return };
    let done = send(&place, &server, &[&ACCOUNT[..], &["--measure-clock"]].concat());
    assert_eq!(done.code, 1, "{done:?}");
    assert!(done.stderr.contains("tells no time at /api/v3/time"), "{done:?}");
    assert_eq!(server.received().len(), 1);
}

#[test]
fn a_refused_timestamp_is_explained_by_the_measured_offset() {
    let refusal = r#"{"code":-1021,"msg":"Timestamp for this request is outside of the recvWindow."}"#;
    let server = Server::new(vec![status(400, refusal), time(90_000)]);
    let Some(place) = binance_at(&server) else { return };
    let done = send(&place, &server, &ACCOUNT);
    assert_eq!((done.code, done.stdout.as_str()), (1, refusal), "{done:?}");
    assert!(
        done.stderr.contains("this machine's clock is ") && done.stderr.contains(" s behind "),
        "{done:?}"
    );
    assert!(done.stderr.contains("--measure-clock"), "{done:?}");
    let paths: Vec<_> = server
        .received()
        .iter()
        .map(|request| request.target.clone())
        .collect();
    assert_eq!((paths.len(), paths[1].as_str()), (2, "/api/v3/time"));
}

#[test]
fn a_right_clock_is_not_blamed() {
    let refusal = r#"{"code":-1021,"msg":"Timestamp for this request is outside of the recvWindow."}"#;
    // The Date of the answer itself, as good as a second, where the time cannot be had.
    let date = jiff_date();
    let server = Server::new(vec![
        Act::Answer {
            status: 400,
            headers: vec![("Date", date)],
            body: refusal.into(),
        },
        Act::Close,
    ]);
    let Some(place) = binance_at(&server) else { return };
    let old = (now_ms() - 600_000).to_string();
    let done = send(&place, &server, &[&ACCOUNT[..], &["--timestamp", &old]].concat());
    assert_eq!(done.code, 1, "{done:?}");
    assert!(done.stderr.contains("this machine's clock "), "{done:?}");
}

fn jiff_date() -> String {
    let now = jiff::Timestamp::from_millisecond(now_ms()).unwrap();
    now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

#[test]
fn krakens_time_is_asked_at_its_own_place() {
    let seconds = now_ms() / 1000 + 5000;
    let time = format!("{{\"error\":[],\"result\":{{\"unixtime\":{seconds}}}}}");
    let server = Server::new(vec![ok(&time), ok(r#"{"error":[]}"#)]);
    let Some(place) = kraken_at(&server) else { return };
    let before = now_ms();
    let done = send(
        &place,
        &server,
        &["kraken", "POST", "/0/private/Balance", "--measure-clock"],
    );
    assert_eq!(done.code, 0, "{done:?}");
    let received = server.received();
    assert_eq!(received[0].target, "/0/public/Time");
    // Its nonce is the clock in microseconds, by the exchange's clock now.
    let nonce = i64::try_from(judges::kraken(&received[1])).unwrap() / 1000;
    assert!(nonce - before > 4_900_000, "{nonce} {before}");
}
