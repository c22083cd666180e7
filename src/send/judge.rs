//! What an answer, or the lack of one, means.

use std::time::Duration;

use super::{
    answer::{Answer, quoted},
    measure::{self, Measured},
    progress::Sent,
    retry::Nature,
    wire::{Fault, Wire},
};
use crate::{
    error::{Error, failed},
    exchange::{Scheme, Sending},
    signer::Route,
};

const LOOK: &str = "it may have been done: look at your orders and balances before you send it again";

/// The error that an answer is, if it is one: any status but 2xx, the scheme's own rule, or what no API answers.
pub(super) fn error(scheme: &Scheme, host: &str, answer: &Answer) -> Option<Error> {
    let json = answer.json();
    let words = json
        .as_ref()
        .and_then(|json| scheme.sending().error(json))
        .map(|words| quoted(&words));
    let status = answer.status_line();
    match answer.status {
        200..=299 => match words {
            Some(words) => Some(failed(format!("{host} refused it: {words}"))),
            None if json.is_none() => {
                not_an_answer(answer).map(|what| failed(format!("{host} answered {status}, but with {what}")))
            }
            None => None,
        },
        300..=399 => {
            let place = answer
                .header("location")
                .map(|place| format!(" and points to {}", quoted(place)));
            let told = format!("{host} answered {status}{}", place.unwrap_or_default());
            Some(failed(told).fix("a signed request is sent nowhere else; see that host and path are as the exchange documents them"))
        }
        _ => {
            let words = words.map(|words| format!(": {words}")).unwrap_or_default();
            Some(failed(format!("{host} answered {status}{words}")))
        }
    }
}

/// What stands where an answer of the API should: a web page, or JSON that is broken.
fn not_an_answer(answer: &Answer) -> Option<&'static str> {
    let body = answer.body.trim_ascii_start();
    let kind = answer
        .header("content-type")
        .unwrap_or_default()
        .to_ascii_lowercase();
    if body.is_empty() {
        None
    } else if kind.contains("html") || body.starts_with(b"<") {
        Some("a web page")
    } else if kind.contains("json") || body.starts_with(b"{") || body.starts_with(b"[") {
        Some("JSON that cannot be read")
    } else {
        None
    }
}

/// The error of a request that ends since the exchange asks for a longer wait than is allowed.
pub(super) fn too_long_a_wait(error: Error, wait: Duration, nature: Nature, sent: Sent) -> Error {
    let asked = format!(
        "the exchange asks to wait {} s before the next request; --max-wait SECONDS lets hsmsign wait that long",
        wait.as_secs()
    );
    let doubt = sent == Sent::Maybe && !nature.only_reads;
    error.fix(if doubt { format!("{LOOK}; {asked}") } else { asked })
}

/// The error of an attempt that could not be signed, with others before it that were sent.
pub(super) fn unsigned(error: &Error) -> Error {
    failed(format!(
        "it was sent and failed, and could not be signed again: {error}"
    ))
    .fix(LOOK)
}

/// An answer that says that the request's time was wrong, explained by how far the clocks are apart.
pub(super) fn clock(
    error: &Error,
    route: &Route,
    wire: &Wire,
    came: &Result<Answer, Fault>,
    used: Option<Measured>,
) -> Option<Error> {
    let answer = came.as_ref().ok()?;
    let sending = route.scheme.sending();
    if !sending.is_clock_error(&String::from_utf8_lossy(&answer.body)) {
        return None;
    }
    let sent = wire.written_at().unwrap_or(answer.read_at);
    let host = wire.host();
    let measured = measure::measure(wire, &route.origin, sending.time(&route.path))
        .ok()
        .or_else(|| measure::by_date(answer, sent))?;
    let told = failed(format!(
        "{}; this machine's clock {}{}",
        error.message(),
        measured.words(host),
        match route.offset.millis() {
            0 => String::new(),
            set => format!(", and the request was signed for an offset of {set} ms"),
        }
    ));
    Some(if used.is_some() {
        told.fix("the request was signed by the exchange's own clock: see that no other program uses this API key, and try a wider --window")
    } else if measured.from(route.offset).agrees() {
        told.fix("the clock is right: see that the request brings no old timestamp, and that no other program uses this API key")
    } else {
        told.fix(format!(
            "set this machine's clock, or send with --measure-clock; or have the key signed for by it: hsmsign set KEY --offset-ms {}",
            measured.offset.millis()
        ))
    })
}

/// The error with what to do about it.
pub(super) fn advised(
    error: Error,
    sending: &Sending,
    nature: Nature,
    came: &Result<Answer, Fault>,
    sent: Sent,
) -> Error {
    if error.remedy().is_some() && sent != Sent::Maybe {
        return error;
    }
    let failing = came.as_ref().is_ok_and(|answer| answer.status >= 500);
    if (failing || sent == Sent::Maybe) && !nature.only_reads {
        return error.fix(LOOK);
    }
    if came
        .as_ref()
        .is_ok_and(|answer| sending.is_nonce_error(&String::from_utf8_lossy(&answer.body)))
    {
        return error.fix("another program uses this API key, or used it with greater nonces: give each program an API key of its own, or see `hsmsign nonce --help`");
    }
    match came {
        Ok(answer) if answer.status == 429 => error.fix("send requests less often"),
        Ok(answer) if answer.status < 500 => {
            error.fix("the exchange's documentation says what its answer means; it is printed in full")
        }
        _ => error.fix("send it again later"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::builtin;

    fn judged(status: u16, headers: &[(&str, &str)], body: &str) -> Option<String> {
        let scheme = Scheme::parse(builtin("kraken").unwrap(), "kraken").unwrap();
        let answer = Answer {
            status,
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).into(), (*value).into()))
                .collect(),
            body: body.into(),
            read_at: Duration::ZERO,
        };
        error(&scheme, "h", &answer).map(|error| error.message().to_owned())
    }

    #[test]
    fn an_answer_is_done_only_with_a_2xx_that_holds_no_error() {
        for (status, body) in [
            (200, r#"{"error":[],"result":{}}"#),
            (201, "{}"),
            (204, ""),
            (200, "PK\u{3}\u{4}zip"),
            (200, "1700000000"),
        ] {
            assert_eq!(judged(status, &[], body), None, "{status} {body}");
        }
        for (status, body, words) in [
            (
                200,
                r#"{"error":["EOrder:Insufficient funds"]}"#,
                "h refused it: EOrder:Insufficient funds",
            ),
            (
                200,
                r#"{"error":["#,
                "h answered 200 OK, but with JSON that cannot be read",
            ),
            (200, "<html>", "h answered 200 OK, but with a web page"),
            (
                400,
                r#"{"error":["EGeneral:x"]}"#,
                "h answered 400 Bad Request: EGeneral:x",
            ),
            (503, "<html>", "h answered 503 Service Unavailable"),
            (599, "", "h answered 599"),
            (304, "", "h answered 304 Not Modified"),
        ] {
            assert_eq!(judged(status, &[], body).as_deref(), Some(words));
        }
        let moved = judged(302, &[("location", "https://evil/\u{1b}[2J")], "");
        assert_eq!(
            moved.as_deref(),
            Some("h answered 302 Found and points to https://evil/ [2J")
        );
        let html = [("content-type", "text/html; charset=utf-8")];
        assert_eq!(judged(200, &html, r#"{"error":[]}"#), None);
        assert!(judged(200, &html, "Just a moment").is_some());
        assert!(judged(200, &[("content-type", "application/json")], "nope").is_some());
    }
}
