//! What is asked of the agent itself, and who may.

use serde_json::{Value, json};

use super::{Front, flights::Client};
use crate::{
    agent::{asked::Op, errand, peer},
    audit::{Entry, What, cut},
    clock,
    error::{Code, Error, Result, bad_input},
    json::Json,
    policy::Caller,
    token::Wanted,
};

/// How many commands that change keys are done at once.
const MOST_ERRANDS: usize = 8;

/// An answer line with these members behind `ok` and `id`.
pub fn ok(id: Option<&Json>, members: &str) -> String {
    let id = id
        .map(|id| format!(",\"id\":{}", id.to_compact()))
        .unwrap_or_default();
    match members {
        "" => format!("{{\"ok\":true{id}}}"),
        members => format!("{{\"ok\":true{id},{members}}}"),
    }
}

/// The members of an object, without its braces.
pub fn members(value: &Value) -> String {
    let text = value.to_string();
    text.strip_prefix('{')
        .and_then(|text| text.strip_suffix('}'))
        .unwrap_or_default()
        .to_owned()
}

impl Front {
    /// Does what is asked of the agent itself.
    pub(super) fn op(&mut self, client: Client, caller: &Caller, op: Op) {
        match self.do_op(client, caller, &op) {
            Ok(Some(value)) => self.answer(client, ok(op.id.as_ref(), &members(&value))),
            Ok(None) => {}
            Err(error) => self.refuse(client, op.id.as_ref(), &error),
        }
    }

    fn do_op(&mut self, client: Client, caller: &Caller, op: &Op) -> Result<Option<Value>> {
        let known: &[&str] = match op.name.as_str() {
            "lock" => &["token"],
            "unlock" => &["token", "pin", "what"],
            "command" => &["arguments"],
            _ => &[],
        };
        if let Some((name, _)) = op
            .arguments
            .iter()
            .find(|(name, _)| !known.contains(&name.as_str()))
        {
            let shown: String = name.chars().take(60).collect();
            return Err(bad_input(format!("`{}` takes no {shown:?}", op.name)));
        }
        Ok(Some(match op.name.as_str() {
            "ping" => {
                json!({"version": env!("CARGO_PKG_VERSION"), "pid": std::process::id(), "uid": rustix::process::geteuid().as_raw()})
            }
            "requests" => {
                if let Some(client) = self.client(client.index) {
                    client.requests_only = true;
                }
                json!({})
            }
            "keys" => {
                self.folders.replaced().map_or(Ok(()), Err)?;
                json!({"keys": self.keys()?})
            }
            "status" => self.status(),
            "lock" => {
                self.permit(caller, "lock tokens")?;
                let token = token_of(op)?;
                if let Some(token) = &token {
                    self.number_of(token)?;
                }
                self.road
                    .log()
                    .record(about(What::Lock, caller, token.as_deref()));
                self.lock(token.as_deref());
                json!({})
            }
            "unlock" => {
                self.permit(caller, "unlock tokens")?;
                let entry = about(What::Unlock, caller, token_of(op)?.as_deref());
                // What comes of it stands in the log when the token has answered.
                self.unlock(client, op, &entry)
                    .inspect_err(|error| self.road.log().record(entry.refused(error)))?;
                return Ok(None);
            }
            "command" => {
                self.permit(caller, "change its keys")?;
                self.command(client, caller, op)?;
                return Ok(None);
            }
            "reload" => {
                self.permit(caller, "reload it")?;
                self.reload()?;
                json!({})
            }
            "stop" => {
                self.permit(caller, "stop it")?;
                self.stop();
                json!({})
            }
            name => {
                let shown: String = name.chars().take(60).collect();
                return Err(
                    Error::new(Code::Unsupported, format!("the agent knows no op {shown:?}"))
                        .fix("it knows ping, requests, keys, status, route, check, explain, lock, unlock, command, reload and stop"),
                );
            }
        }))
    }

    /// Whether somebody may do more than have requests signed.
    pub(super) fn may_administer(&self, caller: &Caller) -> bool {
        let own = rustix::process::geteuid().as_raw();
        let may = caller.uid == own || caller.uid == 0 || self.config.agent.admins.contains(&caller.uid);
        may && peer::anybody() != Some(caller.uid)
    }

    /// Refuses who may only have requests signed.
    fn permit(&self, caller: &Caller, what: &str) -> Result<()> {
        if self.may_administer(caller) {
            return Ok(());
        }
        let error = Error::new(
            Code::Denied,
            format!(
                "uid {} may have requests signed by this agent, and not {what}",
                caller.uid
            ),
        );
        let error = match peer::anybody() == Some(caller.uid) {
            true => error.fix("in the agent's user namespace that is whoever has no uid there: ask as root of the namespace, or run the agent as a user with another uid"),
            false => error.fix(format!(
                "its owner adds the uid to admins in [agent] of config.toml: admins = [{}]",
                caller.uid
            )),
        };
        // Where the log cannot be written, whoever asks on and on would fill the memory with what waits for it.
        if self.road.log().check().is_ok() {
            let entry = Entry::new(What::Op, caller, "", clock::now());
            self.road.log().record(entry.detail(what).refused(&error));
        }
        Err(error)
    }

    /// Opens a token again, with the PIN from the descriptor that came along where the line says so.
    fn unlock(&mut self, client: Client, op: &Op, entry: &Entry) -> Result<()> {
        let mut tokens = self.workers.iter().filter(|worker| worker.holds_token());
        let token = match (token_of(op)?, tokens.next(), tokens.next()) {
            (Some(token), ..) => token,
            (None, Some(only), None) => only.token.clone(),
            (None, ..) => {
                return Err(
                    bad_input("there is more than one token").fix("name it: {\"op\":\"unlock\",\"token\":…}")
                );
            }
        };
        let pin = match op.arguments.iter().find(|(name, _)| name == "pin") {
            None | Some((_, Json::Bool(false) | Json::Null)) => None,
            Some((_, Json::Bool(true))) => {
                let from = self
                    .client(client.index)
                    .and_then(super::clients::Client::take_fd);
                Some(from.ok_or_else(|| {
                    bad_input("the PIN did not come along")
                        .fix("pass the reading end of a pipe with the line (SCM_RIGHTS)")
                })?)
            }
            Some(_) => {
                return Err(bad_input("`pin` says whether a descriptor comes along: true or false")
                    .fix("a PIN is never in a line; pass the reading end of a pipe that it can be read from (SCM_RIGHTS)"));
            }
        };
        let what = match (op.arguments.iter().find(|(name, _)| name == "what"), &pin) {
            (None | Some((_, Json::Null)), _) => Wanted::Pin,
            (Some((_, Json::String(what))), Some(_)) => Wanted::named(what).ok_or_else(|| {
                let shown: String = what.chars().take(60).collect();
                bad_input(format!("{shown:?} is nothing that unlocks a token"))
                    .fix("`what` is pin, access-code or piv-pin")
            })?,
            _ => {
                return Err(
                    bad_input("`what` says what `pin` is, which does not come along here")
                        .fix("give it with \"pin\":true, as pin, access-code or piv-pin"),
                );
            }
        };
        let number = self.number_of(&token)?;
        self.workers[number].locked = false;
        self.workers[number].forget_failures();
        self.start(number)?;
        let mut flight = self.flight(client, op.id.clone(), super::flights::Work::Worker);
        flight.worker = Some(number);
        flight.told = true;
        flight.note = Some(Box::new(entry.clone()));
        let now = self.now;
        let id = self.flights.put(flight);
        let ask = crate::agent::frame::Ask::Open {
            given: pin.is_some().then_some(what),
        };
        self.workers[number].ask(id, &ask, pin.into_iter().collect(), now);
        Ok(())
    }

    /// Has a command done that changes keys, with the asker's own standard input, output and error.
    fn command(&mut self, client: Client, caller: &Caller, op: &Op) -> Result<()> {
        let Some((_, Json::List(arguments))) = op.arguments.iter().find(|(name, _)| name == "arguments")
        else {
            return Err(bad_input("`arguments` must be a list of strings"));
        };
        let arguments = arguments
            .iter()
            .map(|argument| match argument {
                Json::String(text) => Ok(text.as_str()),
                other => Err(bad_input(format!(
                    "an argument must be a string, and is {}",
                    other.kind()
                ))),
            })
            .collect::<Result<Vec<_>>>()?;
        if !errand::is_done(&arguments) {
            let switches = errand::SWITCHES.map(|words| words.join(" "));
            return Err(
                Error::new(Code::Unsupported, "the agent does no such command for others").fix(format!(
                    "it does {}, {}",
                    errand::COMMANDS.join(", "),
                    switches.join(", ")
                )),
            );
        }
        let fds: Vec<_> = std::iter::from_fn(|| self.client(client.index)?.take_fd())
            .take(errand::FDS)
            .collect();
        if fds.len() != errand::FDS {
            return Err(
                bad_input("standard input, output, error and a pipe must come along")
                    .fix("use `hsmsign import` and the like, which passes them"),
            );
        }
        let free = self
            .workers
            .iter()
            .position(|worker| worker.does_errands() && !worker.is_running());
        let number = match free {
            Some(number) => number,
            None if self.errands() < MOST_ERRANDS => {
                self.workers.push(super::Worker::new(errand::NAME.to_owned()));
                self.workers.len() - 1
            }
            None => {
                return Err(Error::new(
                    Code::TokenBusy,
                    format!("{MOST_ERRANDS} commands that change keys are being done already"),
                )
                .fix("try again when they are done"));
            }
        };
        self.workers[number].forget_failures();
        self.start(number)?;
        let mut flight = self.flight(client, op.id.clone(), super::flights::Work::Errand);
        flight.worker = Some(number);
        flight.told = true;
        let now = self.now;
        let id = self.flights.put(flight);
        let text = json!([caller.tell(), arguments]).to_string();
        self.workers[number].ask(id, &crate::agent::frame::Ask::Errand(text.as_bytes()), fds, now);
        Ok(())
    }

    fn errands(&self) -> usize {
        self.workers.iter().filter(|worker| worker.does_errands()).count()
    }

    /// The worker that holds the token of this name.
    fn number_of(&self, token: &str) -> Result<usize> {
        let found = self
            .workers
            .iter()
            .position(|worker| worker.token == token && worker.holds_token());
        found.ok_or_else(|| {
            let shown: String = token.chars().take(60).collect();
            Error::new(Code::TokenMissing, format!("the agent has no token {shown:?}"))
                .fix("`hsmsign agent status` shows its tokens")
        })
    }

    /// Ends the workers of a token, or of all, and with them logins and PINs. Answers whether any was not locked before.
    pub(super) fn lock(&mut self, token: Option<&str>) -> bool {
        let mut any = false;
        for number in 0..self.workers.len() {
            let worker = &mut self.workers[number];
            if token.is_some_and(|token| *token != worker.token) || worker.locked || !worker.holds_token() {
                continue;
            }
            worker.locked = true;
            any = true;
            let told = !worker.is_starting();
            worker.stop(&mut self.launcher);
            let error = Error::new(Code::TokenLocked, "it was locked");
            self.lost(number, &error, told);
        }
        any
    }

    /// Locks all tokens where nothing was asked for so long.
    pub(super) fn lock_where_idle(&mut self) {
        let Some(idle) = self.config.agent.lock_after() else {
            return;
        };
        if self.last_request + idle < self.now && self.lock(None) {
            let entry = about(What::Lock, &self.own, None);
            let detail = format!("every token, after {} s without a request", idle.as_secs());
            self.road.log().record(entry.detail(detail));
        }
    }
}

/// What the log has of a token that is locked or unlocked, or of all.
fn about(what: What, caller: &Caller, token: Option<&str>) -> Entry {
    let token = token.map_or_else(
        || "every token".to_owned(),
        |token| format!("token {}", cut(token, 60)),
    );
    Entry::new(what, caller, "", clock::now()).detail(token)
}

fn token_of(op: &Op) -> Result<Option<String>> {
    match op.arguments.iter().find(|(name, _)| name == "token") {
        None | Some((_, Json::Null)) => Ok(None),
        Some((_, Json::String(token))) => Ok(Some(token.clone())),
        Some((_, other)) => Err(bad_input(format!(
            "`token` must be a string, and is {}",
            other.kind()
        ))),
    }
}
