//! `confirm`: a person is asked before a signature, by a real pinentry, and nobody else waits for them.

use std::process::Stdio;

use crate::{
    bench::{Place, finish},
    judge::Judge,
    person::Person,
    running::{Connection, Running, until},
};

const CONFIRM: &str = "policy = 1\nrate = { day = 2 }\n[[confirm]]\npath = \"/0/private/AddOrder\"\n";
const BALANCE: &str = r#"{"key":"kraken","method":"POST","path":"/0/private/Balance"}"#;

/// An order of so much.
fn order(volume: &str) -> String {
    serde_json::json!({"key": "kraken", "method": "POST", "path": "/0/private/AddOrder",
        "form": {"pair": "XBTUSD", "volume": volume}})
    .to_string()
}

/// A key with a policy, a person, and settings of the agent.
fn asked(policy: &str, settings: &str) -> Option<(Place, Person)> {
    let place = Place::with_kraken()?;
    let person = Person::at_terminal(&place)?;
    place.set_policy("kraken", policy);
    let path = place.home().join("config.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{text}\n[agent]\n{settings}\n")).unwrap();
    Some((place, person))
}

fn agent<'p>(place: &'p Place, person: &Person) -> Running<'p> {
    let mut command = place.command(&["agent"]);
    person.set(&mut command);
    Running::of(place, command)
}

fn send(connection: &mut Connection, line: &str) {
    connection.send(format!("{line}\n").as_bytes());
}

#[test]
fn a_person_is_asked_by_the_agent_and_what_they_refuse_is_not_counted() {
    let Some((place, mut person)) = asked(CONFIRM, "") else {
        return;
    };
    for _ in 0..3 {
        // Behind a no the next question waits a while, of which a new agent knows nothing.
        let mut agent = agent(&place, &person);
        let mut bot = agent.connect();
        send(&mut bot, &order("0.1"));
        for words in [
            "asks to sign with the",
            "kraken",
            "Kraken spot",
            "POST /0/private/addorder",
            "pair = \"XBTUSD\"",
            "volume = \"0.1\"",
            &format!("process {}", std::process::id()),
        ] {
            person.is_asked(words);
        }
        person.refuses();
        let answer = bot.answer();
        assert_eq!(answer["error"]["code"], "denied", "{answer}");
        assert_eq!(
            answer["error"]["rule"],
            "confirm 1 (/0/private/AddOrder) of policy/kraken.toml"
        );
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(
            message.contains("the person who was asked did not agree"),
            "{message}"
        );
        place.ok(&["agent", "stop"]);
        assert_eq!(agent.wait(), 0);
    }
    let agent = agent(&place, &person);
    let mut bot = agent.connect();
    for volume in ["0.2", "0.3"] {
        send(&mut bot, &order(volume));
        person.is_asked(&format!("volume = \"{volume}\""));
        person.agrees();
        let answer = bot.answer();
        assert!(
            answer["body"]
                .as_str()
                .unwrap_or_else(|| panic!("{answer}"))
                .contains(volume)
        );
    }
    // The rate is used up by what was signed: nobody is asked any more.
    let answer = bot.ask(&order("0.4"));
    assert_eq!(
        answer["error"]["rule"], "rate.day of policy/kraken.toml",
        "{answer}"
    );
    // The agent writes a line some milliseconds after its answer. Each refusal is one, and each signature.
    let lines = |outcome: &str| place.log(&["--what", "sign", "--outcome", outcome]);
    until("all lines are written", || {
        (lines("signed").len(), lines("denied").len()) == (2, 4)
    });
    let denied = lines("denied");
    assert_eq!(
        denied[0]["rule"],
        "confirm 1 (/0/private/AddOrder) of policy/kraken.toml"
    );
}

#[test]
fn one_question_is_asked_at_a_time_and_nobody_else_waits() {
    let Some((place, mut person)) = asked(&CONFIRM.replace("day = 2", "day = 90"), "") else {
        return;
    };
    let agent = agent(&place, &person);
    let (mut first, mut second, mut other) = (agent.connect(), agent.connect(), agent.connect());
    send(&mut first, &order("0.11"));
    person.is_asked("0.11");
    send(&mut second, &order("0.22"));
    for _ in 0..50 {
        assert_eq!(other.ask(BALANCE)["ok"], true);
    }
    assert_eq!(person.pinentries(), 1);
    assert!(!person.sees("0.22"));
    // More than may wait.
    let mut more: Vec<_> = (0..9).map(|_| agent.connect()).collect();
    for bot in &mut more {
        send(bot, &order("0.33"));
    }
    until("two too many are denied", || {
        place.log(&["--what", "sign", "--outcome", "denied"]).len() == 2
    });
    for denied in place.log(&["--what", "sign", "--outcome", "denied"]) {
        let message = denied["message"].as_str().unwrap();
        assert!(message.contains("8 questions wait for them already"), "{denied}");
    }
    drop(more);
    person.agrees();
    assert_eq!(first.answer()["ok"], true);
    person.is_asked("0.22");
    person.agrees();
    assert_eq!(second.answer()["ok"], true);
}

#[test]
fn a_question_without_an_answer_is_a_denial_and_is_closed() {
    let Some((place, person)) = asked(CONFIRM, "confirm-timeout = 5") else {
        return;
    };
    let agent = agent(&place, &person);
    let mut bot = agent.connect();
    let answer = bot.ask(&order("0.1"));
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.contains("gave no answer"), "{answer}");
    until("the question is closed", || person.pinentries() == 0);
    assert_eq!(agent.connect().ask(BALANCE)["ok"], true);
}

#[test]
fn a_question_is_closed_when_its_client_or_the_agent_is_gone() {
    let Some((place, person)) = asked(CONFIRM, "") else {
        return;
    };
    let agent = agent(&place, &person);
    let mut bot = agent.connect();
    send(&mut bot, &order("0.1"));
    person.is_asked("0.1");
    drop(bot);
    until("the question is closed", || person.pinentries() == 0);
    // One that its bot took back is one without an answer.
    let mut bot = agent.connect();
    let answer = bot.ask(&order("0.4"));
    assert!(answer.to_string().contains("got no yes"), "{answer}");
    drop(agent);
    let mut agent = self::agent(&place, &person);
    let mut bot = agent.connect();
    send(&mut bot, &order("0.5"));
    person.is_asked("0.5");
    place.ok(&["agent", "stop"]);
    assert_eq!(bot.answer()["error"]["code"], "denied");
    assert_eq!(agent.wait(), 0);
    until("the question is closed", || person.pinentries() == 0);
}

#[test]
fn who_got_a_no_waits_before_a_person_is_asked_again() {
    let Some((place, mut person)) = asked(&CONFIRM.replace("day = 2", "day = 90"), "") else {
        return;
    };
    let agent = agent(&place, &person);
    let (mut bot, mut second) = (agent.connect(), agent.connect());
    send(&mut bot, &order("0.1"));
    person.is_asked("0.1");
    send(&mut second, &order("0.2"));
    until("the second waits", || agent.status()["in_flight"] == 2);
    person.refuses();
    assert!(bot.answer().to_string().contains("did not agree"));
    let program = std::fs::read_link("/proc/self/exe").unwrap();
    for answer in [second.answer(), bot.ask(&order("0.3"))] {
        assert_eq!(answer["error"]["code"], "denied", "{answer}");
        assert_eq!(
            answer["error"]["rule"],
            "confirm 1 (/0/private/AddOrder) of policy/kraken.toml"
        );
        let message = answer["error"]["message"].as_str().unwrap();
        for words in [program.to_str().unwrap(), "got no yes: the next may come in "] {
            assert!(message.contains(words), "{answer}");
        }
    }
    assert_eq!(person.pinentries(), 0);
    assert_eq!(bot.ask(BALANCE)["ok"], true);
    // Another program of the user has not asked yet; its yes ends the pause of all.
    let order = "hsmsign sign kraken POST /0/private/AddOrder --form volume=0.4; true";
    let order = order.replace("hsmsign", env!("CARGO_BIN_EXE_hsmsign"));
    let mut shell = std::process::Command::new("sh");
    shell
        .args(["-c", &order])
        .env("HSMSIGN_HOME", place.home())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let shell = shell.spawn().unwrap();
    person.is_asked("0.4");
    person.agrees();
    let done = finish(shell, b"");
    assert!(done.stdout.contains("API-Sign"), "{done:?}");
    send(&mut bot, &self::order("0.5"));
    person.is_asked("0.5");
    person.agrees();
    assert_eq!(bot.answer()["ok"], true);
}

#[test]
fn what_changed_while_a_person_thought_holds() {
    let Some((place, mut person)) = asked(CONFIRM, "") else {
        return;
    };
    let agent = agent(&place, &person);
    let mut bot = agent.connect();
    send(&mut bot, &order("0.1"));
    person.is_asked("0.1");
    place.ok(&["lock", "--all"]);
    person.agrees();
    let answer = bot.answer();
    assert_eq!(answer["error"]["rule"], "lock --all", "{answer}");
    place.ok(&["unlock", "--all"]);
    send(&mut bot, &order("0.2"));
    person.is_asked("0.2");
    let tighter = "policy = 1\n[[cap]]\nfield = \"volume\"\nrequest = \"0.15\"\n[[confirm]]\npath = \"*\"\n";
    place.set_policy("kraken", tighter);
    person.agrees();
    let answer = bot.answer();
    assert_eq!(
        answer["error"]["rule"], "cap 1 (volume) of policy/kraken.toml",
        "{answer}"
    );
    assert!(place.log(&["--what", "sign", "--outcome", "signed"]).is_empty());
}

#[test]
fn where_nobody_can_be_asked_it_is_a_denial_that_says_so() {
    let Some((place, person)) = asked(CONFIRM, "") else {
        return;
    };
    for (name, value, words) in [
        ("PATH", "/nonexistent", "pinentry cannot be started"),
        ("GPG_TTY", "/nonexistent", "pinentry could not ask"),
    ] {
        let mut command = place.command(&["agent"]);
        person.set(&mut command);
        command.env(name, value);
        let agent = Running::of(&place, command);
        let answer = agent.connect().ask(&order("0.1"));
        let message = answer["error"]["message"].as_str().unwrap();
        assert_eq!(answer["error"]["code"], "denied", "{answer}");
        assert!(message.contains(words), "{answer}");
        assert_eq!(agent.connect().ask(BALANCE)["ok"], true);
    }
}

#[test]
fn a_one_shot_without_a_terminal_asks_on_the_desktop() {
    let Some((place, mut person)) = asked(CONFIRM, "") else {
        return;
    };
    let start = |display: Option<&str>| {
        let mut command = std::process::Command::new("setsid");
        command
            .args(["--wait", env!("CARGO_BIN_EXE_hsmsign"), "sign", "--json"])
            .env_clear()
            .env("HSMSIGN_HOME", place.home())
            .current_dir(place.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        person.set(&mut command);
        command.envs(display.map(|display| ("DISPLAY", display)));
        command.spawn().unwrap()
    };
    let done = finish(start(None), order("0.1").as_bytes());
    assert!(
        done.stdout.contains("neither a terminal nor a desktop"),
        "{done:?}"
    );
    let child = start(Some(":7"));
    let signing = std::thread::spawn(move || finish(child, order("0.1").as_bytes()));
    person.is_asked("volume = \"0.1\"");
    person.agrees();
    let done = signing.join().unwrap();
    assert_eq!(done.code, 0, "{done:?}");
}

#[test]
fn no_request_looks_like_another_to_the_person_who_is_asked() {
    let kraken = Judge::new("kraken", "");
    let form = |body: &str| {
        kraken.told(
            &serde_json::json!({"method": "POST", "path": "/0/private/AddOrder", "body": body}).to_string(),
        )
    };
    let told = form("pair=XBTUSD&volume=5&userref=%22%0Avolume+%3D+%220.1%22%0A%1B[2K%E2%80%AE").unwrap();
    assert_eq!(
        told.lines().collect::<Vec<_>>(),
        [
            "POST /0/private/addorder",
            "  pair = \"XBTUSD\"",
            "  volume = \"5\"",
            "  userref = \"\\\"\\nvolume = \\\"0.1\\\"\\n\\u{1b}[2K\\u{202e}\"",
        ]
    );
    // What a person cannot be shown whole, or could read in two ways, is denied.
    for body in [
        (0..41).map(|at| format!("f{at}=1&")).collect::<String>() + "volume=5",
        "volume=0.1&volume=5".into(),
        "volume=0.1&Volume=5".into(),
        "vol%20ume=5".into(),
    ] {
        assert!(form(&body).is_err(), "{body}");
    }
    let batch = Judge::new("okx", "")
        .told(
            &serde_json::json!({"method": "POST", "path": "/api/v5/trade/batch-orders", "content_type": "application/json",
            "body": r#"[{"instId":"BTC-USDT","sz":"1","attachAlgoOrds":[{"sz":"7"}]},{"instId":"ETH-USDT","sz":"2"}]"#})
            .to_string(),
        )
        .unwrap();
    for words in [
        "  - instId = \"BTC-USDT\"",
        "    sz = \"1\"",
        "- sz = \"7\"",
        "  - instId = \"ETH-USDT\"",
    ] {
        assert!(batch.contains(words), "{words}: {batch}");
    }
    // What the signature does not bind is said.
    let binance = Judge::new("binance", "");
    let told = binance
        .told(r#"{"method":"GET","path":"/api/v3/account","query":"symbol=BTCUSDT"}"#)
        .unwrap();
    assert!(told.contains("does not sign method and path"), "{told}");
}
