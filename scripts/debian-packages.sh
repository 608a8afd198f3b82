#!/bin/sh
# Installs Debian packages, as root: `scripts/debian-packages.sh PACKAGE...`. For install.sh, which asks for sudo.
#
# Usher starts servers of its own, so Debian's shall neither start nor make a cluster: both files that tell Debian
# so go away again at the end.
set -eu

policy=/usr/sbin/policy-rc.d
cluster=/etc/postgresql-common/createcluster.d/usher.conf
made=

tidy() {
    # shellcheck disable=SC2086 # a list
    rm -f $made
    rmdir "${cluster%/*}" 2>/dev/null || true
}
trap tidy EXIT
# Debian's sh does not tidy up when a signal ends it, as Ctrl-C does.
trap 'exit 130' HUP INT TERM

if [ ! -e "$policy" ]; then
    made="$made $policy"
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi
case " $* " in
*" postgresql "*)
    made="$made $cluster"
    mkdir -p "${cluster%/*}"
    echo "create_main_cluster = false" >"$cluster"
    ;;
esac

export DEBIAN_FRONTEND=noninteractive
apt-get update -qq || echo "apt-get update failed: trying with the lists that are there" >&2
apt-get install -qq -y --no-install-recommends "$@"

case " $* " in
*" redis-server "*)
    if command -v systemctl >/dev/null; then
        systemctl disable -q redis-server || true
    fi
    ;;
esac
