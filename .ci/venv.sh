# shellcheck shell=sh
# For ./dkron, ./test and .ci/run, which source it with root set: virtual environments from the lock files.

venv="$root/.venv"
pythons="/usr/bin/python3.11 python3.13 python3.12 python3.11 python3" # best first

die() {
    printf '%s: %s\n' "${0##*/}" "$1" >&2
    exit 1
}

# A name on PATH may be a shim with nothing behind it, so a candidate counts only once it has run.
find_python() {
    for name in $pythons; do
        python=$(command -v "$name") || continue
        "$python" -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && return
    done
    die "needs Python 3.11 or newer with its venv module; none of these will do: $pythons (try: apt-get install python3)"
}

# Installs pip and the build tools into DIR. Debian has no ensurepip without python3-venv, so any interpreter's pip may
# serve; where there is none, the wheel is fetched and checked against the lock file.
bring_pip() { # DIR
    for name in $pythons; do
        "$name" -m pip --version >/dev/null 2>&1 || continue
        "$name" -m pip --python "$1/bin/python" install --quiet -r "$root/requirements-build.txt" && return
    done
    wheel=$("$1/bin/python" "$root/.ci/fetch_pip.py" "$root/requirements-build.txt" "$1") &&
        "$1/bin/python" "$wheel/pip" install --quiet -r "$root/requirements-build.txt" &&
        rm "$wheel"
}

# Builds without isolation, or pip would fetch the build tools of source packages without looking at a hash.
install_locked() { # DIR LOCK_FILE
    "$1/bin/python" -m pip install --quiet --require-hashes --no-deps --no-build-isolation -r "$root/$2"
}

# Makes a new environment in DIR, over whatever is there.
make_venv() { # DIR
    find_python
    "$python" -m venv --clear --without-pip "$1" && bring_pip "$1"
}

# What the environment is bound to: its place, its interpreter and the lock files' checksums.
venv_key() { # LOCK_FILE...
    printf '%s\n' "$root"
    readlink -f "$venv/bin/python"
    (cd "$root" && cksum requirements-build.txt "$@")
}

# True if every line of the key is in the stamp; it is written last, so half an environment has none.
venv_holds() { # LOCK_FILE...
    [ -x "$venv/bin/python" ] && [ -f "$venv/stamp" ] && ! venv_key "$@" | grep -qvxF -f "$venv/stamp"
}

# Brings .venv up to the lock files; one process at a time does so, and the others wait for it.
ensure_venv() { # LOCK_FILE...
    venv_holds "$@" && return
    mkdir -p "$root/.cache"
    exec 9>"$root/.cache/venv.lock"
    flock 9
    if ! venv_holds "$@"; then
        printf '%s: installing %s into .venv ...\n' "${0##*/}" "$*" >&2
        fill_venv "$@" >&2 || die "could not make $venv; what went wrong stands above"
    fi
    exec 9>&-
}

# Keeps an environment that is sound and only behind its lock files, for agents may be running from it.
fill_venv() { # LOCK_FILE...
    venv_holds || make_venv "$venv" || return
    rm -f "$venv/stamp"
    for lock in "$@"; do
        install_locked "$venv" "$lock" || return
    done
    site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))') &&
        printf '%s\n' "$root" >"$site/dkronpy.pth" &&
        venv_key "$@" >"$venv/stamp.new" &&
        mv "$venv/stamp.new" "$venv/stamp"
}
