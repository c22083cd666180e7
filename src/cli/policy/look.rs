//! What holds for a key, and what it says of a request.

use std::process::ExitCode;

use hsmsign::{
    error::{Code, Result, bad_input},
    keyring::KeyName,
    nonce,
    policy::{Caller, Policies, Verdict, Whose},
    request::{Body, Request},
};
use serde_json::json;

use super::client::ClientArgs;
use crate::cli::{Around, output, parts::Parts, reach, tell_troubles};

/// Say which rule decides about a request, without signing or counting it
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// The key
    key: KeyName,
    /// GET, POST, PUT, DELETE or PATCH; WS for a WebSocket login
    method: String,
    /// The path, with its query if it has one; or the whole URL
    #[arg(value_name = "PATH[?QUERY]")]
    path: Option<String>,
    #[command(flatten)]
    parts: Parts,
    /// The challenge that the exchange's socket sent, for a login that answers one
    #[arg(long)]
    challenge: Option<String>,
    #[command(flatten)]
    client: ClientArgs,
    /// As one JSON object
    #[arg(long)]
    json: bool,
}

/// Show what holds for a key
#[derive(Debug, clap::Args)]
pub struct ShowArgs {
    /// The key
    key: KeyName,
    /// As one JSON object
    #[arg(long)]
    json: bool,
}

pub fn check(args: CheckArgs) -> Result<ExitCode> {
    let key = args.key.clone();
    let request = asked(args.parts, args.key, args.method, args.path, args.challenge)?;
    let client = args.client.caller()?;
    let judged = match check_by_agent(&request) {
        Some(_) if client.is_some() => {
            return Err(super::of_its_user(
                "the key is a system agent's",
                "that user alone asks in the place of others",
            ));
        }
        Some(judged) => judged,
        None => {
            let signer = Around::find()?.signer()?;
            let caller = client.unwrap_or_else(Caller::this_process);
            let judged = signer.judge(&request, &caller);
            let judged = judged.map_err(reach::or_barred_from_all);
            tell_troubles(signer.policies(), &key);
            judged
        }
    };
    if args.json {
        let answer = match &judged {
            Ok(verdict) => json!({
                "allowed": true, "rules": verdict.told(), "confirm": verdict.confirm,
            }),
            Err(error) => json!({
                "allowed": false, "code": error.code().name(), "message": error.message(), "fix": error.advice(),
                "rule": error.rule(),
            }),
        };
        output::json(&answer)?;
        return judged.map_or_else(
            |error| Ok(ExitCode::from(error.code().exit())),
            |_| Ok(ExitCode::SUCCESS),
        );
    }
    let verdict = judged?;
    let by = if verdict.rules.is_empty() {
        "no rule speaks against it".to_owned()
    } else {
        format!("by {}", verdict.rules.join(" and "))
    };
    let asked = verdict
        .confirm
        .map(|rule| format!("; a person is asked first, by {rule}"));
    output::line(&format!("allowed: {by}{}", asked.unwrap_or_default()))
}

/// The request, with all that was given of it: rules look at the time, the host and the message of a login as well.
fn asked(
    parts: Parts,
    key: KeyName,
    method: String,
    path: Option<String>,
    challenge: Option<String>,
) -> Result<Request> {
    let websocket = method.eq_ignore_ascii_case("WS");
    let mut request = parts.request(Some(key), Some(method).filter(|_| !websocket), path)?;
    if websocket {
        request.body = match request.body {
            Some(Body::Bytes(text)) => Some(Body::Json(
                String::from_utf8(text).map_err(|_| bad_input("the message is not UTF-8"))?,
            )),
            body => body,
        };
    }
    Ok(Request {
        websocket,
        challenge,
        ..request
    })
}

/// What an agent says whose files this user cannot read; none where there is none, or the key is not its.
fn check_by_agent(request: &Request) -> Option<Result<Verdict>> {
    let (mut agent, _) = reach::other_user()?;
    match agent.check(request) {
        Err(error) if error.code() == Code::UnknownKey && !agent.told => None,
        checked => Some(checked.map(|(rules, confirm)| Verdict {
            rules: rules.into_iter().map(Into::into).collect(),
            confirm,
            ..Verdict::default()
        })),
    }
}

pub fn show(args: &ShowArgs) -> Result<ExitCode> {
    let around = Around::find()?;
    let record = super::record(&around, &args.key)?;
    let policies = Policies::new(&around.home).only_looking();
    let denied = policies.switch().read()?;
    let in_force = policies.of(&record.name)?;
    let warnings: Vec<_> = in_force
        .policies
        .iter()
        .flat_map(|policy| policy.warnings(nonce::now()))
        .collect();
    let allow: Vec<_> = record.allow.iter().map(|allow| allow.name()).collect();
    let files: Vec<_> = in_force
        .policies
        .iter()
        .map(|policy| (policy.origin(), policy.text()))
        .collect();
    if args.json {
        return output::json(&json!({
            "key": record.name.as_str(),
            "locked": denied.all || denied.keys.contains(&record.name),
            "allow": allow,
            "policies": files.iter().map(|(origin, text)| json!({"file": origin, "text": text})).collect::<Vec<_>>(),
            "warnings": warnings,
            "troubles": in_force.troubles.iter().map(|error| error.message()).collect::<Vec<_>>(),
        }));
    }
    tell_troubles(&policies, &record.name);
    warnings.iter().for_each(|warning| output::warn(warning));
    if denied.all {
        output::line("locked: everything is denied to every key (hsmsign unlock --all)")?;
    }
    if denied.keys.contains(&record.name) {
        output::line(&format!(
            "everything is denied to {0} (hsmsign policy deny-all {0} --undo)",
            record.name
        ))?;
    }
    let word = |name: &str| {
        if allow.contains(&name) {
            "allowed"
        } else {
            "denied"
        }
    };
    output::line(&format!(
        "withdrawals {} and raw MACs {} at import",
        word("withdrawals"),
        word("raw")
    ))?;
    if files.is_empty() {
        return output::line(&format!(
            "no policy: every other request is signed; write one to {} and check it with hsmsign policy check",
            policies.path(&Whose::Key(record.name)).display()
        ));
    }
    for (origin, text) in files {
        output::line(&format!("# {origin}\n{}", text.trim_end()))?;
    }
    Ok(ExitCode::SUCCESS)
}
