#!/bin/sh
# What the dashboard is tested with: Chromium and its driver, as Debian has them, and axe-core, which judges accessibility.
set -eu
. tests/setup/lib

if ! have chromium || ! have chromedriver; then
    say "bringing Chromium ..."
    unpack chromium chromium-driver fonts-dejavu-core fontconfig-config
    root=$cache/root
    pulse=$(find "$root" -name 'libpulsecommon*' -printf '%h' -quit)
    path="LD_LIBRARY_PATH=$(libraries)$pulse:\${LD_LIBRARY_PATH:-}"
    [ ! -d "$root/etc/fonts" ] || path="$path FONTCONFIG_SYSROOT=$root"
    starter chromium "$path exec $root/usr/lib/chromium/chromium"
    starter chromedriver "$path exec $root/usr/bin/chromedriver"
fi

axe=4.14.1
integrity=sha512-FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==
[ ! -e "$cache/axe.js" ] || exit 0
say "bringing axe-core ..."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(cd "$work" && npm pack --silent "axe-core@$axe" >/dev/null)
[ "sha512-$(openssl dgst -sha512 -binary "$work"/*.tgz | base64 -w 0)" = "$integrity" ]
tar -xzf "$work"/*.tgz -C "$work"
mv "$work/package/axe.min.js" "$cache/axe.js"
