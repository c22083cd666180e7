//! What a file's signatures cover, in words: for `hsmsign exchanges check` and `show`.

use super::{analyse::Seam, plan::Plan, scheme::Scheme, size::Size, sockets::Sockets};

/// What the signatures of one kind of request cover.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coverage {
    /// Which requests, as `every request` or `requests to /v1/*`.
    pub requests: String,
    /// The parts of the request that are signed: of `path`, `query` and `body`.
    pub signed: Vec<&'static str>,
    /// Those that are not; a request that has one is refused, unless the file says that it may go along.
    pub unsigned: Vec<&'static str>,
    /// Where the path runs into its neighbours, which the withdrawal rules take into account.
    pub seams: Vec<String>,
    /// How long the message is.
    pub size: Size,
}

impl Scheme {
    /// What the signatures cover, for each kind of request.
    pub fn coverage(&self) -> Vec<Coverage> {
        let rest = self.rest_plans().enumerate().map(|(at, plan)| {
            let requests = match (at.checked_sub(1), self.forms.is_empty()) {
                (None, true) => "every request".to_owned(),
                (None, false) => "other requests".to_owned(),
                (Some(at), _) => self.forms[at].requests(),
            };
            self.covered(plan, requests)
        });
        let sockets = self.websocket().into_iter().flat_map(Sockets::plans);
        let logins = sockets.enumerate().map(|(at, plan)| {
            let requests = match (at, plan.paths.as_slice()) {
                (0, _) => "the WebSocket login".to_owned(),
                (_, []) => "a message over the WebSocket".to_owned(),
                (_, paths) => format!("the WebSocket login to {}", paths.join(", ")),
            };
            self.covered(plan, requests)
        });
        rest.chain(logins).collect()
    }

    /// Whether every REST request's path is signed. Where it is not, a withdrawal is known by its fields alone, and a
    /// message that is signed raw cannot be told from one.
    pub fn signs_path(&self) -> bool {
        self.rest_plans().all(|plan| plan.facts.signs_path)
    }

    /// Whether every REST request's method is signed.
    pub fn signs_method(&self) -> bool {
        self.rest_plans().all(|plan| plan.facts.signs_method)
    }

    /// What makes the file unfit for use: reasons for `exchanges check` to refuse it.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        match &self.withdrawal {
            None => faults.push(
                "there is no [withdrawal], so every request would be taken for a withdrawal".to_owned(),
            ),
            Some(rules) if !self.signs_path() && !rules.knows_fields() => faults.push(
                "the path is not signed, and there are no `withdrawal.fields` by which to know a withdrawal"
                    .to_owned(),
            ),
            Some(rules) if rules.paths.is_empty() && !rules.knows_fields() => {
                faults.push("[withdrawal] names nothing, so no request would be taken for one".to_owned());
            }
            Some(_) => {}
        }
        faults
    }

    /// What the file's author and users should know.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        for (plan, coverage) in self.rest_plans().zip(self.coverage()) {
            let facts = &plan.facts;
            let spared = self.withdrawal.as_ref().is_some_and(|rules| rules.spare(plan));
            if !(spared || facts.sign_something()) {
                warnings.push(format!(
                    "{}: nothing of the request is signed, so that each is taken for a withdrawal",
                    coverage.requests
                ));
                continue;
            }
            if !facts.signs_path {
                warnings.push(format!("{}: the path is not signed", coverage.requests));
            }
            for (let_go, part) in [(plan.unsigned_query, "query"), (plan.unsigned_body, "body")] {
                if let_go && coverage.unsigned.contains(&part) {
                    warnings.push(format!("{}: the {part} goes along unsigned", coverage.requests));
                }
            }
            if plan.paths.is_empty() && facts.seams.iter().any(|seam| matches!(seam, Seam::Before { .. })) {
                warnings.push(format!(
                    "{}: text of the request stands in front of the path; list the `paths` that may be signed",
                    coverage.requests
                ));
            }
        }
        if self.tests().is_empty() {
            warnings.push("there is no [[test]] row that proves the file".to_owned());
        }
        warnings
    }

    fn covered(&self, plan: &Plan, requests: String) -> Coverage {
        let facts = &plan.facts;
        let parts = [
            ("path", facts.signs_path),
            ("query", facts.signs_query),
            ("body", facts.signs_body),
        ];
        let named = |wanted: bool| {
            parts
                .iter()
                .filter(|(_, signed)| *signed == wanted)
                .map(|(name, _)| *name)
                .collect()
        };
        let seams = facts.seams.iter().map(|seam| {
            match seam {
                Seam::Digits => "digits follow the path",
                Seam::Query => "the query follows the path without `?`",
                Seam::Body => "a form follows the path",
                Seam::Other => "other text follows the path",
                Seam::Text => "text of the request follows the path",
                Seam::Before { .. } => "text of the request stands in front of the path",
            }
            .to_owned()
        });
        Coverage {
            requests,
            signed: named(true),
            unsigned: named(false),
            seams: seams.collect(),
            size: self.first_size(plan),
        }
    }
}
