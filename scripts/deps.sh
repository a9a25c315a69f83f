#!/usr/bin/env bash
# Installs the Debian 12 packages that the build needs; with "test" also those of the tests, with "arm64" also those of the
# cross-build for arm64 (Debian's package manager is then told of that architecture).
# Only what is missing is installed; nothing is asked. Needs root or sudo if anything is missing.
set -euo pipefail

build_packages=(
    g++ cmake ninja-build pkg-config ccache ca-certificates dpkg-dev file
    libboost1.81-dev libssl-dev nlohmann-json3-dev libsqlite3-dev libcli11-dev libspdlog-dev
    libtomlplusplus-dev libzstd-dev libbrotli-dev zlib1g-dev
)
test_packages=(
    libgtest-dev libgmock-dev sqlite3 curl tmux iproute2 util-linux python3 git procps
    clang-16 libclang-rt-16-dev clang-format-16 nginx-light chromium
    debootstrap systemd systemd-container lintian prometheus man-db zsh fish
)
arm64_packages=(
    g++-aarch64-linux-gnu qemu-user-static util-linux curl lintian
    {libboost1.81,libssl,libsqlite3,libspdlog,libtomlplusplus,libzstd,libbrotli,zlib1g,libgtest,libgmock}-dev:arm64
)

wanted=("${build_packages[@]}")
case "${1:-}" in
    "") ;;
    test)
        wanted+=("${test_packages[@]}")
        # Any npm will do: a newer Node than Debian's comes with an npm of its own and conflicts with Debian's.
        command -v npm >/dev/null || wanted+=(nodejs npm)
        ;;
    arm64) wanted+=("${arm64_packages[@]}") ;;
    *)
        echo "usage: scripts/deps.sh [test|arm64]" >&2
        exit 2
        ;;
esac

if ! command -v dpkg-query >/dev/null; then
    echo "deps.sh: this is not Debian; install the equivalents of: ${wanted[*]}" >&2
    exit 1
fi

installed=$(dpkg-query -W -f '${Package} ${Architecture} ${db:Status-Status}\n' 2>/dev/null |
    awk -v own="$(dpkg --print-architecture)" '$3 == "installed" { print ($2 == own || $2 == "all") ? $1 : $1 ":" $2 }')
missing=()
for package in "${wanted[@]}"; do
    grep -qxF -- "$package" <<<"$installed" || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
    echo "deps.sh: all ${#wanted[@]} packages are installed"
    exit 0
fi

root=()
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "deps.sh: run this as root, or install: ${missing[*]}" >&2
        exit 1
    fi
    root=(sudo)
fi
echo "deps.sh: installing ${missing[*]}"
if [ "${1:-}" = arm64 ]; then "${root[@]}" dpkg --add-architecture arm64; fi
"${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -q
# A service that a package brings along (nginx) must not start and take a port.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | "${root[@]}" tee "$policy" >/dev/null
    "${root[@]}" chmod 755 "$policy"
    trap '"${root[@]}" rm -f "$policy"' EXIT
fi
"${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"
echo "deps.sh: done"
