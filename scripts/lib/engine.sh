# shellcheck shell=sh
# The Docker Engine: probes, installation and start. Needs console.sh, debian.sh.

ENGINE_MINIMUM=25.0.0
COMPOSE_MINIMUM=2.24.4
ENGINE_LOG=${ENGINE_LOG:-/var/log/dockerd.log}
DAEMON_PIDFILE=${DAEMON_PIDFILE:-/var/run/docker.pid}
ENGINE_START_SECONDS=${ENGINE_START_SECONDS:-60}

# Probes ask the daemon and the plugins: a client alone proves nothing.
engine_version() { docker version --format '{{.Server.Version}}' 2>/dev/null; }
compose_version() { docker compose version --short 2>/dev/null; }
buildx_version() { docker buildx version 2>/dev/null | awk '{print $2}'; }

# at_least VERSION MINIMUM
at_least() {
    [ "$(printf '%s\n%s\n' "${1#v}" "$2" | sort -V | head -n 1)" = "$2" ]
}

engine_answers() { [ -n "$(engine_version)" ]; }

engine_refuses_us() {
    docker version 2>&1 >/dev/null | grep -qi 'permission denied'
}

has_systemd() { [ -d /run/systemd/system ]; }

# engine_packages: what is missing here, as arguments for install_packages.
engine_packages() {
    suite=$1
    have dockerd || echo "docker.io$suite docker-cli$suite containerd$suite runc iptables"
    [ -n "$(compose_version)" ] || echo "docker-compose$suite"
    [ -n "$(buildx_version)" ] || echo "docker-buildx$suite"
}

# manual_lines: the two lines to type where this script does not install.
manual_lines() {
    if have apt-get; then
        echo "sudo apt-get install docker.io docker-compose-v2 docker-buildx"
    elif have dnf; then
        echo "sudo dnf install moby-engine docker-compose docker-buildx"
    elif have pacman; then
        echo "sudo pacman -S docker docker-compose docker-buildx"
    elif have zypper; then
        echo "sudo zypper install docker docker-compose docker-buildx"
    elif have apk; then
        echo "sudo apk add docker docker-cli-compose docker-cli-buildx"
    else
        echo "install Docker Engine: https://docs.docker.com/engine/install/"
    fi
    if has_systemd; then
        echo "sudo systemctl enable --now docker"
    elif have rc-service; then
        echo "sudo rc-service docker start"
    else
        echo "sudo dockerd &"
    fi
}

install_by_hand() {
    error "$1"
    hint "type these two lines, then run this again:"
    manual_lines | sed 's/^/    /' >&2
    exit 5
}

install_engine() {
    case $(distribution) in
    "debian 12"*) suite=/trixie ;;
    "debian 13"*) suite= ;;
    *) install_by_hand "no Docker Engine, and $(distribution) is not one that this script installs on" ;;
    esac
    can_become_root ||
        install_by_hand "no Docker Engine, and installing it needs root or sudo"
    confirm "Install Docker Engine, Compose and Buildx from Debian 13?" ||
        install_by_hand "no Docker Engine, and nobody agreed to installing it"
    say "installing Docker Engine, Compose and Buildx"
    if [ -n "$suite" ]; then
        add_trixie || die 5 "found no list of Debian mirrors to copy" \
            "name one in /etc/apt/sources.list.d/debian.sources"
    fi
    refresh_packages || die 5 "the package lists could not be read" \
        "check the network and /etc/apt, then run this again"
    # shellcheck disable=SC2046  # a list of package names
    install_packages $(engine_packages "$suite") ||
        die 5 "Docker Engine could not be installed" \
            "see the lines above; nothing that was installed has changed"
}

# daemon_runs: there is one, which may be on its way up or down.
daemon_runs() {
    pid=$(cat "$DAEMON_PIDFILE" 2>/dev/null) || return 1
    awk '/^Name:/ {name = $2} /^State:/ {state = $2}
        END {exit !(name == "dockerd" && state != "Z")}' "/proc/$pid/status" 2>/dev/null
}

# start_daemon: the service manager where there is one, otherwise a daemon in a
# session of its own that outlives this shell. A daemon that is still stopping its
# containers would refuse a second one, so its end is awaited.
start_daemon() {
    if has_systemd; then
        quietly as_root systemctl start docker
        return
    fi
    deadline=$(($(date +%s) + ENGINE_START_SECONDS))
    while daemon_runs && ! engine_answers && [ "$(date +%s)" -lt "$deadline" ]; do
        sleep 0.2
    done
    ! engine_answers || return 0
    daemon_runs || as_root rm -f "$DAEMON_PIDFILE"
    # shellcheck disable=SC2016  # expanded by the inner shell
    as_root sh -c 'umask 022
        setsid dockerd </dev/null >>"$1" 2>&1 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&- &' \
        start-daemon "$ENGINE_LOG"
}

wait_for_daemon() {
    deadline=$(($(date +%s) + ENGINE_START_SECONDS))
    until engine_answers; do
        if engine_refuses_us; then return 0; fi
        [ "$(date +%s)" -lt "$deadline" ] || return 1
        sleep 0.2
    done
}

check_versions() {
    at_least "$(engine_version)" "$ENGINE_MINIMUM" ||
        die 5 "Docker Engine $(engine_version) is older than $ENGINE_MINIMUM" \
            "upgrade it; an engine that is there already is never changed by this script"
    at_least "$(compose_version)" "$COMPOSE_MINIMUM" ||
        die 5 "Compose $(compose_version) is older than $COMPOSE_MINIMUM" \
            "upgrade the Compose plugin of your Docker installation"
}

refused() {
    die 5 "the engine is there, but $(id -un 2>/dev/null || id -u) may not use it" \
        "sudo usermod -aG docker YOUR_NAME, log in again, then run this again"
}

# registry_answers IMAGE: it is here already, or a registry has it and says so soon.
registry_answers() {
    docker image inspect "$1" >/dev/null 2>&1 ||
        timeout "${PROBE_SECONDS:-10}" docker manifest inspect "$1" >/dev/null 2>&1
}

# ensure_engine: after this the engine, Compose and Buildx answer, or the
# script has ended with code 5. Prints what it found and what it changed.
ensure_engine() {
    engine_answers || ! engine_refuses_us || refused
    before=$CHANGES
    if { ! engine_answers && ! have dockerd; } ||
        [ -z "$(compose_version)" ] || [ -z "$(buildx_version)" ]; then
        install_engine
        changed
    fi
    if ! engine_answers; then
        can_become_root || install_by_hand "the Docker daemon is not running"
        say "starting the Docker daemon"
        start_daemon
        changed
        wait_for_daemon || die 5 \
            "the Docker daemon did not answer within $ENGINE_START_SECONDS s" \
            "its last words are in $ENGINE_LOG (or: journalctl -u docker)"
        ! engine_refuses_us || refused
    fi
    check_versions
    [ "$CHANGES" = "$before" ] && note= || note=" (new)"
    say "Engine $(engine_version), Compose $(compose_version), Buildx $(buildx_version)$note"
}
