# syntax=docker/dockerfile:1
# The worker: reserves seats from the queue. Any number of them.
#   docker build -f docker/worker.Dockerfile -t usher-worker .

FROM rust:1.95-slim-bookworm AS build
# The allocator is built by it.
RUN apt-get update \
    && apt-get install -y --no-install-recommends make \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
ENV SQLX_OFFLINE=true
# Both caches are shared by all of Usher's images, so that what they have in common is built once.
RUN --mount=type=cache,id=usher-registry,target=/usr/local/cargo/registry \
    --mount=type=cache,id=usher-target,target=/src/target,sharing=locked \
    cargo build --release --locked -p worker --bin worker \
    && install -D target/release/worker /out/worker

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin usher
COPY --from=build /out/worker /usr/local/bin/worker
ENV LOG_FORMAT=json
USER 10001
# Nobody depends on its answers: when it cannot go on it ends, and is started anew.
HEALTHCHECK NONE
ENTRYPOINT ["worker"]
