#!/bin/sh
# Consul, from its Go module. Building takes minutes, so it goes on in the background: tests that need Consul wait for it
# (tests/support/consul.py).
set -eu
. tests/setup/lib

! have consul || exit 0
place=$cache/consul
mkdir -p "$place" "$cache/bin"

if [ "${1:-}" = build ]; then
    cd "$place"
    rm -f go.mod go.sum
    go mod init build
    printf 'package main\n\nfunc main() {}\n' >main.go # Go installs by version only what replaces no dependencies
    GOFLAGS=-mod=mod go get github.com/hashicorp/consul@v1.6.10
    go build -ldflags '-s -w' -o "$cache/bin/consul.new" github.com/hashicorp/consul
    mv "$cache/bin/consul.new" "$cache/bin/consul"
    exit
fi

exec 9>"$place/lock" # held until the build is over
flock --nonblock 9 || exit 0
if ! command -v go >/dev/null; then
    say 'bringing go ...'
    unpack golang-go
    GOROOT=$(echo "$cache"/root/usr/lib/go-*)
    export GOROOT PATH="$GOROOT/bin:$PATH"
fi
say 'building consul, in the background ...'
CGO_ENABLED=0 nice -n 19 "$0" build >"$place/log" 2>&1 </dev/null &
