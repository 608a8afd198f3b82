#!/usr/bin/env bash
# Runs a command with DATABASE_URL set to a throwaway PostgreSQL that has all migrations, and removes it afterwards.
. "$(dirname "$0")/env.sh"

bin=$(postgres_bin) || fail "PostgreSQL is not installed: run scripts/install.sh"
# Not in TMPDIR: PostgreSQL's user must be able to go there, and the socket's path must be short.
dir=$(mktemp -d /tmp/usher-postgres.XXXXXX)
as_postgres=()
if [ "$(id -u)" = 0 ]; then
    # PostgreSQL refuses root.
    as_postgres=(setpriv --reuid=postgres --regid=postgres --clear-groups)
    chown postgres: "$dir"
fi
in_postgres() { (cd / && "${as_postgres[@]}" "$bin/$1" "${@:2}"); }
remove() {
    in_postgres pg_ctl stop -s -m immediate -D "$dir/data" || true
    rm -rf "$dir"
}
trap remove EXIT

in_postgres initdb -D "$dir/data" -U usher -A trust -E UTF8 --locale=C.UTF-8 --no-sync >"$dir/log"
in_postgres pg_ctl start -s -w -D "$dir/data" -l "$dir/server.log" -o "-c listen_addresses= -c fsync=off -k $dir"
export DATABASE_URL="postgres://usher@localhost/postgres?host=$dir"
export SQLX_OFFLINE=false
sqlx migrate run --source migrations
"$@"
