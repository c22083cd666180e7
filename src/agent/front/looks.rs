//! What is said of a request that is not signed: where it would go, and which rules decide about it.

use serde_json::{Value, json};

use super::{
    Front,
    flights::Client,
    ops::{members, ok},
};
use crate::{
    agent::asked::Look,
    error::{Code, Result},
    policy::Caller,
    request::Request,
};

impl Front {
    /// Answers; no token is asked, and nothing is counted or given out.
    pub(super) fn look(&mut self, client: Client, caller: &Caller, what: Look, request: &Request) {
        let seen = match what {
            Look::Route => self.road.route(request).map(|route| route.to_json()),
            Look::Check => self.check(request, caller),
        };
        match seen {
            Ok(value) => self.answer(client, ok(request.id.as_ref(), &members(&value))),
            Err(error) => self.refuse(client, request.id.as_ref(), &error),
        }
    }

    fn check(&self, request: &Request, caller: &Caller) -> Result<Value> {
        match self.road.judge(request, caller) {
            Ok(verdict) => Ok(json!({"allowed": true, "rules": verdict.told(), "confirm": verdict.confirm})),
            Err(error) if error.code() == Code::Denied => Ok(json!({
                "allowed": false, "rule": error.rule(), "message": error.message(), "fix": error.advice(),
            })),
            Err(error) => Err(error),
        }
    }
}
