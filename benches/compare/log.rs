//! What the audit log takes of a request: it cannot be switched off, so it is measured on its own.

use std::time::Duration;

use hsmsign::{
    audit::{Entry, Log, What},
    caller::Caller,
    clock,
    home::Home,
};
use rustix::time::{ClockId, clock_gettime};

use crate::{
    Bench, Result,
    table::{Table, Target},
};

/// As many lines come together as under load, in the time that the log gathers them.
const TOGETHER: usize = 256;
/// A request's parameters.
const PARAMETERS: &[u8] =
    b"nonce=1795350822835016&ordertype=limit&pair=XBTUSD&price=37500&type=buy&volume=1.25";

impl Bench {
    /// The time that the lines of requests take of the thread that signs, and of the whole process.
    pub fn log(&self, agent_rate: f64, table: &mut Table) -> Result<()> {
        let home = Home::at(&self.scratch.join("log"));
        home.create()?;
        let log = Log::new(&home);
        log.start()?;
        let caller = Caller::asking();
        let rounds = (self.size.lines as usize / TOGETHER).max(4);
        let mut signing = Vec::with_capacity(rounds);
        let all_before = clock_gettime(ClockId::ProcessCPUTime);
        for _ in 0..rounds {
            let before = clock_gettime(ClockId::ThreadCPUTime);
            for _ in 0..TOGETHER {
                log.check()?;
                let mut entry = Box::new(Entry::new(What::Sign, &caller, "kraken", clock::now()));
                entry.exchange = "kraken".to_owned();
                entry.method = "POST".to_owned();
                entry.path = "/0/private/AddOrder".to_owned();
                entry.parameters = Some(PARAMETERS.into());
                entry.came_out(None);
                log.record(*entry);
            }
            let took = clock_gettime(ClockId::ThreadCPUTime) - before;
            signing.push(micros(took.try_into()?) / TOGETHER as f64);
            log.flush()?;
        }
        let all = clock_gettime(ClockId::ProcessCPUTime) - all_before;
        let all = micros(all.try_into()?) / (rounds * TOGETHER) as f64;
        signing.sort_by(f64::total_cmp);
        let own = signing[signing.len() / 2];
        table.limit(
            "audit log, a line, in the thread that signs",
            format!("{own:.2} us"),
            "3 us",
            own / 3.0,
            3.0,
        );
        let cores = std::thread::available_parallelism()?.get();
        let request = 1e6 / agent_rate;
        table.row(
            "audit log, a line, all its threads",
            format!("{all:.2} us"),
            format!("a request of the agent: {request:.1} us of each of {cores} cores"),
            all / (request * cores as f64),
            Target::AtMost(0.1),
        );
        Ok(())
    }
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
