//! What is counted for Prometheus, and its text format (version 0.0.4).

use std::{
    collections::BTreeMap,
    fmt::{Display, Write as _},
    time::{Duration, SystemTime},
};

use crate::error::Code;

/// The upper bounds of the latencies' buckets, in microseconds.
const BOUNDS: [u64; 17] = [
    50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 5_000_000, 10_000_000,
];

/// What was counted since the start.
pub struct Metrics {
    began: SystemTime,
    refusals: BTreeMap<&'static str, u64>,
    tokens: BTreeMap<String, OfToken>,
    /// Connections that were taken.
    pub connected: u64,
    /// Connections beyond the limit.
    pub turned_away: u64,
}

/// What was counted of a token.
#[derive(Default)]
struct OfToken {
    /// How many answers fell into each bucket; those beyond the last are in `answers` alone.
    buckets: [u64; BOUNDS.len()],
    answers: u64,
    total: Duration,
    pin_tries: u64,
    pins_refused: u64,
}

/// A token's state, as it is when somebody asks.
pub struct TokenState<'a> {
    /// Its name.
    pub name: &'a str,
    /// Whether it can be signed with.
    pub open: bool,
    /// Whether somebody locked it.
    pub locked: bool,
    /// How often its worker was started again.
    pub restarts: u64,
    /// How many answers it owes.
    pub waiting: usize,
}

/// The agent's state, as it is when somebody asks.
pub struct State<'a> {
    /// Signatures and MACs that were given out.
    pub signed: u64,
    /// Connections that are open.
    pub connections: usize,
    /// Requests that are worked on.
    pub in_flight: usize,
    /// Its tokens.
    pub tokens: Vec<TokenState<'a>>,
}

impl Metrics {
    /// Nothing yet.
    pub fn new() -> Self {
        Self {
            began: SystemTime::now(),
            // A counter that is missing until it is first needed has no rate.
            refusals: Code::ALL.iter().map(|code| (code.name(), 0)).collect(),
            tokens: BTreeMap::new(),
            connected: 0,
            turned_away: 0,
        }
    }

    /// A line was refused.
    pub fn refused(&mut self, code: Code) {
        *self.refusals.entry(code.name()).or_default() += 1;
    }

    /// A token answered.
    pub fn answered(&mut self, token: &str, took: Duration) {
        let of = self.of(token);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        if let Some(bucket) = BOUNDS.iter().position(|bound| micros <= *bound) {
            of.buckets[bucket] += 1;
        }
        of.answers += 1;
        of.total += took;
    }

    /// A token was given PINs.
    pub fn pin_tried(&mut self, token: &str, times: u64) {
        self.of(token).pin_tries += times;
    }

    /// A token could not be opened, because of its PIN.
    pub fn pin_refused(&mut self, token: &str) {
        self.of(token).pins_refused += 1;
    }

    fn of(&mut self, token: &str) -> &mut OfToken {
        if !self.tokens.contains_key(token) {
            self.tokens.insert(token.to_owned(), OfToken::default());
        }
        self.tokens.entry(token.to_owned()).or_default()
    }

    /// All of it, as Prometheus reads it.
    pub fn text(&self, state: &State<'_>) -> String {
        let mut page = Page(String::new());
        page.family("hsmsign_build_info", "gauge", "The version that runs.");
        page.row("hsmsign_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
        page.family(
            "process_start_time_seconds",
            "gauge",
            "When the agent started, in seconds since 1970.",
        );
        let began = self
            .began
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        page.row("process_start_time_seconds", &[], began.as_secs_f64());
        page.family(
            "hsmsign_signatures_total",
            "counter",
            "Signatures and MACs that were given out.",
        );
        page.row("hsmsign_signatures_total", &[], state.signed);
        page.family(
            "hsmsign_denials_total",
            "counter",
            "Lines that the key's owner or the agent's does not allow.",
        );
        page.row(
            "hsmsign_denials_total",
            &[],
            self.refusals.get(Code::Denied.name()).copied().unwrap_or(0),
        );
        page.family(
            "hsmsign_refusals_total",
            "counter",
            "Lines that were refused, by error code; denials too.",
        );
        for (code, count) in &self.refusals {
            page.row("hsmsign_refusals_total", &[("code", code)], count);
        }
        page.family("hsmsign_connections", "gauge", "Connections that are open.");
        page.row("hsmsign_connections", &[], state.connections);
        page.family(
            "hsmsign_connections_total",
            "counter",
            "Connections that were taken.",
        );
        page.row("hsmsign_connections_total", &[], self.connected);
        page.family(
            "hsmsign_connections_refused_total",
            "counter",
            "Connections beyond the limit.",
        );
        page.row("hsmsign_connections_refused_total", &[], self.turned_away);
        page.family(
            "hsmsign_requests_in_flight",
            "gauge",
            "Requests that are worked on.",
        );
        page.row("hsmsign_requests_in_flight", &[], state.in_flight);
        self.tokens(&mut page, &state.tokens);
        page.0
    }

    fn tokens(&self, page: &mut Page, tokens: &[TokenState<'_>]) {
        let none = OfToken::default();
        let counted = |token: &TokenState<'_>| self.tokens.get(token.name).unwrap_or(&none);
        type Value<'v> = &'v dyn Fn(&TokenState<'_>, &OfToken) -> u64;
        let plain: [(&str, &str, &str, Value<'_>); 6] = [
            (
                "hsmsign_token_open",
                "gauge",
                "Whether the token can be signed with: 1, or 0.",
                &|token, _| u64::from(token.open),
            ),
            (
                "hsmsign_token_locked",
                "gauge",
                "Whether the token was locked by command or idle time: 1, or 0.",
                &|token, _| u64::from(token.locked),
            ),
            (
                "hsmsign_token_requests_waiting",
                "gauge",
                "Answers that the token owes.",
                &|token, _| token.waiting as u64,
            ),
            (
                "hsmsign_worker_restarts_total",
                "counter",
                "How often the token's worker ended by itself, or had to be ended.",
                &|token, _| token.restarts,
            ),
            (
                "hsmsign_pin_tries_total",
                "counter",
                "PINs that were given to the token.",
                &|_, of| of.pin_tries,
            ),
            (
                "hsmsign_pin_refused_total",
                "counter",
                "Answers that the PIN is wrong, or was refused before and not tried again.",
                &|_, of| of.pins_refused,
            ),
        ];
        for (name, kind, help, value) in plain {
            page.family(name, kind, help);
            for token in tokens {
                page.row(name, &[("token", token.name)], value(token, counted(token)));
            }
        }
        let name = "hsmsign_token_latency_seconds";
        page.family(
            name,
            "histogram",
            "From handing a message to the token's worker to its answer.",
        );
        for token in tokens {
            let of = counted(token);
            let mut sum = 0;
            for (count, bound) in of.buckets.iter().zip(BOUNDS) {
                sum += count;
                let bound = Duration::from_micros(bound).as_secs_f64().to_string();
                page.row(
                    &format!("{name}_bucket"),
                    &[("token", token.name), ("le", &bound)],
                    sum,
                );
            }
            page.row(
                &format!("{name}_bucket"),
                &[("token", token.name), ("le", "+Inf")],
                of.answers,
            );
            page.row(
                &format!("{name}_sum"),
                &[("token", token.name)],
                of.total.as_secs_f64(),
            );
            page.row(&format!("{name}_count"), &[("token", token.name)], of.answers);
        }
    }
}

struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn row(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.0.push_str(name);
        for (at, (label, text)) in labels.iter().enumerate() {
            let text = text
                .replace('\\', "\\\\")
                .replace('"', "\\\"")
                .replace('\n', "\\n");
            let _ = write!(self.0, "{}{label}=\"{text}\"", if at == 0 { '{' } else { ',' });
        }
        if !labels.is_empty() {
            self.0.push('}');
        }
        let _ = writeln!(self.0, " {value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(metrics: &Metrics, name: &str) -> String {
        metrics.text(&State {
            signed: 3,
            connections: 2,
            in_flight: 1,
            tokens: vec![TokenState {
                name,
                open: true,
                locked: false,
                restarts: 4,
                waiting: 5,
            }],
        })
    }

    #[test]
    fn buckets_are_cumulative_and_end_at_the_count() {
        let mut metrics = Metrics::new();
        for micros in [50, 51, 100, 9_000, 20_000_000] {
            metrics.answered("hsm", Duration::from_micros(micros));
        }
        let text = text(&metrics, "hsm");
        let row = |le: &str| format!("hsmsign_token_latency_seconds_bucket{{token=\"hsm\",le=\"{le}\"}} ");
        for (le, count) in [
            ("0.00005", 1),
            ("0.0001", 3),
            ("0.005", 3),
            ("0.01", 4),
            ("10", 4),
            ("+Inf", 5),
        ] {
            assert!(text.contains(&format!("{}{count}\n", row(le))), "{le}: {text}");
        }
        assert!(text.contains("hsmsign_token_latency_seconds_count{token=\"hsm\"} 5\n"));
        assert!(
            text.contains("hsmsign_token_latency_seconds_sum{token=\"hsm\"} 20.009201\n"),
            "{text}"
        );
    }

    #[test]
    fn each_code_has_its_row_and_a_name_cannot_break_out_of_its_label() {
        let mut metrics = Metrics::new();
        metrics.refused(Code::Denied);
        let text = text(&metrics, "a\"} 1\n\\");
        for code in Code::ALL {
            let count = u64::from(code == Code::Denied);
            let row = format!("hsmsign_refusals_total{{code=\"{}\"}} {count}\n", code.name());
            assert!(text.contains(&row), "{text}");
        }
        assert!(
            text.contains("hsmsign_token_open{token=\"a\\\"} 1\\n\\\\\"} 1\n"),
            "{text}"
        );
    }
}
