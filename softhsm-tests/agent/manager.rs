//! The agent under a service manager: sockets that are handed over, and what the manager is told.

use std::{
    os::{
        fd::OwnedFd,
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr, UnixDatagram, UnixListener, UnixStream},
    },
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use rustix::{
    net::{AddressFamily, SocketAddrUnix, SocketType},
    process::Signal,
};

use crate::{
    bench::Place,
    running::{BALANCE, Connection, Running, until},
};

/// A manager's end of the datagrams.
struct Manager(UnixDatagram);

impl Manager {
    fn at(socket: UnixDatagram) -> Self {
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Self(socket)
    }

    fn hears(&self) -> String {
        let mut room = [0; 1024];
        let read = self.0.recv(&mut room).expect("the manager is told something");
        String::from_utf8(room[..read].to_vec()).unwrap()
    }

    /// The next that is no heartbeat.
    fn hears_of(&self, wanted: &str) -> String {
        loop {
            let told = self.hears();
            if told != "WATCHDOG=1\n" {
                assert!(told.lines().any(|line| line == wanted), "{wanted}: {told:?}");
                return told;
            }
        }
    }
}

fn start<'p>(place: &'p Place, environment: &[(&str, &str)]) -> Running<'p> {
    let mut command = place.command(&["agent"]);
    command.envs(environment.iter().copied());
    Running::of(place, command)
}

#[test]
fn the_manager_hears_when_it_serves_reloads_and_stops() {
    let Some(place) = Place::with_kraken() else { return };
    let path = place.path().join("notify");
    let manager = Manager::at(UnixDatagram::bind(&path).unwrap());
    let mut agent = start(&place, &[("NOTIFY_SOCKET", path.to_str().unwrap())]);
    manager.hears_of("READY=1");
    assert_eq!(
        agent.connect().ask(BALANCE)["ok"],
        true,
        "it serves when it says so"
    );
    agent.signal(Signal::HUP);
    let told = manager.hears_of("RELOADING=1");
    // systemd wants the time, to tell this reload from an earlier one.
    let since = told.lines().find_map(|line| line.strip_prefix("MONOTONIC_USEC="));
    assert!(
        since.is_some_and(|since| since.parse::<u64>().is_ok()),
        "{told:?}"
    );
    manager.hears_of("READY=1");
    agent.signal(Signal::TERM);
    manager.hears_of("STOPPING=1");
    assert_eq!(agent.wait(), 0, "{}", agent.log());
}

#[test]
fn a_loop_that_is_stuck_is_not_heard_of() {
    let Some(place) = Place::with_kraken() else { return };
    let name = format!("hsmsign-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let manager = Manager::at(UnixDatagram::bind_addr(&address).unwrap());
    let patience = Duration::from_millis(1000);
    let at = format!("@{name}");
    let micros = patience.as_micros().to_string();
    let agent = start(&place, &[("NOTIFY_SOCKET", &at), ("WATCHDOG_USEC", &micros)]);
    manager.hears_of("READY=1");
    let mut last = Instant::now();
    for _ in 0..8 {
        assert_eq!(manager.hears(), "WATCHDOG=1\n");
        assert!(last.elapsed() < patience, "{:?}", last.elapsed());
        last = Instant::now();
    }
    agent.signal(Signal::STOP);
    manager.0.set_nonblocking(true).unwrap();
    while manager.0.recv(&mut [0; 64]).is_ok() {}
    std::thread::sleep(patience * 2);
    let silent = manager.0.recv(&mut [0; 64]);
    agent.signal(Signal::CONT);
    assert!(silent.is_err(), "{silent:?}");
    manager.0.set_nonblocking(false).unwrap();
    assert_eq!(manager.hears(), "WATCHDOG=1\n");
}

#[test]
fn a_manager_that_reads_nothing_delays_nobody_and_one_that_is_not_there_is_an_error() {
    let Some(place) = Place::with_kraken() else { return };
    let path = place.path().join("notify");
    let at = path.to_str().unwrap();
    let done = place
        .command(&["agent"])
        .env("NOTIFY_SOCKET", at)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&done.stderr);
    assert!(
        done.status.code() == Some(1) && told.contains("NOTIFY_SOCKET"),
        "{told}"
    );

    let _deaf = UnixDatagram::bind(&path).unwrap();
    let agent = start(&place, &[("NOTIFY_SOCKET", at), ("WATCHDOG_USEC", "2000")]);
    let mut connection = agent.connect();
    // More heartbeats than the kernel keeps for a reader.
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(connection.ask(BALANCE)["ok"], true);
}

#[test]
fn a_socket_of_the_manager_is_served_stays_and_no_helper_has_it() {
    let Some(place) = Place::with_kraken() else { return };
    if Command::new("systemd-socket-activate")
        .arg("--version")
        .output()
        .is_err()
    {
        eprintln!("SKIPPED: systemd is not installed, so that no socket was handed over");
        return;
    }
    let socket = place.home().join("agent.sock");
    let mut command = Command::new("systemd-socket-activate");
    command
        .arg("--listen")
        .arg(&socket)
        .arg(format!("--setenv=HSMSIGN_HOME={}", place.home().display()))
        .args([env!("CARGO_BIN_EXE_hsmsign"), "agent"])
        .current_dir(place.path());
    // The first connection starts it, and is served as any other.
    let mut agent = Running::of(&place, command);
    let mut first = agent.connect();
    assert_eq!(first.ask(BALANCE)["ok"], true, "{}", agent.log());
    let status = agent.status();
    assert_eq!(status["socket"], socket.to_str().unwrap());
    assert_eq!(status["pid"], agent.pid());

    // The helpers load vendors' modules: a client that reached one of them would be theirs.
    // Others' sockets may have any name.
    let sockets = std::fs::read("/proc/net/unix").unwrap();
    let sockets = String::from_utf8_lossy(&sockets);
    let line = sockets
        .lines()
        .find(|line| {
            // The ends of connections have its path too, and may be closed by now: flags tell the one that listens.
            line.ends_with(socket.to_str().unwrap()) && line.split_whitespace().nth(3) == Some("00010000")
        })
        .unwrap();
    let inode = format!("socket:[{}]", line.split_whitespace().nth(6).unwrap());
    let has = |pid: i32| {
        let folder = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
        let links = folder
            .flatten()
            .filter_map(|entry| std::fs::read_link(entry.path()).ok());
        Some(links.into_iter().any(|link| link == Path::new(&inode)))
    };
    match has(agent.pid()) {
        Some(has_it) => {
            assert!(has_it, "it is found where it is");
            assert_eq!(has(agent.worker()), Some(false));
        }
        None => eprintln!("SKIPPED: only root sees the descriptors of a hardened process"),
    }

    agent.signal(Signal::TERM);
    assert_eq!(agent.wait(), 0, "{}", agent.log());
    assert!(socket.exists(), "it is the manager's");
}

#[test]
fn what_is_no_single_unix_socket_is_refused() {
    let Some(place) = Place::with_kraken() else { return };
    if Command::new("systemd-socket-activate")
        .arg("--version")
        .output()
        .is_err()
    {
        eprintln!("SKIPPED: systemd is not installed, so that no socket was handed over");
        return;
    }
    let port = free_port();
    let path = place.path().join("a");
    let listens = [
        vec![format!("127.0.0.1:{port}")],
        vec![path.display().to_string(), format!("{}2", path.display())],
    ];
    for (listens, words) in listens
        .iter()
        .zip(["no Unix stream socket", "handed over 2 sockets"])
    {
        let mut command = Command::new("systemd-socket-activate");
        for listen in listens {
            command.args(["--listen", listen]);
        }
        command
            .arg(format!("--setenv=HSMSIGN_HOME={}", place.home().display()))
            .args([env!("CARGO_BIN_EXE_hsmsign"), "agent"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        let poke = || match listens.len() {
            1 => std::net::TcpStream::connect(("127.0.0.1", port)).is_ok(),
            _ => std::os::unix::net::UnixStream::connect(&path).is_ok(),
        };
        until("the launcher listens", poke);
        let done = child.wait_with_output().unwrap();
        let told = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.code() == Some(5) && told.contains(words), "{told}");
    }
}

#[test]
fn a_socket_that_takes_no_connections_or_takes_everybodys_is_refused() {
    let Some(place) = Place::with_kraken() else { return };
    let path = place.path().join("not-listening");
    let bound = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
    rustix::net::bind(&bound, &SocketAddrUnix::new(&path).unwrap()).unwrap();
    let name = format!("hsmsign-test-{}", std::process::id());
    let everybodys = SocketAddr::from_abstract_name(name).unwrap();
    let everybodys = UnixListener::bind_addr(&everybodys).unwrap();
    let handed: [(OwnedFd, &str); 3] = [
        (bound, "takes no connections"),
        // As with Accept=yes.
        (UnixStream::pair().unwrap().0.into(), "takes no connections"),
        (everybodys.into(), "everybody on this machine may connect"),
    ];
    for (socket, words) in handed {
        let inner = place.command(&["agent"]);
        let mut command = Command::new("sh");
        command
            .args([
                "-c",
                "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" agent",
            ])
            .arg(inner.get_program())
            .env("HSMSIGN_HOME", place.home())
            .stdin(socket)
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let done = command.spawn().unwrap().wait_with_output().unwrap();
        let told = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.code() == Some(5) && told.contains(words), "{told}");
    }
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap().port()
}

#[test]
fn the_socket_of_a_system_agent_is_for_its_group() {
    let Some(place) = Place::with_kraken() else { return };
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    let gid = if rustix::process::geteuid().is_root() {
        12345
    } else {
        rustix::process::getegid().as_raw()
    };
    let folder = place.path().join("run");
    let socket = folder.join("agent.sock");
    let group = gid.to_string();
    let mut command = place.command(&["agent", "--group", &group, "--socket", socket.to_str().unwrap()]);
    command.env("HSMSIGN_SOCKET", &socket);
    let _agent = Running::at(&place, command, &socket);
    for (path, mode) in [(&folder, 0o750), (&socket, 0o660)] {
        let metadata = std::fs::metadata(path).unwrap();
        assert_eq!(
            (metadata.permissions().mode() & 0o777, metadata.gid()),
            (mode, gid),
            "{}",
            path.display()
        );
    }
    assert_eq!(Connection::to(&socket).ask(BALANCE)["ok"], true);
    // A folder that lets everybody in is no place for it.
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).unwrap();
    let other = Place::with_token().unwrap();
    let args = ["agent", "--socket", socket.to_str().unwrap()];
    other.refused(&args, "", 5, "lets others in");
}
