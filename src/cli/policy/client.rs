//! In whose place `policy check` asks.

use std::path::PathBuf;

use hsmsign::{
    caller,
    error::{Result, bad_input},
    policy::Caller,
};

/// A client that rules may name; what is not given of one is not known of it, but for user and group, which are those of who
/// asks.
#[derive(Debug, clap::Args)]
pub struct ClientArgs {
    /// As if this user asked: a number or a name
    #[arg(long, value_name = "USER")]
    uid: Option<String>,
    /// As if somebody of this group asked: a number or a name
    #[arg(long, value_name = "GROUP")]
    gid: Option<String>,
    /// As if this program asked
    #[arg(long, value_name = "PATH")]
    executable: Option<PathBuf>,
    /// As if a program of this systemd unit of the system asked
    #[arg(long)]
    unit: Option<String>,
    /// As if a program of this control group asked
    #[arg(long, value_name = "PATH", conflicts_with = "unit")]
    cgroup: Option<String>,
}

impl ClientArgs {
    /// The client; none where nothing was given of one.
    pub fn caller(self) -> Result<Option<Caller>> {
        let Self {
            uid,
            gid,
            executable,
            unit,
            cgroup,
        } = self;
        if let (None, None, None, None, None) = (&uid, &gid, &executable, &unit, &cgroup) {
            return Ok(None);
        }
        if let Some(unit) = unit.as_deref().filter(|unit| !caller::is_unit(unit)) {
            return Err(
                bad_input(format!("{unit:?} is no unit")).fix("write it with its kind, as bot.service")
            );
        }
        let own = Caller::this_process();
        let number = |id: Option<String>, own: u32, names: &str| {
            id.map_or(Ok(own), |id| {
                id.parse().or_else(|_| caller::number_of(&id, names))
            })
        };
        Ok(Some(Caller {
            uid: number(uid, own.uid, "/etc/passwd")?,
            gid: number(gid, own.gid, "/etc/group")?,
            pid: own.pid,
            executable: executable.map(Into::into),
            cgroup: unit
                .map(|unit| format!("/system.slice/{unit}"))
                .or(cgroup)
                .map(Into::into),
        }))
    }
}
