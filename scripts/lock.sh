#!/bin/sh
# Rewrite requirements.lock from pyproject.toml.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
. "$root/scripts/lib/console.sh"

usage() {
    cat <<'TEXT'
usage: scripts/lock.sh [--upgrade] [--help]

Writes requirements.lock: the exact versions and hashes, for every platform, of
what pyproject.toml asks for. Versions that still fit stay, unless --upgrade is
given. Needs uv (pip install uv).
TEXT
}

upgrade=
for argument in "$@"; do
    case $argument in
    --upgrade) upgrade=--upgrade ;;
    --help | -h) usage; exit 0 ;;
    *) die 2 "unknown argument: $argument" "scripts/lock.sh --help" ;;
    esac
done
have uv || die 5 "uv is not installed" "pip install uv"
cd "$root"
# shellcheck disable=SC2086  # empty or one flag
uv pip compile pyproject.toml --group dev --universal --python-version 3.11 \
    --generate-hashes --no-emit-index-url --no-annotate --no-header --quiet \
    --output-file requirements.lock $upgrade
say "requirements.lock: $(grep -c == requirements.lock) packages"
