#!/usr/bin/env bash
# Measures hsmsign against a bare PKCS#11 program: scripts/bench.sh [--quick] [--strict] [--agent] [--profile dev]
#
# Everything happens on SoftHSM tokens made for it in a temporary folder. Ends with one table: what, measured, against
# what, ratio, target, ok or miss. --strict exits 1 on a miss. --quick only shows that it runs: too few rounds to mean
# anything; --agent measures the agent alone. Figures are for a release build on an idle machine; read the ratios, not the milliseconds.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

profile=release
options=()
while [ $# -gt 0 ]; do
    case $1 in
    --quick | --strict | --agent) options+=("$1") && shift ;;
    --profile) profile=${2:?--profile wants a name} && shift 2 ;;
    -h | --help) usage && exit ;;
    *) die "does not know $1; see --help" ;;
    esac
done
cd "$root"

need_softhsm
need_linker
have pkcs11-tool || need_packages opensc
need_cargo

say "Building"
cargo build --quiet --locked --profile "$profile" --bin hsmsign --examples
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
unset HSMSIGN_HOME HSMSIGN_SOCKET SOFTHSM2_CONF
"$(built "$profile")/examples/compare" "$(built "$profile")" "$(softhsm_module)" "$scratch" ${options[@]+"${options[@]}"}
