#!/bin/sh
# Programs that Debian has.
set -eu
. tests/setup/lib

missing=
for program in etcd serf wrk redis-server; do
    have "$program" || missing="$missing $program"
done
[ -n "$missing" ] || exit 0
say "bringing$missing ..."
# shellcheck disable=SC2046,SC2086 # lists of names; but for etcd the packages are named as their programs
unpack $(printf '%s\n' $missing | sed 's/^etcd$/etcd-server/')
for program in $missing; do
    starter "$program" "LD_LIBRARY_PATH=$(libraries)\${LD_LIBRARY_PATH:-} exec $cache/root/usr/bin/$program"
done
