//! freqtrade itself, trading on an exchange on the loopback interface.

use std::{
    fs,
    process::{Child, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{
    agent_ends,
    bench::{KRAKEN_SECRET, Place},
    exchange::Exchange,
    programs, script,
};

/// Buys as soon as it runs.
const STRATEGY: &str = r#"
from freqtrade.strategy import IStrategy


class Always(IStrategy):
    timeframe = "5m"
    minimal_roi = {"0": 10}
    stoploss = -0.5

    def populate_indicators(self, dataframe, metadata):
        return dataframe

    def populate_entry_trend(self, dataframe, metadata):
        dataframe["enter_long"] = 1
        return dataframe

    def populate_exit_trend(self, dataframe, metadata):
        return dataframe
"#;

/// As its documentation has it, with the exchange's address.
const CONFIG: &str = r#"{
    // One trade at a time, with money.
    "max_open_trades": 1,
    "stake_currency": "USD",
    "stake_amount": 100,
    "dry_run": false,
    "entry_pricing": {"price_side": "same", "use_order_book": true, "order_book_top": 1},
    "exit_pricing": {"price_side": "same", "use_order_book": true, "order_book_top": 1},
    "exchange": {
        "name": "kraken",
        "key": "example",
        "secret": "@SECRET@",
        "enable_ws": false,
        "ccxt_config": {"enableRateLimit": false, "urls": {"api": {"public": "@URL@", "private": "@URL@"}}},
        "pair_whitelist": ["BTC/USD"],
    },
    "pairlists": [{"method": "StaticPairList"}],
    "initial_state": "running",
    "internals": {"process_throttle_secs": 1},
}
"#;

/// A bot, killed with the value if it still runs.
struct Bot(Child);

impl Drop for Bot {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _ended = self.0.wait();
    }
}

#[test]
fn freqtrade_places_an_order_that_the_token_signed_from_its_ordinary_configuration() {
    let (Some(place), Some(programs)) = (Place::with_token(), programs()) else {
        return;
    };
    let exchange = Exchange::start(KRAKEN_SECRET);
    fs::create_dir_all(place.path().join("user_data/strategies")).unwrap();
    script(&place, "user_data/strategies/always.py", STRATEGY);
    let config = CONFIG
        .replace("@SECRET@", KRAKEN_SECRET)
        .replace("@URL@", &exchange.url());
    let config = script(&place, "user_data/config.json", &config);
    place.ok(&["adopt", &config, "--yes"]);
    let adopted = fs::read_to_string(&config).unwrap();
    let stand_in = place.ok(&["placeholder", "kraken"]);
    assert!(
        adopted.contains(stand_in.trim()) && !adopted.contains(KRAKEN_SECRET),
        "{adopted}"
    );
    place.ok(&["set", "kraken", "--base-url", &exchange.url()]);

    let said = place.path().join("freqtrade.log");
    let log = fs::File::create(&said).unwrap();
    let freqtrade = programs.join("bin/freqtrade");
    let mut command = place.command(&["run", "--", freqtrade.to_str().unwrap(), "trade"]);
    command
        .args([
            "--userdir",
            "user_data",
            "--config",
            &config,
            "--strategy",
            "Always",
        ])
        .env("HOME", place.path())
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log);
    let mut bot = Bot(command.spawn().unwrap());
    // The key was not allowed raw MACs: what arrives signed was signed as a whole request, which its owner's rules saw.
    let allowed = place.json(&["show", "kraken", "--json"])["allow"].to_string();
    assert!(!allowed.contains("raw"), "{allowed}");
    let order = exchange.signed("/0/private/AddOrder", || fs::read_to_string(&said).unwrap());
    assert_eq!(
        (&order["type"], &order["volume"], &order["price"]),
        (&"buy".into(), &"0.002".into(), &"50000".into()),
        "{order}"
    );
    // It looks after the order, as one that it knows.
    exchange.signed("/0/private/QueryOrders", || fs::read_to_string(&said).unwrap());
    kill_process(
        Pid::from_raw(i32::try_from(bot.0.id()).unwrap()).unwrap(),
        Signal::INT,
    )
    .unwrap();
    let ended = bot.0.wait().unwrap();
    let said = fs::read_to_string(&said).unwrap();
    // 130 is its own word for that.
    assert_eq!(ended.code(), Some(130), "{said}");
    assert!(agent_ends(&place));
}
