#!/usr/bin/env bash
# Builds the Debian package: scripts/package.sh [--profile NAME] [--output FOLDER]
#
# The program is built with the release profile, or the one that is named, and makes its manual pages and completions
# itself; cargo-deb puts all together, and is built once into .cache/tools where it is missing. Prints the package's path.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

profile=release output=
while [ $# -gt 0 ]; do
    case $1 in
    --profile) profile=${2:?--profile needs a name} && shift 2 ;;
    --output) output=$(realpath -m "${2:?--output needs a folder}") && shift 2 ;;
    -h | --help) usage && exit ;;
    *) die "does not know $1; see --help" ;;
    esac
done
cd "$root"
need_linker
need_cargo
need_cargo_tool cargo-deb 3.8.0 >&2
have dpkg-shlibdeps || need_packages dpkg-dev >&2

cargo build --quiet --locked --profile "$profile"
program=$(built "$profile")/hsmsign
made=target/package
rm -rf "$made"
mkdir -p "$made"
"$program" man --all "$made/man"
"$program" completions bash >"$made/hsmsign.bash"
"$program" completions zsh >"$made/_hsmsign"
"$program" completions fish >"$made/hsmsign.fish"
# Only what is given away is worth the time of the tight compression.
[ "$profile" = release ] || set -- --fast
cargo deb --quiet --locked --no-build --profile "$profile" "$@" --output "${output:-target/debian}"
