#!/bin/sh
# Make .venv and install the pinned tools into it. $PYTHON may name the interpreter.
# The last step writes .venv/installed, so an interrupted run starts over.
set -eu

wanted='import sys; sys.exit(sys.version_info < (3, 11))'

find_python() {
    for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
        if command -v "$candidate" >/dev/null && "$candidate" -c "$wanted"; then
            echo "$candidate"
            return
        fi
    done
    echo "rotaware needs Python 3.11 or newer, and ${PYTHON:-python3} is not:" \
        "install one, or name it: make PYTHON=/path/to/python3" >&2
    exit 1
}

# Debian keeps this part of Python in a package of its own.
require_ensurepip() {
    if "$1" -c 'import ensurepip, venv' 2>/dev/null; then
        return
    fi
    package=$("$1" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "$1 cannot make virtual environments: install $package" >&2
        exit 1
    fi
    echo "installing $package ..."
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y "$package" >/dev/null
}

mkdir -p build
exec 9>build/venv.lock
flock 9
if [ .venv/installed -nt requirements/dev.txt ] &&
    [ .venv/installed -nt infra/toolchain/venv.sh ]; then
    exit 0 # somebody else has just made it
fi
python=$(find_python)
require_ensurepip "$python"
echo "installing the pinned tools into .venv (about a minute the first time) ..."
"$python" -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check \
    --require-hashes --requirement requirements/dev.txt
touch .venv/installed
