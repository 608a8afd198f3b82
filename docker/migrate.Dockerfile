# syntax=docker/dockerfile:1
# The binary `usher`: here for `usher migrate` and `usher demo`, which run once and end.
#   docker build -f docker/migrate.Dockerfile -t usher-migrate .

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
    cargo build --release --locked -p standalone --bin usher \
    && install -D target/release/usher /out/usher

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin usher
COPY --from=build /out/usher /usr/local/bin/usher
USER 10001
ENTRYPOINT ["usher"]
CMD ["migrate"]
