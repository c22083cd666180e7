//! hummingbot's own connectors: the classes that sign, as they are installed without what is compiled of hummingbot.

use crate::{
    bench::{KRAKEN_SECRET, RAW_SECRET},
    place, programs, stand_in,
};

/// The connectors that can be loaded, each of which must sign the same.
const SAME: [&str; 15] = [
    "binance",
    "bitget",
    "bitrue",
    "bitstamp",
    "gate_io",
    "gemini",
    "htx",
    "kraken",
    "kucoin",
    "mexc",
    "okx",
    "binance_perpetual",
    "bitget_perpetual",
    "bitmart_perpetual",
    "gate_io_perpetual",
];

#[test]
fn connectors_sign_with_a_placeholder_as_with_the_secret() {
    let (Some(place), Some(programs)) = (place(), programs()) else {
        return;
    };
    for algorithm in ["hmac-sha384", "hmac-sha512"] {
        let args = [
            "--exchange",
            "generic",
            "--key",
            algorithm,
            "--algorithm",
            algorithm,
        ];
        place.import(&[&args[..], &["--allow", "raw"]].concat(), RAW_SECRET);
    }
    let args = [
        "--exchange",
        "kraken",
        "--key",
        "encoded",
        "--api-key",
        "e",
        "--allow",
        "raw",
    ];
    place.import(&args, KRAKEN_SECRET);
    let python = programs.join("bin/python");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/softhsm-tests/bots/connectors.py");
    let stand_ins = ["raw", "hmac-sha384", "hmac-sha512", "encoded"].map(|key| stand_in(&place, key));
    let mut command = place.command(&["run", "--", python.to_str().unwrap(), script]);
    let done = command
        .args([RAW_SECRET, KRAKEN_SECRET])
        .args(stand_ins)
        .env("HOME", place.path())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    let told = String::from_utf8(done.stdout).unwrap();
    let same: Vec<&str> = told
        .lines()
        .filter_map(|line| line.strip_suffix(": same"))
        .collect();
    assert_eq!(same, SAME, "{told}{}", String::from_utf8_lossy(&done.stderr));
    // What is compiled of hummingbot is not there, and no connector speaks to its exchange here.
    let others = told.lines().filter(|line| !line.ends_with(": same"));
    assert_eq!(
        others
            .filter(|line| !line.contains(": not tried: "))
            .collect::<Vec<_>>(),
        Vec::<&str>::new()
    );
}
