#!/usr/bin/env bash
# Builds hsmsign and signs a first request: scripts/quickstart.sh [--profile dev]
#
# Makes a development token (SoftHSM), imports the example key of Kraken's documentation, signs the documented request
# and compares. All it keeps is in $HSMSIGN_HOME, or, where that is not set, in .hsmsign-quickstart beside Cargo.toml:
# keys and tokens that you use already are not touched. Run it as often as you like; it goes on where it stopped.
# --profile dev builds faster, for tests.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

profile=release
while [ $# -gt 0 ]; do
    case $1 in
    --profile) profile=${2:?--profile wants a name} && shift 2 ;;
    -h | --help) usage && exit ;;
    *) die "does not know $1; see --help" ;;
    esac
done
cd "$root"

# Kraken's documented example, https://docs.kraken.com/api/docs/guides/spot-rest-auth: a secret that everyone knows.
example_secret='kQH5HW/8p1uGOVjbgWA7FunAmGO8lsSUXNsu3eow76sz84Q18fWxnyRzBHCd3pd5nE9qa99HAZtuZuj6F1huXg=='
example_body='nonce=1616492376594&ordertype=limit&pair=XBTUSD&price=37500&type=buy&volume=1.25'
documented='4/dpxb3iT4tp/ZCVEwSnEsLxx0bqyhLpdfOpc6fn7OR8+UClSV5n9E6aSS8MPtnRfp32bAb0nmbRn6H8ndwLUQ=='

if [ -z "${HSMSIGN_HOME:-}" ]; then
    HSMSIGN_HOME=$root/.hsmsign-quickstart
    unset HSMSIGN_SOCKET # an agent that runs already knows other keys
fi
export HSMSIGN_HOME

need_softhsm
need_linker
need_cargo

say "Building hsmsign (the first time takes a minute or two)"
cargo build --quiet --locked --profile "$profile" --bin hsmsign
hsmsign=$(built "$profile")/hsmsign

say "Using the folder $HSMSIGN_HOME"
if ! grep -qsE '^\[token\."?quickstart"?\]' "$HSMSIGN_HOME/config.toml"; then
    say "Making a development token"
    "$hsmsign" init --softhsm --token quickstart
fi
if ! "$hsmsign" show kraken-example >/dev/null 2>&1; then
    say "Importing Kraken's documented example key"
    printf '%s\n' "$example_secret" |
        "$hsmsign" import --exchange kraken --key kraken-example --token quickstart --api-key example-api-key
fi

say "Signing Kraken's documented request on the token"
headers=$("$hsmsign" sign kraken-example POST /0/private/AddOrder --data "$example_body" --output headers)
signature=$(printf '%s\n' "$headers" | tr -d '\r' | sed -n 's/^[Aa][Pp][Ii]-[Ss]ign: *//p')
say "  documented  $documented"
say "  hsmsign     $signature"
if [ "$signature" != "$documented" ]; then
    say "failed: the signatures differ"
    exit 1
fi
cat <<END
ok: the token made the documented signature

Next, with a key of your own:
  export PATH="$(built "$profile"):\$PATH" HSMSIGN_HOME="$HSMSIGN_HOME"
  hsmsign import --exchange kraken --api-key YOUR-API-KEY    # asks for the secret
  hsmsign sign kraken POST /0/private/Balance --output curl
A SoftHSM token is for trying things out. For a key that matters plug in a hardware token, leave HSMSIGN_HOME unset,
and begin with: hsmsign init
END
