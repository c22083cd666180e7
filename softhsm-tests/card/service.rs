//! pcscd and its driver vpcd, run beside the machine's own.

use std::{
    fs::{self, File},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process_group};

/// The port of the first reader; the second has the next.
pub const PORT: u16 = 0x8c7b;

/// pcscd's folder of sockets is fixed when it is built. In a mount namespace of its own it is one of the test's, which is
/// seen from outside as well.
const HOST: &str = "\
set -e
mount -t tmpfs -o mode=755 none /run
mkdir /run/pcscd
mount --bind \"$1\" /run/pcscd
ip link set lo up
exec stdbuf --output=L pcscd --foreground --debug --config \"$2\"";

/// Whether all that it takes is on this machine.
pub fn at_hand() -> Result<(), String> {
    if driver().is_none() {
        return Err("the virtual reader is not installed (Debian: pcscd vsmartcard-vpcd)".to_owned());
    }
    let may = |args: &[&str]| {
        let tried = Command::new("unshare").args(args).stderr(Stdio::null()).status();
        tried.is_ok_and(|status| status.success())
    };
    if !may(&["--mount", "--net", "ip", "link", "set", "lo", "up"]) {
        return Err(
            "a pcscd of its own needs namespaces, which root alone can have, and ip (Debian: iproute2)"
                .to_owned(),
        );
    }
    if !may(&["--mount", "sh", "-c", "command -v pcscd >/dev/null"]) {
        return Err("pcscd is not installed (Debian: pcscd)".to_owned());
    }
    Ok(())
}

fn driver() -> Option<PathBuf> {
    let places = [
        "/usr/lib/pcsc/drivers/serial/libifdvpcd.so",
        "/usr/lib64/pcsc/drivers/serial/libifdvpcd.so",
        "/usr/local/lib/pcsc/drivers/serial/libifdvpcd.so",
    ];
    places.iter().map(PathBuf::from).find(|path| path.exists())
}

/// Starts one, and waits until it answers.
pub fn start(folder: &Path, patience: Duration) -> Child {
    let (run, conf) = (folder.join("run"), folder.join("conf"));
    // One that was killed leaves its socket.
    let _ = fs::remove_dir_all(&run);
    fs::create_dir_all(&run).unwrap();
    fs::create_dir_all(&conf).unwrap();
    let reader = format!(
        "FRIENDLYNAME \"Virtual PCD\"\nDEVICENAME /dev/null:0x{PORT:X}\nLIBPATH {}\nCHANNELID 0x{PORT:X}\n",
        driver().expect("the driver is there").display()
    );
    fs::write(conf.join("vpcd"), reader).unwrap();
    let log = File::options()
        .create(true)
        .append(true)
        .open(folder.join("log"))
        .unwrap();
    let mut command = Command::new("unshare");
    command
        .args([
            "--mount",
            "--net",
            "--pid",
            "--fork",
            "--kill-child",
            "sh",
            "-c",
            HOST,
            "sh",
        ])
        .arg(&run)
        .arg(&conf)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log);
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let mut child = command.spawn().unwrap();
    let socket = run.join("pcscd.comm");
    let deadline = Instant::now() + patience;
    while let Err(error) = UnixStream::connect(&socket) {
        let log = || fs::read_to_string(folder.join("log")).unwrap_or_default();
        assert!(child.try_wait().unwrap().is_none(), "pcscd ended: {}", log());
        assert!(
            Instant::now() < deadline,
            "pcscd does not answer ({error}, {}): {}",
            socket.display(),
            log()
        );
        sleep(Duration::from_millis(5));
    }
    child
}

/// Ends one with all that it started, and waits until nobody is behind its socket.
pub fn stop(pcscd: &mut Child, folder: &Path) {
    if let Some(group) = i32::try_from(pcscd.id()).ok().and_then(Pid::from_raw) {
        let _ = kill_process_group(group, Signal::KILL);
    }
    let _ = pcscd.wait();
    let socket = folder.join("run/pcscd.comm");
    let deadline = Instant::now() + Duration::from_secs(60);
    while UnixStream::connect(&socket).is_ok() {
        assert!(Instant::now() < deadline, "pcscd does not end");
        sleep(Duration::from_millis(5));
    }
}
