//! What the process that reads clients' bytes may do, and what it holds.

use crate::{
    bench::Place,
    running::{BALANCE, Running},
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
