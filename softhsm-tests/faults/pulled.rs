//! The switch that denies everything, pulled on a disk without room: whoever fills the disk keeps nobody from it.

use super::full_disk::{SET_UP, on_a_disk, well};

#[test]
fn the_switch_can_be_pulled_and_put_back_on_a_full_disk() {
    well(on_a_disk(
        1024,
        &format!(
            r#"{SET_UP}
"$H" agent >agent.out 2>agent.err &
trap 'kill $!' EXIT
for try in $(seq 200); do "$H" agent status >out 2>err && break; sleep 0.1; done
sign() {{ "$H" sign kraken POST /0/private/Balance >out 2>err; }}
sign || fail "sign by the agent"
off() {{ sign && fail "signed though $1"; true; }}
for kind in names pages; do
  for earlier in never before; do
    [ $earlier = before ] && {{ "$H" lock --all >out 2>err && "$H" unlock --all >out 2>err || fail "with room"; }}
    $kind 0
    "$H" lock --all >out 2>err || fail "lock --all without $kind, pulled $earlier"
    grep -q 'every key is denied everything' out || fail "it says nothing"
    off "locked without $kind, pulled $earlier"
    room
    off "locked, with room again"
    "$H" lock --all >out 2>err || fail "lock --all again"
    # What the log was behind with comes first.
    for try in $(seq 50); do off "locked twice"; grep -q 'lock --all' err && break; sleep 0.1; done
    grep -q 'lock --all' err || fail "the denial does not name the switch"
    "$H" unlock --all >out 2>err || fail "unlock --all"
    sign || fail "sign after unlock --all"
    rm "$HSMSIGN_HOME/policy/denied.json"
  done
done
# One key's switch, and that of all put back, where there is a file.
"$H" lock --all >out 2>err || fail "lock --all with room"
names 0
"$H" unlock --all >out 2>err || fail "unlock --all without room"
sign || fail "sign after unlock --all without room"
"$H" policy deny-all kraken >out 2>err || fail "deny-all without room"
off "its switch was pulled without room"
grep -q 'deny-all kraken --undo' err || fail "the denial does not name the key's switch"
room
"$H" policy deny-all kraken --undo >out 2>err || fail "deny-all --undo"
sign || fail "sign after all"
"#
        ),
    ));
}
