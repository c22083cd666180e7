//! The command line over a virtual YubiKey.

use crate::{
    bench::{KRAKEN_BODY, KRAKEN_SECRET, KRAKEN_SIGN, Place},
    card::{Desk, Profile},
};

#[test]
fn a_kraken_request_is_signed_by_two_commands_to_the_key() {
    let mut place = Place::new();
    let Some(desk) = Desk::with(place.path(), vec![Profile::default()]) else {
        return;
    };
    place.set(desk.environment());
    let told = place.ok(&["init", "--yubikey"]);
    assert!(
        told.contains("token yubikey is set up: YubiKey (serial 12345678)"),
        "{told}"
    );
    assert!(
        desk.card(0).inside().oath.credentials.is_empty(),
        "the probe leaves nothing"
    );
    place.import(&["--exchange", "kraken", "--api-key", "example"], KRAKEN_SECRET);
    desk.card(0).exchanges();
    let signed = place.json(&[
        "sign",
        "kraken",
        "POST",
        "/0/private/AddOrder",
        "--data",
        KRAKEN_BODY,
        "--output",
        "json",
    ]);
    assert_eq!(signed["headers"]["API-Sign"], KRAKEN_SIGN);
    assert_eq!(desk.card(0).instructions(), [0xa4, 0xa2], "SELECT and CALCULATE");
    assert_eq!(place.run(&["test", "kraken"], "").code, 0);
    place.ok(&["remove", "kraken"]);
    assert!(desk.card(0).inside().oath.credentials.is_empty());
}
