#!/bin/sh
# A Docker Engine with Compose and Buildx that answers.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
. "$here/lib/console.sh"
. "$here/lib/debian.sh"
. "$here/lib/engine.sh"

usage() {
    cat <<'TEXT'
usage: scripts/engine.sh [--yes] [--check] [--help]

Uses the Docker Engine that is there. Where there is none, installs one on
Debian 12 or 13 without upgrading anything, and starts the daemon where no
service manager does.

  --yes    answer every question with yes (CI does too)
  --check  only say whether the engine answers; change nothing

Exit codes: 0 it answers; 2 usage; 5 there is no engine.
TEXT
}

check=
for argument in "$@"; do
    case $argument in
    --yes) ASSUME_YES=1 ;;
    --check) check=1 ;;
    --help | -h) usage; exit 0 ;;
    *) die 2 "unknown argument: $argument" "scripts/engine.sh --help" ;;
    esac
done

step "Docker Engine"
if [ -n "$check" ] && ! engine_answers; then
    die 5 "no Docker Engine answers" "scripts/engine.sh installs and starts one"
fi
ensure_engine
