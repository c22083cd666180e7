//! Where the agent's socket is, and making it.

use std::{
    fs,
    io::ErrorKind,
    os::{
        fd::OwnedFd,
        unix::{
            fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _},
            net::{UnixListener, UnixStream},
        },
    },
    path::{Path, PathBuf},
};

use crate::{
    error::{Code, Error, Result, bad_input, failed},
    home::is_everybodys,
};

/// A system agent's socket.
const SYSTEM: &str = "/run/hsmsign/agent.sock";

fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}

/// In the user's runtime folder; a relative one is none, as the XDG specification has it.
fn of_runtime_folder() -> Option<PathBuf> {
    variable("XDG_RUNTIME_DIR")
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join("hsmsign/agent.sock"))
}

/// The longest path that a socket can have, in bytes: unix(7), without the NUL behind it.
const LONGEST: usize = 107;

/// Refuses a path that no socket can have.
///
/// # Errors
/// `bad-input`, with what to do.
pub fn fits(path: &Path) -> Result<()> {
    let length = path.as_os_str().len();
    if length <= LONGEST {
        return Ok(());
    }
    Err(bad_input(format!(
        "the agent's socket {} has a path of {length} bytes, and that of a socket has at most {LONGEST}",
        path.display()
    ))
    .fix("set HSMSIGN_SOCKET to a shorter one, in a folder of your own"))
}

/// Where an agent of this user puts its socket: `HSMSIGN_SOCKET`, else `$HSMSIGN_HOME/agent.sock`, else
/// `$XDG_RUNTIME_DIR/hsmsign/agent.sock`, else `/run/hsmsign/agent.sock`.
///
/// # Errors
/// When a variable holds no usable path.
pub fn usual() -> Result<PathBuf> {
    let path = variable("HSMSIGN_SOCKET")
        .or_else(|| variable("HSMSIGN_HOME").map(|home| home.join("agent.sock")))
        .or_else(of_runtime_folder)
        .unwrap_or_else(|| PathBuf::from(SYSTEM));
    std::path::absolute(&path)
        .map_err(|error| bad_input(format!("the agent's socket has no usable path: {error}")))
}

/// Where a client looks, in this order; and whether it was told so, so that an agent must be there.
pub fn places() -> (Vec<PathBuf>, bool) {
    if let Some(told) = variable("HSMSIGN_SOCKET") {
        return (vec![told], true);
    }
    if let Some(home) = variable("HSMSIGN_HOME") {
        return (vec![home.join("agent.sock")], false);
    }
    (
        of_runtime_folder()
            .into_iter()
            .chain([PathBuf::from(SYSTEM)])
            .collect(),
        false,
    )
}

/// A socket that listens, and is removed with this value.
#[derive(Debug)]
pub struct Listening {
    /// The socket.
    pub socket: OwnedFd,
    /// Its file, where this process made it.
    made: Option<(PathBuf, u64)>,
    /// Its path, for people.
    pub path: PathBuf,
}

impl Listening {
    /// Makes the socket, mode 0600; or 0660 with this group, which also gets into its folder.
    ///
    /// # Errors
    /// When another agent listens there, or the folder is open to others.
    pub fn at(path: &Path, group: Option<u32>) -> Result<Self> {
        fits(path)?;
        let folder = path
            .parent()
            .ok_or_else(|| bad_input(format!("{} is no place for a socket", path.display())))?;
        if !folder.exists() {
            let mode = if group.is_some() { 0o750 } else { 0o700 };
            fs::DirBuilder::new()
                .recursive(true)
                .mode(mode)
                .create(folder)
                .map_err(|error| {
                    failed(format!("the folder {} cannot be made: {error}", folder.display())).fix(
                        "set XDG_RUNTIME_DIR to a folder of your own, mode 0700, as a login does; or HSMSIGN_SOCKET to a path in one; commands and bots then want the same",
                    )
                })?;
            if let Some(group) = group {
                chown(folder, group)?;
                permit(folder, mode)?;
            }
        }
        check_folder(folder)?;
        clear(path)?;
        // A short name: it must fit where the socket's own does.
        let beside = folder.join(format!(".{:x}", std::process::id()));
        let _ = fs::remove_file(&beside);
        let cannot =
            |error: std::io::Error| failed(format!("the socket {} cannot be made: {error}", path.display()));
        let listener = UnixListener::bind(&beside).map_err(cannot)?;
        // The standard library asks for a short queue; many clients may come at once.
        rustix::net::listen(&listener, 4096).map_err(|error| cannot(error.into()))?;
        let mode = match group {
            Some(group) => {
                chown(&beside, group)?;
                0o660
            }
            None => 0o600,
        };
        permit(&beside, mode)?;
        // Only a socket with its permissions gets the name that clients know.
        fs::rename(&beside, path).map_err(|error| {
            let _ = fs::remove_file(&beside);
            cannot(error)
        })?;
        let inode = fs::metadata(path).map_err(cannot)?.ino();
        Ok(Self {
            socket: listener.into(),
            made: Some((path.to_owned(), inode)),
            path: path.to_owned(),
        })
    }

    /// The socket that systemd made and handed over (`LISTEN_FDS`, sd_listen_fds(3)); none where it did not.
    ///
    /// # Errors
    /// When what was handed over is no listening Unix socket with a path.
    pub fn from_systemd() -> Result<Option<Self>> {
        let mut handed = listenfd::ListenFd::from_env();
        if handed.len() > 1 {
            // Which is for clients is not known, and the workers would inherit the rest.
            return Err(bad_input(format!("systemd handed over {} sockets", handed.len()))
                .fix("give the unit's .socket one ListenStream"));
        }
        let listener = handed.take_unix_listener(0).map_err(|error| {
            bad_input(format!(
                "what systemd handed over is no Unix stream socket: {error}"
            ))
            .fix("give the unit's .socket a ListenStream with a path")
        })?;
        let Some(listener) = listener else { return Ok(None) };
        if !rustix::net::sockopt::socket_acceptconn(&listener).unwrap_or(false) {
            return Err(
                bad_input("the socket that systemd handed over takes no connections: it is one itself, or does not listen")
                    .fix("leave Accept= out of the unit's .socket: one agent serves all"),
            );
        }
        let path = listener
            .local_addr()
            .ok()
            .and_then(|address| address.as_pathname().map(Path::to_owned))
            .ok_or_else(|| {
                bad_input("the socket that systemd handed over has no path, so that everybody on this machine may connect")
                    .fix("give the unit's .socket a ListenStream with a path")
            })?;
        Ok(Some(Self {
            socket: listener.into(),
            made: None,
            path,
        }))
    }

    /// The folder in which the file must be removed at the end; none where it was not made here.
    pub fn folder(&self) -> Option<&Path> {
        self.made.as_ref().and_then(|(path, _)| path.parent())
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        if let Some((path, inode)) = &self.made
            && fs::metadata(path).is_ok_and(|now| now.ino() == *inode)
        {
            let _ = fs::remove_file(path);
        }
    }
}

/// The number of a group that is given by name, as `/etc/group` has it, or by number.
///
/// # Errors
/// When there is no such group.
pub fn group(group: &str) -> Result<u32> {
    if let Ok(number) = group.parse() {
        return Ok(number);
    }
    let groups = fs::read_to_string("/etc/group").unwrap_or_default();
    groups
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(':');
            (fields.next()? == group).then(|| fields.nth(1)?.parse().ok())?
        })
        .next()
        .ok_or_else(|| {
            bad_input(format!("there is no group {group:?}"))
                .fix("make it: groupadd --system NAME; or give its number")
        })
}

/// Refuses a folder that others than its owner and group can get at, or that is another user's.
fn check_folder(folder: &Path) -> Result<()> {
    let metadata = fs::metadata(folder).map_err(|error| {
        failed(format!(
            "the folder {} cannot be looked at: {error}",
            folder.display()
        ))
    })?;
    if is_everybodys(folder, &metadata) {
        return Err(
            bad_input(format!("{} is a folder for everybody", folder.display())).fix(format!(
                "set HSMSIGN_SOCKET to a path in a folder of your own, mode 0700, as {}",
                folder.join("hsmsign/agent.sock").display()
            )),
        );
    }
    let me = rustix::process::geteuid().as_raw();
    if metadata.uid() != me {
        return Err(bad_input(format!(
            "{} belongs to uid {}, and the agent runs as uid {me}",
            folder.display(),
            metadata.uid()
        ))
        .fix("set HSMSIGN_SOCKET to a path in a folder of your own, mode 0700"));
    }
    if metadata.mode() & 0o027 != 0 {
        return Err(bad_input(format!(
            "{} has mode {:03o}, which lets others in",
            folder.display(),
            metadata.mode() & 0o777
        ))
        .fix(format!(
            "chmod 700 {0}; or chmod 750 {0} for the group of bots",
            folder.display()
        )));
    }
    Ok(())
}

/// Removes a socket that nobody listens on.
fn clear(path: &Path) -> Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed(format!("{} cannot be looked at: {error}", path.display()))),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            Err(bad_input(format!("{} is there, and is no socket", path.display())).fix("move it away"))
        }
        Ok(_) => match UnixStream::connect(path) {
            Ok(_) => Err(Error::new(
                Code::Failed,
                format!("another agent listens at {}", path.display()),
            )
            .fix("use it; or end it first: hsmsign agent stop")),
            Err(_) => fs::remove_file(path).map_err(|error| {
                failed(format!(
                    "the old socket {} cannot be removed: {error}",
                    path.display()
                ))
            }),
        },
    }
}

fn chown(path: &Path, group: u32) -> Result<()> {
    std::os::unix::fs::chown(path, None, Some(group)).map_err(|error| {
        failed(format!(
            "{} cannot be given to group {group}: {error}",
            path.display()
        ))
        .fix("the agent's user must be a member of that group")
    })
}

fn permit(path: &Path, mode: u32) -> Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .map_err(|error| failed(format!("the mode of {} cannot be set: {error}", path.display())))
}
