# syntax=docker/dockerfile:1
# The sweeper: what has expired goes back on sale. Any number of them, one leads.
#   docker build -f docker/sweeper.Dockerfile -t usher-sweeper .

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
    cargo build --release --locked -p sweeper --bin sweeper \
    && install -D target/release/sweeper /out/sweeper

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin usher
COPY --from=build /out/sweeper /usr/local/bin/sweeper
ENV LOG_FORMAT=json
USER 10001
# Nobody depends on its answers: when it cannot go on it ends, and is started anew.
HEALTHCHECK NONE
ENTRYPOINT ["sweeper"]
