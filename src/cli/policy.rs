use std::{io::Read as _, process::ExitCode};

use hsmsign::{
    audit::{self, Filter, Reader, What},
    error::{Code, Error, Result, bad_input, failed},
    keyring::{KeyName, Keyring as _},
    nonce,
    policy::{Caller, Policies, Seen, Verdict, Whose},
    request::Request,
};
use serde_json::json;

use super::{Around, output, parts::Parts, reach};

/// Say what a key may sign: which endpoints, symbols and amounts, how often, when, and for whom.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hsmsign policy check kraken POST /0/private/AddOrder --form pair=XBTUSD --form volume=0.2
  hsmsign policy set kraken < kraken.toml    put a file into force, whole
  hsmsign policy show kraken
  hsmsign policy learn kraken --begin        watch its bot for a while; then without --begin
  hsmsign policy deny-all kraken             the switch, from the next request on
  hsmsign lock --all                         the switch for every key

The files are policy.toml for every key and policy/KEY.toml for one, in the configuration folder: docs/policy.md.")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Check(Box<CheckArgs>),
    Show(ShowArgs),
    Set(SetArgs),
    Remove(WhoseArgs),
    Learn(LearnArgs),
    DenyAll(DenyArgs),
}

/// Say which rule decides about a request, without signing or counting it
#[derive(Debug, clap::Args)]
struct CheckArgs {
    /// The key
    key: KeyName,
    /// GET, POST, PUT, DELETE or PATCH; WS for a WebSocket login
    method: String,
    /// The path, with its query if it has one; or the whole URL
    #[arg(value_name = "PATH[?QUERY]")]
    path: Option<String>,
    #[command(flatten)]
    parts: Parts,
    /// As one JSON object
    #[arg(long)]
    json: bool,
}

/// Show what holds for a key
#[derive(Debug, clap::Args)]
struct ShowArgs {
    /// The key
    key: KeyName,
    /// As one JSON object
    #[arg(long)]
    json: bool,
}

/// Put a policy into force, whole, after it was checked
#[derive(Debug, clap::Args)]
struct SetArgs {
    #[command(flatten)]
    whose: WhoseArgs,
    /// The file; standard input where none is named
    #[arg(long)]
    file: Option<String>,
}

/// Watch a bot, and print the smallest policy that would have let it through
///
/// Between --begin and --end the log has all names of fields, and the values of symbols and amounts.
#[derive(Debug, clap::Args)]
struct LearnArgs {
    /// The key
    key: KeyName,
    /// Begin to watch
    #[arg(long)]
    begin: bool,
    /// Watch no longer
    #[arg(long, conflicts_with = "begin")]
    end: bool,
}

/// Take a policy out of force
#[derive(Debug, clap::Args)]
struct WhoseArgs {
    /// The key whose policy is meant
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    key: Option<KeyName>,
    /// The policy of every key
    #[arg(long)]
    all: bool,
}

/// Deny everything to a key from the next request on
#[derive(Debug, clap::Args)]
struct DenyArgs {
    /// The key
    key: KeyName,
    /// Undo that
    #[arg(long)]
    undo: bool,
}

impl WhoseArgs {
    fn whose(self) -> Whose {
        self.key.map_or(Whose::Everyone, Whose::Key)
    }
}

pub fn run(args: Args) -> Result<ExitCode> {
    match args.command {
        Command::Check(args) => check(*args),
        Command::Show(args) => show(&args),
        Command::Set(args) => set(args),
        Command::Remove(args) => remove(args),
        Command::Learn(args) => learn(&args),
        Command::DenyAll(args) => deny_all(&args),
    }
}

/// Denies everything to every key, or undoes that.
pub fn switch_all(on: bool) -> Result<ExitCode> {
    let around = Around::find()?;
    around.home.create()?;
    Policies::new(&around.home)
        .switch()
        .change(|denied| denied.all = on)?;
    around.note(if on { What::Lock } else { What::Unlock }, "", "every key");
    output::line(if on {
        "locked: every key is denied everything, from the next request on; hsmsign unlock --all undoes it"
    } else {
        "unlocked: what each key's policy says holds again"
    })
}

fn check(args: CheckArgs) -> Result<ExitCode> {
    let key = args.key.clone();
    let request = if args.method == "WS" {
        Request {
            key: Some(args.key),
            websocket: true,
            path: args.path,
            ..Request::default()
        }
    } else {
        args.parts.request(Some(args.key), Some(args.method), args.path)?
    };
    let judged = match check_by_agent(&request) {
        Some(judged) => judged,
        None => {
            let signer = Around::find()?.signer()?;
            let judged = signer.judge(&request, &Caller::this_process());
            super::tell_troubles(signer.policies(), &key);
            judged
        }
    };
    if args.json {
        let answer = match &judged {
            Ok(verdict) => json!({
                "allowed": true, "rules": verdict.rules, "confirm": verdict.confirm,
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

/// What an agent says whose files this user cannot read; none where there is none, or the key is not its.
fn check_by_agent(request: &Request) -> Option<Result<Verdict>> {
    let (mut agent, _) = reach::other_user()?;
    match agent.check(request) {
        Err(error) if error.code() == Code::UnknownKey && !agent.told => None,
        checked => Some(checked.map(|(rules, confirm)| Verdict {
            rules,
            confirm,
            ..Verdict::default()
        })),
    }
}

fn show(args: &ShowArgs) -> Result<ExitCode> {
    let around = Around::find()?;
    let record = around.keyring().get(&args.key)?;
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
    super::tell_troubles(&policies, &record.name);
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

/// The longest policy that is read, in bytes.
const LIMIT: u64 = 1 << 20;

fn set(args: SetArgs) -> Result<ExitCode> {
    let around = Around::find()?;
    let read = |mut input: Box<dyn std::io::Read>| {
        let mut text = String::new();
        input
            .by_ref()
            .take(LIMIT + 1)
            .read_to_string(&mut text)
            .map(|_| text)
    };
    let input: std::io::Result<Box<dyn std::io::Read>> = match &args.file {
        None => Ok(Box::new(std::io::stdin())),
        Some(file) => std::fs::File::open(file).map(|file| Box::new(file) as _),
    };
    let text = input.and_then(read).map_err(|error| {
        let name = args.file.as_deref().unwrap_or("standard input");
        bad_input(format!("{name} cannot be read: {error}"))
    })?;
    if text.len() as u64 > LIMIT {
        return Err(Error::new(
            Code::TooLarge,
            format!("the policy is longer than {LIMIT} bytes"),
        ));
    }
    around.home.create()?;
    let whose = args.whose.whose();
    if let Whose::Key(key) = &whose {
        around.keyring().get(key)?;
    }
    let policies = Policies::new(&around.home);
    for warning in policies.put(&whose, &text, nonce::now())? {
        output::warn(&warning);
    }
    tell_changes(&around, &policies, &whose);
    output::line(&format!("in force: {}", policies.path(&whose).display()))
}

fn learn(args: &LearnArgs) -> Result<ExitCode> {
    let around = Around::find()?;
    let record = around.keyring().get(&args.key)?;
    let switch = Policies::new(&around.home);
    let switch = switch.switch();
    if args.begin {
        let now = audit::moment("0s", nonce::now())?;
        switch.change(|denied| drop(denied.learning.insert(record.name.clone(), now)))?;
        return output::line(&format!(
            "watching {0}; when its bot has done all that it does: hsmsign policy learn {0}",
            record.name
        ));
    }
    let since = switch
        .read()?
        .learning
        .get(&record.name)
        .cloned()
        .ok_or_else(|| {
            bad_input(format!("the bot of {} is not watched", record.name))
                .fix(format!("hsmsign policy learn {} --begin", record.name))
        })?;
    if args.end {
        switch.change(|denied| drop(denied.learning.remove(&record.name)))?;
        return output::line(&format!("no longer watching {}", record.name));
    }
    let filter = Filter {
        key: Some(record.name.to_string()),
        since: Some(since),
        ..Filter::default()
    };
    let mut seen = Seen::default();
    let mut reader = Reader::new(&around.home)?;
    reader.read(&mut |_, line| {
        if filter.wants(line) {
            seen.take(line);
        }
        Ok(())
    })?;
    super::audit::warn_of(&mut reader);
    if seen.is_empty() {
        return Err(failed("nothing was signed since the watching began").fix("let the bot run for a while"));
    }
    let scheme = around.catalogue().get(&record.exchange)?;
    output::write(seen.propose(&*scheme).as_bytes())
}

fn remove(args: WhoseArgs) -> Result<ExitCode> {
    let around = Around::find()?;
    let policies = Policies::new(&around.home);
    let whose = args.whose();
    let path = policies.path(&whose);
    policies.remove(&whose)?;
    tell_changes(&around, &policies, &whose);
    output::line(&format!("no longer in force: {}", path.display()))
}

/// Has the log say what was put into force or taken out of it.
pub(super) fn tell_changes(around: &Around, policies: &Policies, whose: &Whose) {
    let key = match whose {
        Whose::Everyone => "",
        Whose::Key(key) => key.as_str(),
    };
    for change in policies.take_changes() {
        around.note(What::Policy, key, change);
    }
}

fn deny_all(args: &DenyArgs) -> Result<ExitCode> {
    let around = Around::find()?;
    let key = around.keyring().get(&args.key).map(|record| record.name);
    let key = match key {
        // A key whose record is broken is denied all the same.
        Err(error) if error.code() == Code::UnknownKey => return Err(error),
        Err(_) => args.key.clone(),
        Ok(key) => key,
    };
    Policies::new(&around.home).switch().change(|denied| {
        if args.undo {
            denied.keys.remove(&key);
        } else {
            denied.keys.insert(key.clone());
        }
    })?;
    let what = if args.undo { What::Unlock } else { What::Lock };
    around.note(what, key.as_str(), "deny-all");
    if args.undo {
        return output::line(&format!("undone: what the policy of {key} says holds again"));
    }
    output::line(&format!(
        "everything is denied to {key}, from the next request on; hsmsign policy deny-all {key} --undo allows again"
    ))
}
