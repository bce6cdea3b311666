#!/bin/sh
# Prometheus, and promtool, which checks what it is to read.
set -eu
. tests/setup/lib

have prometheus && have promtool && exit 0
say "bringing Prometheus ..."
unpack prometheus
for program in prometheus promtool; do
    starter "$program" "exec $cache/root/usr/bin/$program"
done
