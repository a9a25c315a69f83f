#!/usr/bin/env bash
# The Debian package for arm64, cross-built with Debian 12's packages and tried under qemu-user (tests/arm64/run.sh):
# build/codex-pool_*_arm64.deb. Installs what it needs, for which apt is told of the architecture. Ends with
# "N passed, N failed".
#   -j N     parallel jobs (default: cores)
set -euo pipefail
cd "$(dirname "$0")/.."

jobs=$(nproc)
case "${1:-}" in
    "") ;;
    -j) jobs=$2 ;;
    -j*) jobs=${1#-j} ;;
    *) sed -n '2,5p' "$0" >&2 && exit 2 ;;
esac
if [ "$(dpkg --print-architecture)" = arm64 ]; then
    echo "arm64.sh: this machine is arm64: build with the preset \"release\"" >&2
    exit 2
fi

scripts/deps.sh arm64
for preset in arm64 arm64-tests; do
    cmake --preset $preset >/dev/null
    cmake --build --preset $preset -j "$jobs"
done
# dpkg-shlibdeps looks for the libraries of the architecture that it is told.
rm -f build/codex-pool_*_arm64.deb
CC=aarch64-linux-gnu-gcc dpkg-architecture -a arm64 -c cpack --config build/arm64/CPackConfig.cmake -B build
exec tests/arm64/run.sh build/codex-pool_*_arm64.deb build/arm64-tests
