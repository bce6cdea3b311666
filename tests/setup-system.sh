#!/bin/sh
# Brings the programs that tests and benchmarks call, under .cache/system; says and does nothing where all are there already.
# What can't be had fails alone, and so will the tests that need it.
set -eu
cd "$(dirname "$0")/.."
exec >&2

failed=
for script in tests/setup/*.sh; do
    "$script" || failed="$failed $script"
done
[ -z "$failed" ]
