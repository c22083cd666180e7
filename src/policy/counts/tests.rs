use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::policy::rules::{Limit, Window};

const NOW: Duration = Duration::from_secs(1_790_000_000);

fn place() -> (tempfile::TempDir, KeyName) {
    let folder = tempfile::Builder::new()
        .permissions(std::fs::Permissions::from_mode(0o700))
        .tempdir()
        .unwrap();
    (folder, "k".parse().unwrap())
}

fn limit(window: Window, most: u64) -> Limit {
    Limit {
        rule: "rate".into(),
        identity: identity(window.name()),
        window,
        most: Amount::whole(most),
    }
}

/// One more of each.
fn count(counts: &Counts, key: &KeyName, limits: &[Limit], now: Duration, take: bool) -> Result<()> {
    let amount = Amount::whole(1);
    let wanted: Vec<_> = limits.iter().map(|limit| Wanted { limit, amount }).collect();
    counts.count(key, &wanted, now, take)
}

/// How many of twenty are permitted at that time, each by a process of its own.
fn permitted(folder: &Path, key: &KeyName, window: Window, now: Duration) -> usize {
    (0..20)
        .filter(|_| {
            count(
                &Counts::new(folder.to_owned()),
                key,
                &[limit(window, 5)],
                now,
                true,
            )
            .is_ok()
        })
        .count()
}

#[test]
fn no_span_of_a_window_has_more_than_its_limit() {
    for (window, length) in [(Window::Second, 1), (Window::Minute, 60), (Window::Day, 86_400)] {
        let (folder, key) = place();
        let at = |part: f64| NOW + Duration::from_secs(length).mul_f64(part);
        assert_eq!(permitted(folder.path(), &key, window, at(0.0)), 5, "{window:?}");
        assert_eq!(permitted(folder.path(), &key, window, at(0.5)), 0, "{window:?}");
        assert_eq!(permitted(folder.path(), &key, window, at(0.999)), 0, "{window:?}");
        assert_eq!(permitted(folder.path(), &key, window, at(1.2)), 5, "{window:?}");
    }
}

#[test]
fn a_clock_that_was_set_back_starts_nothing_anew() {
    let (folder, key) = place();
    assert_eq!(permitted(folder.path(), &key, Window::Day, NOW), 5);
    for back in [1, 3_600, 86_400, 900_000_000] {
        let then = NOW - Duration::from_secs(back);
        assert_eq!(permitted(folder.path(), &key, Window::Day, then), 0, "{back}");
    }
    let counts = Counts::new(folder.path().to_owned());
    let then = NOW - Duration::from_secs(90_000);
    let error = count(&counts, &key, &[limit(Window::Day, 5)], then, true).unwrap_err();
    assert!(
        error.advice().contains("the clock was further ahead"),
        "{error:?}"
    );
    // A clock that was wrong by years would have the limit used up for years.
    let path = folder.path().join("k");
    let remedy = format!("move {} away", path.display());
    assert!(error.advice().contains(&remedy), "{error:?}");
    std::fs::rename(&path, folder.path().join("aside")).unwrap();
    count(&counts, &key, &[limit(Window::Day, 5)], then, true).unwrap();
}

#[test]
fn what_is_denied_counts_nothing_and_looking_neither() {
    let (folder, key) = place();
    let counts = Counts::new(folder.path().to_owned());
    let two = [limit(Window::Day, 5), limit(Window::Minute, 0)];
    assert_eq!(
        count(&counts, &key, &two, NOW, true).unwrap_err().code(),
        Code::Denied
    );
    for _ in 0..50 {
        count(&counts, &key, &[limit(Window::Day, 5)], NOW, false).unwrap();
    }
    assert_eq!(permitted(folder.path(), &key, Window::Day, NOW), 5);
}

#[test]
fn threads_and_processes_share_one_count() {
    let (folder, key) = place();
    let one = Counts::new(folder.path().to_owned());
    let permitted: usize = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..8)
            .map(|at| {
                let (one, folder, key) = (&one, folder.path(), &key);
                scope.spawn(move || {
                    let own = Counts::new(folder.to_owned());
                    let counts = if at % 2 == 0 { one } else { &own };
                    (0..50)
                        .filter(|_| count(counts, key, &[limit(Window::Day, 100)], NOW, true).is_ok())
                        .count()
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).sum()
    });
    assert_eq!(permitted, 100);
}

#[test]
fn damage_is_an_error_and_what_a_full_disk_cut_is_not() {
    let (folder, key) = place();
    let counts = Counts::new(folder.path().to_owned());
    count(&counts, &key, &[limit(Window::Day, 5)], NOW, true).unwrap();
    let path = folder.path().join("k");
    let whole = std::fs::read(&path).unwrap();
    let mut odd = whole.clone();
    odd[RECORD + 40] ^= 1;
    for damage in [&odd[..], b"x", &[0; 3 * RECORD]] {
        std::fs::write(&path, damage).unwrap();
        let error = count(&counts, &key, &[limit(Window::Day, 5)], NOW, true).unwrap_err();
        assert!(error.message().contains("damaged"), "{error}");
    }
    std::fs::write(&path, [&whole[..], &[1; 100]].concat()).unwrap();
    count(&counts, &key, &[limit(Window::Day, 5)], NOW, true).unwrap();
}

/// As ext4 has it, where a record was added to a block that the disk had, and its bytes were not there yet.
#[test]
fn a_record_that_a_power_cut_left_empty_is_none() {
    let (folder, key) = place();
    let limits = [limit(Window::Day, 5), limit(Window::Minute, 20)];
    let path = folder.path().join("k");
    for lost in [0..1, 1..2, 0..2] {
        let counts = Counts::new(folder.path().to_owned());
        count(&counts, &key, &limits, NOW, true).unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        let whole = bytes.len();
        bytes[(lost.start + 1) * RECORD..(lost.end + 1) * RECORD].fill(0);
        std::fs::write(&path, bytes).unwrap();
        count(&counts, &key, &limits, NOW, true).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().len(), whole as u64, "{lost:?}");
        std::fs::remove_file(&path).unwrap();
    }
    assert_eq!(permitted(folder.path(), &key, Window::Day, NOW), 5);
}

#[test]
fn a_count_that_is_over_makes_room() {
    let (folder, key) = place();
    let counts = Counts::new(folder.path().to_owned());
    for at in 0..40_u64 {
        let one = Limit {
            identity: identity(&at.to_string()),
            ..limit(Window::Second, 5)
        };
        let now = NOW + Duration::from_secs(at * 10);
        count(&counts, &key, &[one], now, true).unwrap();
    }
    let size = std::fs::metadata(folder.path().join("k")).unwrap().len();
    assert!(size <= 3 * RECORD as u64, "{size}");
}

/// As an agent does, which keeps its file open: where a damaged one was moved away, and where another was put there.
#[test]
fn a_file_in_the_place_of_the_one_that_is_open_is_counted_in() {
    let (folder, key) = place();
    let (path, aside) = (folder.path().join("k"), folder.path().join("aside"));
    let agent = Counts::new(folder.path().to_owned());
    let limits = [limit(Window::Day, 5)];
    count(&agent, &key, &limits, NOW, true).unwrap();
    std::fs::rename(&path, &aside).unwrap();
    count(&agent, &key, &limits, NOW, true).unwrap();
    assert_eq!(permitted(folder.path(), &key, Window::Day, NOW), 4);
    assert_eq!(
        count(&agent, &key, &limits, NOW, true).unwrap_err().code(),
        Code::Denied
    );
    std::fs::write(&path, b"x").unwrap();
    let damaged = count(&agent, &key, &limits, NOW, true).unwrap_err();
    assert!(damaged.message().contains("damaged"), "{damaged}");
    std::fs::rename(&aside, &path).unwrap();
    count(&agent, &key, &limits, NOW, true).unwrap();
}
