#!/usr/bin/env bash
# From a clean clone to a running pool: installs what the build needs, builds, runs.
# With credentials in pool/ (or a config.toml) it runs the pool, otherwise the demo.
# Arguments are passed on, e.g. scripts/run.sh --listen 127.0.0.1:9000
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/deps.sh
cmake --preset release >/dev/null
cmake --build --preset release --target codex-pool -j "${JOBS:-$(nproc)}"

command=demo
if [ -e config.toml ] || find pool -name '*.json' -print -quit 2>/dev/null | grep -q .; then
    command=run
fi
case "${1:-}" in
    run | demo | check)
        command=$1
        shift
        ;;
esac
if [ "$command" = demo ]; then
    echo "run.sh: no credentials in pool/ and no config.toml: starting the demo (see README.md for the set-up)"
fi
exec build/release/codex-pool "$command" "$@"
