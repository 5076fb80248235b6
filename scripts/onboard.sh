#!/bin/sh
# From an empty machine to a healthy stack.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
. "$root/scripts/lib/console.sh"
. "$root/scripts/lib/debian.sh"
. "$root/scripts/lib/engine.sh"
. "$root/scripts/lib/python.sh"
. "$root/scripts/lib/completion.sh"

usage() {
    cat <<'TEXT'
usage: scripts/onboard.sh [--yes] [--offline] [--help]

Takes this clone to a healthy stack: virtual environment, Docker Engine, .env
and secrets, then "invoke up --dev". Where no image registry answers, or the
machine has less memory than the services ask for, it adds --offline and says so.
Every step looks first and does only what is missing: a second run changes
nothing, and an interrupted one goes on where it stopped.

  --yes      answer every question with yes (CI does too)
  --offline  do not ask a registry

Exit codes: 0 all services are healthy; 2 usage; 5 no engine or no Python;
otherwise the code of the invoke task that failed; 130 interrupted.
TEXT
}

offline=
for argument in "$@"; do
    case $argument in
    --yes) ASSUME_YES=1 ;;
    --offline) offline=asked ;;
    --help | -h) usage; exit 0 ;;
    *) die 2 "unknown argument: $argument" "scripts/onboard.sh --help" ;;
    esac
done
trap 'error "interrupted"; hint "run it again: it goes on where it stopped"; exit 130' INT TERM

task() { "$VENV/bin/invoke" "$@" || exit; }

# dev_model: what Compose makes of the dev files.
dev_model() {
    docker compose -f docker-compose.yml -f docker-compose.dev.yml config --format json \
        2>/dev/null
}

containers() {
    docker ps --all --quiet --no-trunc --filter \
        "label=com.docker.compose.project=$(project_name)" | sort
}

project_name() {
    dev_model | "$VENV/bin/python" -c 'import json, sys; print(json.load(sys.stdin)["name"])'
}

started_offline() {
    docker ps --all --filter "label=com.docker.compose.project=$(project_name)" \
        --format '{{.Label "com.docker.compose.project.config_files"}}' |
        grep -q 'overlays/offline.yml'
}

memory_is_short() {
    demand=$(dev_model | "$VENV/bin/python" scripts/lib/memory_demand.py) || return 1
    present=$(awk '/^MemTotal:/ {print $2 * 1024}' /proc/meminfo)
    [ "$(printf '%.0f' "$present")" -lt "$demand" ] || return 1
    say "this machine has $((present >> 30)) GiB of memory, the services ask for $((demand >> 30))"
}

# choose_mode: sets offline when the stack cannot or should not run as published.
choose_mode() {
    if [ -n "$offline" ]; then
        say "offline, as asked"
    elif started_offline; then
        say "offline, as the stack was started"
        offline=started
    elif ! registry_answers "memgraph/memgraph-mage:latest"; then
        say "no image registry answers: offline, with small stand-ins"
        offline=registry
    elif memory_is_short; then
        say "offline, with small stand-ins"
        offline=memory
    fi
}

next_steps() {
    cat <<'TEXT'

What to type next:
    . .venv/bin/activate     then "invoke" and "nox" are on PATH
    invoke --list            every task
    invoke status            what runs, and under which addresses
    invoke logs --service app --follow
    invoke down              stop; data stays
    ./scripts/test.sh        the whole test suite
TEXT
}

main() {
    cd "$root"
    started=$(date +%s)
    step "Virtual environment"
    ensure_environment
    step "Shell completion"
    offer_completion
    step "Docker Engine"
    ensure_engine
    step "Configuration"
    task init
    step "Stack"
    choose_mode
    before=$(containers)
    task up --dev ${offline:+--offline}
    [ "$(containers)" = "$before" ] || changed
    # The image that backups need stands on the base, which `up` may just have built.
    step "Backups"
    task init
    step "Status"
    task status
    next_steps
    echo
    if [ "$CHANGES" -eq 0 ]; then
        step "Nothing changed: everything was there ($(($(date +%s) - started)) s)"
    else
        step "Ready ($(($(date +%s) - started)) s)"
    fi
}

main
