#!/bin/sh
# Brings the Debian programs that tests and benchmarks call: installed when root, else unpacked under .cache/system,
# where bin/ gets one starter for each. Says and does nothing where all are there already.
set -eu
cd "$(dirname "$0")/.."
cache=$PWD/.cache/system

missing=
for program in wrk; do # each is its package's name too
    [ -x "$cache/bin/$program" ] || command -v "$program" >/dev/null || missing="$missing $program"
done
[ -n "$missing" ] || exit 0
printf 'setup-system: bringing%s ...\n' "$missing" >&2
exec >&2

if [ "$(id -u)" -eq 0 ]; then
    apt-get update -qq
    # shellcheck disable=SC2086 # a list of names
    DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends $missing
    exit
fi

mkdir -p "$cache/lists/partial" "$cache/archives/partial" "$cache/bin"
apt() { apt-get -qq -o "Dir::State::Lists=$cache/lists" -o "Dir::Cache=$cache" -o Debug::NoLocking=true "$@"; }
apt update
# shellcheck disable=SC2086
packages=$(apt install --simulate --no-install-recommends $missing | awk '$1 == "Inst" { print $2 }')
# shellcheck disable=SC2086
(cd "$cache/archives" && apt download $packages)
for package in "$cache"/archives/*.deb; do
    dpkg-deb --extract "$package" "$cache/root"
done
libraries=$(find "$cache/root" -path '*/lib/*' -name '*.so.*' -printf '%h\n' | sort -u | tr '\n' ':')
for program in $missing; do
    printf '#!/bin/sh\nLD_LIBRARY_PATH=%s${LD_LIBRARY_PATH:-} exec %s "$@"\n' \
        "$libraries" "$cache/root/usr/bin/$program" >"$cache/bin/$program"
    chmod +x "$cache/bin/$program"
done
