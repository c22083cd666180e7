use std::{fs, os::unix::fs::PermissionsExt as _};

use super::{slot::SLOT, *};

const NOW: Duration = Duration::from_secs(1_790_000_000);

fn nonces() -> (tempfile::TempDir, Nonces, KeyName) {
    let folder = tempfile::Builder::new()
        .permissions(fs::Permissions::from_mode(0o700))
        .tempdir()
        .unwrap();
    let nonces = Nonces::new(&Home::at(folder.path()));
    (folder, nonces, "k".parse().unwrap())
}

fn next(nonces: &Nonces, key: &KeyName, per_second: u64, now: Duration) -> Result<u64> {
    nonces.next(key, now.as_secs() * per_second, per_second)
}

#[test]
fn they_follow_the_clock_and_increase_when_it_jumps_back() {
    let (_folder, nonces, key) = nonces();
    let first = next(&nonces, &key, 1_000_000, NOW).unwrap();
    assert_eq!(first, 1_790_000_000_000_000);
    assert_eq!(next(&nonces, &key, 1_000_000, NOW).unwrap(), first + 1);
    assert_eq!(
        next(&nonces, &key, 1_000_000, NOW - Duration::from_secs(3600)).unwrap(),
        first + 2
    );
    let later = next(&nonces, &key, 1_000_000, NOW + Duration::from_secs(1)).unwrap();
    assert_eq!(later, first + 1_000_000);
}

#[test]
fn after_a_power_cut_they_go_on_behind_the_reservation() {
    let (_folder, mut nonces, key) = nonces();
    let first = next(&nonces, &key, 1000, NOW).unwrap();
    nonces.boot = Some("0".repeat(36));
    let after = next(&nonces, &key, 1000, NOW).unwrap();
    assert_eq!(after, first + 60_000 + 1);
    assert_eq!(
        next(&nonces, &key, 1000, NOW).unwrap(),
        after + 1,
        "exact again within the boot"
    );
}

#[test]
fn a_torn_slot_is_passed_over_and_two_are_an_error() {
    let (folder, nonces, key) = nonces();
    let first = next(&nonces, &key, 1000, NOW).unwrap();
    let second = next(&nonces, &key, 1000, NOW).unwrap();
    let path = folder.path().join("nonces/k");
    let whole = fs::read(&path).unwrap();
    let newest = if Slot::parse(&whole[..SLOT]).unwrap().0.last == second {
        0
    } else {
        SLOT
    };
    let mut torn = whole.clone();
    torn[newest + 5] ^= 1;
    fs::write(&path, &torn).unwrap();
    let mut after_cut = Nonces::new(&Home::at(folder.path()));
    after_cut.boot = Some("0".repeat(36));
    assert!(next(&after_cut, &key, 1000, NOW).unwrap() > second);
    fs::write(&path, "x".repeat(2 * SLOT)).unwrap();
    assert!(
        next(&nonces, &key, 1000, NOW)
            .unwrap_err()
            .message()
            .contains("damaged")
    );
    let _ = first;
}

#[test]
fn brought_ones_raise_the_sequence_unless_far_ahead() {
    let (_folder, nonces, key) = nonces();
    // A library that counts in hundredths of microseconds.
    nonces.raise(&key, 179_000_000_000_000_000, NOW).unwrap();
    assert_eq!(
        next(&nonces, &key, 1_000_000, NOW).unwrap(),
        179_000_000_000_000_001
    );
    nonces.raise(&key, 5, NOW).unwrap();
    assert_eq!(
        next(&nonces, &key, 1_000_000, NOW).unwrap(),
        179_000_000_000_000_002
    );
    for far in [
        u64::MAX,
        9_999_999_999,
        9_999_999_999_999,
        1_790_000_000_000 + 86_401_000,
    ] {
        assert!(nonces.raise(&key, far, NOW).is_err(), "{far}");
    }
    nonces.raise(&key, 1_790_000_000_000 + 86_399_000, NOW).unwrap();
    assert_eq!(nonces.high_water(&key).unwrap(), 179_000_000_000_000_002);
}

#[test]
fn processes_share_one_sequence() {
    let (_folder, nonces, key) = nonces();
    let given = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    (0..200)
                        .map(|_| next(&nonces, &key, 1, NOW).unwrap())
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap())
            .collect::<Vec<_>>()
    });
    let mut sorted = given.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(sorted.len(), given.len());
}

#[test]
fn a_restored_mark_lies_above_what_was_given_since() {
    let then = NOW;
    let now = NOW + Duration::from_secs(100);
    let mark = 1_790_000_000_000;
    assert_eq!(Nonces::mark_after(mark, then, now), mark + 160_000);
    assert_eq!(
        Nonces::mark_after(mark, now, then),
        mark + 60_000,
        "a clock that was set back"
    );
    assert_eq!(Nonces::mark_after(0, then, now), 0);
}

#[test]
fn who_holds_the_file_writes_once_for_many_and_repeats_none_when_killed() {
    let (folder, others, key) = nonces();
    let home = Home::at(folder.path());
    let path = folder.path().join("nonces/k");
    let held = Nonces::held(&home);
    let first = next(&held, &key, 1_000_000, NOW).unwrap();
    let written = fs::read(&path).unwrap();
    for step in 1..200 {
        assert_eq!(next(&held, &key, 1_000_000, NOW).unwrap(), first + step);
    }
    assert_eq!(fs::read(&path).unwrap(), written, "one write covers them");
    // Killed: nothing is settled, and the kernel unlocks the file.
    drop(held);
    let after = next(&others, &key, 1_000_000, NOW).unwrap();
    assert_eq!(after, first + 100_000 + 1);

    let held = Nonces::held(&home);
    assert_eq!(next(&held, &key, 1_000_000, NOW).unwrap(), after + 1);
    held.settle();
    assert_eq!(
        next(&others, &key, 1_000_000, NOW).unwrap(),
        after + 2,
        "what was settled is exact, and unlocked"
    );
    assert_eq!(next(&held, &key, 1_000_000, NOW).unwrap(), after + 3);
}

#[test]
fn who_holds_the_file_gives_others_their_turn() {
    let (folder, others, key) = nonces();
    let held = Nonces::held(&Home::at(folder.path()));
    let mut given = vec![next(&held, &key, 1, NOW).unwrap()];
    std::thread::scope(|scope| {
        let other = scope.spawn(|| next(&others, &key, 1, NOW).unwrap());
        while !other.is_finished() {
            given.push(next(&held, &key, 1, NOW).unwrap());
        }
        given.push(next(&held, &key, 1, NOW).unwrap());
        given.push(other.join().unwrap());
    });
    let count = given.len();
    given.sort_unstable();
    given.dedup();
    assert_eq!(given.len(), count, "none twice");
}

#[test]
fn a_slot_with_the_last_sequence_there_is_counts_as_torn() {
    let (folder, nonces, key) = nonces();
    next(&nonces, &key, 1000, NOW).unwrap();
    let slot = Slot {
        sequence: u64::MAX,
        last: 5,
        reserved: 5,
    }
    .render(nonces.boot.as_deref());
    fs::write(folder.path().join("nonces/k"), [slot, slot].concat()).unwrap();
    assert!(next(&nonces, &key, 1000, NOW).is_err());
}
