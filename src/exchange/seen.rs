//! A prepared request as a policy's rules see it.

mod alike;
mod fields;
mod leniently;

use std::time::Duration;

use self::fields::Seen;
use super::{
    analyse::{Seam, is_path_char},
    endpoint, functions,
    glob::fits,
    plan::Plan,
    prepare::Prepared,
    scheme::Scheme,
    withdrawal::{begins_as_it_is, could_be},
};
use crate::policy::{Bound, Field, Fields, Sent, Spot, Subject, folded};

impl Subject for Prepared<'_> {
    fn method(&self) -> &str {
        &self.endpoint.method
    }

    fn holds(&self, now: Duration) -> (Duration, Duration) {
        let clock = self.plan.clock;
        let time = match (clock, self.timestamp.as_deref()) {
            (Some(clock), Some(stamp)) => clock.read(stamp).unwrap_or(now),
            (Some(_), None) => self.ahead.apply(now),
            (None, _) => now,
        };
        if clock.is_some_and(|clock| !clock.ahead.is_zero()) {
            return (now, time);
        }
        // Every exchange's is in milliseconds.
        let window = self
            .plan
            .window()
            .and_then(|at| self.options[at].split('.').next()?.parse().ok());
        let window = window.map_or(Duration::ZERO, Duration::from_millis);
        (time, time.saturating_add(window))
    }

    fn plain_path(&self) -> &str {
        &self.endpoint.plain_path
    }

    fn bound(&self) -> Bound {
        let facts = &self.plan.facts;
        let has_form = self.body.as_ref().is_some_and(|body| !body.json);
        let goes_on = |seam: &Seam| match seam {
            Seam::Query => !self.query.is_empty(),
            Seam::Body => has_form,
            Seam::Text | Seam::Before { .. } => true,
            Seam::Digits | Seam::Other => false,
        };
        Bound {
            login: self.is_login(),
            method: (facts.signs_method
                || self.endpoint.websocket
                || facts.tells_endpoint
                    && self.told_like().all(|(method, _)| method == self.endpoint.method))
                && !self.named().another_method,
            path: facts.signs_path,
            bare: (self.endpoint.method == "GET" || self.endpoint.method == "DELETE" && facts.signs_query)
                && self.body.is_none()
                && facts.signs_body
                && !self.scheme.sending().acts(&self.endpoint.path),
            path_goes_on: facts.seams.iter().any(goes_on),
            path_ends: !facts
                .seams
                .iter()
                .any(|seam| goes_on(seam) && !matches!(seam, Seam::Before { .. })),
            fields: self.scheme.signs_fields_of(self.plan, &self.endpoint.method),
        }
    }

    fn could_be(&self, pattern: &str) -> bool {
        // Every rule asks, and hardly an exchange has words for endpoints.
        could_be(self, pattern)
            || self.plan.facts.tells_endpoint && self.told_like().any(|(_, path)| fits(pattern, &path))
            || self.named().paths.iter().any(|path| fits(pattern, path))
    }

    fn sole_path(&self) -> Option<&str> {
        let sole = begins_as_it_is(self) && !self.plan.facts.tells_endpoint && self.named().paths.is_empty();
        sole.then_some(self.endpoint.plain_path.as_str())
    }

    fn spot(&self) -> Option<Spot<'_>> {
        let facts = &self.plan.facts;
        // What follows the path belongs to it as far as it could stand in one.
        let parted = |text: &str| !text.starts_with(is_path_char);
        let of_itself = |seam: &Seam| match seam {
            Seam::Query => parted(&self.query),
            Seam::Body => parted(self.parameters()),
            Seam::Digits | Seam::Other | Seam::Text | Seam::Before { .. } => true,
        };
        let named = self.named();
        // A socket's message, and one that does not say where it goes, is told by its fields.
        let sole = facts.signs_path
            && !self.endpoint.websocket
            && !named.another_method
            && named.paths.is_empty()
            && facts.seams.iter().all(of_itself);
        sole.then(|| Spot {
            exchange: self.scheme.number.get(),
            method: &self.endpoint.method,
            path: &self.endpoint.path,
            sent: Sent {
                query: !self.query.is_empty(),
                body: self.body.as_ref().map(|body| body.json),
            },
        })
    }

    fn fields(&self) -> Fields<'_> {
        let mut seen = Seen::new();
        if !self.query.is_empty() {
            seen.pieces(&self.query);
        }
        match &self.body {
            Some(body) if body.json => {
                let of_query = seen.fields.len();
                seen.json(body);
                seen.once(of_query);
            }
            Some(body) => seen.pieces(body.text()),
            None => {}
        }
        if let Some(under) = &self.under {
            seen.json(under);
        }
        if let Some(body) = self.body.as_ref().filter(|body| !body.json)
            && !self.query.is_empty()
        {
            // They may stand side by side in the message: what is cut in two there is one field elsewhere.
            seen.reading(&[&self.query, body.text()].concat());
            seen.reading(&[body.text(), &self.query].concat());
        }
        self.without_added(&mut seen);
        let run = match self.plan.facts.runs_together {
            true => Some(self.run_together()),
            false => None,
        };
        Fields::new(seen.fields, &seen.within, seen.readings, seen.odd, run)
    }

    fn moves_money(&self) -> Option<String> {
        Prepared::moves_money(self)
    }

    fn other_paths(&self) -> Vec<String> {
        // A word that stands for the endpoint holds for every endpoint that has the same.
        let told = self.told_like().map(|(_, path)| path);
        let all = told.chain(self.named().paths.iter().cloned());
        all.filter(|path| *path != self.endpoint.plain_path).collect()
    }

    fn only_looks(&self) -> bool {
        Prepared::only_looks(self)
    }

    fn fits_closing(&self, fields: &Fields<'_>) -> Option<&str> {
        Prepared::fits_closing(self, fields)
    }

    fn asked_by(&self) -> Option<&str> {
        self.scheme.caps.asked_by.as_deref()
    }

    fn traded(&self) -> Option<&[String]> {
        self.scheme.caps.traded.as_deref()
    }

    fn market_without(&self) -> Option<&str> {
        self.scheme.caps.market_without.as_deref()
    }

    fn logs_in(&self) -> bool {
        Prepared::logs_in(self)
    }

    fn opens_session(&self) -> bool {
        Prepared::opens_session(self)
    }
}

impl Scheme {
    /// Whether the signature covers the fields of a request.
    pub(super) fn signs_fields_of(&self, plan: &Plan, method: &str) -> bool {
        let facts = &plan.facts;
        let takes_body = plan.takes_form || plan.takes_json;
        match method {
            // A request without a body of its own may be given any body elsewhere.
            _ if self.lends_signatures && !facts.signs_path => false,
            "GET" | "WS" => facts.signs_query || facts.signs_body,
            _ => facts.signs_body || facts.signs_query && !takes_body,
        }
    }
}

impl Prepared<'_> {
    /// Takes out what the scheme adds, which is not the request's; where the request brings it, it must be what the scheme
    /// would add.
    fn without_added(&self, seen: &mut Seen<'_>) {
        let added = |field: &Field<'_>| {
            let mut members = self.plan.add.iter();
            field.group == 0 && members.any(|member| member.name == field.given)
        };
        if seen.fields.iter().any(added) {
            seen.fields.retain(|field| !added(field));
        }
        if !seen.readings.is_empty() {
            seen.readings
                .retain(|(name, _)| !self.plan.add.iter().any(|member| folded(&member.name) == *name));
        }
    }

    /// Names and values as they stand in the message, where nothing keeps them apart there.
    #[inline(never)]
    fn run_together(&self) -> String {
        let texts = [&self.body, &self.under].into_iter().flatten();
        texts
            .map(|part| functions::json::run_together(part.text()))
            .collect()
    }

    /// The endpoints whose word is this one's, where the message says a word in place of method and path.
    fn told_like(&self) -> impl Iterator<Item = (&str, String)> {
        let (method, path) = (&self.endpoint.method, &self.endpoint.path);
        self.plan
            .facts
            .tells_endpoint
            .then(|| self.scheme.of_the_same_word(method, path))
            .into_iter()
            .flatten()
            .map(|(method, path)| (method, endpoint::plain(path)))
    }
}
