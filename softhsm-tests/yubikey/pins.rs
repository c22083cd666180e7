//! PINs and management keys of the PIV applet.

use crate::{
    card::{Profile, faults::Fault},
    user::User,
};

#[test]
fn a_wrong_pin_is_spent_once_and_the_last_try_is_left_to_a_person() {
    let Some(user) = User::with_pin(Profile::default()) else {
        return;
    };
    assert_eq!(user.generate("binance", &[]).code, 0);
    let sign = ["sign", "binance", "GET", "/api/v3/account"];
    user.give_pin("654321");
    user.place.refused(&sign, "", 4, "refused the PIN from file:");
    user.place.refused(&sign, "", 4, "it was not tried again");
    assert_eq!(user.card().inside().piv.tries, 2);
    let shown = user.place.json(&["token", "show", "yubikey", "--json"]);
    assert_eq!(shown["pin_tries_left"], 2);
    user.give_pin("555555");
    user.place
        .refused(&sign, "", 4, "one try is left before it locks");
    user.give_pin("123456");
    user.place.refused(
        &sign,
        "",
        4,
        "one try of the PIV PIN is left, and that is not spent",
    );
    assert_eq!(user.card().inside().piv.tries, 1);
    user.card().inside().piv.tries = 0;
    user.place.refused(&sign, "", 4, "locked by wrong ones");
    user.card().inside().piv.tries = 3;
    user.place.ok(&sign);
    user.give_pin("an access code");
    user.place
        .refused(&sign, "", 4, "a PIV PIN has 1 to 8 characters");
    assert_eq!(user.card().inside().piv.tries, 3, "nothing was tried");
}

#[test]
fn a_management_key_that_ykman_protects_is_read_behind_the_pin() {
    let Some(user) = User::with_pin(Profile::default()) else {
        return;
    };
    let change = [
        "piv",
        "access",
        "change-management-key",
        "--generate",
        "--protect",
        "--force",
        "--management-key",
        "010203040506070801020304050607080102030405060708",
        "--pin",
        "123456",
    ];
    if user.ykman(&change).is_none() {
        return;
    }
    let done = user.generate("binance", &[]);
    assert_eq!(done.code, 0, "{done:?}");
    // One that is nowhere to be had is not guessed.
    user.card().inside().piv.objects.remove(&[0x5f, 0xc1, 0x09][..]);
    user.place.refused(
        &["remove", "binance"],
        "",
        4,
        "change-management-key --generate --protect",
    );
}

/// What ISO 7816-4 has for a length that was wrong stands for nothing where a PIN was given: that was counted already.
#[test]
fn a_pin_is_not_sent_again_whatever_the_card_answers_to_it() {
    let Some(user) = User::with_pin(Profile::default()) else {
        return;
    };
    assert_eq!(user.generate("binance", &[]).code, 0);
    user.card().inside().piv.tried = 0;
    user.card().fail(Fault::WantsLength(0x20));
    let done = user.place.run(&["sign", "binance", "GET", "/api/v3/account"], "");
    assert_eq!(done.code, 1, "{done:?}");
    assert!(done.stderr.contains("verify its PIN (status 6C00)"), "{done:?}");
    assert_eq!(user.card().inside().piv.tried, 1);
}
