#!/usr/bin/env bash
# Renews .sqlx, from which the crates are built without a database. With --check it only tells whether it is current.
. "$(dirname "$0")/env.sh"

scripts/install.sh --sqlx-cli
. scripts/env.sh
scripts/with-postgres.sh cargo sqlx prepare --workspace "$@" -- --all-features --all-targets
