#!/usr/bin/env bash
# The tests of the event stream against a broker that speaks Kafka's protocol: tansu, which the first run builds (some ten
# minutes). Not a part of `make test`, where librdkafka's own mock cluster stands for it.
. "$(dirname "$0")/env.sh"

tansu_version=0.6.0
ready_s=30

scripts/install.sh --kafka
. scripts/env.sh
# Its storage in memory reads a batch from its beginning or not at all, and takes the beginning of the last batch for the
# end of a partition; the one in a file knows each record.
tansu=$tools_dir/tansu-$tansu_version-libsql
if [ ! -x "$tansu/bin/tansu" ]; then
    say "building tansu $tansu_version (some ten minutes)"
    cargo install tansu --version "$tansu_version" --locked --features libsql --root "$tansu" --quiet
fi

dir=$(mktemp -d)
broker=
remove() {
    if [ -n "$broker" ]; then
        kill "$broker" 2>/dev/null || true
        wait "$broker" 2>/dev/null || true
    fi
    rm -rf "$dir"
}
trap remove EXIT

# Whether somebody listens there; in a shell of its own, which closes the connection.
listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

port=$((20000 + RANDOM % 20000))
while listens "$port"; do port=$((port + 1)); done
url=tcp://127.0.0.1:$port
# It takes the path of the file from the folder it runs in.
(cd "$dir" && exec "$tansu/bin/tansu" broker --listener-url "$url" --advertised-listener-url "$url" \
    --storage-engine sqlite://tansu.db >log 2>&1 </dev/null) &
broker=$!

deadline=$((SECONDS + ready_s))
until listens "$port"; do
    if [ "$SECONDS" -ge "$deadline" ] || ! kill -0 "$broker" 2>/dev/null; then
        cat "$dir/log" >&2
        fail "tansu does not answer at $url"
    fi
    sleep 0.2
done

say "testing against tansu at $url"
export TEST_KAFKA_BROKERS=127.0.0.1:$port
if ! cargo test --locked --package shared --features kafka stream::kafka -- --test-threads=1 --nocapture; then
    tail -n 40 "$dir/log" >&2
    fail "the event stream does not work with tansu $tansu_version"
fi
