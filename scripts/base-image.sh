#!/bin/sh
# The base image that the offline stack is built on.
set -eu
umask 022
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$(dirname -- "$here")
. "$here/lib/console.sh"
. "$here/lib/debian.sh"
. "$here/lib/engine.sh"

IMAGE=localhost/jimbot-base:bookworm
PUBLIC_IMAGE=python:3.11-slim-bookworm
CONTEXT=$root/docker/standins/base
PROBE_SECONDS=${PROBE_SECONDS:-10}

usage() {
    cat <<TEXT
usage: scripts/base-image.sh [--from auto|registry|packages] [--yes] [--help]

Builds $IMAGE: Debian 12 with Python, pip, and the
certificates that this machine trusts. With auto (the default) it is based on
$PUBLIC_IMAGE where that is here already or a registry
answers within $PROBE_SECONDS s, otherwise it is made of Debian 12's packages, as any
user who may use the engine. DEBIAN_MIRROR=URL names another mirror than the
machine's own. A second run changes nothing.

Exit codes: 0 done; 2 usage; 4 the build failed; 5 no engine.
TEXT
}

from=auto
while [ $# -gt 0 ]; do
    case $1 in
    --yes) ASSUME_YES=1 ;;
    --from) shift; from=${1:-} ;;
    --from=*) from=${1#--from=} ;;
    --help | -h) usage; exit 0 ;;
    *) die 2 "unknown argument: $1" "scripts/base-image.sh --help" ;;
    esac
    shift
done
case $from in
auto | registry | packages) ;;
*) die 2 "--from takes auto, registry or packages, not '$from'" "scripts/base-image.sh --help" ;;
esac

# host_ca_bundle: the file of certificates that this machine trusts.
host_ca_bundle() {
    for file in "${SSL_CERT_FILE:-}" /etc/ssl/certs/ca-certificates.crt \
        /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem; do
        if [ -n "$file" ] && [ -r "$file" ]; then echo "$file"; return 0; fi
    done
    return 1
}

# bookworm_sources: the machine's mirrors, for Debian 12 whatever it runs itself.
bookworm_sources() {
    if [ -n "${DEBIAN_MIRROR:-}" ]; then
        printf 'Types: deb\nURIs: %s\nSuites: bookworm\nComponents: main\n' "$DEBIAN_MIRROR"
        echo 'Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg'
        return 0
    fi
    file=$(debian_sources) || return 1
    sed "s/$(debian_codename)/bookworm/g" "$file"
}

choose_source() {
    [ "$from" = auto ] || { echo "$from"; return 0; }
    if registry_answers "$PUBLIC_IMAGE"; then
        echo registry
    else
        echo packages
    fi
}

# private_apt STATE ARGUMENT...: apt-get on lists and a cache of its own, for any
# user, as if nothing were installed.
private_apt() {
    state=$1
    shift
    apt-get -q -y -o Dir::State="$state" -o Dir::State::status="$state/status" \
        -o Dir::Cache="$state/cache" -o Dir::Etc::sourcelist="$state/bookworm.$sources_kind" \
        -o Dir::Etc::sourceparts=- -o Dir::Etc::preferences=/dev/null \
        -o Dir::Etc::preferencesparts=- -o APT::Sandbox::User= \
        -o Debug::NoLocking=1 -o Acquire::Languages=none "$@"
}

# unpack_packages DIRECTORY: root.tar and debs/ for the Dockerfile.
unpack_packages() {
    work=$1
    if [ -n "${DEBIAN_MIRROR:-}" ]; then sources_kind=sources; else
        file=$(debian_sources) || die 4 "this machine names no Debian mirror" \
            "DEBIAN_MIRROR=URL names one; it also needs Debian's debian-archive-keyring"
        sources_kind=${file##*.}
    fi
    mkdir -p "$work/apt/lists/partial" "$work/apt/cache/archives/partial" "$work/debs"
    : >"$work/apt/status"
    bookworm_sources >"$work/apt/bookworm.$sources_kind"
    quietly private_apt "$work/apt" update || die 4 "Debian 12's package lists could not be read" \
        "check the mirror in $(debian_sources || echo DEBIAN_MIRROR)"
    # shellcheck disable=SC2046  # a list of package names
    quietly private_apt "$work/apt" install --download-only --no-install-recommends \
        '?essential' $(cat "$CONTEXT/packages.txt") ||
        die 4 "Debian 12's packages could not be fetched" "see the lines above"
    mv "$work"/apt/cache/archives/*.deb "$work/debs/"
    make_root "$work" "$work/tree"
}

make_root() {
    tree=$2
    mkdir -p "$tree/usr" "$tree/etc/apt/sources.list.d" "$tree/etc/dpkg/dpkg.cfg.d" \
        "$tree/etc/apt/apt.conf.d" "$tree/var/lib/dpkg/info" "$tree/var/lib/dpkg/updates"
    for name in bin sbin lib lib32 lib64 libx32; do
        mkdir "$tree/usr/$name"
        ln -s "usr/$name" "$tree/$name"
    done
    for deb in "$1"/debs/*.deb; do
        dpkg-deb --fsys-tarfile "$deb" |
            tar -xp -C "$tree" --keep-directory-symlink --no-same-owner
    done
    : >"$tree/var/lib/dpkg/status"
    : >"$tree/var/lib/dpkg/available"
    cp "$1/apt/bookworm.$sources_kind" "$tree/etc/apt/sources.list.d/debian.$sources_kind"
    printf 'path-exclude=/usr/share/%s/*\n' doc man info locale lintian \
        >"$tree/etc/dpkg/dpkg.cfg.d/slim"
    echo 'path-include=/usr/share/doc/*/copyright' >>"$tree/etc/dpkg/dpkg.cfg.d/slim"
    # shellcheck disable=SC2016  # apt's own syntax
    printf '%s\n' 'DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb"; };' \
        'Acquire::Languages "none";' 'Acquire::GzipIndexes "true";' \
        >"$tree/etc/apt/apt.conf.d/slim"
    (cd "$tree/usr/share" && find man info locale lintian -mindepth 1 -delete 2>/dev/null) || :
    tar -c -C "$tree" --owner=0 --group=0 --numeric-owner -f "$1/root.tar" .
    chmod -R u+rwX "$tree"
    rm -rf "$tree" "$1/apt"
}

# fingerprint SOURCE: changes when anything that goes into the image does.
fingerprint() {
    {
        echo "$1 $PUBLIC_IMAGE"
        cat "$0" "$CONTEXT/Dockerfile" "$CONTEXT/install-packages.sh" "$CONTEXT/packages.txt" "$bundle"
        [ "$1" = registry ] || bookworm_sources
    } | sha256sum | cut -c1-16
}

image_label() {
    docker image inspect --format "{{index .Config.Labels \"$1\"}}" "$IMAGE" 2>/dev/null
}

up_to_date() {
    inputs=$(image_label jimbot.stack.inputs) || return 1
    case $from in auto) candidates="registry packages" ;; *) candidates=$from ;; esac
    for candidate in $candidates; do
        [ "$inputs" != "$(fingerprint "$candidate")" ] || return 0
    done
    return 1
}

describe() {
    size=$(docker image inspect --format '{{.Size}}' "$IMAGE")
    say "$IMAGE: Python $(image_label jimbot.stack.python), $((size / 1000000)) MB${1:+ ($1)}"
}

build_image() {
    chosen=$(choose_source)
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    trap 'exit 130' INT TERM
    mkdir -p "$work/debs"
    cp "$CONTEXT/install-packages.sh" "$work/"
    cp "$bundle" "$work/ca-bundle.crt"
    if [ "$chosen" = registry ]; then
        say "based on $PUBLIC_IMAGE"
        base=$PUBLIC_IMAGE python=${PUBLIC_IMAGE#python:} python=${python%%-*}
    else
        say "no registry answered: made of Debian 12's packages"
        unpack_packages "$work"
        base=packages python=$(find "$work/debs" -name 'python3_*' | sed -E 's/.*_(3\.[0-9]+).*/\1/')
    fi
    chmod -R go+rX "$work"
    quietly docker build --file "$CONTEXT/Dockerfile" --tag "$IMAGE" \
        --build-arg ROOT="$base" --build-arg PYTHON="$python" \
        --build-arg INPUTS="$(fingerprint "$chosen")" "$work" ||
        die 4 "the base image could not be built" "see the lines above"
}

step "Base image"
ensure_engine
bundle=$(host_ca_bundle) || die 4 "this machine has no file of trusted certificates" \
    "install ca-certificates, or set SSL_CERT_FILE"
if up_to_date; then
    describe "unchanged"
else
    build_image
    describe new
fi
