# shellcheck shell=sh
# What the scripts say and ask. Sourced; sets ASSUME_YES from --yes or CI.

ASSUME_YES=${ASSUME_YES:-}
[ -z "${CI:-}" ] || ASSUME_YES=1

step() { printf '%s\n' "==> $*"; }
say() { printf '%s\n' "    $*"; }
error() { printf 'error: %s\n' "$1" >&2; }
hint() { printf 'hint: %s\n' "$1" >&2; }

# changed: remember that this run did something.
CHANGES=0
changed() { CHANGES=$((CHANGES + 1)); }

# die CODE MESSAGE HINT: one line of what happened, one of what to do next.
die() {
    error "$2"
    hint "$3"
    exit "$1"
}

# confirm QUESTION: true when the answer is yes. Without a terminal and without
# --yes nobody can answer, which counts as no.
confirm() {
    [ -z "$ASSUME_YES" ] || return 0
    [ -t 0 ] || return 1
    printf '    %s [y/N] ' "$1"
    read -r answer || return 1
    case $answer in [yY] | [yY][eE][sS]) return 0 ;; *) return 1 ;; esac
}

have() { command -v "$1" >/dev/null 2>&1; }

is_root() { [ "$(id -u)" -eq 0 ]; }

can_become_root() { is_root || have sudo; }

as_root() {
    if is_root; then "$@"; else sudo -- "$@"; fi
}
