//! Which of the set-ups is in force: no agent, one of this user's own, or one that another user runs.

use crate::{
    agent::client::Client,
    doctor::Report,
    error::{Code, Error, Result},
    json::Json,
    request::Answer,
};

/// What an agent says of itself.
struct Status {
    path: String,
    uid: Option<u32>,
    pid: String,
    tokens: Vec<Json>,
    /// Whether there is another program in its program's place by now.
    replaced: bool,
}

impl Report {
    /// Says which it is and what it leaves open. Answers whether an agent of another user serves this one.
    pub(super) fn agent(&mut self) -> bool {
        let asked = match Client::find() {
            Ok(Some(mut agent)) => status(&mut agent),
            Ok(None) => {
                self.note(
                    "no agent runs: each command opens the token itself. What runs as you can read what you can: the PIN's source, the token's files, and it can use the token without hsmsign's rules",
                    Some("share one: hsmsign agent start. For money, run it as a user of its own: docs/agent.md"),
                );
                return false;
            }
            Err(error) => Err(error),
        };
        let status = match asked {
            Ok(status) => status,
            Err(error) => {
                self.bad(&error);
                return false;
            }
        };
        if status.replaced {
            self.note(
                format!("the agent at {} runs a program that was replaced since it started", status.path),
                Some("end it and start it again: hsmsign agent stop; hsmsign agent start; under systemd: systemctl restart hsmsign-agent"),
            );
        }
        let own = rustix::process::geteuid().as_raw();
        match status.uid {
            Some(uid) if uid == own => {
                self.note(
                    format!(
                        "an agent of your own serves {} (pid {}): its memory is closed to what runs as you, but that can replace the program or preload into the agent's next start, read the token's files and the PIN's source, and unlock or stop it",
                        status.path, status.pid
                    ),
                    Some("for money, run it as a user of its own: docs/agent.md"),
                );
                false
            }
            Some(0) => {
                self.note(
                    format!(
                        "an agent that runs as root serves {}: a fault in a token's module would be root's",
                        status.path
                    ),
                    Some("run it as a user of its own: docs/agent.md"),
                );
                self.tokens_of(&status);
                true
            }
            Some(uid) => {
                self.good(format!(
                    "a system agent serves {} as uid {uid}: what runs as you can ask it for the signatures that the keys' rules allow, and can neither trace nor replace it, nor read its PINs or the token's files",
                    status.path
                ));
                self.tokens_of(&status);
                true
            }
            None => {
                self.bad(&Error::new(
                    Code::Failed,
                    format!("the agent at {} does not say whose it is", status.path),
                ));
                false
            }
        }
    }

    /// The tokens of an agent that this user cannot open for themselves.
    fn tokens_of(&mut self, status: &Status) {
        for token in &status.tokens {
            let (name, state) = (text(token, "token"), text(token, "state"));
            let told = format!("token {name} of the agent is {state}");
            let error = member(token, "error").filter(|error| matches!(error, Json::Object(_)));
            match (state.as_str(), error) {
                ("open", _) => self.good(told),
                (_, Some(error)) => self.bad(
                    &Error::new(Code::Failed, format!("{told}: {}", text(error, "message")))
                        .fix(text(error, "fix")),
                ),
                _ => self.note(
                    told,
                    Some(&format!("who administers it unlocks it: hsmsign unlock {name}")),
                ),
            }
        }
    }
}

fn status(agent: &mut Client) -> Result<Status> {
    let mut answer = Answer::parse(&agent.ask("{\"op\":\"status\"}")?)?;
    let mut number = |name: &str| match answer.take(name) {
        Some(Json::Number(number)) => number,
        _ => String::new(),
    };
    let (uid, pid) = (number("uid"), number("pid"));
    let tokens = match answer.take("tokens") {
        Some(Json::List(tokens)) => tokens,
        _ => Vec::new(),
    };
    let replaced = answer.take("replaced") == Some(Json::Bool(true));
    Ok(Status {
        replaced,
        path: agent.path.display().to_string(),
        uid: uid.parse().ok(),
        pid,
        tokens,
    })
}

fn member<'j>(object: &'j Json, wanted: &str) -> Option<&'j Json> {
    let Json::Object(members) = object else {
        return None;
    };
    members
        .iter()
        .find(|(name, _)| name == wanted)
        .map(|(_, value)| value)
}

fn text(object: &Json, wanted: &str) -> String {
    match member(object, wanted) {
        Some(Json::String(text)) => text.clone(),
        _ => String::new(),
    }
}
