#!/usr/bin/env bash
# Sends every route of the OpenAPI document what it permits and what it does not, to a server of its own, and holds the
# answers against the document: no 5xx, no status, type or shape that it does not state. Some minutes at most.
#   scripts/schemathesis.sh [REPORT]   REPORT: where the JUnit file goes, one test a route
# USHER_BIN: the program to ask, where it was built already.
. "$(dirname "$0")/env.sh"

version=4.32.5
limit_s=240
report=${1:-}
venv=$tools_dir/schemathesis-$version

if [ ! -x "$venv/bin/schemathesis" ]; then
    say "installing schemathesis $version into $venv"
    rm -rf "$venv"
    python3 -m venv "$venv" || fail "Python's venv is missing: run scripts/install.sh"
    "$venv/bin/pip" install --quiet --disable-pip-version-check "schemathesis==$version"
fi
if [ -z "${USHER_BIN:-}" ]; then
    cargo build --locked --bin usher
fi
usher=${USHER_BIN:-${CARGO_TARGET_DIR:-$root/target}/debug/usher}

# Not in TMPDIR: PostgreSQL's user must be able to go there, and the socket's path must be short.
dir=$(mktemp -d /tmp/usher-api.XXXXXX)
mkdir "$dir/data"
chmod 755 "$dir" "$dir/data"
pid=
remove() {
    if [ -n "$pid" ]; then
        kill "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    fi
    rm -rf "$dir"
}
trap remove EXIT

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
url=http://127.0.0.1:$port
RUST_LOG=warn RATE_LIMIT_MAX=1000000000 RATE_LIMIT_IP_MAX=1000000000 RATE_LIMIT_LOGIN_MAX=1000000000 \
    RATE_LIMIT_LOGIN_IP_MAX=1000000000 RATE_LIMIT_REFRESH_IP_MAX=1000000000 \
    RATE_LIMIT_CODE_MAX=1000000000 RATE_LIMIT_READS_PER_SECOND=1000000000 \
    "$usher" --data-dir "$dir/data" --listen "127.0.0.1:$port" >"$dir/log" 2>&1 </dev/null &
pid=$!
for _ in $(seq 1 240); do
    curl -sf "$url/ready" >/dev/null && break
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.5
done
curl -sf "$url/ready" >/dev/null || {
    tail -n 40 "$dir/log" >&2
    fail "Usher did not start"
}

# Whoever may do everything comes furthest into every handler; by name and password, as those outlive what ends log-ins.
run() {
    timeout "$limit_s" "$venv/bin/schemathesis" run "$url/api/openapi.json" --auth admin@usher.test:usher-demo \
        --checks not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance \
        --phases examples,coverage,fuzzing --max-examples 30 --seed 1 --workers 1 --no-shrink --no-color \
        --continue-on-failure --max-failures 100 --suppress-health-check all --request-timeout 20 \
        --report junit --report-junit-path "${report:-$dir/report.xml}" </dev/null
}
code=0
run || code=$?
if [ "$code" != 0 ]; then
    say "what Usher said meanwhile"
    grep -v '^$' "$dir/log" | tail -n 60
fi
[ "$code" = 0 ]
