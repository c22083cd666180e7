//! Signing by the agent where one runs, and by the token itself where none does.

use std::{
    cell::OnceCell,
    path::{Path, PathBuf},
    rc::Rc,
};

use hsmsign::{
    agent::client::Client,
    ask::{Ask as _, Terminal},
    error::{Code, Error, Result, failed},
    home::Home,
    keyring::{FileKeyring, KeyName, Keyring as _},
    policy::Caller,
    request::{Request, SignedRequest},
    signer::{Explained, Here, Route, Signer, Signs},
};

use serde_json::Value;

use super::{Around, errand};

/// How often an agent is looked for again. One that is ending closes its connections before its socket.
const AGAIN: usize = 4;

/// The keys of an agent that another user runs, which signs for this one.
pub struct Served {
    /// Its socket.
    pub path: PathBuf,
    /// Whose it is.
    pub uid: u64,
    /// As it tells them to whoever may connect.
    pub keys: Vec<Value>,
}

/// What another user's agent signs with for this one; none where there is no such agent. An agent of one's own has one's
/// own keys.
pub fn served() -> Option<Served> {
    let (mut agent, uid) = other_user()?;
    let keys = ask(&mut agent, "keys").ok()?["keys"].as_array()?.clone();
    Some(Served {
        path: agent.path.clone(),
        uid,
        keys,
    })
}

/// The agent that another user runs, and that user; none where there is no such agent, or it does not answer.
pub fn other_user() -> Option<(Client, u64)> {
    whose().ok().flatten()
}

/// As [`other_user`], for who has to know of one that does not answer.
pub fn whose() -> Result<Option<(Client, u64)>> {
    let Some(mut agent) = Client::find()? else {
        return Ok(None);
    };
    let told = ask(&mut agent, "ping")?;
    let uid = told["uid"]
        .as_u64()
        .ok_or_else(|| failed("the agent's answer is not understood"))?;
    Ok((uid != u64::from(rustix::process::geteuid().as_raw())).then_some((agent, uid)))
}

fn ask(agent: &mut Client, op: &str) -> Result<Value> {
    let answer = agent.ask(&format!("{{\"op\":\"{op}\"}}"))?;
    serde_json::from_str(&answer).map_err(|_| failed("the agent's answer is not understood"))
}

impl Served {
    /// The key of this name.
    pub fn key(&self, name: &str) -> Option<&Value> {
        self.keys.iter().find(|key| key["key"] == name)
    }

    /// Where its keys are, in words.
    pub fn told(&self) -> String {
        told(&self.path, self.uid)
    }
}

/// An agent that another user runs, in words.
pub fn told(path: &Path, uid: u64) -> String {
    format!("the agent at {}, which runs as uid {uid}", path.display())
}

/// The names in a list, or a dash.
pub fn names(list: &Value) -> String {
    let names: Vec<_> = list
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    if names.is_empty() {
        "-".to_owned()
    } else {
        names.join(", ")
    }
}

/// Tells of a touch that the agent's token may be waiting for, where its answer takes long: the agent tells it where it runs,
/// which is seldom where somebody waits.
fn tell_of_touch(agent: &mut Client, key: Option<&KeyName>) {
    agent.when_slow(notice_of_touch(key));
}

fn notice_of_touch(key: Option<&KeyName>) -> Rc<dyn Fn()> {
    let key = key.cloned();
    Rc::new(move || {
        if let Some(serial) = key.as_ref().and_then(touched) {
            Terminal.tell(&format!("touch the YubiKey {serial} to sign, if it blinks"));
        }
    })
}

/// The serial number of the YubiKey that wants a touch for this key; none where none does.
fn touched(key: &KeyName) -> Option<String> {
    let home = Home::from_env().ok()?;
    if let Ok(record) = FileKeyring::new(&home).get(key) {
        return record.current.touched().map(|copy| copy.serial.clone());
    }
    let key = served()?.key(key.as_str())?["touch"].as_str()?.to_owned();
    Some(key)
}

/// Signs a request.
pub fn sign(request: &Request) -> Result<SignedRequest> {
    reach(
        |agent| {
            tell_of_touch(agent, request.key.as_ref());
            agent.sign(request)
        },
        |signer| {
            let signed = signer.sign(request, &Caller::this_process());
            signer.settled(signed)
        },
    )
}

/// As [`sign`]; what was signed comes along.
pub fn explain(request: &Request) -> Result<Explained> {
    reach(
        |agent| {
            tell_of_touch(agent, request.key.as_ref());
            agent.explain(request)
        },
        |signer| signer.settled(signer.explain(request, &Caller::this_process())),
    )
}

/// Whoever signs this request for the time of the process, be it many times; and where it would go.
pub fn signs(request: &Request) -> Result<(Box<dyn Signs>, Route)> {
    let each = Each::default();
    let route = each.route(request)?;
    Ok((Box::new(each), route))
}

/// Whoever is there for each request: an agent may end while the sender waits, and another be in its place, or none.
#[derive(Default)]
struct Each {
    /// The signer of this process, once it was needed.
    here: OnceCell<Here>,
}

impl Each {
    fn reach<T>(
        &self,
        by_agent: impl Fn(&mut Client) -> Result<T>,
        here: impl Fn(&Here) -> Result<T>,
    ) -> Result<T> {
        if let Some(opened) = self.here.get() {
            return here(opened);
        }
        reach(by_agent, |signer| {
            let caller = Caller::this_process();
            here(self.here.get_or_init(|| Here { signer, caller }))
        })
    }
}

impl Signs for Each {
    fn route(&self, request: &Request) -> Result<Route> {
        self.reach(|agent| agent.route(request), |here| here.route(request))
    }

    fn sign(&self, request: &Request) -> Result<SignedRequest> {
        let by_agent = |agent: &mut Client| {
            tell_of_touch(agent, request.key.as_ref());
            agent.sign(request)
        };
        self.reach(by_agent, |here| here.sign(request))
    }
}

/// The answer line of an agent, as it stands; none where no agent signs.
pub fn sign_line(request: &Request) -> Result<Option<String>> {
    let line = request.to_line();
    let Some((agent, line)) = answered(|agent| {
        tell_of_touch(agent, request.key.as_ref());
        agent.ask(&line)
    })?
    else {
        return Ok(None);
    };
    let line = line?;
    if line.starts_with("{\"ok\":true") {
        return Ok(Some(line));
    }
    let told = agent.told;
    match SignedRequest::parse_line(&line) {
        Err(error) if error.code() == Code::UnknownKey && !told => Ok(None),
        Err(error) => Err(error),
        Ok(_) => Ok(Some(line)),
    }
}

/// MACs bytes.
pub fn hmac(key: &KeyName, message: &[u8]) -> Result<Vec<u8>> {
    reach(
        |agent| {
            tell_of_touch(agent, Some(key));
            agent.hmac(key, message)
        },
        |signer| {
            let mac = signer.hmac(key, message, &Caller::this_process());
            signer.settled(mac)
        },
    )
}

fn once(around: &Around) -> Result<Signer> {
    let signer = around.signer()?;
    signer.signs_once();
    Ok(signer)
}

/// The agent, and what it answered; none where none runs. One that ended before it took the request is looked for again:
/// another may be in its place, or none.
pub fn answered<T>(ask: impl Fn(&mut Client) -> Result<T>) -> Result<Option<(Client, Result<T>)>> {
    let mut again = AGAIN;
    loop {
        let Some(mut agent) = Client::find()? else {
            return Ok(None);
        };
        let done = ask(&mut agent);
        if done.is_ok() || !agent.unheard() || again == 0 {
            return Ok(Some((agent, done)));
        }
        again -= 1;
    }
}

/// As [`or_barred`], for those who have no tokens of their own, and so no keys whose name may be meant.
pub fn or_barred_from_all(error: Error) -> Error {
    match errand::may_have_own() {
        true => error,
        false => or_barred(error),
    }
}

/// A key that is not here is more likely that of an agent which does not let this user in than nobody's.
fn or_barred(error: Error) -> Error {
    match error.code() {
        Code::UnknownKey => Client::barred().unwrap_or(error),
        _ => error,
    }
}

/// An agent of the system need not know a key that the user has besides.
fn reach<T>(
    by_agent: impl Fn(&mut Client) -> Result<T>,
    here: impl FnOnce(Signer) -> Result<T>,
) -> Result<T> {
    let Some((agent, done)) = answered(by_agent)? else {
        // A key that is not here is more likely that agent's than nobody's.
        let around = Around::find().map_err(|error| Client::barred().unwrap_or(error))?;
        return here(once(&around)?).map_err(or_barred);
    };
    match done {
        Err(error) if error.code() == Code::UnknownKey && !agent.told => {
            let Ok(signer) = Around::find().and_then(|around| once(&around)) else {
                return Err(error);
            };
            match here(signer) {
                Err(own) if own.code() == Code::UnknownKey => Err(error),
                done => done,
            }
        }
        done => done,
    }
}
