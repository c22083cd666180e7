//! What a policy costs the agent's clients.

use std::{fs, time::Instant};

use crate::{
    Bench, Result,
    agent::LINE,
    checked,
    rounds::{Rounds, at},
    serving::{Client, Cores, in_flights},
    table::{Table, Target},
    token::{Token, import},
};

/// The key that has a policy, beside the one that has none.
const RULED: &str = "ruled";

/// A hundred rules: for endpoints, with a last one that may look into the fields of the request.
fn rules(last: &str) -> String {
    let endpoints: String = (0..49)
        .map(|at| {
            format!(
                "[[allow]]\nmethod = [\"GET\"]\npath = \"/0/private/Other{at}*\"\n[[deny]]\npath = \"/1/private/Other{at}\"\n"
            )
        })
        .collect();
    format!("policy = 1\nwithdrawals = false\n{endpoints}[[allow]]\npath = \"/0/private/AddOrder\"\n{last}")
}

impl Bench {
    /// Two keys of one agent, one with a policy of 100 rules and one without, by turns.
    pub fn policy(&self, token: &Token, table: &mut Table) -> Result<()> {
        import(self.hsmsign(token).args([
            "import",
            "--exchange",
            "kraken",
            "--key",
            RULED,
            "--api-key",
            "example",
        ]))?;
        let ruled = LINE.replacen("kraken", RULED, 1);
        let lines = [&ruled, LINE].map(|line| format!("{line}\n"));
        let cap = "[[cap]]\nfield = \"volume\"\nrequest = \"2\"\n";
        for (what, last) in [
            (
                "of 100 rules for endpoints",
                "[[allow]]\npath = \"/0/private/CancelOrder\"\n",
            ),
            ("of 100 rules, one a cap", cap),
        ] {
            self.put(token, last)?;
            for cores in Cores::ALL {
                let agent = self.agent(token, cores == Cores::One)?;
                let Some(_held) = cores.begin()? else { continue };
                let mut client = Client::to(&agent.socket)?;
                let mut p50 = Rounds::default();
                for _ in 0..self.size.stream_rounds {
                    let laps = client.laps_by_turns([&lines[0], &lines[1]], self.size.lines as usize / 4)?;
                    let [with, without] = laps.map(|laps| at(&laps, 0.5));
                    p50.push(with, without);
                }
                table.limit(
                    format!("agent, a policy {what}, one client, p50, {}", cores.name()),
                    format!(
                        "{:.1} us, {:.1} us more",
                        p50.figure(),
                        p50.middle(|[with, without]| with - without)
                    ),
                    format!("without a policy: {:.1} us + 3 us", p50.against()),
                    p50.middle(|[with, without]| with / (without + 3.0)),
                    p50.against() + 3.0,
                );
            }
        }
        self.throughput(token, &lines, table)?;
        checked(self.hsmsign(token).args(["remove", RULED, "--yes"]))?;
        Ok(())
    }

    fn put(&self, token: &Token, last: &str) -> Result<()> {
        let file = self.scratch.join("policy.toml");
        fs::write(&file, rules(last))?;
        let mut command = self.hsmsign(token);
        checked(command.args(["policy", "set", RULED, "--file"]).arg(file))?;
        Ok(())
    }

    fn throughput(&self, token: &Token, lines: &[String; 2], table: &mut Table) -> Result<()> {
        let (count, clients, flight) = (self.size.lines as usize / 4, 8, 16);
        let agent = self.agent(token, false)?;
        let rate = |line: &str| {
            let begun = Instant::now();
            in_flights(&agent.socket, line, clients, flight, count)?;
            Result::Ok((clients * count) as f64 / begun.elapsed().as_secs_f64())
        };
        let mut rates = Rounds::default();
        for _ in 0..self.size.stream_rounds {
            rates.push(rate(&lines[0])?, rate(&lines[1])?);
        }
        table.row(
            format!(
                "agent, a policy of 100 rules, one a cap, {clients} clients, {flight} lines in flight each"
            ),
            format!("{:.0} a second", rates.figure()),
            format!("without a policy: {:.0} a second", rates.against()),
            rates.ratio(),
            Target::AtLeast(0.9),
        );
        Ok(())
    }
}
