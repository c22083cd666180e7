//! Who vouches that a key was made on a YubiKey: the certificates of a virtual one, sound and not.

use crate::{
    card::{Attests, Profile},
    user::User,
};

const UNKNOWN: &str = "attested by an unknown root (virtual or not Yubico)";

fn with(attests: Attests) -> Option<User> {
    User::with_pin(Profile {
        attests,
        ..Profile::default()
    })
}

/// Writes the card's own root into a file that the token's owner believes.
fn believe(user: &User) {
    let file = user.place.path().join("roots.pem");
    std::fs::write(&file, user.card().inside().piv.attester.root()).unwrap();
    user.configure(&format!("attestation-roots = \"{}\"", file.display()));
}

/// What is said of a key in each place where it is said.
fn said(user: &User, key: &str) -> String {
    let shown = user.place.json(&["show", key, "--json"]);
    let said = shown["current"]["copies"][0]["attested"]
        .as_str()
        .unwrap()
        .to_owned();
    let listed = user.place.json(&["list", "--json"]);
    assert_eq!(listed[0]["current"]["copies"][0]["attested"], said.as_str());
    let told = user.place.ok(&["show", key]);
    assert!(told.contains(&format!("attestation {said}\n")), "{told}");
    let told = user.place.ok(&["list"]);
    assert!(told.contains("ATTESTATION") && told.contains(&said), "{told}");
    said
}

#[test]
fn a_virtual_key_is_attested_by_a_root_that_nobody_knows_until_its_owner_names_it() {
    let Some(user) = with(Attests::Soundly) else {
        return;
    };
    let done = user.generate("binance", &[]);
    assert_eq!(done.code, 0, "{done:?}");
    let unknown = format!("{UNKNOWN}: \"Virtual Root\"");
    assert!(
        done.stderr.contains(&format!("attestation: {unknown}")),
        "{done:?}"
    );
    assert_eq!(said(&user, "binance"), unknown);
    believe(&user);
    let known = "attested by a root of attestation-roots, \"Virtual Root\"";
    assert_eq!(said(&user, "binance"), known);
    let done = user.generate("second", &["--json"]);
    let answer: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(answer["attested"], known);
    // Another card's root vouches for nothing here.
    let other = crate::card::pairs::Attester::new(Attests::Soundly, Some(12_345_678));
    std::fs::write(user.place.path().join("roots.pem"), other.root()).unwrap();
    assert_eq!(said(&user, "binance"), unknown);
    for (text, words) in [
        ("", "hold no certificate"),
        (
            &user.card().inside().piv.attester.root().replace("MII", "M_I"),
            "hold a damaged certificate",
        ),
    ] {
        std::fs::write(user.place.path().join("roots.pem"), text).unwrap();
        let said = said(&user, "binance");
        assert!(
            said.starts_with("not attested: ") && said.contains(words),
            "{said}"
        );
    }
}

/// What is named from where somebody happens to be is another file elsewhere.
#[test]
fn a_file_of_roots_is_named_from_the_root_on() {
    let Some(user) = with(Attests::Soundly) else {
        return;
    };
    believe(&user);
    let config = user.place.home().join("config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let folder = format!("{}/", user.place.path().display());
    std::fs::write(
        &config,
        text.replace(&format!("\"{folder}roots.pem"), "\"roots.pem"),
    )
    .unwrap();
    assert_eq!(user.generate("binance", &[]).code, 0);
    assert_eq!(
        said(&user, "binance"),
        "not attested: the attestation-roots roots.pem is not named from the root on, as /etc/ssl/yubikeys.pem"
    );
}

#[test]
fn a_chain_that_is_not_sound_is_no_attestation_and_says_why() {
    for (attests, before, after) in [
        (
            Attests::AsYubico,
            "not attested: its certificate names \"Yubico PIV Root CA Serial 263751\", which did not sign it",
            "attested by a root of attestation-roots, \"Yubico PIV Root CA Serial 263751\"",
        ),
        (
            Attests::Expired,
            "attested by an unknown root (virtual or not Yubico): \"Virtual Root\"",
            "not attested: the certificate \"Virtual PIV Attestation\" ended on 2020-02-03",
        ),
        (
            Attests::ByALeaf,
            "attested by an unknown root (virtual or not Yubico): \"Virtual Root\"",
            "not attested: the certificate \"Virtual PIV Attestation\" may sign no other",
        ),
        (Attests::Never, "none", "none"),
    ] {
        let Some(user) = with(attests) else {
            return;
        };
        let done = user.generate("binance", &[]);
        assert_eq!(done.code, 0, "{done:?}");
        assert!(done.stderr.contains(before), "{done:?}");
        assert_eq!(said(&user, "binance"), before);
        believe(&user);
        assert_eq!(said(&user, "binance"), after);
    }
}

#[test]
fn a_card_that_attests_another_key_or_for_another_card_gets_no_key() {
    for (attests, words) in [
        (
            Attests::OfAnotherKey,
            "attestation of the new key is of another key",
        ),
        (Attests::ByAnotherKey, "not signed by its attestation key"),
        (
            Attests::OfAnother,
            "attests the new key in the name of another, 12345679",
        ),
    ] {
        let Some(user) = with(attests) else {
            return;
        };
        let done = user.generate("binance", &[]);
        assert_eq!(done.code, 1, "{done:?}");
        assert!(done.stderr.contains(words), "{done:?}");
        assert!(
            user.card().inside().piv.keys.is_empty(),
            "{attests:?}: nothing is left"
        );
        assert!(user.place.ok(&["list"]).contains("no keys yet"));
    }
}

#[test]
fn a_key_that_was_stored_is_attested_by_nobody() {
    let Some(user) = with(Attests::Soundly) else {
        return;
    };
    let args = [
        "import",
        "--exchange",
        "binance",
        "--algorithm",
        "ed25519",
        "--api-key",
        "k",
    ];
    let done = user.place.run(&args, include_str!("../data/keys/ed25519.pem"));
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.stdout.contains("attestation: none"), "{done:?}");
    assert_eq!(said(&user, "binance"), "none");
    let listed = user.place.ok(&["list"]);
    user.import(&[]);
    let both = user.place.ok(&["list"]);
    assert!(listed.contains("none") && both.lines().count() == 3, "{both}");
}
