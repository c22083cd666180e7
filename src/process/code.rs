//! Memory that a process needs no longer: of code that was for its start alone, and of the heap behind a time of much work.

use std::{fs, os::raw::c_void};

use rustix::mm::{Advice, madvise};

/// Gives back the memory of code and constants, which the kernel reads again as they are used: most of what is mapped of
/// a program and of a token's module was for its start alone. What this process changed of a file stays, as the tables
/// that the dynamic linker filled in.
///
/// It saves memory and nothing depends on it; where `/proc` cannot be read, nothing happens.
pub fn let_go_of_code() {
    let Ok(maps) = fs::read_to_string("/proc/self/smaps") else {
        return;
    };
    for (start, end) in unchanged(&maps) {
        let_go(start, end);
    }
}

/// Gives back what is free of the heap, which the allocator keeps for later. It takes some milliseconds for a great heap.
#[cfg(target_env = "gnu")]
#[allow(unsafe_code)]
pub fn let_go_of_heap() {
    // SAFETY: it has no preconditions, and touches no memory that is in use (malloc_trim(3)).
    let _gave_back = unsafe { libc::malloc_trim(0) };
}

/// Other allocators give it back by themselves.
#[cfg(not(target_env = "gnu"))]
pub const fn let_go_of_heap() {}

#[allow(unsafe_code)]
fn let_go(start: usize, end: usize) {
    // SAFETY: the pages are a file's, and none was written since they were mapped and can be before this call, since
    // they are mapped without that right: whatever is read there is read from the file again, with the same bytes.
    let _still_there = unsafe {
        madvise(
            std::ptr::without_provenance_mut::<c_void>(start),
            end - start,
            Advice::LinuxDontNeed,
        )
    };
}

/// The mappings of files that cannot be written and of which no page is this process's own.
fn unchanged(maps: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut current = None;
    for line in maps.lines() {
        let mut words = line.split_ascii_whitespace();
        match (words.next(), words.next()) {
            (Some("Anonymous:"), Some("0")) => found.extend(current.take()),
            (Some(range), Some("r-xp" | "r--p")) => {
                let file = words.nth(2).is_some_and(|inode| inode != "0");
                current = file.then(|| places(range)).flatten();
            }
            (Some(word), _) if !word.ends_with(':') => current = None,
            _ => {}
        }
    }
    found
}

fn places(range: &str) -> Option<(usize, usize)> {
    let (start, end) = range.split_once('-')?;
    let number = |text| usize::from_str_radix(text, 16).ok();
    Some((number(start)?, number(end)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_files_hold_unchanged_is_given_back() {
        let maps = "\
55e0a0000000-55e0a0231000 r--p 00000000 fe:00 326279 /usr/bin/hsmsign
Rss:                 100 kB
Anonymous:             0 kB
55e0a0aa2000-55e0a0ac7000 r--p 00aa0000 fe:00 326279 /usr/bin/hsmsign
Anonymous:           148 kB
55e0a0ac8000-55e0a0ac9000 rw-p 00ac5000 fe:00 326279 /usr/bin/hsmsign
Anonymous:             0 kB
7f0000000000-7f0000001000 r--p 00000000 00:00 0 
Anonymous:             0 kB
7f0000002000-7f0000003000 r-xp 00001000 fe:00 77 /usr/lib/with blanks/lib.so
Anonymous:             0 kB
7ffc00000000-7ffc00002000 r-xp 00000000 00:00 0 [vdso]
Anonymous:             0 kB
";
        assert_eq!(
            unchanged(maps),
            [
                (0x55e0_a000_0000, 0x55e0_a023_1000),
                (0x7f00_0000_2000, 0x7f00_0000_3000)
            ]
        );
    }

    #[test]
    fn the_program_goes_on_with_its_code_given_back() {
        let before = unchanged(&fs::read_to_string("/proc/self/smaps").unwrap());
        assert!(before.len() > 2, "{before:?}");
        let_go_of_code();
        assert_eq!(format!("{:?}", 2.5_f64.powf(1.5)), "3.952847075210474");
        assert!(std::thread::spawn(|| "still here".to_owned()).join().is_ok());
    }
}
