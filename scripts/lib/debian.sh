# shellcheck shell=sh
# Debian packages: which release this is, and installing without upgrading.
# Needs console.sh.

# distribution: "debian 12", "ubuntu 24.04", ... or "unknown".
distribution() {
    # shellcheck disable=SC1091  # the machine's file, not ours
    (. /etc/os-release 2>/dev/null && echo "${ID:-unknown} ${VERSION_ID:-}") ||
        echo unknown
}

# debian_codename: bookworm, trixie, ... of this machine; empty elsewhere.
debian_codename() {
    # shellcheck disable=SC1091  # the machine's file, not ours
    (. /etc/os-release && [ "$ID" = debian ] && echo "${VERSION_CODENAME:-}") 2>/dev/null
}

# debian_sources: the machine's own list of Debian mirrors.
debian_sources() {
    codename=$(debian_codename) || return 1
    for file in /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list; do
        if [ -r "$file" ] && grep -Eq "(^|[[:space:]])$codename([[:space:]]|\$)" "$file"
        then
            echo "$file"
            return 0
        fi
    done
    return 1
}

# add_trixie: make Debian 13's packages available by name, never by default.
# The mirror is the one that the machine uses already.
add_trixie() {
    sources=$(debian_sources) || return 1
    case $sources in
    *.sources) target=/etc/apt/sources.list.d/jimbot-trixie.sources ;;
    *) target=/etc/apt/sources.list.d/jimbot-trixie.list ;;
    esac
    preferences=/etc/apt/preferences.d/jimbot-trixie
    sed 's/bookworm/trixie/g' "$sources" | as_root tee "$target" >/dev/null
    for suite in trixie trixie-updates trixie-security; do
        printf 'Package: *\nPin: release n=%s\nPin-Priority: 100\n\n' "$suite"
    done | as_root tee "$preferences" >/dev/null
    as_root chmod 0644 "$target" "$preferences"
}

# quietly COMMAND...: its output appears only when it fails. In a subshell, or what
# the trap of an interrupted script says would go the same way.
quietly() {
    log=$(mktemp)
    if ("$@") >"$log" 2>&1 </dev/null; then
        rm -f "$log"
        return 0
    fi
    tail -n 25 "$log" >&2
    rm -f "$log"
    return 1
}

# refresh_packages: read the package lists again.
refresh_packages() {
    quietly as_root apt-get update -q -o DPkg::Lock::Timeout=120
}

# install_packages NAME...: add packages; refuse if that would upgrade or
# remove one that is there. Completes what an interrupted run left half installed.
install_packages() {
    [ -z "$(dpkg --audit)" ] || quietly as_root dpkg --configure --pending
    plan=$(LC_ALL=C apt-get install --simulate --no-install-recommends "$@" 2>&1) || {
        printf '%s\n' "$plan" | tail -n 15 >&2
        return 1
    }
    case $plan in
    *"
0 upgraded, "*" 0 to remove"*) ;;
    *)
        printf '%s\n' "$plan" | grep -E 'upgraded,|UPGRADED|REMOVED' >&2
        error "installing $* would change packages that are installed"
        return 1
        ;;
    esac
    quietly as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y \
        --no-install-recommends -o DPkg::Lock::Timeout=120 "$@"
}
