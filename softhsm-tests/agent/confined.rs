//! What the process that reads clients' bytes may do, and what it holds.

use crate::{
    bench::Place,
    running::{BALANCE, Running, until},
};

fn proc(pid: i32, file: &str) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap()
}

fn field(pid: i32, name: &str) -> String {
    let status = proc(pid, "status");
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_once(':').unwrap().1.trim().to_owned()
}

#[test]
fn the_front_is_confined_and_the_worker_is_apart() {
    let Some(place) = Place::with_kraken() else { return };
    let agent = Running::start(&place);
    assert_eq!(agent.connect().ask(BALANCE)["ok"], true);
    let status = agent.status();
    if status["confined"] != serde_json::json!({"landlock": "full", "seccomp": true}) {
        eprintln!(
            "SKIPPED: this kernel knows no landlock or seccomp: {}",
            status["confined"]
        );
        assert!(agent.log().contains("confines the agent less"), "{}", agent.log());
        return;
    }
    assert_eq!(field(agent.pid(), "Seccomp"), "2");
    assert_eq!(field(agent.pid(), "NoNewPrivs"), "1");
    let module = "libsofthsm2";
    assert!(
        !proc(agent.pid(), "maps").contains(module),
        "no vendor's code reads clients' bytes"
    );
    assert!(proc(agent.worker(), "maps").contains(module));
}

#[test]
fn a_file_outside_its_folders_is_out_of_reach() {
    let Some(place) = Place::with_token() else { return };
    let scheme = place.home().join("schemes");
    std::fs::create_dir(&scheme).unwrap();
    let text = "id = \"own\"\nname = \"Own\"\nhosts = [\"example.com\"]\nkey = { algorithm = \"hmac-sha256\", secret = \"ascii\", encoding = \"hex\" }\nsignature = { message = \"{path}\" }\nheaders = { S = \"{signature}\" }\n";
    private(&scheme.join("own.toml"), text);
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(&scheme, std::fs::Permissions::from_mode(0o700)).unwrap();
    place.import(&["-e", "own", "--allow", "withdrawals"], "secret");
    let line = r#"{"key":"own","method":"GET","path":"/"}"#;
    let sign = || Running::start(&place).connect().ask(line);
    assert_eq!(sign()["ok"], true, "{}", sign());
    // The same file, but outside: the command line follows the link, the confined front cannot.
    let outside = place.path().join("own.toml");
    std::fs::rename(scheme.join("own.toml"), &outside).unwrap();
    std::os::unix::fs::symlink(&outside, scheme.join("own.toml")).unwrap();
    let here = place.run(&["sign", "own", "GET", "/"], "");
    let answer = sign();
    if here.code == 0 && Running::start(&place).status()["confined"]["landlock"] == "full" {
        assert_eq!(answer["ok"], false, "{answer}");
    }
}

fn private(path: &std::path::Path, text: &str) {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file = std::fs::File::options()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .unwrap();
    std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
}

#[test]
fn the_program_of_a_client_is_known_though_the_front_may_not_look_at_it() {
    let Some(place) = Place::with_kraken() else { return };
    let own = std::env::current_exe().unwrap();
    let only = |program: &str| {
        let policy = format!("policy = 1\n[[client]]\nexecutable = \"{program}\"\n");
        assert_eq!(place.run(&["policy", "set", "kraken"], &policy).code, 0);
    };
    only(own.to_str().unwrap());
    let agent = Running::start(&place);
    let mut connection = agent.connect();
    let answer = connection.ask(BALANCE);
    assert_eq!(answer["ok"], true, "{answer}");
    // Of hsmsign's own commands it is the program that started them.
    place.ok(&["sign", "kraken", "POST", "/0/private/Balance"]);
    only("/usr/bin/bot");
    let answer = connection.ask(BALANCE);
    assert_eq!(
        answer["error"]["rule"], "client of policy/kraken.toml",
        "{answer}"
    );
    assert!(answer.to_string().contains(own.to_str().unwrap()), "{answer}");
    until("the log has them", || {
        let lines = place.log(&["--what", "sign"]);
        lines.len() == 3 && lines.iter().all(|line| line["exe"] == own.to_str().unwrap())
    });
}
