//! What trials and removals leave on a module that keeps the beginning of an id alone, and whose it is.

use cryptoki_sys::*;
use hsmsign::{
    home::Home,
    keyring::{Journal, KeyName},
    token::ObjectId,
};

use crate::{
    Case,
    bare::{bytes, closed},
    narrow::Narrow,
    suite,
    user::User,
};

/// A user of a module that is like a YubiHSM's, with the token set up.
fn narrow_user(case: &Case<'_>) -> Option<User> {
    let narrow = Narrow::build(case.folder)?;
    let mut settings = narrow.settings(case.settings, "yubihsm");
    settings.label.clone_from(&case.settings.label);
    let user = User::of(case.folder, &settings, case.bench.pin().to_owned());
    user.ok(&user.init(&[]));
    Some(user)
}

/// Killed when the token has the key that is to be attacked and nobody else knows of it, a trial leaves none.
pub fn a_trial_that_is_killed_leaves_no_key_where_ids_are_cut(case: &Case<'_>) {
    let Some(user) = narrow_user(case) else {
        return;
    };
    let before = user.objects();
    let mut trial = user.command(&["token", "test", "t"]);
    let done = crate::bench::finish(trial.env("NARROW_DIE", "1").spawn().unwrap(), b"");
    assert_eq!(done.code, 1, "{done:?}");
    assert!(done.stderr.contains("crashes or hangs"), "{done:?}");
    assert_eq!(user.objects(), before);
}

/// A key of a user's may be named as the keys of trials were, and stays.
pub fn a_trial_takes_no_key_of_a_users_for_its_own(case: &Case<'_>) {
    let user = case.user();
    user.ok(&user.init(&[]));
    let done = user.run(
        &[
            "import",
            "--exchange",
            "generic",
            "--algorithm",
            "hmac-sha256",
            "--key",
            "attacked",
        ],
        "q8Xw2Zr7Tk4Lm9Vb1Nc6Hd3Jf5Gs0PyE\n",
    );
    assert_eq!(done.code, 0, "{done:?}");
    user.ok(&["token", "test", "t"]);
    user.ok(&["test", "attacked"]);
}

/// The two bytes of a key that was removed may be another's by the time when the removal is finished.
pub fn a_removal_that_is_finished_later_takes_nothing_of_others(case: &Case<'_>) {
    let Some(user) = narrow_user(case) else {
        return;
    };
    user.import("hmac-sha256", &[]);
    let shown: serde_json::Value =
        serde_json::from_str(&user.ok(&["show", "hmac-sha256", "--json"])).unwrap();
    let ours = shown["current"]["copies"][0]["objects"]["secret"]["id"]
        .as_str()
        .unwrap();
    assert_eq!(ours.len(), 4, "{shown:#}");
    let ours: ObjectId = ours.to_owned().try_into().unwrap();
    let [foreign, left] = [
        [ours.as_bytes()[0], !ours.as_bytes()[1]],
        [!ours.as_bytes()[0], 7],
    ];
    let bare = case.enter();
    for (id, label) in [(foreign, "of another program"), (left, "hsmsign:gone")] {
        let mut attributes = closed(b"x", &suite::bytes(64, 1));
        attributes.retain(|(kind, _)| ![CKA_ID, CKA_LABEL].contains(kind));
        attributes.push(bytes(CKA_ID, &id));
        attributes.push(bytes(CKA_LABEL, label.as_bytes()));
        bare.create(attributes).unwrap();
    }
    bare.leave();
    let with_all = user.objects().len();
    let journal = Journal::new(&Home::at(&user.path("")));
    let gone: KeyName = "gone".parse().unwrap();
    for id in [
        ours.clone(),
        ObjectId::from_bytes(&foreign),
        ObjectId::from_bytes(&left),
    ] {
        journal.begin(&gone, vec![("t".to_owned(), id)]).unwrap();
    }
    user.ok(&["doctor"]);
    assert!(journal.is_empty().unwrap());
    user.ok(&["test", "hmac-sha256"]);
    let bare = case.enter();
    let there = |id: &[u8]| bare.find(vec![bytes(CKA_ID, id)]).len();
    assert_eq!((there(&foreign), there(&left)), (1, 0));
    bare.leave();
    assert!(user.objects().len() < with_all);
}
