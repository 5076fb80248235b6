#!/bin/sh
# Make an empty database where there is none, and become the server.
set -eu
chown mysql: /var/lib/mysql
if [ ! -d /var/lib/mysql/mysql ]; then
    mariadb-install-db --user=mysql --auth-root-authentication-method=socket >/dev/null
fi
exec "$@"
