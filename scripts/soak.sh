#!/usr/bin/env bash
# The proofs that take longer than a test may, in release builds, and then the figures.
. "$(dirname "$0")/env.sh"

scripts/install.sh --faketime
. scripts/env.sh
export USHER_SOAK=1
say "running the longer proofs"
# One after another, as some of them measure, and with what they say at their end.
if has cargo-nextest; then
    cargo nextest run --locked --workspace --release --no-fail-fast --no-capture --ignore-default-filter -E 'test(soak_)'
else
    cargo test --locked --workspace --release --no-fail-fast soak_ -- --nocapture --test-threads=1
fi
exec scripts/bench.sh figures "$@"
