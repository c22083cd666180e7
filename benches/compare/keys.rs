//! A token with many keys: what one signature costs beyond what the module itself takes there, told by a module between
//! hsmsign and the token.

use std::{fs, path::PathBuf, process::Command, time::Duration};

use crate::{
    Bench, Result, checked, median, ms,
    table::{Table, Target},
    timed,
    token::Token,
    write_requests,
};

/// One run of `hsmsign sign`.
struct Run {
    whole: Duration,
    /// Its module's one C_Initialize and C_FindObjects.
    module: Duration,
}

impl Run {
    fn own(&self) -> Duration {
        self.whole.saturating_sub(self.module)
    }
}

impl Bench {
    /// What a signature costs with many keys beyond the module's C_Initialize and one C_FindObjects by CKA_ID. Both are
    /// measured within each run, since a difference of two programs' times would be their noise.
    pub fn many_keys(&self, one: &Token, many: &Token, table: &mut Table) -> Result<()> {
        let tokens = [one, many];
        for token in tokens {
            token.go_through(&self.timed_module())?;
        }
        let mut runs = [Vec::new(), Vec::new()];
        for _ in 0..self.size.rounds {
            for (runs, token) in runs.iter_mut().zip(tokens) {
                runs.push(self.timed_sign(token)?);
            }
        }
        let each = |what: fn(&Run) -> Duration| {
            [&runs[0], &runs[1]].map(|runs| median(runs.iter().map(what).collect()))
        };
        let (own, whole, module) = (each(Run::own), each(|run| run.whole), each(|run| run.module));
        let keys = self.size.keys;
        table.row(
            format!("sign, one of {keys} keys, less the module's share"),
            format!("{} of {}", ms(own[1]), ms(whole[1])),
            format!("with one key: {} of {}", ms(own[0]), ms(whole[0])),
            own[1].as_secs_f64() / own[0].as_secs_f64(),
            Target::AtMost(1.5),
        );
        table.note(format!(
            "The module's share is one C_Initialize and one C_FindObjects by CKA_ID, taken of each run: {} with one key, {} with {keys}.",
            ms(module[0]),
            ms(module[1])
        ));
        self.finds(many, table)
    }

    /// How often a token is searched, for one request and for a stream of them.
    fn finds(&self, token: &Token, table: &mut Table) -> Result<()> {
        let count = |command: &mut Command| -> Result<usize> {
            let (_, calls) = self.calls(command, checked)?;
            Ok(calls
                .lines()
                .filter(|line| line.starts_with("C_FindObjectsInit "))
                .count())
        };
        let one = count(&mut self.sign(token))?;
        let requests = self.scratch.join("hundred-requests");
        write_requests(&requests, 100)?;
        let mut stream = self.hsmsign(token);
        let stream = count(stream.args(["sign", "--json"]).stdin(fs::File::open(&requests)?))?;
        table.count(
            "searches of the token a request",
            format!("{one}"),
            format!("sign --json, 100 lines: {stream} in all"),
            one,
            1,
        );
        Ok(())
    }

    fn timed_sign(&self, token: &Token) -> Result<Run> {
        let (whole, calls) = self.calls(&mut self.sign(token), timed)?;
        let mut module = Duration::ZERO;
        for line in calls.lines() {
            let (_, nanos) = line.split_once(' ').ok_or("not a line of the timed module")?;
            module += Duration::from_nanos(nanos.parse()?);
        }
        Ok(Run { whole, module })
    }

    /// A command's run, and what the timed module wrote down of it.
    fn calls<T>(&self, command: &mut Command, run: fn(&mut Command) -> Result<T>) -> Result<(T, String)> {
        let log = self.scratch.join("calls");
        fs::write(&log, "")?;
        let done = run(command.env("TIMED_MODULE", &self.module).env("TIMED_LOG", &log))?;
        Ok((done, fs::read_to_string(&log)?))
    }

    fn timed_module(&self) -> PathBuf {
        self.built.join("examples/libtimed_module.so")
    }
}
