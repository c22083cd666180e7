//! Who asks for a signature.

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use serde_json::{Value, json};

use crate::error::{Result, bad_input};

/// The variable in which an agent tells a command whom it does it for.
pub const ASKED_BY: &str = "HSMSIGN_ASKED_BY";

/// Who asks for a signature, as the kernel tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// The process.
    pub pid: i32,
    /// The program that asks; none where the kernel does not tell.
    pub executable: Option<Arc<Path>>,
    /// The control group, as `/system.slice/bot.service`; none where there is none.
    pub cgroup: Option<Arc<str>>,
}

impl Caller {
    /// This process, on the command line. The program that asks is the one that started it: what runs is always
    /// hsmsign. User, group, process and control group are its own.
    pub fn this_process() -> Self {
        let parent = rustix::process::getppid().map_or(0, |pid| pid.as_raw_nonzero().get());
        Self {
            uid: rustix::process::getuid().as_raw(),
            gid: rustix::process::getgid().as_raw(),
            pid: rustix::process::getpid().as_raw_nonzero().get(),
            executable: executable(parent),
            cgroup: cgroup(rustix::process::getpid().as_raw_nonzero().get()),
        }
    }

    /// Who asks for what this process does: whoever an agent does it for, where it does so, else [`Caller::this_process`].
    /// It is for the log alone, and no rule goes by it: whoever can start this program in an agent's place can write the
    /// log's files as well.
    pub fn asking() -> Self {
        let told = std::env::var(ASKED_BY).ok();
        told.and_then(|told| Self::read(&serde_json::from_str(&told).ok()?))
            .unwrap_or_else(Self::this_process)
    }

    /// For another process of this program.
    pub fn tell(&self) -> Value {
        let executable = self.executable.as_ref().map(|path| path.to_string_lossy());
        json!([self.uid, self.gid, self.pid, executable, self.cgroup.as_deref()])
    }

    /// Reads what [`Caller::tell`] says.
    pub fn read(told: &Value) -> Option<Self> {
        let number = |at: usize| u32::try_from(told[at].as_u64()?).ok();
        Some(Self {
            uid: number(0)?,
            gid: number(1)?,
            pid: i32::try_from(told[2].as_i64()?).ok()?,
            executable: told[3].as_str().map(|path| Path::new(path).into()),
            cgroup: told[4].as_str().map(Arc::from),
        })
    }

    /// The other end of a socket, with what `SO_PEERCRED` says of it; its program is still to be looked up. To be read once a
    /// connection, since it looks into `/proc`: a process that ends and leaves its number to another in between is taken for
    /// that one, so a rule about the user or the unit is worth more than one about the executable.
    pub fn of_peer(uid: u32, gid: u32, pid: i32) -> Self {
        Self {
            uid,
            gid,
            pid,
            executable: None,
            cgroup: cgroup(pid),
        }
    }

    /// The program of a process. Where that is hsmsign's own command line, the program that asks is the one that started it.
    /// A process that landlock confines is told of no other's.
    pub fn program_of(pid: i32) -> Option<Arc<Path>> {
        // Its name when it was first asked for: a newer version may have taken its place since.
        static OWN: OnceLock<Option<PathBuf>> = OnceLock::new();
        let own = OWN.get_or_init(|| std::env::current_exe().ok());
        let asks = executable(pid).filter(|path| Some(&**path) != own.as_deref());
        asks.or_else(|| executable(parent(pid)?))
    }

    /// The systemd unit.
    pub fn unit(&self) -> Option<Unit<'_>> {
        Unit::of(self.cgroup.as_deref()?)
    }
}

/// The outmost service or scope, in which a process can make control groups of any name where it was let; `Some(None)` where
/// there are slices alone, and none where it is no systemd that made them.
fn outmost<'c>(parts: &mut impl Iterator<Item = &'c str>) -> Option<Option<&'c str>> {
    match parts.find(|part| !part.ends_with(".slice")) {
        Some(part) => is_unit(part).then_some(Some(part)),
        None => Some(None),
    }
}

/// A systemd unit that a process runs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unit<'c> {
    /// Its name.
    pub name: &'c str,
    /// The user whose own manager runs it, and who names such units as they like.
    pub of_user: Option<u32>,
}

impl<'c> Unit<'c> {
    /// That of a control group.
    pub fn of(cgroup: &'c str) -> Option<Self> {
        let mut parts = cgroup.split('/').filter(|part| !part.is_empty());
        let Some(name) = outmost(&mut parts)? else {
            // In a slice itself.
            let name = cgroup.rsplit('/').next().filter(|last| is_unit(last))?;
            return Some(Self { name, of_user: None });
        };
        let manager = name
            .strip_prefix("user@")
            .and_then(|rest| rest.strip_suffix(".service")?.parse().ok());
        Some(match (manager, outmost(&mut parts)) {
            (Some(uid), Some(Some(name))) => Self {
                name,
                of_user: Some(uid),
            },
            _ => Self { name, of_user: None },
        })
    }
}

/// Whether a name is that of a systemd unit whose processes have a control group.
pub fn is_unit(name: &str) -> bool {
    let kinds = [".service", ".scope", ".slice"];
    kinds
        .iter()
        .any(|end| name.len() > end.len() && name.ends_with(end))
}

fn executable(pid: i32) -> Option<Arc<Path>> {
    fs::read_link(format!("/proc/{pid}/exe")).ok().map(Arc::from)
}

fn parent(pid: i32) -> Option<i32> {
    let text = text_of(&format!("/proc/{pid}/stat"))?;
    // Behind the name, which may have anything in it: the state, then the parent.
    text.rsplit_once(')')?
        .1
        .split_ascii_whitespace()
        .nth(1)?
        .parse()
        .ok()
}

fn cgroup(pid: i32) -> Option<Arc<str>> {
    let text = text_of(&format!("/proc/{pid}/cgroup"))?;
    text.lines()
        .find_map(|line| line.strip_prefix("0::"))
        .map(Arc::from)
}

/// A file of `/proc`, which does not tell how long it is, in one go.
fn text_of(path: &str) -> Option<String> {
    let mut text = String::with_capacity(1024);
    let mut file = fs::File::open(path).ok()?.take(1 << 16);
    file.read_to_string(&mut text).ok()?;
    Some(text)
}

/// The number of a user or group, from its name in `/etc/passwd` or `/etc/group`.
///
/// # Errors
/// When there is none of that name.
pub fn number_of(name: &str, file: &str) -> Result<u32> {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.lines()
        .find_map(|line| {
            let mut parts = line.split(':');
            (parts.next() == Some(name)).then(|| parts.nth(1)?.parse().ok())?
        })
        .ok_or_else(|| bad_input(format!("there is no {name:?} in {file}")).fix("write the number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_and_its_parent_are_known() {
        let caller = Caller::this_process();
        assert_eq!(caller.pid.cast_unsigned(), std::process::id());
        assert!(caller.executable.as_ref().is_some_and(|path| path.is_absolute()));
        assert_eq!(Caller::read(&caller.tell()).as_ref(), Some(&caller));
        assert_eq!(Caller::read(&Value::Null), None);
        let of_peer = |pid| Caller {
            executable: Caller::program_of(pid),
            ..Caller::of_peer(caller.uid, caller.gid, pid)
        };
        assert_eq!(
            of_peer(caller.pid),
            caller,
            "this program again is known by what started it"
        );
        let mut sleep = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = sleep.id().cast_signed();
        let mut other = of_peer(pid);
        // Between fork and exec it is still this program.
        for _ in 0..1000 {
            if other
                .executable
                .as_ref()
                .is_some_and(|path| path.ends_with("sleep") || path.ends_with("coreutils"))
            {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
            other = of_peer(pid);
        }
        sleep.kill().unwrap();
        sleep.wait().unwrap();
        assert_ne!(other.executable, caller.executable);
        assert_eq!(other.cgroup, caller.cgroup);
    }

    #[test]
    fn a_unit_is_the_outmost_one_that_is_no_slice() {
        let mut caller = Caller::this_process();
        let user = "/user.slice/user-1000.slice/user@1000.service";
        for (cgroup, unit) in [
            ("/system.slice/bot.service", Some(("bot.service", None))),
            ("/system.slice/bot.service/sub", Some(("bot.service", None))),
            (
                "/user.slice/user-1000.slice/session-2.scope",
                Some(("session-2.scope", None)),
            ),
            ("/user.slice/user-1000.slice", Some(("user-1000.slice", None))),
            (
                &format!("{user}/app.slice/bot.service"),
                Some(("bot.service", Some(1000))),
            ),
            (
                &format!("{user}/app.slice/x.scope/bot.service"),
                Some(("x.scope", Some(1000))),
            ),
            (user, Some(("user@1000.service", None))),
            (
                "/system.slice/other.service/bot.service",
                Some(("other.service", None)),
            ),
            (
                "/system.slice/docker-17.scope/bot.service",
                Some(("docker-17.scope", None)),
            ),
            ("/docker/17/bot.service", None),
            ("/", None),
        ] {
            caller.cgroup = Some(cgroup.into());
            let found = caller.unit().map(|unit| (unit.name, unit.of_user));
            assert_eq!(found, unit, "{cgroup}");
        }
        caller.cgroup = None;
        assert_eq!(caller.unit(), None);
    }

    #[test]
    fn names_are_looked_up() {
        assert_eq!(number_of("root", "/etc/passwd").unwrap(), 0);
        assert!(number_of("nobody of that name", "/etc/passwd").is_err());
    }
}
