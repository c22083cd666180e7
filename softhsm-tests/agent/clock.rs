//! A clock that is set while the agent runs: a library of `c/shifted.c` stands before the system's.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt as _,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use rustix::process::Signal;

use crate::{
    bench::{Place, compile, random::Random},
    running::{BALANCE, Connection, Running, nonce},
};

/// The clock of agents that are started by it.
struct Clock<'p> {
    place: &'p Place,
    file: File,
}

impl<'p> Clock<'p> {
    /// None, with a line on stderr, where there is no C compiler.
    fn new(place: &'p Place) -> Option<Self> {
        compile::library(place.path(), "shifted", "agent/c/shifted.c")?;
        let path = place.path().join("shift");
        fs::write(&path, [0; 8]).unwrap();
        let file = File::options().write(true).open(path).unwrap();
        Some(Self { place, file })
    }

    /// Sets the clock: it is off by so many seconds from here on.
    fn set(&self, seconds: i64) {
        self.file.write_all_at(&seconds.to_ne_bytes(), 0).unwrap();
    }

    fn agent(&self) -> Running<'p> {
        let mut command = self.place.command(&["agent"]);
        command
            .env("LD_PRELOAD", self.place.path().join("libshifted.so"))
            .env("SHIFTED_BY", self.place.path().join("shift"));
        Running::of(self.place, command)
    }
}

const HOUR: i64 = 3600;

fn ask(connection: &mut Connection) -> u64 {
    let answer = connection.ask(BALANCE);
    assert_eq!(answer["ok"], true, "{answer}");
    nonce(&answer)
}

#[test]
fn nonces_increase_though_the_clock_is_set_back_and_forward() {
    let Some(place) = Place::with_kraken() else { return };
    let Some(clock) = Clock::new(&place) else { return };
    let mut random = Random::new(0x636c_6f63);
    let mut last = 0;
    // An hour back, a day forward, put right, and by chance; and each time the agent is killed, and starts at that clock.
    let steps = [0, -HOUR, 24 * HOUR - 60, 0, -HOUR, 0];
    let by_chance = (0..6).map(|_| i64::try_from(random.below(172_000)).unwrap() - 86_000);
    for seconds in steps.into_iter().chain(by_chance) {
        let agent = clock.agent();
        let done = AtomicBool::new(false);
        let mut all: Vec<u64> = std::thread::scope(|scope| {
            let clients: Vec<_> = (0..3)
                .map(|_| {
                    scope.spawn(|| {
                        let mut connection = agent.connect();
                        let mut given = vec![ask(&mut connection)];
                        while !done.load(Ordering::Relaxed) {
                            given.push(ask(&mut connection));
                        }
                        assert!(given.is_sorted_by(|a, b| a < b));
                        given
                    })
                })
                .collect();
            std::thread::sleep(Duration::from_millis(40));
            clock.set(seconds);
            std::thread::sleep(Duration::from_millis(100));
            done.store(true, Ordering::Relaxed);
            clients
                .into_iter()
                .flat_map(|client| client.join().unwrap())
                .collect()
        });
        agent.signal(Signal::KILL);
        all.sort_unstable();
        assert!(
            all[0] > last,
            "after the clock was off by {seconds} s: {} after {last}",
            all[0]
        );
        assert!(all.is_sorted_by(|a, b| a < b), "none twice");
        last = *all.last().unwrap();
    }
    let real = u64::try_from(hsmsign::nonce::now().as_micros()).unwrap();
    assert!(last > real, "the clock that was ahead was seen");
}

#[test]
fn times_follow_the_clock_at_once() {
    let Some(place) = Place::with_token() else { return };
    let Some(clock) = Clock::new(&place) else { return };
    place.import(
        &["-e", "bitmex", "--api-key", "k"],
        "8kRvT2mQ7xZpL4nWc9YbJ6hFd3sGa5Ue",
    );
    let agent = clock.agent();
    let mut connection = agent.connect();
    let mut expires = || {
        let answer = connection.ask(r#"{"key":"bitmex","method":"GET","path":"/api/v1/user"}"#);
        assert_eq!(answer["ok"], true, "{answer}");
        let text = answer["headers"]["api-expires"].as_str().unwrap().to_owned();
        text.parse::<i64>().unwrap()
    };
    let before = expires();
    clock.set(24 * HOUR);
    let ahead = expires() - before;
    assert!((24 * HOUR..24 * HOUR + 30).contains(&ahead), "{ahead}");
    clock.set(-HOUR);
    let behind = expires() - before;
    assert!((-HOUR..-HOUR + 30).contains(&behind), "{behind}");
}
