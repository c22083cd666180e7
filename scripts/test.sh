#!/usr/bin/env bash
# Checks everything: scripts/test.sh
#
# Formatting, lints, dependencies, documentation, the scripts themselves, then all tests against the debug binary and
# real tokens: SoftHSM, NSS, kryoptic, opencryptoki in namespaces of its own (root only), and virtual YubiKeys behind a
# pcscd of its own (root only), which Yubico's ykman and yubikit use as well; and the Debian package under a systemd of its own
# (root only). Installs what is missing. A token that cannot be had is a line that says SKIPPED. Ends with the test runner's summary, and what the tests had to
# leave out; any failure fails the whole.

# shellcheck disable=SC2317  # the checks are functions that check() calls
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

case ${1:-} in
'') ;;
-h | --help) usage && exit ;;
*) die "takes no arguments; see --help" ;;
esac
cd "$root"

need_softhsm
need_linker
have pkcs11-tool || need_packages opensc
have shellcheck || need_packages shellcheck
need_cargo
need_cargo_tool cargo-deny 0.20.2
(need_packages libnss3 libnss3-tools) || say "SKIPPED: NSS cannot be had; what needs it says so"
(need_packages systemd util-linux dpkg-dev) || say "SKIPPED: systemd cannot be had; what needs it says so"
(need_packages python3-prometheus-client) || say "SKIPPED: Prometheus' parser cannot be had; what needs it says so"
(need_cargo_tool cargo-deb 3.8.0) || say "SKIPPED: cargo-deb cannot be had; what needs it says so"
(need_packages opencryptoki util-linux) || say "SKIPPED: opencryptoki cannot be had; what needs it says so"
(need_packages golang-go man-db) || say "SKIPPED: Go or man cannot be had; what needs them says so"
(need_packages curl openssl) || say "SKIPPED: curl or openssl cannot be had; what needs them says so"
(need_packages p11-kit p11-kit-modules) || say "SKIPPED: p11-kit cannot be had; what needs it says so"
(need_packages strace) || say "SKIPPED: strace cannot be had; what needs it says so"
[ "$(id -u)" -eq 0 ] || say "SKIPPED: only root looks into another process's memory and becomes another user; what needs it says so"
(need_virtual_reader) || say "SKIPPED: pcscd with the virtual reader vpcd cannot be had; what needs it says so"
(need_ykman 5.9.2) || say "SKIPPED: ykman cannot be had; what needs it says so"
(need_yubikit 1.0.0-alpha.0) || say "SKIPPED: the yubikit crate cannot be built here; what needs it says so"
(need_kryoptic 1.5.4) || say "SKIPPED: kryoptic cannot be had; what needs it says so"

# The tests bring their own folders; what the user has set up must not show through.
unset HSMSIGN_HOME HSMSIGN_SOCKET PCSCLITE_CSOCK_NAME SOFTHSM2_CONF LD_PRELOAD LD_AUDIT LD_LIBRARY_PATH
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

failed=()
skipped=77
# check NAME COMMAND…: a step that fails does not hide what the next ones find.
check() {
    step "$1"
    local status=0
    "${@:2}" || status=$?
    case $status in
    0) say "ok" ;;
    "$skipped") ;;
    *) failed+=("$1") ;;
    esac
}

docs() { RUSTDOCFLAGS="-D warnings" cargo doc --quiet --no-deps --locked; }

advisories() {
    local log=$scratch/advisories
    if timeout 60 cargo deny fetch db >"$log" 2>&1; then
        cargo deny --offline --locked check --hide-inclusion-graph advisories
    else
        say "SKIPPED: the advisory database could not be had"
        grep -m 1 -i fatal "$log" || tail -n 3 "$log"
        return "$skipped"
    fi
}

scripts_parse() { shellcheck --external-sources scripts/*.sh .ci/run; }

scripts_explain_themselves() {
    local script
    for script in scripts/*.sh scripts/*.py; do
        case $script in scripts/lib*) continue ;; esac
        "$script" --help >/dev/null || return 1
    done
}

# Twice: the second run finds its token and key.
quickstart() {
    local run
    for run in first second; do
        HSMSIGN_HOME=$scratch/home scripts/quickstart.sh --profile dev >"$scratch/quickstart" 2>&1 || {
            say "the $run run failed:"
            cat "$scratch/quickstart"
            return 1
        }
    done
}

# Which tokens the tests cannot have here: the runner shows nothing of a test that passes.
tokens() {
    local missing
    missing=$(cargo test --quiet --locked --test token_suite keys_are_unreadable -- --nocapture 2>&1 | grep '^SKIPPED' | sort -u)
    [ -z "$missing" ] || { say "$missing" && return "$skipped"; }
}

fuzz() {
    if ! (have c++ || need_packages g++) || ! (need_cargo_tool cargo-fuzz 0.13.2); then
        say "SKIPPED: cargo-fuzz or its C++ compiler cannot be had"
        return "$skipped"
    fi
    scripts/fuzz.sh --short >"$scratch/fuzz" 2>&1 || {
        tail -n 60 "$scratch/fuzz"
        return 1
    }
}

# Whether it runs; a debug binary's figures say nothing.
bench() {
    scripts/bench.sh --quick --profile dev >"$scratch/bench" 2>&1 || {
        cat "$scratch/bench"
        return 1
    }
}

programs() {
    (need_programs) >"$scratch/programs" 2>&1 && return
    tail -n 20 "$scratch/programs"
    say "SKIPPED: freqtrade and hummingbot cannot be had, so neither is started; what needs them says so"
    return "$skipped"
}

# Some calls of each exchange; scripts/bots.py tries all.
bots() {
    if ! (need_bots && need_bots_js); then
        say "SKIPPED: the libraries of bots cannot be had"
        return "$skipped"
    fi
    if ! .cache/bots/bin/mypy --config-file clients/python/pyproject.toml clients/python/src/hsmsign >"$scratch/bots" 2>&1 ||
        ! .cache/bots/bin/vermin -t=3.9- --violations --no-tips clients/python/src clients/python/run >"$scratch/bots" 2>&1 ||
        ! .cache/bots-js/node_modules/.bin/tsc --project clients/js/tests >"$scratch/bots" 2>&1 ||
        ! scripts/bots.py "$(built dev)/hsmsign" --sample 4 --check >"$scratch/bots" 2>&1 ||
        ! scripts/bots-bench.py "$(built dev)/hsmsign" >"$scratch/bots" 2>&1; then
        tail -n 40 "$scratch/bots"
        return 1
    fi
}

# skips [PROFILE]: what the tests of the last run said that they could not do here.
skips() {
    local report=${CARGO_TARGET_DIR:-target}/nextest/${1:-default}/junit.xml
    grep -oE 'SKIPPED: [^<]+' "$report" 2>/dev/null | sort | uniq -c | sed -E 's/^ *([0-9]+) SKIPPED: (.*)/SKIPPED (\1 tests): \2/' || true
}

check "formatting" cargo fmt --all --check
check "lints" cargo clippy --quiet --workspace --all-targets --locked -- -D warnings
check "licences, bans, sources" cargo deny --locked --log-level error check --hide-inclusion-graph licenses bans sources
check "advisories" advisories
check "documentation" docs
check "shellcheck" scripts_parse
check "the scripts' own help" scripts_explain_themselves
check "build" cargo build --quiet --locked --all-targets
check "quickstart" quickstart
check "benchmark" bench
check "fuzzing" fuzz
check "tokens" tokens
check "libraries of bots" bots
check "programs of bots" programs
check "documentation tests" cargo test --quiet --doc --locked

step "tests"
(need_pinentry) || say "SKIPPED: nobody is asked, since pinentry-curses cannot be had"
(need_chromium) || say "SKIPPED: the report is not looked at, since Chromium cannot be had"
tests=0
if (need_cargo_tool cargo-nextest 0.9.143); then
    cargo nextest run --locked ${CI:+--profile ci} 2>&1 || tests=$?
    skips ${CI:+ci}
else
    say "cargo-nextest cannot be had here; running cargo test instead"
    cargo test --locked --all-targets 2>&1 || tests=$?
fi
if [ ${#failed[@]} -gt 0 ]; then
    printf '\nfailed before the tests: %s\n' "$(printf '%s; ' "${failed[@]}" | sed 's/; $//')"
    exit 1
fi
exit "$tests"
