//! A disk that is full at each write: the error names it, nothing is half-done, and with room again all works.
//!
//! The disk is a tmpfs of the test's own, in a mount namespace of its own, filled to the brim by a file.

use std::process::{Command, Output};

use crate::{bench::KRAKEN_SECRET, state::mounts};

/// Runs a shell script on a disk of this size. `fill` leaves so many bytes free, `room` makes room again.
fn on_a_disk(kib: u32, script: &str) -> Option<Output> {
    if !mounts() {
        return None;
    }
    let (folder, output) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let script = format!(
        r#"set -u
mount -t tmpfs -o size={kib}k,mode=700 none "$DISK" || exit 90
cd "$OUT"
export HSMSIGN_HOME="$DISK/home"
fill() {{ head -c 100M /dev/zero > "$DISK/filler" 2>/dev/null; [ "$1" = 0 ] || truncate -s -"$1" "$DISK/filler"; }}
room() {{ rm -f "$DISK/filler"; }}
fail() {{ echo "FAILED: $*" >&2; cat err >&2; find "$HSMSIGN_HOME" -type f >&2; df "$DISK" >&2; exit 1; }}
# A command that the full disk must stop: exit 1, the disk named, what to do.
stopped() {{ "$@" >out 2>err; code=$?; [ $code = 1 ] || fail "$* ended with $code"; grep -qi 'no space left' err || fail "$* does not name the disk"; grep -q 'make room' err || fail "$* has no remedy"; }}
state() {{ (cd "$HSMSIGN_HOME" 2>/dev/null && find . -type f ! -name '*.lock' ! -name '*.kept' ! -name token.object ! -name generation ! -path './locks/*' -exec sha256sum {{}} + | sort); }}
unfinished() {{ [ -z "$(find "$HSMSIGN_HOME" -name '.*.new')" ] || fail "unfinished files"; }}
H="$HSMSIGN"
: > out; : > err
{script}
"#
    );
    let done = Command::new("unshare")
        .args(["-m", "--propagation", "private", "sh", "-c", &script])
        .env("DISK", folder.path())
        .env("OUT", output.path())
        .env("HSMSIGN", env!("CARGO_BIN_EXE_hsmsign"))
        .env("SECRET", KRAKEN_SECRET)
        .env_remove("HSMSIGN_HOME")
        .output()
        .unwrap();
    if done.status.code() == Some(90) {
        eprintln!("SKIPPED: no tmpfs can be mounted here");
        return None;
    }
    Some(done)
}

#[track_caller]
fn well(done: Option<Output>) {
    if let Some(done) = done {
        let told = String::from_utf8_lossy(&done.stderr);
        if told.contains("not on this machine") {
            eprintln!("SKIPPED: SoftHSM is not installed");
            return;
        }
        assert!(
            done.status.success(),
            "{told}{}",
            String::from_utf8_lossy(&done.stdout)
        );
    }
}

const SET_UP: &str = r#"
"$H" init --softhsm >out 2>err || fail init
echo "$SECRET" | "$H" import --exchange kraken --api-key a >out 2>err || fail import
"$H" sign kraken POST /0/private/Balance >out 2>err || fail sign
"#;

#[test]
fn imports_stop_and_leave_nothing() {
    // From no room at all to nearly enough: each stops at another write.
    well(on_a_disk(
        1024,
        &format!(
            r#"{SET_UP}
"$H" remove kraken >out 2>err || fail remove
before=$(state)
for free in 0 4096 8192 12288 16384 20480 24576; do
  fill $free
  echo "$SECRET" | "$H" import --exchange kraken --api-key a >out 2>err
  code=$?
  if [ $code = 0 ]; then
    room; "$H" test kraken >out 2>err || fail "a key that was said to be whole is not, with $free free"
    "$H" remove kraken >out 2>err || fail "remove after import with $free free"
  else
    [ $code = 1 ] || fail "import with $free bytes free ended with $code"
    grep -qiE 'no space left|full' err || fail "import with $free bytes free does not name the disk"
    [ -s out ] && fail "it answered"
    "$H" list >out 2>err; grep -q kraken out && fail "half a key is listed, with $free free"
    room
  fi
  "$H" doctor >out 2>err
  unfinished
  [ "$(state)" = "$before" ] || {{ state; echo; echo "$before"; fail "something stayed behind with $free bytes free"; }}
done
echo "$SECRET" | "$H" import --exchange kraken --api-key a >out 2>err || fail "import with room"
"$H" test kraken >out 2>err || fail "test with room"
"#
        ),
    ));
}

#[test]
fn signing_goes_on_in_place_or_stops_and_repeats_no_nonce() {
    well(on_a_disk(
        1024,
        &format!(
            r#"{SET_UP}
nonce() {{ grep -o 'nonce=[0-9]*' out | cut -d= -f2; }}
last=$(nonce)
fill 0
for turn in 1 2 3; do
  "$H" sign kraken POST /0/private/Balance >out 2>err || fail "sign on a full disk, where its file is there already"
  next=$(nonce); [ "$next" -gt "$last" ] || fail "nonce $next after $last"; last=$next
done
"$H" test kraken >out 2>err || fail "test on a full disk"
room
echo "$SECRET" | "$H" import --exchange kraken --key fresh --api-key a >out 2>err || fail import
fill 0
"$H" sign fresh POST /0/private/Balance >out 2>err
code=$?
if [ $code = 0 ]; then first=$(nonce); else
  [ $code = 1 ] || fail "the first signature ended with $code"
  grep -qi 'no space left' err || fail "the first signature does not name the disk"
  first=0
fi
unfinished
room
"$H" sign fresh POST /0/private/Balance >out 2>err || fail "sign with room"
[ "$(nonce)" -gt "$first" ] || fail "nonces"
"$H" sign kraken POST /0/private/Balance >out 2>err || fail "sign with room"
[ "$(nonce)" -gt "$last" ] || fail "nonces"
"#
        ),
    ));
}

#[test]
fn changes_of_a_key_stop_and_the_old_pair_stays() {
    well(on_a_disk(
        1024,
        &format!(
            r#"{SET_UP}
before=$(state)
for free in 0 4096 8192 16384; do
  fill $free
  echo "AAAA${{SECRET#????}}" | "$H" rotate kraken --api-key b >out 2>err
  code=$?
  room
  if [ $code = 0 ]; then
    "$H" rotate kraken --undo >out 2>err || fail undo
  else
    [ $code = 1 ] || fail "rotate with $free ended with $code"
    grep -qiE 'no space left|full' err || fail "rotate with $free does not name the disk"
  fi
  "$H" doctor >out 2>err
  "$H" show kraken --json >out 2>err; grep -q '"api_key":"a"' out || fail "the old API key, with $free free"
  "$H" test kraken >out 2>err || fail "the old secret, with $free free"
  unfinished
done
fill 0
before=$(state)
stopped "$H" set kraken --api-key c
[ "$(state)" = "$before" ] || fail "set changed something"
stopped "$H" backup "$DISK/b.json"
[ -e "$DISK/b.json" ] && fail "half a backup"
unfinished
# Removing must work, or change nothing.
"$H" remove kraken >out 2>err
code=$?
room
"$H" doctor >out 2>err
"$H" list --json >out 2>err
if [ $code = 0 ]; then
  grep -q kraken out && fail "removed and still listed"
else
  [ $code = 1 ] || fail "remove ended with $code"
  "$H" test kraken >out 2>err || fail "a failed removal took the key"
  "$H" remove kraken >out 2>err || fail "remove with room"
fi
"$H" backup "$DISK/b.json" >out 2>err || fail "backup with room"
"#
        ),
    ));
}

#[test]
fn setting_up_stops_and_can_be_done_again() {
    for free in [0, 4096, 8192, 16384, 32768] {
        well(on_a_disk(
            256,
            &format!(
                r#"
fill {free}
"$H" init --softhsm >out 2>err
code=$?
case $code in
  0) ;;
  1) grep -qiE 'no space left|full' err || fail "init does not name the disk" ;;
  *) fail "init with {free} bytes free ended with $code" ;;
esac
room
[ $code = 0 ] || "$H" init --softhsm >out 2>err || fail "init with room"
unfinished
echo "$SECRET" | "$H" import --exchange kraken --api-key a >out 2>err || fail "import with room"
"$H" test kraken >out 2>err || fail "test with room"
"#
            ),
        ));
    }
}

#[test]
fn a_refused_pin_is_remembered_on_a_full_disk_or_the_user_is_told() {
    well(on_a_disk(
        1024,
        &format!(
            r#"{SET_UP}
echo wrong > "$HSMSIGN_HOME/softhsm/softhsm.pin"
fill 0
"$H" sign kraken POST /0/private/Balance >out 2>err; [ $? = 4 ] || fail "a wrong PIN on a full disk"
grep -q 'could not be remembered' err || [ -s "$HSMSIGN_HOME/pins/softhsm.refused" ] || fail "neither remembered nor told"
"#
        ),
    ));
}

#[test]
fn a_disk_that_is_mounted_read_only_is_named_too() {
    well(on_a_disk(
        1024,
        &format!(
            r#"{SET_UP}
mount -o remount,ro "$DISK" || exit 90
"$H" list >out 2>err || fail list
"$H" test kraken >out 2>err || fail test
read_only() {{ code=$?; [ $code = 1 ] || fail "$* ended with $code"; grep -qi 'read-only' err || fail "$* does not name the reason"; }}
"$H" sign kraken POST /0/private/Balance >out 2>err; read_only sign
"$H" remove kraken >out 2>err; read_only remove
"$H" set kraken --api-key b >out 2>err; read_only set
"$H" init --softhsm --token two >out 2>err; read_only init
echo "$SECRET" | "$H" import --exchange kraken --key two --api-key a >out 2>err; read_only import
mount -o remount,rw "$DISK"
"$H" sign kraken POST /0/private/Balance >out 2>err || fail "sign again"
echo "$SECRET" | "$H" import --exchange kraken --key two --api-key a >out 2>err || fail "import again"
"#
        ),
    ));
}

#[test]
fn a_restore_that_finds_no_room_is_done_again() {
    well(on_a_disk(
        1024,
        &format!(
            r#"{SET_UP}
"$H" backup backup >out 2>err || fail backup
rm -r "$HSMSIGN_HOME/keys" "$HSMSIGN_HOME/nonces"
for free in 0 4096 8192; do
  fill $free
  "$H" restore backup >out 2>err
  code=$?
  [ $code = 0 ] && break
  [ $code = 1 ] || fail "restore ended with $code"
  grep -qi 'no space left' err || fail "restore does not name the disk"
  unfinished
  room
done
room
"$H" restore backup >out 2>err || fail "restore with room"
"$H" test kraken >out 2>err || fail test
"$H" sign kraken POST /0/private/Balance >out 2>err || fail sign
"#
        ),
    ));
}
