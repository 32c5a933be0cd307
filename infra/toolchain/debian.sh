#!/bin/sh
# Make sure that commands exist: debian.sh COMMAND[:PACKAGE] ...
# What is missing is installed from Debian's packages, or, where that is not possible,
# named in one line. The package is named like the command unless it says otherwise.
set -eu

missing=""
for pair in "$@"; do
    command -v "${pair%%:*}" >/dev/null || missing="$missing ${pair##*:}"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "this needs, and cannot install itself:$missing" >&2
    exit 1
fi
echo "installing$missing ..."
apt-get update -qq
# shellcheck disable=SC2086  a list of words
DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
    $missing >/dev/null
