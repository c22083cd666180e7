#!/usr/bin/env bash
# Fuzzes what reads untrusted bytes: scripts/fuzz.sh [--seconds N] [--sanitize] [--short | --merge] [TARGET…]
#
# Each target, or all of them, for N seconds (600), beginning with fuzz/corpus/ and with what the vectors and scheme files
# give. What is found on the way stays in .cache/fuzz/. Stops at the first fault, and says how to have it again.
#   --sanitize  with AddressSanitizer, for the few files that are unsafe; slower
#   --short     a fixed number of runs that begin with the same seed: what scripts/test.sh does
#   --merge     no fuzzing: moves what reaches further than fuzz/corpus/ does from .cache/fuzz/ into it
# Needs no nightly Rust. docs/fuzzing.md has more.

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

seconds=600 sanitizer=none mode=long targets=()
while [ $# -gt 0 ]; do
    case $1 in
    -h | --help) usage && exit ;;
    --seconds) seconds=${2:?--seconds wants a number} && shift ;;
    --sanitize) sanitizer=address ;;
    --short | --merge) mode=${1#--} ;;
    -*) die "there is no $1; see --help" ;;
    *) targets+=("$1") ;;
    esac
    shift
done
cd "$root"

need_linker
have c++ || need_packages g++
need_cargo
need_cargo_tool cargo-fuzz 0.13.2

# The stable compiler knows the sanitizer behind this switch alone.
[ "$sanitizer" = none ] || export RUSTC_BOOTSTRAP=1
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <(cargo fuzz list)
build=(--sanitizer "$sanitizer" --codegen-units 16)
# The release profile is made for speed at any price; here it is built for a short run too.
export CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_STRIP=none CARGO_PROFILE_RELEASE_DEBUG=line-tables-only
cargo fuzz build "${build[@]}" 2>/dev/null || cargo fuzz build "${build[@]}"

work=.cache/fuzz
if [ "$mode" = long ]; then
    # By the compiler as ever: the switch would build all of target/ anew, and once more for the next command.
    HSMSIGN_FUZZ_SEEDS=$root/$work/seeds env -u RUSTC_BOOTSTRAP cargo test --quiet --locked --test corpus signed_and_most >/dev/null
fi
# fuzz TARGET FOLDER… -- FLAG…
fuzz() { cargo fuzz run "${build[@]}" "$@"; }

for target in "${targets[@]}"; do
    found=$work/found/$target committed=fuzz/corpus/$target seeds=$work/seeds/$target
    mkdir -p "$found" "$seeds"
    flags=(-max_len=8192 -timeout=10 -print_final_stats=1)
    case $mode in
    long) fuzz "$target" "$found" "$committed" "$seeds" -- "${flags[@]}" -max_total_time="$seconds" ;;
    short)
        scratch=$(mktemp -d)
        cp "$committed"/* "$scratch"
        fuzz "$target" "$scratch" -- "${flags[@]}" -seed=1 -runs=5000 -max_total_time=20 -verbosity=0
        rm -r "$scratch"
        ;;
    merge) fuzz "$target" "$committed" "$found" -- "${flags[@]}" -set_cover_merge=1 ;;
    esac
done
