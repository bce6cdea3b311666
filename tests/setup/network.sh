#!/bin/sh
# What the tests need that cut networks: only root can run them.
set -eu
. tests/setup/lib

[ "$(id -u)" -eq 0 ] || exit 0
missing=
for program in ip iptables; do
    have "$program" || missing="$missing $program"
done
[ -n "$missing" ] || exit 0
say "bringing$missing ..."
# shellcheck disable=SC2046,SC2086 # lists of names
unpack $(printf '%s\n' $missing | sed 's/^ip$/iproute2/')
for program in $missing; do
    case $program in
    ip) command=$(find "$cache/root" -path '*bin/ip' | head -n 1) ;;
    iptables) command="env XTABLES_LIBDIR=$(dirname "$(find "$cache/root" -name libxt_tcp.so)") $cache/root/usr/sbin/xtables-nft-multi iptables" ;;
    esac
    starter "$program" "LD_LIBRARY_PATH=$(libraries)\${LD_LIBRARY_PATH:-} exec $command"
done
