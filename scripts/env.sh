# What every script begins with: `. "$(dirname "$0")/env.sh"`. Not run by itself.
# shellcheck shell=bash

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD

# Node that install.sh has brought, where the system's own is too old.
node_dir=$root/.data/node/node_modules
if [ -x "$node_dir/node/bin/node" ]; then
    PATH=$node_dir/node/bin:$node_dir/.bin:$PATH
fi
tools_dir=${USHER_TOOLS_DIR:-$root/.data/tools}
PATH=$PATH:$tools_dir/bin:${CARGO_HOME:-$HOME/.cargo}/bin
export PATH
# The committed .sqlx answers for the database while building.
export SQLX_OFFLINE=true

say() { printf '▸ %s\n' "$*"; }
fail() {
    printf '✗ %s\n' "$*" >&2
    exit 1
}
has() { command -v "$1" >/dev/null 2>&1; }

# The newest PostgreSQL server's programs, or nothing.
postgres_bin() {
    local found
    found=$(printf '%s\n' /usr/lib/postgresql/*/bin/initdb | sort -t/ -k5 -n | tail -n 1)
    [ -x "$found" ] || found=$(readlink -f "$(command -v initdb || true)")
    [ -x "$found" ] && dirname "$found"
}
