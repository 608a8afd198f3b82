# syntax=docker/dockerfile:1
# The sandbox: a payment provider without real money. One of it; it keeps nothing.
#   docker build -f docker/sandbox.Dockerfile -t usher-sandbox .

FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY . .
ENV SQLX_OFFLINE=true
# Both caches are shared by all of Usher's images, so that what they have in common is built once.
RUN --mount=type=cache,id=usher-registry,target=/usr/local/cargo/registry \
    --mount=type=cache,id=usher-target,target=/src/target,sharing=locked \
    cargo build --release --locked -p sandbox --bin sandbox \
    && install -D target/release/sandbox /out/sandbox

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin usher
COPY --from=build /out/sandbox /usr/local/bin/sandbox
ENV SANDBOX_LISTEN=0.0.0.0:8008
USER 10001
EXPOSE 8008
# The image has no HTTP client, and bash can ask as well.
HEALTHCHECK --interval=5s --timeout=3s --start-period=20s --retries=3 \
    CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/8008 && printf 'GET /health HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n' >&3 && head -n 1 <&3 | grep -q ' 200'"]
ENTRYPOINT ["sandbox"]
