//! What the extraction suite found, told; and the worker that it runs in.

use std::process::ExitCode;

use hsmsign::{
    error::{Code, Result},
    keyring::KeyName,
    token::{
        extraction::{Report, Verdict, Worker, use_worker},
        leaky, pkcs11,
    },
};
use serde_json::json;

use super::output;

/// The hidden command of the worker.
pub const WORKER: &str = "attack-worker";

/// Has attacks run in this very program, started again.
pub fn use_this_program() {
    // The name of the file may have another program behind it by now; the link of /proc has not.
    let this = std::path::PathBuf::from("/proc/self/exe");
    let program = if this.exists() {
        Some(this)
    } else {
        std::env::current_exe().ok()
    };
    if let Some(program) = program {
        use_worker(Worker {
            program,
            arguments: vec![WORKER.into()],
        });
    }
}

/// Does the job on standard input.
pub fn work() -> Result<ExitCode> {
    pkcs11::attack_from_stdin().map(|()| ExitCode::SUCCESS)
}

/// Tells what was tried on each token, and what it means. Exit code 1 where a key came out.
pub fn tell(key: Option<&KeyName>, all: &[(&str, &Report)], json: bool) -> Result<ExitCode> {
    let leaks = all.iter().any(|(_, report)| !report.leaks().is_empty());
    if json {
        let tokens: Vec<_> = all
            .iter()
            .map(|(token, report)| json!({"token": token, "leaks": report.leaks(), "attacks": report.tried}))
            .collect();
        output::json(&json!({"ok": !leaks, "key": key.map(KeyName::as_str), "tokens": tokens}))?;
    } else {
        for (token, report) in all {
            tell_one(key, token, report)?;
        }
    }
    Ok(if leaks {
        ExitCode::from(Code::Failed.exit())
    } else {
        ExitCode::SUCCESS
    })
}

fn tell_one(key: Option<&KeyName>, token: &str, report: &Report) -> Result<ExitCode> {
    if report.tried.is_empty() {
        return output::line(&format!("token {token}: nothing to try on a token of this kind"));
    }
    let rows = report.tried.iter().map(|tried| {
        [
            tried.attack.clone(),
            tried.verdict.name().to_owned(),
            tried.on.name().to_owned(),
            tried.does.clone(),
        ]
    });
    output::table(["ATTACK", "VERDICT", "ON", "WHAT IT DOES"], rows)?;
    for tried in &report.tried {
        if tried.verdict > Verdict::Resisted {
            output::line(&format!("{}: {}", tried.attack, tried.what))?;
        }
    }
    let what = key.map_or_else(|| "a key made for it".to_owned(), ToString::to_string);
    let leaks = report.leaks();
    if leaks.is_empty() {
        return output::line(&format!(
            "token {token} kept {what} in every attack that was tried"
        ));
    }
    output::line(&format!("token {token} GAVE {what} AWAY: {}", leaky(&leaks)))
}
