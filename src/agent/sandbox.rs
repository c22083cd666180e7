//! Confining the front: it opens its own folders and no others, and starts nothing.

use std::path::PathBuf;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, PathBeneath, PathFd,
    Ruleset, RulesetAttr as _, RulesetCreatedAttr as _, RulesetStatus,
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};

use crate::{
    error::{Result, failed},
    home::Home,
};

/// What the kernel enforces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Confined {
    /// Whether files outside are out of reach, by landlock(7): wholly, as far as this kernel knows, or not.
    pub files: Extent,
    /// Whether calls of the system that are not needed are refused, by seccomp(2).
    pub calls: bool,
}

/// How far something holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Wholly.
    Full,
    /// As far as this kernel knows it.
    Partial,
    /// Not at all.
    None,
}

impl Extent {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Partial => "partial",
            Self::None => "none",
        }
    }
}

impl Confined {
    /// What is missing, in words; none where nothing is.
    pub fn warning(self) -> Option<String> {
        let files = match self.files {
            Extent::Full => None,
            Extent::Partial => Some("landlock only in part"),
            Extent::None => Some("no landlock"),
        };
        let missing: Vec<_> = files
            .into_iter()
            .chain((!self.calls).then_some("no seccomp"))
            .collect();
        (!missing.is_empty()).then(|| {
            format!(
                "this kernel confines the agent less than it should: {}; a fault in reading what clients send would reach further",
                missing.join(", ")
            )
        })
    }
}

/// Confines this process and the threads that it starts from here on. `sockets` are the folders in which its sockets
/// are removed at the end.
///
/// # Errors
/// When the kernel knows how and fails at it.
pub fn confine(home: &Home, sockets: Vec<PathBuf>) -> Result<Confined> {
    rustix::thread::set_no_new_privs(true)
        .map_err(|error| failed(format!("the agent cannot be kept from new privileges: {error}")))?;
    Ok(Confined {
        files: files(home, sockets)?,
        calls: calls()?,
    })
}

/// What may be done with files of a kernel that knows all of this; an older one enforces what it knows.
const KNOWN: ABI = ABI::V5;

fn files(home: &Home, sockets: Vec<PathBuf>) -> Result<Extent> {
    let told = |error: &dyn std::fmt::Display| {
        failed(format!("the agent cannot be confined to its folders: {error}"))
    };
    let no_execution = !BitFlags::from(AccessFs::Execute);
    let read = AccessFs::from_read(KNOWN) & no_execution;
    let all = AccessFs::from_all(KNOWN) & no_execution;
    let mut rules = vec![
        (home.config(""), read),
        (home.state(""), all),
        // Where it is a link, as to another disk.
        (home.state("audit"), all),
        // Who a client is; and the time zone that a policy's hours are told in.
        (PathBuf::from("/proc"), read),
        (PathBuf::from("/etc/localtime"), AccessFs::ReadFile.into()),
        (PathBuf::from("/usr/share/zoneinfo"), read),
    ];
    let removal = AccessFs::RemoveFile | AccessFs::ReadDir;
    rules.extend(sockets.into_iter().map(|folder| (folder, removal)));
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(KNOWN))
        .and_then(|ruleset| ruleset.handle_access(AccessNet::from_all(KNOWN)))
        .and_then(|ruleset| ruleset.create())
        .map_err(|error| told(&error))?;
    for (path, access) in rules {
        // What is not there needs no rule.
        let Ok(folder) = PathFd::new(&path) else { continue };
        ruleset = ruleset
            .add_rule(PathBeneath::new(folder, access))
            .map_err(|error| told(&error))?;
    }
    let status = ruleset.restrict_self().map_err(|error| told(&error))?;
    Ok(match status.ruleset {
        RulesetStatus::FullyEnforced => Extent::Full,
        RulesetStatus::PartiallyEnforced => Extent::Partial,
        _ => Extent::None,
    })
}

/// The calls that the front needs. None of them starts a program, looks into another process, or makes or connects a
/// socket: those that it has were opened before.
const NEEDED: &[libc::c_long] = &[
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_recvmsg,
    libc::SYS_recvfrom,
    libc::SYS_sendmsg,
    libc::SYS_sendto,
    libc::SYS_accept4,
    libc::SYS_shutdown,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_timerfd_settime,
    libc::SYS_ppoll,
    libc::SYS_close,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_fcntl,
    libc::SYS_ioctl,
    libc::SYS_flock,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_ftruncate,
    libc::SYS_fallocate,
    libc::SYS_lseek,
    libc::SYS_openat,
    libc::SYS_statx,
    libc::SYS_newfstatat,
    libc::SYS_fstat,
    libc::SYS_fstatfs,
    libc::SYS_statfs,
    libc::SYS_inotify_add_watch,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_readlinkat,
    libc::SYS_getdents64,
    libc::SYS_getcwd,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_unlinkat,
    libc::SYS_mkdirat,
    libc::SYS_linkat,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_umask,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_mprotect,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_mlock,
    libc::SYS_mlock2,
    libc::SYS_munlock,
    libc::SYS_memfd_secret,
    libc::SYS_membarrier,
    libc::SYS_futex,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_getrandom,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_uname,
    libc::SYS_sysinfo,
    libc::SYS_prlimit64,
    libc::SYS_prctl,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_clone3,
    libc::SYS_pipe2,
    libc::SYS_eventfd2,
    libc::SYS_tgkill,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// The older calls that x86-64 has beside those.
#[cfg(target_arch = "x86_64")]
const OLDER: &[libc::c_long] = &[
    libc::SYS_open,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_access,
    libc::SYS_readlink,
    libc::SYS_rename,
    libc::SYS_unlink,
    libc::SYS_mkdir,
    libc::SYS_link,
    libc::SYS_chmod,
    libc::SYS_poll,
    libc::SYS_epoll_wait,
    libc::SYS_time,
];
#[cfg(not(target_arch = "x86_64"))]
const OLDER: &[libc::c_long] = &[];

/// Whether a kernel answers so that has no filters, or no seccomp(2) at all, or one that another sandbox keeps from it.
const fn lacks(errno: i32) -> bool {
    matches!(errno, libc::EINVAL | libc::ENOSYS | libc::EPERM)
}

fn calls() -> Result<bool> {
    let told = |error: &dyn std::fmt::Display| {
        failed(format!(
            "the agent's calls of the system cannot be limited: {error}"
        ))
    };
    let Ok(architecture) = std::env::consts::ARCH.try_into() else {
        return Ok(false);
    };
    let mut rules: std::collections::BTreeMap<_, _> = NEEDED
        .iter()
        .chain(OLDER)
        .map(|&call| (call, Vec::new()))
        .collect();
    // A thread, and no process.
    let thread = libc::CLONE_THREAD as u64;
    let is_thread = SeccompCmpOp::MaskedEq(thread);
    let only_threads = SeccompCondition::new(0, SeccompCmpArgLen::Dword, is_thread, thread)
        .and_then(|condition| SeccompRule::new(vec![condition]))
        .map_err(|error| told(&error))?;
    rules.insert(libc::SYS_clone, vec![only_threads]);
    let refuse = |errno: i32| SeccompAction::Errno(u32::try_from(errno).unwrap_or(1));
    let needed = SeccompFilter::new(rules, refuse(libc::EPERM), SeccompAction::Allow, architecture);
    // Its flags lie where a filter cannot read them; told that there is no such call, the C library takes the other.
    let newer = [(libc::SYS_clone3, Vec::new())].into_iter().collect();
    let newer = SeccompFilter::new(newer, SeccompAction::Allow, refuse(libc::ENOSYS), architecture);
    for filter in [newer, needed] {
        let program: BpfProgram = filter
            .and_then(BpfProgram::try_from)
            .map_err(|error| told(&error))?;
        if let Err(error) = seccompiler::apply_filter(&program) {
            return match error {
                seccompiler::Error::Seccomp(error) if error.raw_os_error().is_some_and(lacks) => Ok(false),
                error => Err(told(&error)),
            };
        }
    }
    Ok(true)
}
