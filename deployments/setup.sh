#!/bin/sh
# Makes .venv beside the Makefile hold exactly what requirements/lock.txt says, and this checkout.
# Usage: sh deployments/setup.sh        (PYTHON=/path/to/python3.12 picks the interpreter)
# Called by every `make` target; when nothing changed, make does not call it at all.
set -eu
cd "$(dirname "$0")/.."

say() { printf 'trainset: %s\n' "$*" >&2; }
stop() { say "$*"; exit 1; }

install_with() {  # the command that installs $1 (Debian's name), as this machine would type it
    if command -v apt-get >/dev/null; then echo "sudo apt-get install -y $1"
    elif command -v dnf >/dev/null; then echo "sudo dnf install -y python3.12"
    elif command -v brew >/dev/null; then echo "brew install python@3.12"
    else echo "install Python 3.12 from python.org"
    fi
}

find_python() {  # the first interpreter that the lock file fits
    for name in ${PYTHON:-} python3 python3.13 python3.12 python3.11 python3.14; do
        if "$name" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' 2>/dev/null
        then echo "$name"; return; fi
    done
    stop "no Python 3.11 to 3.14 found; run: $(install_with python3-venv)"
}

if ! .venv/bin/python -c '' 2>/dev/null; then
    python=$(find_python)
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    "$python" -c 'import venv, ensurepip' 2>/dev/null ||
        stop "Python $version lacks its venv part; run: $(install_with "python$version-venv")"
    say "making .venv with Python $version; packages take 3 to 7 GB of disk, once"
    rm -rf .venv
    "$python" -m venv .venv
fi

.venv/bin/python -m pip install --quiet --require-hashes -r requirements/bootstrap.txt

# uv reads its own settings only: hand pip's mirror on, where this machine has one.
mirror=$(.venv/bin/python -m pip config get global.index-url 2>/dev/null) || mirror=
export UV_DEFAULT_INDEX="${UV_DEFAULT_INDEX:-${PIP_INDEX_URL:-$mirror}}"
[ -n "$UV_DEFAULT_INDEX" ] || unset UV_DEFAULT_INDEX
[ -t 2 ] && quiet= || quiet=--quiet  # a log file needs no list of 230 packages
export UV_SYSTEM_CERTS="${UV_SYSTEM_CERTS:-1}"  # a company's own certificates are trusted as pip does
# Compiled once here, on all cores, and not by every process where Python may not write .pyc files.
.venv/bin/uv pip sync $quiet --python .venv/bin/python --compile-bytecode --require-hashes \
  requirements/lock.txt
.venv/bin/uv pip install --python .venv/bin/python --quiet --no-deps --no-build-isolation --editable .
touch .venv/.stamp
