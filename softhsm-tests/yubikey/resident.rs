//! A YubiKey behind the agent, which outlives what happens to the key.

use crate::{bench::KRAKEN_SIGN, running::Running, user::User};

const LINE: &str = r#"{"key":"kraken","method":"POST","path":"/0/private/AddOrder","body":"nonce=1616492376594&ordertype=limit&pair=XBTUSD&price=37500&type=buy&volume=1.25"}"#;

#[test]
fn the_agent_goes_on_when_the_key_is_back_and_when_pcscd_is() {
    let Some(user) = User::with_kraken() else {
        return;
    };
    let User { place, mut desk } = user;
    let agent = Running::start(&place);
    let mut bot = agent.connect();
    let mut ask = || bot.ask(LINE);
    assert_eq!(ask()["headers"]["API-Sign"], KRAKEN_SIGN);
    desk.card(0).exchanges();
    assert_eq!(ask()["headers"]["API-Sign"], KRAKEN_SIGN);
    assert_eq!(desk.card(0).instructions(), [0xa4, 0xa2]);
    desk.card(0).pull();
    assert_eq!(ask()["error"]["code"], "token-missing");
    desk.card(0).put_back();
    assert_eq!(ask()["headers"]["API-Sign"], KRAKEN_SIGN);
    desk.stop();
    assert_eq!(ask()["error"]["code"], "token-missing");
    desk.start();
    // A device that was missed is looked for again after a moment.
    std::thread::sleep(std::time::Duration::from_millis(400));
    assert_eq!(ask()["headers"]["API-Sign"], KRAKEN_SIGN);
}

#[test]
fn a_code_that_a_person_gives_is_remembered_by_the_agent() {
    let Some(user) = User::with_kraken() else {
        return;
    };
    let done = user
        .place
        .run(&["token", "code", "yubikey"], "a code that nobody writes down\n");
    assert_eq!(done.code, 0, "{done:?}");
    let agent = Running::start(&user.place);
    let mut bot = agent.connect();
    assert_eq!(bot.ask(LINE)["error"]["code"], "token-locked");
    let unlock = |code: &str| {
        let mut person = agent.connect();
        let (read, write) = rustix::pipe::pipe().unwrap();
        rustix::io::write(&write, format!("{code}\n").as_bytes()).unwrap();
        drop(write);
        let line = b"{\"op\":\"unlock\",\"pin\":true}\n";
        hsmsign::agent::wire::send_all(person.stream(), line, &[std::os::fd::AsFd::as_fd(&read)]).unwrap();
        person.answer()
    };
    assert_eq!(unlock("another")["error"]["code"], "wrong-pin");
    assert_eq!(unlock("a code that nobody writes down")["ok"], true);
    for _ in 0..2 {
        assert_eq!(bot.ask(LINE)["headers"]["API-Sign"], KRAKEN_SIGN);
    }
    user.card().exchanges();
    assert_eq!(bot.ask(LINE)["headers"]["API-Sign"], KRAKEN_SIGN);
    assert_eq!(user.card().instructions(), [0xa4, 0xa3, 0xa2]);
}
