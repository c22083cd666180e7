//! What a bot waits for that is written in Python.

use std::{fs, path::Path, process::Command};

use crate::{
    Bench, Result,
    agent::{LINE, between_raws},
    checked,
    rounds::Rounds,
    serving::{Cores, Served, on_one_core},
    table::Table,
    text,
    token::Token,
};

/// Asks a socket for a line, again and again, and prints the median of its waits in microseconds.
const BOT: &str = "import socket,sys,time\n\
    s=socket.socket(socket.AF_UNIX);s.connect(sys.argv[1]);f=s.makefile('rb');l=sys.argv[2].encode()+b'\\n';t=[]\n\
    for _ in range(int(sys.argv[3])):\n b=time.perf_counter();s.sendall(l);f.readline();t.append(time.perf_counter()-b)\n\
    print(sorted(t)[len(t)//2]*1e6)";

impl Bench {
    /// A bot with a kept-open connection.
    pub fn python(&self, token: &Token, table: &mut Table) -> Result<()> {
        if Command::new("python3").arg("--version").output().is_err() {
            table.note("Bots in Python were not measured: there is no python3 here.");
            return Ok(());
        }
        for cores in Cores::ALL {
            let one_core = cores == Cores::One;
            let agent = self.agent(token, one_core)?;
            let Some(_held) = cores.begin()? else {
                table.note(
                    "Nothing was measured with cores kept awake: /dev/cpu_dma_latency cannot be opened.",
                );
                continue;
            };
            let (mut bots, mut bare) = (Rounds::default(), Rounds::default());
            for _ in 0..self.size.stream_rounds {
                let ([raw, ..], took) = between_raws(self, token, one_core, || self.bot(&agent.socket))?;
                bots.push(took, raw + 120.0);
                bare.push(self.bot(&self.relay(token, one_core)?.socket)?, raw + 120.0);
            }
            table.limit(
                format!("agent, a bot in Python, median, {}", cores.name()),
                format!("{:.1} us", bots.figure()),
                format!("bare C_Sign {:.1} us + 120 us", bots.against() - 120.0),
                bots.ratio(),
                bots.against(),
            );
            table.note(format!(
                "A bot in Python, {}, waits {:.1} us for a relay that does nothing but C_Sign, {:.2} of what it may.",
                cores.name(),
                bare.figure(),
                bare.ratio(),
            ));
        }
        Ok(())
    }

    fn bot(&self, socket: &Path) -> Result<f64> {
        let mut bot = Command::new("python3");
        bot.args(["-c", BOT])
            .arg(socket)
            .args([LINE, &(self.size.lines / 2).to_string()]);
        Ok(text(&checked(&mut bot)?)?.parse()?)
    }

    /// The least that two processes can do for a client: one passes lines on, and the other signs.
    fn relay(&self, token: &Token, one_core: bool) -> Result<Served> {
        let socket = self.scratch.join("relay.sock");
        let _ = fs::remove_file(&socket);
        let signs = self.bare_with_key("serve", token);
        let mut relay = Command::new(self.built.join("examples/echo"));
        relay
            .env("SOFTHSM2_CONF", &token.conf)
            .arg(&socket)
            .arg(signs.get_program())
            .args(signs.get_args());
        let mut relay = if one_core { on_one_core(&relay) } else { relay };
        Served::start(&mut relay, socket)
    }
}
