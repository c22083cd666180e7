//! A disk that is full at each write: the error names it, nothing is half-done, and with room again all works.
//!
//! The disk is a tmpfs of the test's own, in a mount namespace of its own, filled to the brim by a file, or by files of no
//! bytes, for which it has room for so many. `each` goes from no room at all to enough, page by page and then name by name,
//! so that each write is once the one that finds none.

use std::process::{Command, Output};

use crate::{bench::KRAKEN_SECRET, state::mounts};

/// Runs a shell script on a disk of this size. `fill` leaves so many bytes free, `room` makes room again.
pub fn on_a_disk(kib: u32, script: &str) -> Option<Output> {
    if !mounts() {
        return None;
    }
    let (folder, output) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let script = format!(
        r#"set -u
mount -t tmpfs -o size={kib}k,nr_inodes=300,mode=700 none "$DISK" || exit 90
cd "$OUT"
export HSMSIGN_HOME="$DISK/home"
fill() {{ head -c 100M /dev/zero > "$DISK/filler" 2>/dev/null; [ "$1" = 0 ] || truncate -s -"$1" "$DISK/filler"; }}
pages() {{ fill $(($1 * 4096)); }}
names() {{ mkdir "$DISK/n"; i=0; while {{ true > "$DISK/n/$i"; }} 2>/dev/null; do i=$((i + 1)); done; k=0; while [ $k -lt $1 ]; do k=$((k + 1)); rm "$DISK/n/$((i - k))"; done; }}
room() {{ rm -rf "$DISK/filler" "$DISK/n"; }}
fail() {{ echo "FAILED: $*" >&2; cat err >&2; find "$HSMSIGN_HOME" -type f >&2; df "$DISK" >&2; exit 1; }}
# A command that the full disk must stop: exit 1, the disk named, what to do.
stopped() {{ "$@" >out 2>err; code=$?; [ $code = 1 ] || fail "$* ended with $code"; grep -qi 'no space left' err || fail "$* does not name the disk"; grep -q 'make room' err || fail "$* has no remedy"; }}
unfinished() {{ [ -z "$(find "$HSMSIGN_HOME" -name '.*.new')" ] || fail "unfinished files"; }}
# What a person sees of the keys: the same where nothing was done.
seen() {{ "$H" list --json | sed 's/"created":"[^"]*"//g'; "$H" token list; ls "$HSMSIGN_HOME/schemes" 2>/dev/null; }}
# What is done while there is room, before each turn.
prepare() {{ true; }}
# each NAME DONE UNDO: the function NAME is stopped at each of its writes and leaves nothing, until there is room for all;
# then DONE says that it is done, and UNDO takes it back.
each() {{
  for kind in pages names; do
    before=$(seen) stops=0 n=0
    while :; do
      prepare; $kind $n
      "$1" >out 2>err; code=$?
      room
      [ $code = 0 ] && break
      [ $code = 1 ] || fail "$1 with $n $kind free ended with $code"
      grep -qiE 'no space left|full' err || fail "$1 with $n $kind free does not name the disk"
      grep -q 'make room' err || fail "$1 with $n $kind free says no remedy"
      "$H" test kraken >out 2>err || fail "the key, after $1 with $n $kind free"
      unfinished
      [ "$(seen)" = "$before" ] || {{ seen; fail "$1 with $n $kind free left something"; }}
      [ -z "$(ls -A "$HSMSIGN_HOME/journal" 2>/dev/null)" ] || fail "$1 with $n $kind free left an entry in the journal"
      [ "$(objects)" = "$(named)" ] || fail "$1 with $n $kind free: $(objects) objects on the token, the records name $(named)"
      stops=$((stops + 1)) n=$((n + 1))
      [ $n -lt 40 ] || fail "$1 is never done"
    done
    echo "$1: stopped $stops times for want of $kind" >> "$OUT/stops"
    "$2" >out 2>err || fail "$1 with $n $kind free says it is done, and $2"
    "$3" >out 2>err || fail "$3 after $1 with $n $kind free"
  done
}}
# The objects on the development token, and those that records name.
objects() {{ find "$HSMSIGN_HOME/softhsm/tokens" -name '*.object' ! -name token.object | wc -l; }}
named() {{ "$H" list --json | grep -o '"id":' | wc -l; }}
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
pub fn well(done: Option<Output>) {
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

pub const SET_UP: &str = r#"
"$H" init --softhsm >out 2>err || fail init
echo "$SECRET" | "$H" import --exchange kraken --api-key a >out 2>err || fail import
"$H" sign kraken POST /0/private/Balance >out 2>err || fail sign
"#;

/// Runs `each` for a command, and says how often it was stopped. `least`: for want of pages, for want of names.
#[track_caller]
fn each(name: &str, script: &str, least: [usize; 2]) {
    let done = on_a_disk(1024, &format!("{SET_UP}{script}\ncat \"$OUT/stops\""));
    if let Some(done) = &done {
        let said = String::from_utf8_lossy(&done.stdout);
        eprint!("{said}");
        let stops: Vec<usize> = said
            .lines()
            .filter_map(|line| line.strip_prefix(name)?.split(' ').nth(2)?.parse().ok())
            .collect();
        let enough = stops.len() == 2 && stops.iter().zip(least).all(|(stops, least)| *stops >= least);
        assert!(
            !done.status.success() || enough,
            "{name} was stopped {stops:?} times, not {least:?}"
        );
    }
    well(done);
}

#[test]
fn an_import_stops_at_each_of_its_writes_and_leaves_nothing() {
    each(
        "import",
        r#"
import() { printf '%s\nwords\n' "$SECRET" | "$H" import --exchange cbpro --key two --api-key a; }
imported() { "$H" test two; }
back() { "$H" remove two; }
each import imported back
"#,
        [4, 4],
    );
}

#[test]
fn a_first_import_stops_at_each_write_of_the_extraction_suite_too() {
    each(
        "import",
        r#"
prepare() { rm -f "$HSMSIGN_HOME/trust.json"; }
import() { echo "$SECRET" | "$H" import --exchange kraken --key two --api-key a; }
imported() { [ -s "$HSMSIGN_HOME/trust.json" ] && "$H" test two; }
back() { "$H" remove two; }
each import imported back
"#,
        [4, 4],
    );
}

#[test]
fn a_rotation_stops_at_each_of_its_writes_and_the_old_pair_stays() {
    each(
        "rotate",
        r#"
rotate() { echo "AAAA${SECRET#????}" | "$H" rotate kraken --api-key b; }
rotated() { "$H" show kraken --json | grep -q '"api_key":"b"' && "$H" test kraken; }
back() { "$H" rotate kraken --undo; }
each rotate rotated back
"#,
        [3, 3],
    );
}

#[test]
fn the_end_of_a_rotation_stops_at_each_of_its_writes_and_can_be_done_again() {
    for end in ["commit", "undo"] {
        each(
            end,
            &format!(
                r#"
{end}() {{ "$H" rotate kraken --{end}; }}
ended() {{ ! "$H" show kraken --json | grep -q previous && "$H" test kraken; }}
again() {{ echo "AAAA${{SECRET#????}}" | "$H" rotate kraken --api-key b; }}
again >out 2>err || fail rotate
each {end} ended again
"#
            ),
            [2, 2],
        );
    }
}

#[test]
fn a_removal_stops_at_each_of_its_writes_or_is_done() {
    each(
        "remove",
        r#"
again() { printf '%s\nwords\n' "$SECRET" | "$H" import --exchange cbpro --key two --api-key a; }
remove() { "$H" remove two; }
removed() { ! "$H" list | grep -q two; }
again >out 2>err || fail import
each remove removed again
"#,
        [1, 1],
    );
}

#[test]
fn changes_of_a_key_stop_at_each_of_their_writes() {
    each(
        "change",
        r#"
change() { "$H" set kraken --api-key c; }
done_so() { "$H" show kraken --json | grep -q '"api_key":"c"'; }
back() { "$H" set kraken --api-key a; }
each change done_so back
"#,
        [1, 1],
    );
    each(
        "nonce",
        r#"
prepare() { rm -rf "$HSMSIGN_HOME/nonces"; }
nonce() { "$H" nonce kraken --set-above 1700000000000000; }
raised() { [ "$("$H" nonce kraken)" -ge 1700000000000000 ]; }
each nonce raised true
"#,
        [1, 1],
    );
    each(
        "sign",
        r#"
prepare() { rm -rf "$HSMSIGN_HOME/nonces"; }
sign() { "$H" sign kraken POST /0/private/Balance; }
each sign true true
"#,
        [1, 1],
    );
}

#[test]
fn a_policy_that_finds_no_room_leaves_the_one_before_in_force() {
    each(
        "policy",
        r#"
printf 'policy = 1\n[[allow]]\npath = ["/0/private/*"]\n' > lax
(printf 'policy = 1\n[[allow]]\npath = ["/0/private/Balance"]\n'; head -c 9000 /dev/zero | tr '\0' '#') > strict
prepare() { "$H" policy set kraken --file lax >/dev/null; }
policy() {
  "$H" policy set kraken --file strict; code=$?
  [ $code = 0 ] || cmp -s lax "$HSMSIGN_HOME/policy/kraken.toml" || code=77
  return $code
}
in_force() { "$H" policy check kraken POST /0/private/AddOrder; [ $? = 3 ] && "$H" policy check kraken POST /0/private/Balance; }
each policy in_force true
"#,
        [2, 2],
    );
}

#[test]
fn a_policy_that_is_edited_holds_though_there_is_no_room_for_its_copy() {
    well(on_a_disk(
        2048,
        &format!(
            r#"{SET_UP}
allow() {{ printf 'policy = 1\n[[allow]]\npath = "/0/private/%s"\n' "$1"; }}
# As a person edits it in place.
edit() {{ allow "$1" > "$HSMSIGN_HOME/policy/kraken.toml"; }}
allow '*' | "$H" policy set kraken >out 2>err || fail "policy set"
"$H" agent >agent.out 2>agent.err &
trap 'kill $!' EXIT
for try in $(seq 200); do "$H" agent status >out 2>err && break; sleep 0.1; done
"$H" sign kraken POST /0/private/AddOrder >out 2>err || fail "sign with room"
denied() {{ "$H" sign kraken POST "/0/private/$1" >out 2>err; [ $? = 3 ] || fail "$1 is signed $2"; }}
names 0
edit Balance
denied AddOrder "without room"
"$H" sign kraken POST /0/private/Balance >out 2>err || fail "sign without room"
edit Ledgers
denied Balance "without room, edited again"
"$H" sign kraken POST /0/private/Ledgers >out 2>err || fail "sign without room, edited again"
room
"$H" sign kraken POST /0/private/Ledgers >out 2>err || fail "sign with room again"
for try in $(seq 50); do
  "$H" sign kraken POST /0/private/Ledgers >out 2>err || fail "sign with room again"
  allow Ledgers | cmp -s - "$HSMSIGN_HOME/policy/accepted/kraken.toml" && break
  sleep 0.1
done
[ "$try" -lt 50 ] || fail "the copy is not tried again"
told=$("$H" audit show --json --what policy | grep -c 'is in force, with the hash')
[ "$told" = 3 ] || [ "$told" = 4 ] || fail "the log tells of $told policies"
"#
        ),
    ));
}

#[test]
fn where_files_may_not_grow_nothing_is_signed_and_the_limit_is_named() {
    let Some(place) = crate::bench::Place::with_kraken() else {
        return;
    };
    for args in [
        &["sign", "kraken", "POST", "/0/private/Balance"][..],
        &["backup", "b"],
    ] {
        let mut limited = Command::new("sh");
        limited
            .args([
                "-c",
                r#"ulimit -f 0; exec "$@""#,
                "sh",
                env!("CARGO_BIN_EXE_hsmsign"),
            ])
            .args(args)
            .env("HSMSIGN_HOME", place.home())
            .current_dir(place.path());
        let output = limited.output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {told}");
        assert!(
            told.contains("File too large") && told.contains("ulimit -f"),
            "{args:?}: {told}"
        );
        assert_eq!(output.stdout, b"", "{args:?}");
    }
    assert!(!place.path().join("b").exists());
    place.sign_balances(1);
}

#[test]
fn a_backup_and_a_second_token_stop_at_each_of_their_writes() {
    each(
        "backup",
        r#"
backup() { "$H" backup "$DISK/b.json" || { code=$?; [ -e "$DISK/b.json" ] && code=77; return $code; }; }
kept() { grep -q '"kraken"' "$DISK/b.json"; }
back() { rm "$DISK/b.json"; }
each backup kept back
"#,
        [1, 1],
    );
    each(
        "init",
        r#"
init() { "$H" init --softhsm --token two; }
made() { "$H" token list | grep -q two && "$H" token show two; }
back() { "$H" token remove two; }
each init made back
"#,
        [3, 3],
    );
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
fn an_agent_without_room_for_a_nonce_signs_nothing_and_goes_on_when_there_is_room() {
    well(on_a_disk(
        2048,
        &format!(
            r#"{SET_UP}
nonce() {{ grep -o 'nonce=[0-9]*' out | cut -d= -f2; }}
echo "$SECRET" | "$H" import --exchange kraken --key fresh --api-key a >out 2>err || fail import
"$H" agent >agent.out 2>agent.err &
trap 'kill $!' EXIT
for try in $(seq 200); do "$H" agent status >out 2>err && break; sleep 0.1; done
"$H" sign kraken POST /0/private/Balance >out 2>err || fail "sign with room"
last=$(nonce)
names 0
fill 0
for turn in 1 2 3; do
  stopped "$H" sign fresh POST /0/private/Balance
  "$H" sign kraken POST /0/private/Balance >out 2>err || fail "a key whose file is there"
  next=$(nonce); [ "$next" -gt "$last" ] || fail "nonce $next after $last"; last=$next
done
room
"$H" sign fresh POST /0/private/Balance >out 2>err || fail "sign with room again"
"$H" sign kraken POST /0/private/Balance >out 2>err || fail "sign with room again"
[ "$(nonce)" -gt "$last" ] || fail nonces
"$H" agent status >out 2>err || fail "the agent runs on"
grep -q '6 signed' out || fail "it was the agent that signed"
"#
        ),
    ));
}

#[test]
fn what_an_agent_signed_before_it_knew_that_the_disk_is_full_is_in_the_log() {
    well(on_a_disk(
        4096,
        &format!(
            r#"{SET_UP}
"$H" agent >agent.out 2>agent.err &
agent=$!
trap 'kill $agent' EXIT
for try in $(seq 200); do "$H" agent status >out 2>err && break; sleep 0.1; done
line='{{"key":"kraken","method":"POST","path":"/0/private/Balance"}}'
yes "$line" | head -n 20 | "$H" sign --json >out 2>err || fail "sign with room"
fill 0
yes "$line" | head -n 6000 | "$H" sign --json >answers 2>err && fail "nothing was refused"
grep -q 'so nothing is signed: No space left' answers || fail "the disk is not named"
kill $agent; wait $agent
trap - EXIT
given=$(grep -c API-Sign answers)
logged=$("$H" audit show --json --what sign --outcome signed | wc -l)
# One came before the agent.
[ "$logged" = $((given + 21)) ] || fail "$given more signatures were given out, and $logged are in the log"
"$H" audit verify --no-token >out 2>err || fail "the log"
room
"$H" sign kraken POST /0/private/Balance >out 2>err || fail "sign with room again"
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
