#!/bin/sh
# Brings the Debian programs that tests and benchmarks call: unpacked under .cache/system, where bin/ gets one starter for
# each; not installed, or a daemon would start with its package. Says and does nothing where all are there already.
set -eu
cd "$(dirname "$0")/.."
cache=$PWD/.cache/system

missing=
for program in etcd serf wrk; do
    [ -x "$cache/bin/$program" ] || command -v "$program" >/dev/null || missing="$missing $program"
done
[ -n "$missing" ] || exit 0
printf 'setup-system: bringing%s ...\n' "$missing" >&2
exec >&2

mkdir -p "$cache/lists/partial" "$cache/archives/partial" "$cache/bin"
apt() {
    apt-get -qq -o "Dir::State::Lists=$cache/lists" -o "Dir::Cache=$cache" -o Debug::NoLocking=true \
        -o "APT::Sandbox::User=$(id -un)" "$@"
}
apt update
# shellcheck disable=SC2086 # a list of names
names=$(printf '%s\n' $missing | sed 's/^etcd$/etcd-server/') # the others are named as their programs
# shellcheck disable=SC2086
packages=$(apt install --simulate --no-install-recommends $names | awk '$1 == "Inst" { print $2 }')
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
