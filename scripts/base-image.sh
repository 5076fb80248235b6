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
. "$here/lib/bookworm.sh"
PROBE_SECONDS=${PROBE_SECONDS:-10}

usage() {
    cat <<TEXT
usage: scripts/base-image.sh [--from auto|registry|packages] [--tag NAME] [--yes]
                             [--help]

Builds $IMAGE, or NAME: Debian 12 with Python, pip, and the
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
    --tag) shift; IMAGE=${1:-} ;;
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

[ -n "$IMAGE" ] || die 2 "--tag takes a name" "scripts/base-image.sh --help"

choose_source() {
    [ "$from" = auto ] || { echo "$from"; return 0; }
    if registry_answers "$PUBLIC_IMAGE"; then
        echo registry
    else
        echo packages
    fi
}

# fingerprint SOURCE: changes when anything that goes into the image does.
fingerprint() {
    {
        echo "$1 $PUBLIC_IMAGE"
        cat "$here/lib/bookworm.sh" "$CONTEXT/Dockerfile" "$CONTEXT/install-packages.sh" \
            "$CONTEXT/packages.txt" "$bundle"
        [ "$1" = registry ] || bookworm_sources
    } | sha256sum | cut -c1-16
}

image_label() {
    docker image inspect --format "{{index .Config.Labels \"$1\"}}" "$IMAGE" 2>/dev/null
}

up_to_date() {
    inputs=$(image_label compose-ops.inputs) || return 1
    case $from in auto) candidates="registry packages" ;; *) candidates=$from ;; esac
    for candidate in $candidates; do
        [ "$inputs" != "$(fingerprint "$candidate")" ] || return 0
    done
    return 1
}

describe() {
    size=$(docker image inspect --format '{{.Size}}' "$IMAGE")
    say "$IMAGE: Python $(image_label compose-ops.python), $((size / 1000000)) MB${1:+ ($1)}"
}

build_image() {
    chosen=$(choose_source)
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    trap 'exit 130' INT TERM
    mkdir -p "$work/debs"
    cp "$CONTEXT/install-packages.sh" "$CONTEXT/packages.txt" "$work/"
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
