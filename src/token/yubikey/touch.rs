//! Telling a person that the key waits for a touch.

use std::{
    process::{Child, Command, Stdio},
    sync::Arc,
};

use crate::ask::Ask;

/// A touch that is waited for: told on the terminal, and on the desktop where there is one.
pub(super) struct Awaited(Option<Child>);

impl Awaited {
    /// Tells it.
    pub fn begin(ask: &Arc<dyn Ask>, key: &str) -> Self {
        let text = format!("touch the {key} to sign");
        ask.tell(&text);
        let desktop = ["DBUS_SESSION_BUS_ADDRESS", "WAYLAND_DISPLAY", "DISPLAY"];
        if desktop.iter().all(|name| std::env::var_os(name).is_none()) {
            return Self(None);
        }
        let mut command = Command::new("notify-send");
        command
            .args(["--app-name=hsmsign", "--expire-time=15000", "hsmsign", &text])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Self(command.spawn().ok())
    }
}

impl Drop for Awaited {
    fn drop(&mut self) {
        if let Some(mut notification) = self.0.take() {
            // It hands its text over and ends; one that does not is ended.
            if !matches!(notification.try_wait(), Ok(Some(_))) {
                let _ = notification.kill();
                let _ = notification.wait();
            }
        }
    }
}
