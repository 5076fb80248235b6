#!/bin/sh
# Everything from nothing to green.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
. "$root/scripts/lib/console.sh"
. "$root/scripts/lib/debian.sh"
. "$root/scripts/lib/engine.sh"
. "$root/scripts/lib/node.sh"
. "$root/scripts/lib/python.sh"

usage() {
    cat <<'TEXT'
usage: scripts/test.sh [--yes] [--help] [PYTEST ARGUMENT...]

Makes the virtual environment, installs and starts a Docker Engine and installs
Node.js where there is none (asking first), builds the base image, and runs every check: the linters,
then all tests in one pytest run, which ends with the time per test file and
pytest's summary. With arguments, only pytest runs, and gets them:

  scripts/test.sh tests/unit
  scripts/test.sh -k backup --real-images

In CI a test that would be skipped for want of an engine fails.

Exit codes: 0 green; 1 a check failed; 2 usage; 5 no engine, no Python, no Node.js.
TEXT
}

case ${1:-} in
--yes) ASSUME_YES=1; shift ;;
--help | -h) usage; exit 0 ;;
esac
trap 'error "interrupted"; exit 130' INT TERM

run_linters() {
    step "Linters"
    "$VENV/bin/nox" --session lint
}

main() {
    cd "$root"
    step "Virtual environment"
    ensure_environment
    step "Docker Engine"
    ensure_engine
    step "Node.js"
    ensure_node
    PATH=$VENV/bin:$PATH
    export PATH
    if [ $# -eq 0 ]; then
        "$root/scripts/base-image.sh"
        run_linters
        set -- tests
    fi
    step "Tests"
    exec "$VENV/bin/python" -m pytest "$@"
}

main "$@"
