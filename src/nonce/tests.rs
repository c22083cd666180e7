use std::{fs, os::unix::fs::PermissionsExt as _};

use super::{
    ahead::{Ahead, do_job},
    slot::SLOT,
    *,
};
use crate::error::Code;

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

/// As without `/proc/sys`: who wrote the file last knows all the same that no power was cut since.
#[test]
fn where_the_system_tells_no_boot_a_process_goes_on_from_what_it_wrote() {
    for holds in [false, true] {
        let (folder, mut nonces, key) = nonces();
        (nonces.boot, nonces.holds) = (None, holds);
        let first = next(&nonces, &key, 1000, NOW).unwrap();
        for n in 1..5 {
            nonces.settle();
            assert_eq!(next(&nonces, &key, 1000, NOW).unwrap(), first + n, "{holds}");
        }
        nonces.settle();
        let reserved = |nonce| nonce + 60_000;
        let mut other = Nonces::new(&Home::at(folder.path()));
        other.boot = None;
        let theirs = next(&other, &key, 1000, NOW).unwrap();
        assert!(theirs > reserved(first), "{holds}");
        assert!(
            next(&nonces, &key, 1000, NOW).unwrap() > reserved(theirs),
            "{holds}"
        );
        // What was only read is not known to be whole.
        nonces.settle();
        let mut after_cut = Nonces::new(&Home::at(folder.path()));
        after_cut.boot = None;
        let mark = after_cut.high_water(&key).unwrap();
        assert_eq!(after_cut.high_water(&key).unwrap(), mark, "{holds}");
        assert!(next(&after_cut, &key, 1000, NOW).unwrap() > mark, "{holds}");
    }
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
fn nobody_waits_without_end_for_a_process_that_stands_still_with_the_file_locked() {
    let (folder, others, key) = nonces();
    let held = Nonces::held(&Home::at(folder.path()));
    let first = next(&held, &key, 1_000_000, NOW).unwrap();
    let begun = Instant::now();
    assert!(others.high_water(&key).unwrap() >= first);
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "it is read all the same"
    );
    let error = others.raise(&key, first + 1, NOW).unwrap_err();
    assert_eq!(error.code(), Code::TokenBusy, "{error:?}");
    // Who gave up holds nothing.
    held.settle();
    let after = next(&others, &key, 1_000_000, NOW).unwrap();
    assert_eq!(next(&held, &key, 1_000_000, NOW).unwrap(), after + 1);
}

#[test]
fn a_slot_with_the_last_sequence_there_is_counts_as_torn() {
    let (folder, nonces, key) = nonces();
    next(&nonces, &key, 1000, NOW).unwrap();
    let slot = Slot {
        sequence: u64::MAX,
        last: 5,
        reserved: 5,
        promised: false,
    }
    .render(nonces.boot.as_deref());
    fs::write(folder.path().join("nonces/k"), [slot, slot].concat()).unwrap();
    assert!(next(&nonces, &key, 1000, NOW).is_err());
}

/// Whether the newest slot says that the disk may not have its reservation.
fn promised(folder: &tempfile::TempDir) -> bool {
    let bytes = fs::read(folder.path().join("nonces/k")).unwrap();
    let slots = [&bytes[..SLOT], &bytes[SLOT..]].map(|slot| Slot::parse(slot).unwrap().0);
    slots.iter().max_by_key(|slot| slot.sequence).unwrap().promised
}

/// Nonces of milliseconds, held, whose jobs for the disk the test does.
fn held_by_hand(folder: &tempfile::TempDir) -> (Nonces, std::sync::mpsc::Receiver<super::ahead::Job>) {
    let (ahead, jobs) = Ahead::by_hand();
    let mut held = Nonces::held(&Home::at(folder.path()));
    held.ahead = ahead;
    (held, jobs)
}

#[test]
fn half_a_reservation_ahead_the_next_is_on_its_way_and_nobody_waits_for_it() {
    let (folder, others, key) = nonces();
    let (held, jobs) = held_by_hand(&folder);
    let at = |second: u64| NOW + Duration::from_secs(second);
    let give = |second: u64| next(&held, &key, 1000, at(second)).unwrap();
    give(0);
    give(20);
    assert!(jobs.try_recv().is_err() && !promised(&folder));
    give(31);
    let job = jobs.try_recv().expect("the next reservation is on its way");
    assert!(promised(&folder));
    // As long as the first one holds nothing waits for the disk, nor is it asked again.
    for second in 32..60 {
        give(second);
    }
    assert!(jobs.try_recv().is_err());
    assert!(promised(&folder), "the disk has said nothing yet");
    do_job(job);
    give(61);
    assert!(!promised(&folder), "the next slot says that the disk has it");
    // A power cut: counting goes on behind the reservation that was made at 31 s.
    drop(held);
    let mut after_cut = others;
    after_cut.boot = Some("0".repeat(36));
    assert!(next(&after_cut, &key, 1000, NOW).unwrap() > NOW.as_secs() * 1000 + 91_000);
}

#[test]
fn nobody_gives_out_nonces_by_a_reservation_that_the_disk_may_not_have() {
    let (folder, others, key) = nonces();
    let (held, jobs) = held_by_hand(&folder);
    let give =
        |nonces: &Nonces, second: u64| next(nonces, &key, 1000, NOW + Duration::from_secs(second)).unwrap();
    give(&held, 0);
    give(&held, 31);
    let job = jobs.try_recv().expect("on its way");
    held.settle();
    // Another process brings a reservation of its own to the disk before it goes on.
    assert!(promised(&folder));
    give(&others, 32);
    assert!(!promised(&folder));
    drop(held);

    // The first one is used up, and the disk has not answered: this process brings the next there itself.
    let (held, jobs) = held_by_hand(&folder);
    give(&held, 64);
    let second = jobs.try_recv().expect("on its way");
    give(&held, 100);
    assert!(!promised(&folder), "a write to the disk of its own");
    assert!(jobs.try_recv().is_err());
    // Answers that come late lower nothing.
    do_job(job);
    do_job(second);
    give(&held, 101);
    assert!(!promised(&folder));
}

#[test]
fn a_process_that_is_killed_while_a_reservation_is_on_its_way_repeats_none() {
    let (folder, others, key) = nonces();
    let (held, jobs) = held_by_hand(&folder);
    let give =
        |nonces: &Nonces, second: u64| next(nonces, &key, 1000, NOW + Duration::from_secs(second)).unwrap();
    give(&held, 0);
    let last = give(&held, 40);
    drop((held, jobs));
    assert!(promised(&folder));
    let after = give(&others, 0);
    assert!(after > last);
    assert!(!promised(&folder));
    // And with the power: the disk has either reservation, and both lie behind what was given out.
    let mut after_cut = Nonces::new(&Home::at(folder.path()));
    after_cut.boot = Some("0".repeat(36));
    assert!(give(&after_cut, 0) > after);
}

#[test]
fn the_thread_brings_it_to_the_disk() {
    let (folder, _others, key) = nonces();
    let held = Nonces::held(&Home::at(folder.path()));
    let give = |second: u64| next(&held, &key, 1000, NOW + Duration::from_secs(second)).unwrap();
    give(0);
    give(31);
    let begun = std::time::Instant::now();
    let mut second = 0;
    loop {
        // Each beyond the block of the one before, so that a slot is written.
        second += 1;
        give(31 + second % 25);
        if !promised(&folder) {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_file_that_is_moved_replaced_or_removed_under_a_process_takes_no_nonce_back() {
    let (folder, nonces, key) = nonces();
    let here = folder.path().join("nonces");
    let aside = folder.path().join("aside");
    let first = next(&nonces, &key, 1000, NOW).unwrap();
    let copy = fs::read(here.join("k")).unwrap();
    nonces.raise(&key, first + 5_000_000, NOW).unwrap();
    let last = next(&nonces, &key, 1000, NOW).unwrap();
    assert_eq!(last, first + 5_000_001);
    // The whole folder, with an older state in its place; then nothing in its place; then the file removed.
    fs::rename(&here, &aside).unwrap();
    fs::create_dir(&here).unwrap();
    fs::set_permissions(&here, fs::Permissions::from_mode(0o700)).unwrap();
    crate::home::write_private(&here.join("k"), &copy).unwrap();
    assert_eq!(next(&nonces, &key, 1000, NOW).unwrap(), last + 1);
    fs::rename(&here, folder.path().join("further")).unwrap();
    assert_eq!(next(&nonces, &key, 1000, NOW).unwrap(), last + 2);
    fs::remove_file(here.join("k")).unwrap();
    assert_eq!(next(&nonces, &key, 1000, NOW).unwrap(), last + 3);
    // Another process sees it, and this one that it is to begin anew.
    let other = Nonces::new(&Home::at(folder.path()));
    assert_eq!(next(&other, &key, 1000, NOW).unwrap(), last + 4);
    other.forget(&key).unwrap();
    assert_eq!(next(&nonces, &key, 1000, NOW).unwrap(), first);
}
