#!/bin/sh
# Start Ray within the limits that the container's environment states; run anything
# else as it is.
set -eu

# The health check asks the raylet on this port; Ray would take any free one.
if [ "${1:-}" = ray ] && [ "${2:-}" = start ]; then
    set -- "$@" --node-manager-port=6380 --disable-usage-stats
    if [ -n "${RAY_OBJECT_STORE_MEMORY:-}" ]; then
        set -- "$@" --object-store-memory="$RAY_OBJECT_STORE_MEMORY"
    fi
    if [ -n "${RAY_CPUS:-}" ]; then
        cpus=${RAY_CPUS%%.*}
        set -- "$@" --num-cpus="$((cpus > 0 ? cpus : 1))"
    fi
fi
exec "$@"
