//! `hsmsign exchanges --token`: which requests a token can sign.

use std::process::ExitCode;

use hsmsign::{
    algorithm::Algorithm,
    error::Result,
    exchange::{Coverage, Scheme},
    token::Capabilities,
};
use serde_json::{Value, json};

use super::{Around, exchanges, output};

/// Lists them.
pub fn list(token: &str, json: bool) -> Result<ExitCode> {
    let around = Around::find()?;
    let token = around.tokens()?.get(token)?;
    let can = token.capabilities();
    let schemes = exchanges::all(&around)?;
    let mut rows = Vec::new();
    for (scheme, _) in &schemes {
        for coverage in scheme.coverage() {
            rows.push(Row::of(scheme, coverage, can));
        }
    }
    if json {
        let rows = rows.iter().map(|row| {
            json!({
                "exchange": row.exchange, "requests": row.requests, "message": row.message,
                "algorithms": row.algorithms, "fits": row.fits,
            })
        });
        return output::json(&Value::Array(rows.collect()));
    }
    output::table(
        ["EXCHANGE", "REQUESTS", "MESSAGE", "ALGORITHMS", "ON THIS TOKEN"],
        rows.into_iter().map(|row| {
            [
                row.exchange,
                row.requests,
                row.message,
                row.algorithms.join(", "),
                row.fits,
            ]
        }),
    )
}

/// One kind of request.
struct Row {
    exchange: String,
    requests: String,
    message: String,
    /// Those of the exchange that the token computes.
    algorithms: Vec<&'static str>,
    fits: String,
}

impl Row {
    fn of(scheme: &Scheme, coverage: Coverage, can: &Capabilities) -> Self {
        let kinds = scheme.kinds().iter().map(|kind| kind.algorithm());
        let (macs, signatures): (Vec<_>, Vec<_>) = kinds
            .filter(|algorithm| can.algorithms.contains(algorithm))
            .partition(|algorithm| matches!(algorithm, Algorithm::Mac(_)));
        let mut fits = Vec::new();
        if !macs.is_empty() {
            fits.push(match can.longest_message {
                None => "fits".to_owned(),
                Some(limit) => coverage.size.within(limit).to_string(),
            });
        }
        if let Some(first) = signatures.first() {
            // Where a MAC always fits, there is nothing to add.
            if fits.first().is_none_or(|mac| mac != "fits") {
                fits.push(format!("fits with {first}"));
            }
        }
        if fits.is_empty() {
            fits.push("none of its algorithms".to_owned());
        }
        Self {
            exchange: scheme.id().to_owned(),
            requests: coverage.requests,
            message: coverage.size.to_string(),
            algorithms: macs
                .iter()
                .chain(&signatures)
                .map(|algorithm| algorithm.name())
                .collect(),
            fits: fits.join("; "),
        }
    }
}
