#!/bin/sh
# Rewrite every file of locked requirements from what asks for them.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
. "$root/scripts/lib/console.sh"

usage() {
    cat <<'TEXT'
usage: scripts/lock.sh [--upgrade] [--help]

Writes requirements.lock: the exact versions and hashes, for every platform, of
what pyproject.toml asks for; and the same for the images of the application and
of Ray, from their requirements.in. Versions that still fit stay, unless --upgrade
is given. Needs uv (pip install uv).
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

# lock PYTHON OUTPUT WANTED...
lock() {
    python=$1 output=$2
    shift 2
    # shellcheck disable=SC2086  # empty or one flag
    uv pip compile "$@" --universal --python-version "$python" \
        --no-emit-index-url --no-annotate --no-header --quiet \
        --output-file "$output" $upgrade
    say "$output: $(grep -c == "$output") packages"
}

lock 3.11 requirements.lock pyproject.toml --extra certificates --extra encryption \
    --extra gpu --extra metrics --extra notify --group dev --generate-hashes
for name in requirements requirements-dev; do
    lock 3.9 "docker/services/app/$name.txt" "docker/services/app/$name.in" \
        --generate-hashes
done
# The Dockerfile names its packages itself, so these are constraints, without hashes.
lock 3.9 docker/services/ray/constraints.txt docker/services/ray/requirements.in
