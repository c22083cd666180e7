//! Libraries in this process that are not its own. The dynamic linker puts them there, as `LD_PRELOAD`, `LD_AUDIT`,
//! `LD_LIBRARY_PATH` or `/etc/ld.so.preload` say, before the first line of the program runs.
//!
//! Such a library sees every secret, and one that means harm hides. The others are there by accident or for another
//! program's sake, and whoever types a secret should know.

use std::{
    ffi::OsStr,
    fs,
    io::Read as _,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::error::{Result, failed};

/// What was found before the first module was loaded. A token's module and what it brings along came later.
static FOUND: OnceLock<Vec<PathBuf>> = OnceLock::new();
/// Whether this process is hardened: another's libraries are its own matter.
static HARDENED: AtomicBool = AtomicBool::new(false);

/// The libraries that the program is linked with, by their names up to the first `.`, `-` or digit: glibc, musl, and what
/// Rust needs to unwind.
const OWN: [&str; 8] = [
    "ld",
    "libc",
    "libm",
    "libgcc_s",
    "libpthread",
    "libdl",
    "librt",
    "libutil",
];

/// Where root names libraries for every program of the machine.
const FOR_ALL: &str = "/etc/ld.so.preload";

/// From here on the process minds what is in it.
pub(super) fn mind() {
    HARDENED.store(true, Ordering::Relaxed);
}

/// Remembers which libraries are in the process, once. To be called before a library is loaded for a token.
pub fn remember_libraries() {
    if !HARDENED.load(Ordering::Relaxed) {
        return;
    }
    FOUND.get_or_init(|| {
        let mut maps = String::with_capacity(16 << 10);
        if let Ok(mut file) = fs::File::open("/proc/self/maps") {
            let _ = file.read_to_string(&mut maps);
        }
        let here = remember_libraries as *const () as usize;
        let folders = library_folders();
        mapped(&maps, here)
            .into_iter()
            .filter(|path| !is_own(path) || (is_in(path, &folders) && !is_of_root(path)))
            .collect()
    });
}

/// Refuses to take a secret in a process with libraries that are not its own. Answers what the owner should know all the
/// same: of those that root has put into every program, and of folders where others may put some for the token's module.
///
/// # Errors
/// As said, with how to start the program without them. Never where [`harden`](super::harden) was not called.
pub fn refuse_strangers() -> Result<Vec<String>> {
    remember_libraries();
    let found = FOUND.get().map_or(&[][..], Vec::as_slice);
    let for_all = fs::read_to_string(FOR_ALL).unwrap_or_default();
    let is_for_all = |path: &&PathBuf| {
        for_all
            .split([' ', '\t', '\n', ':'])
            .any(|named| is_same(path, named))
    };
    let (roots, strangers): (Vec<_>, Vec<_>) = found.iter().partition(is_for_all);
    if !strangers.is_empty() {
        let names: Vec<_> = strangers.iter().map(|path| path.display().to_string()).collect();
        let told = format!(
            "a library that is not hsmsign's own is in this process, and would see the secret: {}",
            names.join(", ")
        );
        return Err(failed(told).fix(without()));
    }
    let mut notes: Vec<_> = roots
        .iter()
        .map(|path| {
            format!(
                "{} is in every program of this machine ({FOR_ALL}), and sees the secret",
                path.display()
            )
        })
        .collect();
    notes.extend(library_folders().iter().filter_map(|folder| {
        let loose = why_loose(folder)?;
        Some(format!(
            "LD_LIBRARY_PATH has the token's module take libraries from {loose}; they see the secret"
        ))
    }));
    Ok(notes)
}

/// How to start the program without what is in it.
fn without() -> String {
    let set: String = ["LD_PRELOAD", "LD_AUDIT", "LD_LIBRARY_PATH"]
        .into_iter()
        .filter(|name| std::env::var_os(name).is_some())
        .map(|name| format!(" -u {name}"))
        .collect();
    if set.is_empty() {
        return "LD_PRELOAD or LD_AUDIT named it when hsmsign was started: start it without".to_owned();
    }
    format!("start it without: env{set} hsmsign …")
}

/// The files that are mapped to be executed, but for the one that holds the address `here`.
fn mapped(maps: &str, here: usize) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut this = None;
    for line in maps.lines() {
        // ADDRESSES RIGHTS OFFSET DEVICE INODE, blanks, and the file, which may have blanks in its name.
        let mut words = line.splitn(6, ' ');
        let (Some(addresses), Some(rights), Some(file)) = (words.next(), words.next(), words.nth(3)) else {
            continue;
        };
        let file = file.trim_start();
        if !rights.contains('x') || !file.starts_with('/') {
            continue;
        }
        let bounds = addresses.split_once('-').and_then(|(begin, end)| {
            Some(usize::from_str_radix(begin, 16).ok()?..usize::from_str_radix(end, 16).ok()?)
        });
        if bounds.is_some_and(|bounds| bounds.contains(&here)) {
            this = Some(PathBuf::from(file));
        }
        files.push(PathBuf::from(file));
    }
    files.dedup();
    files.retain(|file| Some(file) != this.as_ref());
    files
}

fn is_own(path: &Path) -> bool {
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let stem = name
        .split(|letter: char| letter == '.' || letter == '-' || letter.is_ascii_digit())
        .next();
    OWN.contains(&stem.unwrap_or_default())
}

/// The folders of `LD_LIBRARY_PATH`.
fn library_folders() -> Vec<PathBuf> {
    let text = std::env::var("LD_LIBRARY_PATH").unwrap_or_default();
    if text.is_empty() {
        return Vec::new();
    }
    text.split([':', ';']).map(PathBuf::from).collect()
}

fn is_in(path: &Path, folders: &[PathBuf]) -> bool {
    if folders.is_empty() {
        return false;
    }
    let of = |path: &Path| fs::canonicalize(path).ok();
    let folder = path.parent().and_then(of);
    folder.is_some() && folders.iter().any(|other| of(other) == folder)
}

fn is_of_root(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.uid() == 0 && file.mode() & 0o022 == 0)
}

fn is_same(path: &Path, named: &str) -> bool {
    !named.is_empty()
        && (path == Path::new(named)
            || path.file_name() == Some(OsStr::new(named))
            || fs::canonicalize(named).is_ok_and(|named| named == path))
}

/// What is wrong with a folder for libraries, if others than root and this user can put some there.
fn why_loose(folder: &Path) -> Option<String> {
    if !folder.is_absolute() {
        return Some("the folder hsmsign is started in, since a part of it is empty or relative".to_owned());
    }
    let metadata = fs::metadata(folder).ok()?;
    let me = rustix::process::geteuid().as_raw();
    let loose = metadata.mode() & 0o022 != 0 || ![0, me].contains(&metadata.uid());
    loose.then(|| format!("{}, where others may put some", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPS: &str = "\
55d0c0000000-55d0c0100000 r--p 00000000 fe:00 1    /usr/bin/hsm sign
55d0c0100000-55d0c0400000 r-xp 00100000 fe:00 1    /usr/bin/hsm sign
7f0000000000-7f0000100000 r-xp 00000000 fe:00 2    /usr/lib/x86_64-linux-gnu/libc.so.6
7f0000100000-7f0000200000 r-xp 00000000 fe:00 3    /tmp/a folder/spy.so (deleted)
7f0000200000-7f0000300000 r--p 00000000 fe:00 4    /usr/lib/locale/locale-archive
7f0000300000-7f0000400000 rwxp 00000000 00:00 0
7ffc00000000-7ffc00002000 r-xp 00000000 00:00 0    [vdso]
";

    #[test]
    fn what_is_mapped_to_be_executed_is_known_by_its_file() {
        assert_eq!(
            mapped(MAPS, 0x55d0_c010_0010),
            [
                "/usr/lib/x86_64-linux-gnu/libc.so.6",
                "/tmp/a folder/spy.so (deleted)"
            ]
            .map(PathBuf::from)
        );
    }

    #[test]
    fn the_libraries_that_it_is_linked_with_are_its_own() {
        for own in [
            "libc.so.6",
            "libc-2.31.so",
            "libm.so.6",
            "libgcc_s.so.1",
            "ld-linux-x86-64.so.2",
            "ld-2.31.so",
            "ld64.so.1",
            "ld-musl-aarch64.so.1",
            "libc.musl-x86_64.so.1",
        ] {
            assert!(is_own(&Path::new("/lib").join(own)), "{own}");
        }
        for other in [
            "libcrypto.so.3",
            "libjemalloc.so.2",
            "spy.so",
            "libc_spy.so",
            "preload-libc.so",
        ] {
            assert!(!is_own(&Path::new("/lib").join(other)), "{other}");
        }
    }
}
