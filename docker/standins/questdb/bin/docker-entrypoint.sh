#!/usr/bin/env bash
# Make the data questdb's, then step down and run the server.
set -Eeo pipefail

data=${QUESTDB_DATA_DIR:-/var/lib/questdb}

if [[ $# -eq 0 ]]; then
    set -- /app/bin/java -m io.questdb/io.questdb.ServerMain -d "$data" -f
elif [[ $1 == -* ]]; then
    set -- /app/bin/java "$@"
fi

if [[ $(id -u) == 0 && ${RUN_AS_ROOT:-false} == false ]]; then
    echo "Running as questdb user"
    if [[ ${DO_CHOWN:-true} == true ]]; then
        find "$data" \( ! -user questdb -o ! -group questdb \) -exec chown questdb:questdb {} +
    fi
    exec gosu questdb:questdb "$@"
fi
exec "$@"
