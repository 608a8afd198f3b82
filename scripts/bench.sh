#!/usr/bin/env bash
# Builds the load generator and runs it: `scripts/bench.sh crowd` or `scripts/bench.sh figures`, and its options.
. "$(dirname "$0")/env.sh"

scripts/install.sh
. scripts/env.sh
say "building the load generator"
# The figures start Usher themselves.
cargo build --release --locked -p bench -p standalone
# One socket per simulated shopper.
ulimit -n "$(ulimit -Hn)"
exec "${CARGO_TARGET_DIR:-target}/release/bench" "$@"
