//! What the agent tells the service manager that started it: sd_notify(3), over one datagram socket.

use std::{
    fmt::Write as _,
    os::{
        linux::net::SocketAddrExt as _,
        unix::{
            ffi::OsStrExt as _,
            net::{SocketAddr, UnixDatagram},
        },
    },
    time::{Duration, Instant},
};

use sd_notify::NotifyState;

use crate::error::{Result, failed};

/// The service manager; silent where there is none.
pub struct Manager {
    /// Opened at the start: later the process may connect to nothing.
    socket: Option<UnixDatagram>,
    /// How often the loop is to be heard of.
    heartbeat: Option<Duration>,
    heard: Instant,
}

impl Manager {
    /// As `NOTIFY_SOCKET` and `WATCHDOG_USEC` say.
    ///
    /// # Errors
    /// When a manager waits to hear of this process, and cannot be reached.
    pub fn from_env() -> Result<Self> {
        let cannot = |error: std::io::Error| {
            failed(format!(
                "the service manager (NOTIFY_SOCKET) cannot be reached: {error}"
            ))
        };
        let socket = std::env::var_os("NOTIFY_SOCKET")
            .filter(|name| !name.is_empty())
            .map(|name| {
                let address = match name.as_bytes() {
                    [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
                    _ => SocketAddr::from_pathname(&name),
                };
                let socket = UnixDatagram::unbound()?;
                socket.connect_addr(&address?)?;
                // The loop waits for no manager that does not read.
                socket.set_nonblocking(true)?;
                Ok(socket)
            })
            .transpose()
            .map_err(cannot)?;
        Ok(Self {
            // Two in the time that is given, as sd_watchdog_enabled(3) advises.
            heartbeat: sd_notify::watchdog_enabled()
                .filter(|_| socket.is_some())
                .map(|patience| patience / 2),
            socket,
            heard: Instant::now(),
        })
    }

    /// Clients are served.
    pub fn serving(&self) {
        self.tell(&[NotifyState::Ready, NotifyState::Status("serving")]);
    }

    /// The configuration is read again; [`Manager::serving`] ends that.
    pub fn reloading(&self) {
        let mut states = vec![NotifyState::Reloading];
        states.extend(NotifyState::monotonic_usec_now());
        self.tell(&states);
    }

    /// It ends.
    pub fn stopping(&self) {
        self.tell(&[NotifyState::Stopping, NotifyState::Status("stopping")]);
    }

    /// How long the loop may wait at most, to be heard of in time.
    pub fn patience(&self, longest: Duration) -> Duration {
        self.heartbeat.map_or(longest, |heartbeat| longest.min(heartbeat))
    }

    /// The loop goes round. Called from there alone, so that one that is stuck is missed.
    pub fn alive(&mut self, now: Instant) {
        // A little early: the next round may come a whole wait later.
        if let Some(heartbeat) = self.heartbeat
            && self.heard + heartbeat / 2 <= now
        {
            self.heard = now;
            self.tell(&[NotifyState::Watchdog]);
        }
    }

    fn tell(&self, states: &[NotifyState<'_>]) {
        let Some(socket) = &self.socket else { return };
        let mut message = String::new();
        for state in states {
            let _ = writeln!(message, "{state}");
        }
        // A manager that is gone does not end the signing.
        let _ = socket.send(message.as_bytes());
    }
}
