#!/bin/bash
# Waits until HOST:PORT takes TCP connections, then runs COMMAND.
#
#   wait-for-it.sh HOST:PORT [--timeout SECONDS] [-- COMMAND [ARGUMENT...]]
#
# Ends with 1 after SECONDS (60), with 2 on wrong usage, else with COMMAND's status.
# Bash opens the connection itself, so it runs in images without nc or curl.
set -u

refuse() {
    echo "error: $1" >&2
    echo "hint: wait-for-it.sh HOST:PORT [--timeout SECONDS] [-- COMMAND...]" >&2
    exit 2
}

address=${1-}
host=${address%:*}
port=${address##*:}
[[ $address == *:* && -n $host ]] || refuse "no HOST:PORT given"
[[ $port =~ ^[0-9]{1,5}$ ]] || refuse "$port is no port"
shift

timeout=60
if [[ ${1-} == --timeout ]]; then
    timeout=${2-}
    [[ $timeout =~ ^[0-9]+$ ]] || refuse "--timeout needs a number of seconds"
    shift 2
fi
if [[ $# -gt 0 ]]; then
    [[ $1 == -- ]] || refuse "$1 is not known here"
    shift
fi

deadline=$((SECONDS + timeout))
# shellcheck disable=SC2016 # the inner shell expands its own arguments
until timeout 2 bash -c 'exec 3<>"/dev/tcp/$0/$1"' "$host" "$port" 2>/dev/null; do
    if ((SECONDS >= deadline)); then
        echo "error: $host:$port takes no connection after $timeout s" >&2
        exit 1
    fi
    sleep 0.2
done
[[ $# -eq 0 ]] || exec "$@"
