#!/usr/bin/env bash
# Installs what building and running Usher needs and this machine lacks; Rust itself is only asked for. Quick when
# nothing is missing. Takes several options at once.
#   scripts/install.sh              redis-server, PostgreSQL, Node and npm, a C compiler, make, curl
#   scripts/install.sh --build      only what compiling takes: no servers, no Node
#   scripts/install.sh --no-redis --no-postgresql   not these, as others are given by their addresses
#   scripts/install.sh --kafka      also a C++ compiler and Python 3, which build librdkafka, so whatever has all features
#   scripts/install.sh --python     also Python 3 with venv, for the tools that tests use; see python.sh
#   scripts/install.sh --faketime   also libfaketime, by which `make soak` lets a Redis live through days in minutes
#   scripts/install.sh --sqlx-cli   also the `sqlx` command, which only `make prepare` and CI use
. "$(dirname "$0")/env.sh"

also=" $* "
rust_wanted=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
node_wanted=20.19.0
npm_wanted=9.0.0
sqlx_version=0.9.0

wants() { [[ $also == *" $1 "* ]]; }

at_least() { [ "$(printf '%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

# The compiler's version, or nothing: rustup's programs are there without one, too.
rust_version() { rustc --version 2>/dev/null | cut -d ' ' -f 2 || true; }

require_rust() {
    local found own
    found=$(rust_version)
    if has cargo && [ -n "$found" ] && at_least "$found" "$rust_wanted"; then
        return
    fi
    # With the system's own Rust first in PATH, no update of rustup's changes what is found.
    own=${CARGO_HOME:-$HOME/.cargo}/bin
    if [ -x "$own/rustup" ] && [ -x "$own/rustc" ] && has rustc && [ "$(command -v rustc)" != "$own/rustc" ]; then
        fail "Rust $rust_wanted or newer is wanted, and $(command -v rustc) (${found:-no version}) comes before rustup's in PATH. Type: export PATH=\"$own:\$PATH\""
    fi
    if has rustup; then
        fail "Rust $rust_wanted or newer is missing (found: ${found:-none}). Type: rustup update stable && rustup default stable"
    fi
    fail "Rust $rust_wanted or newer is missing (found: ${found:-none}). Type: curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh"
}

node_suffices() {
    has node && has npm && at_least "$(node --version | tr -d v)" "$node_wanted" &&
        at_least "$(npm --version 2>/dev/null)" "$npm_wanted"
}

has_faketime() {
    local library=faketime/libfaketimeMT.so.1
    compgen -G "/usr/lib*/*/$library" >/dev/null || compgen -G "/usr/lib*/$library" >/dev/null ||
        [ -e "/usr/local/lib/$library" ]
}

# Where systems keep the authorities that curl, cargo and git believe; Debian's curl comes without them.
has_authorities() {
    local file
    for file in /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/ca-bundle.pem /etc/ssl/cert.pem; do
        [ ! -e "$file" ] || return 0
    done
    return 1
}

# The Debian packages of what is missing.
missing_packages() {
    if ! wants --build; then
        wants --no-redis || has redis-server || has valkey-server || echo redis-server
        wants --no-postgresql || postgres_bin >/dev/null || echo postgresql
        has setpriv || echo util-linux
        # Debian's npm brings some hundred packages, so only where there is none at all.
        has node || echo nodejs
        has npm || echo npm
    fi
    has cc || printf '%s\n' gcc libc6-dev
    has make || echo make
    ! wants --kafka || has c++ || echo g++
    ! wants --kafka || has python3 || echo python3
    has git || echo git
    has curl || echo curl
    has_authorities || echo ca-certificates
    ! wants --python || python3 -c "import ensurepip, venv" 2>/dev/null || printf "%s\n" python3 python3-venv
    ! wants --faketime || has_faketime || echo libfaketime
}

# Shows what was printed only when it fails: a package manager says a lot.
install_packages() {
    local sudo=() log
    [ "$(id -u)" = 0 ] || sudo=(sudo)
    log=$(mktemp)
    if ! "${sudo[@]}" scripts/debian-packages.sh "$@" >"$log" 2>&1 </dev/null; then
        cat "$log" >&2
        rm -f "$log"
        fail "could not install $*"
    fi
    rm -f "$log"
}

# Names of what only running takes, Redis and PostgreSQL first: those that are given by their addresses are left out.
running() {
    ! wants --build || return 0
    wants --no-redis || printf '%s ' "$1"
    wants --no-postgresql || printf '%s ' "$2"
    printf '%s ' "${@:3}"
}

# The one line for a system that we don't install on.
line_to_type() {
    local like=" " more=""
    if [ -r /etc/os-release ]; then
        like=" $(. /etc/os-release && echo "${ID:-} ${ID_LIKE:-}") "
    fi
    ! wants --faketime || more=" libfaketime"
    case $like in
    *" debian "* | *" ubuntu "*) echo "apt-get update && apt-get install ${packages[*]} # as root" ;;
    *" fedora "* | *" rhel "*) echo "sudo dnf install $(running redis postgresql-server nodejs npm util-linux)gcc gcc-c++ make git curl ca-certificates python3$more" ;;
    *" arch "*) echo "sudo pacman -S --needed $(running redis postgresql nodejs npm util-linux)gcc make git curl ca-certificates python$more" ;;
    *" alpine "*) echo "apk add bash $(running redis postgresql nodejs npm setpriv)build-base git curl ca-certificates python3$more # as root" ;;
    *" suse "* | *" opensuse"*) echo "sudo zypper install $(running redis postgresql-server nodejs npm util-linux)gcc gcc-c++ make git curl ca-certificates python3$more" ;;
    *) echo "install $(running "Redis 7 or newer," "PostgreSQL 15 or newer," "Node $node_wanted or newer with npm, setpriv (of util-linux),")a C and a C++ compiler, make, git, curl, CA certificates${more:+,$more}, and Python 3 with venv" ;;
    esac
}

# Debian 12's Node is too old for the tools that build the web pages; the npm registry carries Node itself.
bring_node() {
    say "bringing Node 22 and npm 11 into .data/node (the system has $(node --version 2>/dev/null || echo none))"
    mkdir -p .data/node
    npm install --prefix .data/node --no-audit --no-fund --loglevel=error --ignore-scripts=false node@22 npm@11
    . scripts/env.sh
    node_suffices || fail "Node in .data/node does not work: remove that folder and install Node $node_wanted or newer"
}

install_sqlx_cli() {
    if has sqlx && has cargo-sqlx && [ "$(sqlx --version)" = "sqlx-cli $sqlx_version" ]; then
        return
    fi
    say "building sqlx-cli $sqlx_version (some minutes)"
    cargo install sqlx-cli --version "$sqlx_version" --locked --no-default-features \
        --features postgres,rustls --root "$tools_dir" --quiet
}

# The servers end with their owner by means that only Linux has.
[ "$(uname -s)" = Linux ] || fail "Usher runs on Linux; elsewhere in containers: docker compose up --build, see README.md"
packages=()
while read -r package; do
    packages+=("$package")
done < <(missing_packages)
if [ "${#packages[@]}" != 0 ]; then
    if ! has apt-get || ! { [ "$(id -u)" = 0 ] || has sudo; }; then
        printf '✗ missing on this machine: %s. Type:\n%s\n' "${packages[*]}" "$(line_to_type)" >&2
        exit 1
    fi
    say "installing ${packages[*]}"
    install_packages "${packages[@]}"
fi
# After the packages: what one types to get Rust takes curl.
require_rust
wants --build || node_suffices || bring_node
if wants --sqlx-cli; then
    install_sqlx_cli
fi
