# shellcheck shell=bash
# What the other scripts share. It is sourced, not run, by scripts that have set -euo pipefail.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
tools=$root/.cache/tools
PATH=$tools/bin:$PATH

say() { printf '%s\n' "$*"; }
step() { printf '\n== %s\n' "$*"; }
die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }

# Prints the comment block at the top of the calling script.
usage() { sed -n '2,/^[^#]/{s/^# \{0,1\}//p;}' "$0"; }

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif [ -n "${CI:-}" ]; then
        sudo -n "$@"
    else
        sudo "$@"
    fi
}

apt_get() { as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120 -o Dpkg::Use-Pty=0 "$@"; }

apt_updated=
# need_packages PKG…: installs those Debian packages that are missing; with none missing it asks for nothing.
need_packages() {
    local package log missing=()
    for package in "$@"; do
        [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)" = installed ] || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    have apt-get || die "needs what Debian packages as: ${missing[*]}. This system has no apt-get: install them its way, then run this again"
    [ "$(id -u)" -eq 0 ] || have sudo ||
        die "needs the packages: ${missing[*]}. Install them as root (apt-get install ${missing[*]}), then run this again"
    say "Installing ${missing[*]}"
    log=$(mktemp)
    if { [ -n "$apt_updated" ] || apt_get update || true; } >"$log" 2>&1 &&
        apt_get install -y --no-install-recommends "${missing[@]}" >>"$log" 2>&1; then
        apt_updated=yes
        rm -f "$log"
    else
        cat "$log" >&2
        rm -f "$log"
        die "apt-get could not install ${missing[*]}; its messages are above"
    fi
}

# A linker for cargo, whichever it is.
need_linker() { have cc || need_packages gcc libc6-dev; }

# SoftHSM's PKCS#11 module.
softhsm_module() {
    local module
    for module in /usr/lib/softhsm/libsofthsm2.so /usr/lib/*/softhsm/libsofthsm2.so /usr/lib64/libsofthsm2.so \
        /usr/lib64/pkcs11/libsofthsm2.so /usr/local/lib/softhsm/libsofthsm2.so; do
        [ -e "$module" ] && say "$module" && return
    done
    return 1
}
# need_chromium: for the test that looks at the report; it says SKIPPED where there is none.
need_chromium() {
    local name
    for name in chromium chromium-browser google-chrome; do
        ! have "$name" || return 0
    done
    need_packages chromium
}
# need_pinentry: for the tests that ask a person at a terminal; they say SKIPPED where there is none.
need_pinentry() { have pinentry-curses || need_packages pinentry-curses; }
need_softhsm() { softhsm_module >/dev/null || need_packages softhsm2; }

need_cargo() {
    have cargo || PATH=$PATH:${CARGO_HOME:-${HOME:-/nonexistent}/.cargo}/bin
    have cargo || die "needs Rust, which is not on PATH nor in ~/.cargo/bin. Install it from https://rustup.rs; if your own user has it, run this without sudo"
}

# need_cargo_tool NAME VERSION: the one on PATH, else NAME@VERSION built once into .cache/tools.
need_cargo_tool() {
    have "$1" && return
    say "Building $1 $2 into ${tools#"$root"/} (once; takes some minutes)"
    cargo install --quiet --locked --root "$tools" "$1@$2"
}

# need_kryoptic VERSION: the PKCS#11 module of kryoptic, built once into .cache/kryoptic.
need_kryoptic() {
    local folder=$root/.cache/kryoptic source
    [ ! -e "$folder/release/libkryoptic_pkcs11.so" ] || [ "$(cat "$folder/version" 2>/dev/null)" != "$1" ] || return 0
    need_packages libssl-dev libsqlite3-dev libclang-dev pkg-config
    say "Building kryoptic $1 into ${folder#"$root"/} (once; takes some minutes)"
    mkdir -p "$folder/fetch/src" && : >"$folder/fetch/src/lib.rs" || return
    printf '%s\n' '[package]' 'name = "fetch"' 'version = "0.0.0"' 'edition = "2024"' '[workspace]' \
        '[dependencies]' "kryoptic = { version = \"=$1\", default-features = false }" >"$folder/fetch/Cargo.toml" || return
    cargo fetch --quiet --manifest-path "$folder/fetch/Cargo.toml" || return
    for source in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/"kryoptic-$1"; do
        cargo build --quiet --release --locked --manifest-path "$source/Cargo.toml" --target-dir "$folder" \
            --no-default-features --features minimal,kdf_all,kryoptic-lib/dynamic,ossl/dynamic || return
        say "$1" >"$folder/version"
        return
    done
}

# need_virtual_reader: pcscd with the driver vpcd, to which the tests' cards connect. The machine's own pcscd is not used.
need_virtual_reader() { need_packages pcscd vsmartcard-vpcd libpcsclite1 iproute2 util-linux coreutils; }

# fresh_venv FOLDER: an empty environment of Python, of 3.11 where that is there: what is put into them has wheels for it.
fresh_venv() {
    local python
    python=$(command -v python3.11 || command -v python3 || true)
    if ! "${python:-python3}" -c 'import ensurepip' 2>/dev/null; then
        need_packages python3 python3-venv
        python=$(command -v /usr/bin/python3) || return
    fi
    "$python" -m venv --clear "$1"
}

# need_ykman VERSION: Yubico's own program, once into .cache/ykman.
need_ykman() {
    local folder=$root/.cache/ykman
    [ "$("$folder/bin/ykman" --version 2>/dev/null | grep -o '[0-9.]*$')" != "$1" ] || return 0
    say "Installing ykman $1 into ${folder#"$root"/} (once)"
    fresh_venv "$folder" && "$folder/bin/pip" install --quiet --disable-pip-version-check "yubikey-manager==$1"
}

# need_yubikit VERSION: a small program over Yubico's own library, built once into .cache/yubikit.
need_yubikit() {
    local folder=$root/.cache/yubikit source=$root/softhsm-tests/yubikey/yubikit/main.rs
    if cmp -s "$source" "$folder/src/main.rs" && [ "$(cat "$folder/version" 2>/dev/null)" = "$1" ]; then return 0; fi
    need_packages libpcsclite-dev libudev-dev pkg-config
    say "Building yubikit $1 into ${folder#"$root"/} (once; takes some minutes)"
    mkdir -p "$folder/src" && cp "$source" "$folder/src/main.rs" || return
    printf '%s\n' '[package]' 'name = "yubikit-oath"' 'version = "0.0.0"' 'edition = "2024"' '[workspace]' \
        '[dependencies]' "yubikit = { version = \"=$1\", default-features = false, features = [\"pcsc\"] }" >"$folder/Cargo.toml" || return
    cargo build --quiet --manifest-path "$folder/Cargo.toml" --target-dir "$folder/target" || return
    say "$1" >"$folder/version"
}

# need_bots: the libraries that bots use, from PyPI into .cache/bots, at the versions of scripts/bots-requirements.txt.
# They ask for versions of one another that cannot be had together, so that all are named there. Two of them have the name
# of another's module, and stand apart.
need_bots() {
    local folder=$root/.cache/bots wanted=$root/scripts/bots-requirements.txt
    ! cmp -s "$wanted" "$folder/installed" || return 0
    say "Installing the libraries of bots into ${folder#"$root"/} (once; takes some minutes)"
    fresh_venv "$folder" || return
    # One of them cannot be built apart from what it needs.
    "$folder/bin/pip" install --quiet setuptools wheel || return
    grep -v '^bitfinex' "$wanted" >"$folder/most" && "$folder/bin/pip" install --quiet --no-deps -r "$folder/most" || return
    "$folder/bin/pip" install --quiet --no-deps --no-build-isolation -r "$wanted" || return
    "$folder/bin/pip" install --quiet --no-deps --target "$folder/apart/binance-connector" binance-connector==3.13.0 || return
    "$folder/bin/pip" install --quiet --no-deps --target "$folder/apart/python-kucoin" python-kucoin==2.2.0 || return
    cp "$wanted" "$folder/installed"
}

# need_bots_js: ccxt for Node, and what checks the types of clients/js, from npm into .cache/bots-js.
need_bots_js() {
    local folder=$root/.cache/bots-js wanted="ccxt@4.5.84 typescript@7.0.2 @types/node@26.6.6"
    { have node && have npm; } || need_packages nodejs npm
    [ "$(cat "$folder/installed" 2>/dev/null)" != "$wanted" ] || return 0
    say "Installing the libraries of bots in Node into ${folder#"$root"/} (once)"
    # shellcheck disable=SC2086  # one word a package
    mkdir -p "$folder" && (cd "$folder" && say '{"private":true}' >package.json &&
        npm install --silent --no-audit --no-fund --ignore-scripts $wanted) || return
    say "$wanted" >"$folder/installed"
}

# need_programs: bots that are programs, at the versions of scripts/programs-requirements.txt, into .cache/programs: freqtrade
# from wheels; and of hummingbot what is Python, since its parts in Cython take long to compile and sign nothing.
need_programs() {
    local folder=$root/.cache/programs wanted=$root/scripts/programs-requirements.txt
    ! cmp -s "$wanted" "$folder/installed" || return 0
    say "Installing freqtrade and hummingbot into ${folder#"$root"/} (once; takes some minutes)"
    fresh_venv "$folder" || return
    # One small package comes without a wheel.
    grep -v '^hummingbot=' "$wanted" >"$folder/wheels" &&
        "$folder/bin/pip" install --quiet --disable-pip-version-check --no-deps --only-binary :all: --no-binary sdnotify -r "$folder/wheels" || return
    mkdir -p "$folder/no-cython/Cython" && : >"$folder/no-cython/Cython/__init__.py" &&
        say 'def cythonize(*_, **__): return []' >"$folder/no-cython/Cython/Build.py" &&
        PYTHONPATH=$folder/no-cython "$folder/bin/pip" install --quiet --disable-pip-version-check --no-deps --no-build-isolation \
            --no-binary hummingbot "$(grep '^hummingbot=' "$wanted")" || return
    cp "$wanted" "$folder/installed"
}

# Where cargo puts what it builds with a profile.
built() {
    local folder=$1
    [ "$folder" = dev ] && folder=debug
    say "${CARGO_TARGET_DIR:-$root/target}/$folder"
}
