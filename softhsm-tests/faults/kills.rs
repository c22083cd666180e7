//! SIGKILL at seeded moments of imports, rotations and removals: the key is whole or absent, keyring and token agree at
//! the next start, and nothing stays on the token that no record names.

use std::{collections::BTreeMap, fs, thread::scope, time::Duration};

use serde_json::json;

use crate::{
    bench::{KRAKEN_SECRET, Place},
    moments::{Files, Moment, kill_at, measure},
    state::{Random, expected_objects, objects, rounds, seed, unfinished},
};

/// Workers, each with a place of its own: processes wait for each other's files more than for a processor.
const WORKERS: u64 = 2;

/// How often each step was met, by command.
type Met = BTreeMap<(&'static str, &'static str), usize>;

/// What is killed, and what came of it.
struct Killer {
    place: Place,
    random: Random,
    /// The seed, for a failure's words.
    seed: u64,
    /// How many changes of files a command makes, and how long it takes.
    spans: BTreeMap<&'static str, (usize, u64)>,
    met: Met,
}

impl Killer {
    fn new(seed: u64) -> Option<Self> {
        let place = Place::with_token()?;
        place.import(
            &["--exchange", "kraken", "--key", "anchor", "--api-key", "a"],
            KRAKEN_SECRET,
        );
        Some(Self {
            place,
            random: Random::of(seed),
            seed,
            spans: BTreeMap::new(),
            met: Met::new(),
        })
    }

    fn count(&self, command: &str) -> usize {
        self.met
            .iter()
            .filter(|((of, _), _)| *of == command)
            .map(|(_, count)| count)
            .sum()
    }

    /// Runs a command to its end, which says how long it is.
    fn run(&mut self, command: &'static str, args: &[&str], input: &str) {
        let span = measure(&self.place, args, input);
        self.spans.insert(command, span);
    }

    /// Kills a command, and has hsmsign start again. Answers in which words a failure tells of it.
    fn kill(&mut self, command: &'static str, args: &[&str], input: &str) -> String {
        let (changes, micros) = self.spans[command];
        let moment = Moment::random(&mut self.random, changes, micros);
        let before = Files::read(&self.place);
        let killed = kill_at(&self.place, args, input, moment);
        let after = Files::read(&self.place);
        let step = after.step(&before);
        let context = format!(
            "HSMSIGN_TEST_SEED={}: {args:?} killed at {moment:?}, {step}: {after:?}",
            self.seed
        );
        if killed {
            *self.met.entry((command, step)).or_default() += 1;
        }
        self.whole(&context);
        if self.count(command) % 25 == 24 {
            self.agrees(&context);
        }
        context
    }

    /// What must hold at the next start.
    #[track_caller]
    fn whole(&self, context: &str) {
        // The start that sweeps, as any command that opens the token.
        let done = self
            .place
            .run(&["sign", "anchor", "POST", "/0/private/Balance"], "");
        assert_eq!(done.code, 0, "{context}: the token still works: {done:?}");
        let files = Files::read(&self.place);
        assert_eq!(files.journal, 0, "{context}: {files:?}");
        let left = unfinished(&self.place.home());
        assert!(left.is_empty(), "{context}: {left:?}");
        assert_eq!(files.objects.len(), files.named(), "{context}: {files:?}");
        assert!(
            files.objects.values().all(|size| *size > 0),
            "{context}: {files:?}"
        );
        if files.records.contains_key("k") {
            let done = self.place.run(&["test", "k"], "");
            assert_eq!(done.code, 0, "{context}: the key is whole: {done:?}");
        }
    }

    /// What another program sees on the token are the objects of the records, by their labels.
    #[track_caller]
    fn agrees(&self, context: &str) {
        if let Some(objects) = objects(&self.place) {
            assert_eq!(objects, expected_objects(&self.place), "{context}");
        }
    }

    fn is_there(&self) -> bool {
        Files::read(&self.place).records.contains_key("k")
    }
}

/// Has each worker do its work, and adds up what they met.
fn work(name: &str, work: impl Fn(&mut Killer) + Sync) -> Option<Met> {
    let all: Vec<Option<Met>> = scope(|scope| {
        let workers: Vec<_> = (0..WORKERS)
            .map(|worker| {
                let work = &work;
                scope.spawn(move || {
                    let mut killer = Killer::new(seed(worker))?;
                    work(&mut killer);
                    killer.agrees("at the end");
                    Some(killer.met)
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).collect()
    });
    let mut met = Met::new();
    for (step, count) in all
        .into_iter()
        .collect::<Option<Vec<Met>>>()?
        .into_iter()
        .flatten()
    {
        *met.entry(step).or_default() += count;
    }
    eprintln!("{name}: {} kills", met.values().sum::<usize>());
    for ((command, step), count) in &met {
        eprintln!("  {count:4} × {command} {step}");
    }
    Some(met)
}

/// The kills met the command between its steps, and not only before and behind them.
#[track_caller]
fn meant_something(met: &Met, command: &str, kills: usize) {
    let of = |wanted: &dyn Fn(&str) -> bool| -> usize {
        let fit = met
            .iter()
            .filter(|((of, step), _)| *of == command && wanted(step));
        fit.map(|(_, count)| count).sum()
    };
    assert!(of(&|_| true) >= kills, "{command}: {met:?}");
    let between = of(&|step| !["before the journal", "at its end"].contains(&step));
    assert!(
        between * 4 >= kills,
        "{command} was met between its steps {between} times: {met:?}"
    );
}

#[test]
fn imports_and_removals_killed_at_any_moment_are_whole_or_nothing() {
    let import = ["import", "--exchange", "cbpro", "--key", "k", "--api-key", "a"];
    let secrets = format!("{KRAKEN_SECRET}\npassphrase\n");
    let quota = rounds(50);
    let met = work("imports and removals", |killer| {
        killer.run("import", &import, &secrets);
        killer.run("remove", &["remove", "k"], "");
        while killer.count("import") < quota || killer.count("remove") < quota {
            match killer.is_there() {
                false if killer.count("import") < quota => killer.kill("import", &import, &secrets),
                true if killer.count("remove") < quota => killer.kill("remove", &["remove", "k"], ""),
                there => {
                    let (args, input) = if there {
                        (&["remove", "k"][..], "")
                    } else {
                        (&import[..], &*secrets)
                    };
                    assert_eq!(killer.place.run(args, input).code, 0);
                    continue;
                }
            };
        }
    });
    let Some(met) = met else { return };
    for command in ["import", "remove"] {
        meant_something(&met, command, quota * 2);
    }
}

#[test]
fn first_imports_killed_while_the_module_is_tried_leave_nothing() {
    let import = ["import", "--exchange", "kraken", "--key", "k", "--api-key", "a"];
    let quota = rounds(15);
    let met = work("first imports", |killer| {
        let untried = |killer: &Killer| {
            let verdicts = killer.place.home().join("trust.json");
            if verdicts.exists() {
                fs::remove_file(verdicts).unwrap();
            }
        };
        let secret = format!("{KRAKEN_SECRET}\n");
        untried(killer);
        killer.run("import", &import, &secret);
        while killer.count("import") < quota {
            if killer.is_there() {
                killer.place.ok(&["remove", "k"]);
            }
            untried(killer);
            killer.kill("import", &import, &secret);
        }
    });
    let Some(met) = met else { return };
    assert!(met.values().sum::<usize>() >= quota * 2, "{met:?}");
}

#[test]
fn rotations_killed_at_any_moment_have_one_pair_or_the_other() {
    let quota = rounds(40);
    let met = work("rotations", |killer| {
        let rotate = |killer: &mut Killer, round: usize, kill: bool| {
            let new = round.to_string();
            let args = ["rotate", "k", "--api-key", &new];
            let secret = format!(
                "{}\n",
                KRAKEN_SECRET.replace("kQH5", &format!("A{:03}", round % 1000))
            );
            if kill {
                return killer.kill("rotate", &args, &secret);
            }
            killer.run("rotate", &args, &secret);
            String::new()
        };
        killer.place.import(
            &["--exchange", "kraken", "--key", "k", "--api-key", "0"],
            KRAKEN_SECRET,
        );
        for end in ["--undo", "--commit"] {
            rotate(killer, 0, false);
            killer.run(end, &["rotate", "k", end], "");
        }
        let mut round = 1;
        while killer.count("rotate") < quota || killer.count("--commit") + killer.count("--undo") < quota / 2
        {
            round += 1;
            let old = killer.place.json(&["show", "k", "--json"]);
            let context = rotate(killer, round, killer.count("rotate") < quota);
            let shown = killer.place.json(&["show", "k", "--json"]);
            if shown["previous"].is_null() {
                assert_eq!(shown, old, "{context}: the old pair is in force");
                continue;
            }
            assert_eq!(
                shown["api_key"],
                json!(round.to_string()),
                "{context}: both were switched"
            );
            let end = ["--commit", "--undo"][round % 2];
            let context = killer.kill(end, &["rotate", "k", end], "");
            // Killed before it took effect, it is done again; after, there is nothing to do.
            let again = killer.place.run(&["rotate", "k", end], "");
            assert!([0, 5].contains(&again.code), "{context}: {again:?}");
        }
    });
    let Some(met) = met else { return };
    meant_something(&met, "rotate", quota * 2);
}

#[test]
fn keys_made_on_the_token_are_whole_or_nothing_wherever_that_is_killed() {
    let generate = [
        "generate",
        "-e",
        "binance",
        "-k",
        "k",
        "--algorithm",
        "ed25519",
        "--api-key",
        "a",
    ];
    let quota = rounds(30);
    let met = work("keys made on the token", |killer| {
        killer.run("generate", &generate, "");
        killer.run("rotate", &["rotate", "k"], "");
        killer.run("--undo", &["rotate", "k", "--undo"], "");
        killer.run("remove", &["remove", "k"], "");
        while killer.count("generate") < quota || killer.count("rotate") < quota {
            if !killer.is_there() {
                killer.kill("generate", &generate, "");
                continue;
            }
            let old = killer.place.json(&["show", "k", "--json"]);
            let context = killer.kill("rotate", &["rotate", "k"], "");
            let shown = killer.place.json(&["show", "k", "--json"]);
            assert_eq!(
                shown["current"], old["current"],
                "{context}: the key in force goes on"
            );
            if shown["next"].is_null() {
                assert_eq!(shown, old, "{context}");
            } else {
                let context = killer.kill("--undo", &["rotate", "k", "--undo"], "");
                let again = killer.place.run(&["rotate", "k", "--undo"], "");
                assert!([0, 5].contains(&again.code), "{context}: {again:?}");
            }
            if killer.count("generate") < quota {
                killer.place.ok(&["remove", "k"]);
            }
        }
    });
    let Some(met) = met else { return };
    for command in ["generate", "rotate"] {
        meant_something(&met, command, quota * 2);
    }
}

#[test]
fn set_ups_killed_at_any_moment_leave_no_token_that_nobody_knows_of() {
    let Some(place) = Place::with_kraken() else { return };
    let mut random = Random::new(0x696e_6974);
    let tokens = || {
        let entries = fs::read_dir(place.token_folder()).unwrap();
        let folders = entries.filter(|entry| entry.as_ref().unwrap().path().is_dir());
        folders.count()
    };
    let pins = || {
        let entries = fs::read_dir(place.home().join("softhsm")).unwrap();
        entries
            .filter(|entry| {
                entry
                    .as_ref()
                    .unwrap()
                    .path()
                    .extension()
                    .is_some_and(|end| end == "pin")
            })
            .count()
    };
    let (mut abandoned, mut round, mut took) = (0, 0, 400_000);
    let init = ["init", "--softhsm", "--token", "two"];
    while round < rounds(12) || abandoned == 0 {
        round += 1;
        let mut child = place.start(&init);
        std::thread::sleep(Duration::from_micros(random.below(took)));
        let _ = child.kill();
        let ended = child.wait().unwrap().success();
        // So that half of the kills come before the end, however busy the machine is.
        took = took * if ended { 80 } else { 125 } / 100;
        abandoned += usize::from(tokens() > 1 && !place.ok(&["token", "list"]).contains("two"));
        if !place.ok(&["token", "list"]).contains("two") {
            place.ok(&init);
        }
        assert_eq!((tokens(), pins()), (2, 2));
        assert!(
            place.ok(&["token", "show", "two"]).contains("hsmsign two\n"),
            "the label is free again"
        );
        place.ok(&["test", "kraken"]);
        place.ok(&["token", "remove", "two"]);
        // What is on a token is not touched when it is taken out of the configuration.
        let folder = fs::read_dir(place.token_folder())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .find(|path| {
                fs::read(path.join("token.object"))
                    .is_ok_and(|bytes| bytes.windows(11).any(|part| part == b"hsmsign two"))
            });
        fs::remove_dir_all(folder.expect("it is still there")).unwrap();
        fs::remove_file(place.home().join("softhsm/two.pin")).unwrap();
    }
    place.ok(&["sign", "kraken", "POST", "/0/private/Balance"]);
}
