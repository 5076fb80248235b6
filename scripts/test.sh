#!/bin/sh
# Everything from nothing to green.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
. "$root/scripts/lib/console.sh"
. "$root/scripts/lib/debian.sh"
. "$root/scripts/lib/engine.sh"
. "$root/scripts/lib/node.sh"
. "$root/scripts/lib/prometheus.sh"
. "$root/scripts/lib/python.sh"

usage() {
    cat <<'TEXT'
usage: scripts/test.sh [--yes] [--quick | --all] [--help] [PYTEST ARGUMENT...]

Makes the virtual environment, installs a Docker Engine and Node.js where there
are none (asking first), takes two of Prometheus's tools into it, builds the base image, and runs every check: the linters,
then the tests in one pytest run, several at once, which ends with the time per
test file and pytest's summary.

  --quick  leave out the slow tests on the engine
  --all    also test what only an upgrade of Docker or of a product can change,
           onboarding from a machine with nothing but apt, and kill tasks at every
           step boundary

With other arguments, only pytest runs, and gets them:

  scripts/test.sh tests/unit
  scripts/test.sh -k backup --real-images

WORKERS=N runs N tests at once (default: one more than there are processors, as most
tests wait for the engine). In CI a test that would be skipped for want of
an engine fails.

Exit codes: 0 green; 1 a check failed; 2 usage; 5 no engine, no Python, no Node.js.
TEXT
}

extent=
while [ $# -gt 0 ]; do
    case $1 in
    --yes) ASSUME_YES=1 ;;
    --quick | --all) extent=$1 ;;
    --help | -h) usage; exit 0 ;;
    *) break ;;
    esac
    shift
done
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
    step "Prometheus's tools"
    ensure_prometheus
    if [ $# -eq 0 ]; then
        "$root/scripts/base-image.sh"
        run_linters
        set -- tests
    fi
    step "Tests"
    : "${WORKERS:=$(($(nproc) + 1))}"
    # Outside containers each process has the processor share of all containers together:
    # tests give way, or the services that they ask starve.
    exec nice -n 5 "$VENV/bin/python" -m pytest --numprocesses="$WORKERS" ${extent:+"$extent"} "$@"
}

main "$@"
