#!/usr/bin/env bash
# Installs what is missing, builds, and becomes Usher: gateway, worker and sweeper in one process, with a private
# PostgreSQL and a private Redis under .data/ unless DATABASE_URL and REDIS_URL are given. Ctrl-C stops all of it.
. "$(dirname "$0")/env.sh"

say "looking what this machine needs"
given=()
[ -z "${REDIS_URL:-}" ] || given+=(--no-redis)
[ -z "${DATABASE_URL:-}${DATABASE_URL_FILE:-}" ] || given+=(--no-postgresql)
scripts/install.sh "${given[@]}"
. scripts/env.sh
scripts/web.sh
say "building Usher (the first time takes some minutes)"
cargo build --release --locked --bin usher

export WEB_DIR=${WEB_DIR:-$root/web/dist}
# One machine plays the whole crowd here; the limits of an ordinary installation would stop it.
export RATE_LIMIT_MAX=${RATE_LIMIT_MAX:-10000} RATE_LIMIT_IP_MAX=${RATE_LIMIT_IP_MAX:-1000000}
export RATE_LIMIT_LOGIN_IP_MAX=${RATE_LIMIT_LOGIN_IP_MAX:-10000} RATE_LIMIT_LOGIN_MAX=${RATE_LIMIT_LOGIN_MAX:-10000}
export RATE_LIMIT_REFRESH_IP_MAX=${RATE_LIMIT_REFRESH_IP_MAX:-100000}
export RATE_LIMIT_READS_PER_SECOND=${RATE_LIMIT_READS_PER_SECOND:-100000}
export MAX_SOCKETS_PER_IP=${MAX_SOCKETS_PER_IP:-20000} MAX_CONNECTIONS_PER_IP=${MAX_CONNECTIONS_PER_IP:-50000}
say "starting Usher"
exec "${CARGO_TARGET_DIR:-target}/release/usher" "$@"
