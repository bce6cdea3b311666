#!/bin/sh
# PostgreSQL and MariaDB, as Debian has them.
set -eu
. tests/setup/lib

if ! have postgres || ! have initdb; then
    say 'bringing PostgreSQL ...'
    unpack postgresql-15
    for program in postgres initdb; do
        starter "$program" "LD_LIBRARY_PATH=$(libraries)\${LD_LIBRARY_PATH:-} exec $cache/root/usr/lib/postgresql/15/bin/$program"
    done
fi

if ! have mariadbd || ! have mariadb-install-db; then
    say 'bringing MariaDB ...'
    unpack mariadb-server-core mariadb-client-core
    # Whether it reads files of settings must be its first option.
    starter mariadbd "first=\$1; shift; LD_LIBRARY_PATH=$(libraries)\${LD_LIBRARY_PATH:-} \
    exec $cache/root/usr/sbin/mariadbd \"\$first\" --lc-messages-dir=$cache/root/usr/share/mysql"
    starter mariadb-install-db "LD_LIBRARY_PATH=$(libraries)\${LD_LIBRARY_PATH:-} exec $cache/root/usr/bin/mariadb-install-db --basedir=$cache/root/usr"
fi
