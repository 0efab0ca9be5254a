# Sourced by scripts/demo and scripts/test: brings this clone's own environment, .venv.
# Needs Python 3.11 or newer with venv, and pip's configured package index; bash 3.2 will do.
# shellcheck shell=bash

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
VENV="$ROOT/.venv"
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1

say() { printf '%s\n' "$*"; }

fail() { # fail PROBLEM REMEDY
    printf '%s\n  %s\n' "$1" "$2" >&2
    exit 1
}

is_root_on_debian() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; }

apt_install() { # apt_install PACKAGE...
    say "· installing $* with apt-get"
    DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 update >/dev/null &&
        DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 \
            install --no-install-recommends "$@" >/dev/null
}

is_new_enough() { # is_new_enough PYTHON
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

find_python() { # prints the interpreter; PYTHON chooses another
    local name
    for name in ${PYTHON:+"$PYTHON"} python3.13 python3.12 python3.11 python3; do
        if is_new_enough "$name"; then
            command -v "$name"
            return 0
        fi
    done
    return 1
}

make_venv() {
    local python
    python="$(find_python)" || fail "No Python 3.11 or newer was found." \
        "Install one (Debian: apt-get install python3-venv; macOS: brew install python@3.13) or set PYTHON to it."
    if ! "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
        if [ -n "${CI:-}" ] && is_root_on_debian; then apt_install python3-venv; fi
        "$python" -c 'import ensurepip, venv' >/dev/null 2>&1 || fail "$python has no venv module." \
            "Debian and Ubuntu keep it in a package of its own: apt-get install python3-venv"
    fi
    say "· making .venv with $("$python" --version)"
    "$python" -m venv --clear "$VENV"
}

lock_fingerprint() { # lock_fingerprint LOCK...: changes when a lock, the project or Python does
    (cd "$ROOT" && "$VENV/bin/python" - "$@" pyproject.toml) <<'PYTHON'
import hashlib, pathlib, sys
sums = [hashlib.sha256(pathlib.Path(name).read_bytes()).hexdigest() for name in sys.argv[1:]]
print(sys.version_info[:2], sys.prefix, *sums)
PYTHON
}

# set_up runtime | dev: the locked packages by hash, then this clone, editable, with nothing else.
set_up() {
    local lock="requirements/$1.txt" build="requirements/build.txt" fingerprint
    is_new_enough "$VENV/bin/python" || make_venv
    fingerprint="$(lock_fingerprint "$lock" "$build")" || fail "$lock or $build is missing." \
        "Restore it with git, or make it with scripts/lock."
    # What was installed for development serves the demo as well.
    if grep -qsxF "$fingerprint" "$VENV/.installed-$1"; then return 0; fi
    if [ "$1" = runtime ] && is_set_up_for dev; then return 0; fi
    say "· installing $lock (the first time takes a minute)"
    (
        cd "$ROOT" &&
            "$VENV/bin/python" -m pip install --quiet --require-hashes -r "$lock" -r "$build" &&
            "$VENV/bin/python" -m pip install --quiet --no-deps --no-build-isolation --editable .
    ) || fail "Installing $lock failed; pip says why above." \
        "Check that pip can reach its package index (pip config list), then run this again."
    printf '%s\n' "$fingerprint" >"$VENV/.installed-$1"
}

is_set_up_for() { # is_set_up_for runtime | dev
    grep -qsxF "$(lock_fingerprint "requirements/$1.txt" requirements/build.txt)" "$VENV/.installed-$1"
}

# The browser tests need Chromium or Chrome; where we may install it, we do.
bring_chromium() {
    if (cd "$ROOT" && "$VENV/bin/python" -m tests.support.chromium >/dev/null 2>&1); then return 0; fi
    if [ -n "${CI:-}" ] && is_root_on_debian && apt_install chromium fonts-liberation; then return 0; fi
    say "· no Chromium or Chrome: tests that look at rendered pages can't run. Install one, or set"
    say "  CHROMIUM to its executable."
}
