#!/bin/sh
# Start Ray within the limits that the container's environment states; run anything
# else as it is.
set -eu

# address_in SUBNET ADDRESS...: the first address that is in the subnet
address_in() {
    python -I -c 'import sys, ipaddress
subnet = ipaddress.ip_network(sys.argv[1])
print(next(a for a in sys.argv[2:] if ipaddress.ip_address(a) in subnet))' "$@"
}

# Every start makes a session; its logs and spilled objects stay in the volume.
SESSIONS=3

remove_old_sessions() {
    find "$1" -maxdepth 1 -type d -name 'session_[0-9]*' 2>/dev/null | sort -r |
        tail -n "+$SESSIONS" | while IFS= read -r session; do rm -rf -- "$session"; done
}

# The health check asks the raylet on this port; Ray would take any free one.
if [ "${1:-}" = ray ] && [ "${2:-}" = start ]; then
    remove_old_sessions "${RAY_TMPDIR:-/tmp/ray}"
    set -- "$@" --node-manager-port=6380 --disable-usage-stats
    if [ -n "${RAY_OBJECT_STORE_MEMORY:-}" ]; then
        set -- "$@" --object-store-memory="$RAY_OBJECT_STORE_MEMORY"
    fi
    if [ -n "${RAY_CPUS:-}" ]; then
        cpus=${RAY_CPUS%%.*}
        set -- "$@" --num-cpus="$((cpus > 0 ? cpus : 1))"
    fi
    # On several networks Ray would tell the other nodes any of this one's addresses.
    if [ -n "${RAY_SUBNET:-}" ]; then
        # shellcheck disable=SC2046  # one word for each address
        set -- "$@" --node-ip-address="$(address_in "$RAY_SUBNET" $(hostname -I))"
    fi
fi
exec "$@"
