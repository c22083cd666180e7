//! Who else uses smart cards on this machine.

use std::fs;

/// Programs that take a YubiKey for themselves, by their own driver or through pcscd, and are known by name.
const KNOWN: [&str; 4] = ["scdaemon", "ykman", "yubikey-agent", "pkcs11-provider"];
/// The library through which a program speaks to pcscd.
const CLIENT: &str = "/libpcsclite.so";

/// Another program that may hold a reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its name.
    pub name: String,
    /// Its process id.
    pub pid: u32,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (process {})", self.name, self.pid)
    }
}

/// The processes with pcscd's client library in them, as far as this user may look, and those known by name;
/// without those of hsmsign.
pub fn holders() -> Vec<Holder> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    // hsmsign itself holds no reader for itself, and no transaction for long.
    let own = fs::read_link("/proc/self/exe").ok();
    let others = pids.filter(|pid| own.is_none() || fs::read_link(format!("/proc/{pid}/exe")).ok() != own);
    let mut found: Vec<_> = others
        .filter_map(|pid| {
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
            let name = name.trim_end().to_owned();
            let uses =
                || fs::read_to_string(format!("/proc/{pid}/maps")).is_ok_and(|maps| maps.contains(CLIENT));
            // The service itself has none of it.
            (name != "pcscd" && (KNOWN.contains(&name.as_str()) || uses())).then_some(Holder { name, pid })
        })
        .collect();
    found.sort_by_key(|holder| (!KNOWN.contains(&holder.name.as_str()), holder.pid));
    found
}
