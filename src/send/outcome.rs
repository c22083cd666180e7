//! What became of a request.

use std::time::Duration;

use base64ct::Encoding as _;

use super::{
    answer::Answer,
    measure::Measured,
    progress::{Attempt, Sent, overall},
};
use crate::{error::Error, json::quote};

/// What became of a request.
#[derive(Debug)]
pub struct Outcome {
    /// The answer of the last attempt, if it is whole.
    pub answer: Option<Answer>,
    /// Why it is not done; none where it is.
    pub error: Option<Error>,
    /// All attempts, in order.
    pub attempts: Vec<Attempt>,
    /// How far the clocks are apart, where that was measured to sign by.
    pub clock: Option<Measured>,
    /// The time that all of it took.
    pub elapsed: Duration,
}

impl Outcome {
    /// Whether the exchange may have got the request.
    pub fn sent(&self) -> Sent {
        overall(&self.attempts)
    }

    /// The outcome as one line of JSON, without its line feed.
    pub fn to_line(&self) -> String {
        let mut line = format!("{{\"ok\":{}", self.error.is_none());
        if let Some(answer) = &self.answer {
            write_answer(answer, &mut line);
        }
        write_attempts(&self.attempts, &mut line);
        if let Some(clock) = &self.clock {
            line.push_str(&format!(",\"clock_offset_ms\":{}", clock.offset.millis()));
        }
        line.push_str(&format!(",\"elapsed_ms\":{}", self.elapsed.as_millis()));
        if let Some(error) = &self.error {
            write_error(error, &mut line);
        }
        line.push('}');
        line
    }
}

/// The line of a request that has no outcome: it could not be sent, or was broken off.
pub fn failure_line(attempts: &[Attempt], error: &Error) -> String {
    let mut line = String::from("{\"ok\":false");
    write_attempts(attempts, &mut line);
    write_error(error, &mut line);
    line.push('}');
    line
}

fn write_answer(answer: &Answer, line: &mut String) {
    line.push_str(&format!(",\"status\":{},\"headers\":{{", answer.status));
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in &answer.headers {
        if names.contains(&name.as_str()) {
            continue;
        }
        if !names.is_empty() {
            line.push(',');
        }
        names.push(name);
        let values = answer.headers.iter().filter(|(have, _)| have == name);
        let values: Vec<_> = values.map(|(_, value)| value.as_str()).collect();
        quote(name, line);
        line.push(':');
        quote(&values.join(", "), line);
    }
    line.push_str("},\"body\":");
    match std::str::from_utf8(&answer.body) {
        Ok(body) => quote(body, line),
        Err(_) => {
            let encoded = base64ct::Base64::encode_string(&answer.body);
            line.push_str(&format!("null,\"body_base64\":\"{encoded}\""));
        }
    }
}

fn write_attempts(attempts: &[Attempt], line: &mut String) {
    line.push_str(&format!(
        ",\"sent\":\"{}\",\"attempts\":[",
        overall(attempts).name()
    ));
    for (index, attempt) in attempts.iter().enumerate() {
        if index > 0 {
            line.push(',');
        }
        line.push_str(&format!("{{\"sent\":\"{}\"", attempt.sent.name()));
        if let Some(status) = attempt.status {
            line.push_str(&format!(",\"status\":{status}"));
        }
        if let Some(error) = &attempt.error {
            line.push_str(",\"error\":");
            quote(error, line);
        }
        line.push('}');
    }
    line.push(']');
}

fn write_error(error: &Error, line: &mut String) {
    line.push_str(",\"error\":{\"code\":");
    quote(error.code().name(), line);
    line.push_str(",\"message\":");
    quote(error.message(), line);
    line.push_str(",\"fix\":");
    quote(error.advice(), line);
    line.push('}');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::failed;

    #[test]
    fn an_outcome_is_one_line_of_json() {
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let mut outcome = Outcome {
            answer: Some(Answer {
                status: 200,
                headers: vec![header("a", "1"), header("b", "2"), header("a", "3")],
                body: b"{\"x\":1.0}".to_vec(),
                read_at: Duration::ZERO,
            }),
            error: None,
            attempts: vec![
                Attempt {
                    sent: Sent::No,
                    status: None,
                    error: Some("refused".into()),
                },
                Attempt {
                    sent: Sent::Yes,
                    status: Some(200),
                    error: None,
                },
            ],
            clock: None,
            elapsed: Duration::from_millis(12),
        };
        assert_eq!(
            outcome.to_line(),
            r#"{"ok":true,"status":200,"headers":{"a":"1, 3","b":"2"},"body":"{\"x\":1.0}","sent":"yes","attempts":[{"sent":"no","error":"refused"},{"sent":"yes","status":200}],"elapsed_ms":12}"#
        );
        outcome.answer = None;
        outcome.attempts = vec![Attempt {
            sent: Sent::Maybe,
            status: None,
            error: Some("broke".into()),
        }];
        outcome.error = Some(failed("broke").fix("look"));
        assert_eq!(
            outcome.to_line(),
            r#"{"ok":false,"sent":"maybe","attempts":[{"sent":"maybe","error":"broke"}],"elapsed_ms":12,"error":{"code":"failed","message":"broke","fix":"look"}}"#
        );
    }
}
