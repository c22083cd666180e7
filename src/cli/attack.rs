//! What the extraction suite found, told; and the worker that it runs in.

use std::process::ExitCode;

use hsmsign::{
    enrol::Attacked,
    error::{Code, Result},
    keyring::{KeyName, Standing},
    token::{
        extraction::{Verdict, Worker, use_worker},
        leaky, pkcs11,
    },
};
use serde_json::json;

use super::output;

/// The one argument of the worker. It is no command of the user's, so no help or completion knows it.
const WORKER: &str = "attack-worker";

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

/// Whether this process was started to be the worker.
pub fn is_worker() -> bool {
    std::env::args_os().skip(1).eq([WORKER])
}

/// Does the job on standard input.
pub fn work() -> ExitCode {
    match pkcs11::attack_from_stdin() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => output::report(&error),
    }
}

/// Tells what was tried on each token, and what it means. Exit code 1 where a key came out.
pub fn tell(key: Option<&KeyName>, all: &[Attacked], json: bool) -> Result<ExitCode> {
    let leaks = all.iter().any(|attacked| !attacked.report.leaks().is_empty());
    if json {
        let tokens: Vec<_> = all
            .iter()
            .map(|attacked| {
                json!({
                    "token": attacked.token, "object": attacked.slot,
                    "previous": attacked.standing == Standing::Previous, "next": attacked.standing == Standing::Next,
                    "leaks": attacked.report.leaks(), "attacks": attacked.report.tried,
                })
            })
            .collect();
        output::json(&json!({"ok": !leaks, "key": key.map(KeyName::as_str), "tokens": tokens}))?;
    } else {
        for attacked in all {
            tell_one(key, attacked)?;
        }
    }
    Ok(if leaks {
        ExitCode::from(Code::Failed.exit())
    } else {
        ExitCode::SUCCESS
    })
}

fn tell_one(key: Option<&KeyName>, attacked: &Attacked) -> Result<ExitCode> {
    let Attacked {
        token,
        slot,
        standing,
        report,
    } = attacked;
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
    let what = match (key, slot.as_str(), standing) {
        (None, ..) => "a key made for it".to_owned(),
        (Some(key), "secret", Standing::InForce) => key.to_string(),
        (Some(key), slot, Standing::InForce) => format!("the {slot} of {key}"),
        (Some(key), slot, Standing::Previous) => format!("the {slot} of {key} before its last rotation"),
        (Some(key), slot, Standing::Next) => format!("the {slot} of {key} that is not in force yet"),
    };
    let leaks = report.leaks();
    if leaks.is_empty() {
        return output::line(&format!(
            "token {token} kept {what} in every attack that was tried"
        ));
    }
    output::line(&format!("token {token} GAVE {what} AWAY: {}", leaky(&leaks)))
}
