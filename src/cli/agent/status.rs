//! What an agent says of itself, in words or as it said it.

use std::process::ExitCode;

use hsmsign::{agent::client::Client, error::Result, json::Json, request::Answer};

use crate::cli::output;

pub(super) fn status(json: bool) -> Result<ExitCode> {
    let answer = Client::connect()?.ask("{\"op\":\"status\"}")?;
    if json {
        Answer::parse(&answer)?;
        return output::line(&answer);
    }
    let mut answer = Answer::parse(&answer)?;
    let mut text = |name: &str| match answer.take(name) {
        Some(Json::String(text) | Json::Number(text)) => text,
        Some(other) => other.to_compact(),
        None => "?".to_owned(),
    };
    let mut told = format!(
        "hsmsign {} runs as pid {}, uid {}, for {} s, at {}\n  {} connections, {} requests on their way\n  {} signed, {} denied, {} refused\n",
        text("version"),
        text("pid"),
        text("uid"),
        text("uptime_s"),
        text("socket"),
        text("connections"),
        text("in_flight"),
        text("signed"),
        text("denied"),
        text("refused"),
    );
    if answer.take("replaced") == Some(Json::Bool(true)) {
        told.push_str(
            "  its program was replaced: end it and start it again, to have it run the newer one\n",
        );
    }
    if let Some(Json::List(tokens)) = answer.take("tokens") {
        for token in tokens {
            let Json::Object(members) = token else { continue };
            let find = |name: &str| {
                members
                    .iter()
                    .find(|(member, _)| member == name)
                    .map(|(_, value)| value.clone())
            };
            let word = |name: &str| match find(name) {
                Some(Json::String(text) | Json::Number(text)) => text,
                _ => "-".to_owned(),
            };
            told.push_str(&format!(
                "  token {}: {}, worker {}, restarted {} times\n",
                word("token"),
                word("state"),
                word("worker_pid"),
                word("restarts")
            ));
            if word("state") == "locked" {
                told.push_str(&format!("    unlock it: hsmsign unlock {}\n", word("token")));
            }
            if let Some(Json::Object(error)) = find("error") {
                for (name, value) in error {
                    if let (true, Json::String(text)) = (name != "code", value) {
                        told.push_str(&format!("    {text}\n"));
                    }
                }
            }
        }
    }
    output::line(told.trim_end())
}
