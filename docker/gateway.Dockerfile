# syntax=docker/dockerfile:1
# The gateway: HTTP, WebSocket and the web pages. Any number of them.
#   docker build -f docker/gateway.Dockerfile -t usher-gateway .

FROM node:22-bookworm-slim AS web
WORKDIR /src/web
COPY web/package.json web/package-lock.json web/.npmrc ./
RUN --mount=type=cache,target=/var/cache/npm npm ci --cache /var/cache/npm --no-audit --no-fund
COPY web ./
RUN npm run build

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
    cargo build --release --locked -p gateway --bin gateway \
    && install -D target/release/gateway /out/gateway

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin usher
COPY --from=build /out/gateway /usr/local/bin/gateway
COPY --from=web /src/web/dist /usr/share/usher/web
ENV LISTEN=0.0.0.0:8000 \
    WEB_DIR=/usr/share/usher/web \
    LOG_FORMAT=json
USER 10001
EXPOSE 8000
# The image has no HTTP client, and bash can ask as well; where the gateway speaks TLS itself, bash can see whether it takes connections.
HEALTHCHECK --interval=5s --timeout=3s --start-period=20s --retries=3 \
    CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/8000 && { [ -n \"$TLS_CERT_FILE\" ] || { printf 'GET /health HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n' >&3 && head -n 1 <&3 | grep -q ' 200'; }; }"]
ENTRYPOINT ["gateway"]
