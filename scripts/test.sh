#!/usr/bin/env bash
# Every test of the web pages and of the Rust crates, on servers that the tests start themselves.
# Closes with `N passed, N failed`; fails when a test failed or none was run.
. "$(dirname "$0")/env.sh"

export CI=true
[ -t 1 ] || export NO_COLOR=1
# Tests know only their own servers, whatever the shell that called us is set to: nothing that Usher reads is set.
mapfile -t settings < <(sed -nE 's/^#?([A-Z][A-Z0-9_]*)=.*/\1/p' .env.example)
unset "${settings[@]}" TEST_KAFKA_BROKERS

started=$SECONDS
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
passed=0
failed=0

# Counts a part's tests: `count PASSED FAILED EXIT_CODE`. A part that ended badly has failed at least once.
count() {
    passed=$((passed + $1))
    if [ "$2" = 0 ] && [ "$3" != 0 ]; then
        failed=$((failed + 1))
    else
        failed=$((failed + $2))
    fi
}

test_web() {
    local code=0 counts="0 0"
    scripts/web.sh || count 0 1 1
    say "checking the types of the web pages"
    (cd web && npm run --silent check </dev/null) || count 0 1 1
    say "testing the web pages"
    (cd web && npm test --silent -- --reporter=default --reporter=json --outputFile.json="$logs/web.json" </dev/null) || code=$?
    if [ -s "$logs/web.json" ]; then
        counts=$(node -p 'const r = JSON.parse(require("fs").readFileSync(process.argv[1], "utf8"));
            r.numPassedTests + " " + r.numFailedTests' "$logs/web.json")
    fi
    # shellcheck disable=SC2086 # two numbers
    count $counts "$code"
}

# The sums over the summaries that `cargo test` prints, one per test binary.
libtest_counts() {
    awk '/^test result: / { for (i = 2; i <= NF; i++) { if ($i == "passed;") p += $(i - 1); if ($i == "failed;") f += $(i - 1) } }
        END { print p + 0, f + 0 }' "$1"
}

# From `Summary [ 1.2s] 12/13 tests run: 10 passed (1 slow), 2 failed, 3 skipped`: what ran and did not pass has failed.
nextest_counts() {
    sed -E 's/\x1b\[[0-9;]*m//g' "$1" | awk '/^ *Summary \[.*tests? run: / {
            line = $0; sub(/.*\] */, "", line); run = line; sub(/ tests? run:.*/, "", run); sub(/\/.*/, "", run)
            ok = 0; if (match(line, /[0-9]+ passed/)) ok = substr(line, RSTART, RLENGTH) + 0
            p += ok; f += run - ok }
        END { print p + 0, f + 0 }'
}

# With all features, so that one build also holds the event stream to Kafka against the mock cluster that comes with
# librdkafka; `make test-kafka` does it against a broker.
test_rust() {
    local code=0 all=(--locked --workspace --all-features)
    local what=("${all[@]}" --no-fail-fast --color never)
    say "building and running the Rust tests"
    # Of `gateway`, `worker` and `sweeper` cargo builds no programs for the tests of another crate. With the tests, as without
    # what these depend on half of the dependencies have other features, and would be built twice.
    cargo build "${all[@]}" --bins --tests </dev/null || count 0 1 1
    if has cargo-nextest; then
        cargo nextest run "${what[@]}" </dev/null 2>&1 | tee "$logs/rust" || code=$?
        # shellcheck disable=SC2046 # two numbers
        count $(nextest_counts "$logs/rust") "$code"
        code=0
        cargo test "${what[@]}" --doc </dev/null 2>&1 | tee "$logs/doc" || code=$?
        # shellcheck disable=SC2046
        count $(libtest_counts "$logs/doc") "$code"
    else
        # It has no time-out for a test; with nextest each has one.
        timeout 60m cargo test "${what[@]}" -- --skip soak_ </dev/null 2>&1 | tee "$logs/rust" || code=$?
        # shellcheck disable=SC2046
        count $(libtest_counts "$logs/rust") "$code"
    fi
}

# One test a route, from the report that is written when all have been asked.
test_api() {
    local code=0 counts="0 0"
    say "holding every route against the OpenAPI document"
    # The program that the tests were built with.
    USHER_BIN=${CARGO_TARGET_DIR:-$root/target}/debug/usher scripts/schemathesis.sh "$logs/api.xml" || code=$?
    if [ -s "$logs/api.xml" ]; then
        counts=$(python3 -c 'import sys, xml.etree.ElementTree as tree
cases = list(tree.parse(sys.argv[1]).iter("testcase"))
bad = sum(1 for case in cases if case.find("failure") is not None or case.find("error") is not None)
print(len(cases) - bad, bad)' "$logs/api.xml")
    fi
    # shellcheck disable=SC2086 # two numbers
    count $counts "$code"
}

scripts/install.sh --kafka
. scripts/env.sh
scripts/python.sh >/dev/null
test_web
test_rust
test_api

if [ $((passed + failed)) = 0 ]; then
    fail "no test was run"
fi
say "all of it took $((SECONDS - started)) s"
printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" = 0 ]
