#!/bin/sh
# What the tests need that cut networks: only root can run them.
set -eu
. tests/setup/lib

[ "$(id -u)" -eq 0 ] && ! have ip || exit 0
say "bringing ip ..."
unpack iproute2
starter ip "LD_LIBRARY_PATH=$(libraries)\${LD_LIBRARY_PATH:-} exec $(find "$cache/root" -path '*bin/ip' | head -n 1)"
