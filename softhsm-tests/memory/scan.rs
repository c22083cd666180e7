//! Looking through the memory of another process, as root.

use std::{collections::HashMap, fmt, fs, os::unix::fs::FileExt as _, path::Path};

use crate::forms::Forms;

/// How many bytes are compared at once.
const WINDOW: usize = 8;
/// The bits by which most of the memory is passed over without a look into the table.
const SIEVE: u32 = 22;

/// Where a form was found.
#[derive(Clone, PartialEq, Eq)]
pub struct Find {
    /// Which form.
    pub form: String,
    /// What part of it, in bytes.
    pub part: std::ops::Range<usize>,
    /// At what address, or place in the file.
    pub at: u64,
    /// The mapping, or file.
    pub place: String,
}

impl fmt::Debug for Find {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}{:?} at {:x} in {}",
            self.form, self.part, self.at, self.place
        )
    }
}

/// One line of `/proc/PID/maps`.
#[derive(Debug, Clone)]
pub struct Mapping {
    pub begin: u64,
    pub end: u64,
    pub rights: String,
    pub name: String,
    /// The kernel's two-letter words for it (`VmFlags` of `/proc/PID/smaps`).
    pub flags: String,
}

impl Mapping {
    /// Not what the kernel maps for its own use, what nobody may read, and what is a file's and cannot be written.
    fn can_hold_secrets(&self) -> bool {
        !self.name.starts_with("[v")
            && self.rights.starts_with('r')
            && (self.rights.contains('w') || !self.name.starts_with('/'))
    }
}

/// What a look through a process found.
#[derive(Debug, Default)]
pub struct Scan {
    pub finds: Vec<Find>,
    /// Mappings that are there to be read by their rights, and were not readable from outside.
    pub closed: Vec<Mapping>,
    /// How many bytes were looked through.
    pub looked: usize,
}

/// The forms, sorted for search.
pub struct Search<'a> {
    forms: &'a Forms,
    table: HashMap<u64, (usize, usize)>,
    sieve: Vec<u64>,
}

impl<'a> Search<'a> {
    pub fn new(forms: &'a Forms) -> Self {
        let mut table = HashMap::new();
        let mut sieve = vec![0; 1 << (SIEVE - 6)];
        for (index, form) in forms.0.iter().enumerate() {
            for (offset, window) in form.bytes.windows(WINDOW).enumerate() {
                if is_telling(window) {
                    let window = u64::from_le_bytes(window.try_into().unwrap());
                    table.entry(window).or_insert((index, offset));
                    let bit = hash(window);
                    sieve[bit >> 6] |= 1 << (bit & 63);
                }
            }
        }
        Self { forms, table, sieve }
    }

    /// Looks through everything that is mapped into a process.
    pub fn process(&self, pid: u32) -> Scan {
        let memory = fs::File::open(format!("/proc/{pid}/mem")).unwrap();
        let mut scan = Scan::default();
        for mapping in mappings(pid) {
            if !mapping.can_hold_secrets() {
                continue;
            }
            let mut bytes = vec![0; usize::try_from(mapping.end - mapping.begin).unwrap()];
            if memory.read_exact_at(&mut bytes, mapping.begin).is_err() {
                scan.closed.push(mapping);
                continue;
            }
            scan.looked += bytes.len();
            let place = if mapping.name.is_empty() {
                format!("anonymous {:x}-{:x}", mapping.begin, mapping.end)
            } else {
                mapping.name.clone()
            };
            self.bytes(&bytes, mapping.begin, &place, &mut scan.finds);
        }
        for file in ["cmdline", "environ"] {
            let bytes = fs::read(format!("/proc/{pid}/{file}")).unwrap();
            self.bytes(&bytes, 0, file, &mut scan.finds);
        }
        scan
    }

    /// Looks through every file in a folder and those in it.
    pub fn folder(&self, folder: &Path, finds: &mut Vec<Find>) -> usize {
        let mut looked = 0;
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let kind = fs::symlink_metadata(&path).unwrap().file_type();
            if kind.is_dir() {
                looked += self.folder(&path, finds);
            } else if kind.is_file() {
                looked += 1;
                self.bytes(&fs::read(&path).unwrap(), 0, &path.display().to_string(), finds);
                self.bytes(path.display().to_string().as_bytes(), 0, "a file's name", finds);
            }
        }
        looked
    }

    /// Looks through some bytes.
    pub fn bytes(&self, bytes: &[u8], base: u64, place: &str, finds: &mut Vec<Find>) {
        let mut at = 0;
        while at + WINDOW <= bytes.len() {
            if at % PAGE == 0 && bytes[at..].starts_with(&[0; PAGE]) {
                at += PAGE;
                continue;
            }
            let window = u64::from_le_bytes(bytes[at..at + WINDOW].try_into().unwrap());
            let bit = hash(window);
            if self.sieve[bit >> 6] & (1 << (bit & 63)) != 0
                && let Some(&(index, offset)) = self.table.get(&window)
            {
                let form = &self.forms.0[index];
                let same = bytes[at..]
                    .iter()
                    .zip(&form.bytes[offset..])
                    .take_while(|(one, other)| one == other)
                    .count();
                if same >= form.least {
                    finds.push(Find {
                        form: form.name.clone(),
                        part: offset..offset + same,
                        at: base + at as u64,
                        place: place.to_owned(),
                    });
                    at += same;
                    continue;
                }
            }
            at += 1;
        }
    }
}

const PAGE: usize = 4096;

/// Whether a window is no accident: padding, and what becomes of it, is everywhere.
fn is_telling(window: &[u8]) -> bool {
    let mut kinds = window.to_vec();
    kinds.sort_unstable();
    kinds.dedup();
    kinds.len() >= 5
}

fn hash(window: u64) -> usize {
    (window.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - SIEVE)) as usize
}

/// What is mapped into a process.
pub fn mappings(pid: u32) -> Vec<Mapping> {
    let mut all: Vec<Mapping> = Vec::new();
    for line in fs::read_to_string(format!("/proc/{pid}/smaps")).unwrap().lines() {
        let mut words = line.split_whitespace();
        let first = words.next().unwrap_or_default();
        if let Some((begin, end)) = first.split_once('-') {
            all.push(Mapping {
                begin: u64::from_str_radix(begin, 16).unwrap(),
                end: u64::from_str_radix(end, 16).unwrap(),
                rights: words.next().unwrap().to_owned(),
                name: words.skip(3).collect::<Vec<_>>().join(" "),
                flags: String::new(),
            });
        } else if first == "VmFlags:" {
            all.last_mut().unwrap().flags = words.collect::<Vec<_>>().join(" ");
        }
    }
    all
}
