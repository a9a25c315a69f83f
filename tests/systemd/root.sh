#!/usr/bin/env bash
# Makes a Debian 12 root with systemd and the packages that DEB depends on, whole or not at all, and prints its path:
#   root.sh CACHE_FOLDER DEB
# It is kept for as long as the dependencies stay the same. Needs root and Debian's mirror.
set -euo pipefail
cache=$1 deb=$2

depends=$(dpkg-deb -f "$deb" Depends | sed -E 's/\([^)]*\)//g; s/,/ /g' | xargs)
included=systemd,systemd-sysv,ca-certificates,curl,procps
# Libraries of the fake upstreams, which are not in the package.
extra="libbrotli1 libssl3 libzstd1 zlib1g"
name=root-$(printf '%s' "$included $depends $extra" | sha256sum | cut -c 1-12)

mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9
if [ ! -e "$cache/$name/.complete" ]; then
    # What an interrupted run or other dependencies left.
    find "$cache" -maxdepth 1 -name 'root-*' -exec rm -rf --one-file-system {} +
    log=$cache/debootstrap.log
    # shellcheck disable=SC2086
    if ! debootstrap --variant=minbase "--include=$included" bookworm "$cache/$name" >"$log" 2>&1 ||
        ! chroot "$cache/$name" env DEBIAN_FRONTEND=noninteractive \
            apt-get install -q -y --no-install-recommends $depends $extra >>"$log" 2>&1; then
        tail -20 "$log" >&2
        echo "root.sh: cannot make a Debian root; the whole story is in $log" >&2
        exit 1
    fi
    : >"$cache/$name/etc/machine-id"
    touch "$cache/$name/.complete"
fi
echo "$cache/$name"
