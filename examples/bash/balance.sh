#!/usr/bin/env bash
# Signs a request with the key named by the first argument and hands it to curl, which sends it. Where an agent runs, hsmsign
# asks it. With --print, shows what curl would be given.
set -euo pipefail

key=${1:?"usage: balance.sh KEY [--print]"}
signed() { hsmsign sign "$key" POST /0/private/Balance --output curl; }

if [ "${2:-}" = --print ]; then
    signed
else
    curl --silent --show-error -K <(signed)
fi
