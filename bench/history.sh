#!/usr/bin/env bash
# How long pages and API wait for the history: a pool of its own on a made-up month, each path 20 times, the median in ms.
#
#   bench/history.sh CODEX_POOL MAKE_MONTH [REQUESTS]
set -euo pipefail
pool_program=$(realpath "$1") month_program=$(realpath "$2") requests=${3:-1000000}
work=$(mktemp -d "${TMPDIR:-/tmp}/codex-pool-history-XXXXXX")
chmod 700 "$work"
pid=
trap '[ -z "$pid" ] || { kill "$pid" && wait "$pid"; } 2>/dev/null || true; rm -rf "$work"' EXIT
"$month_program" "$work/data/proxy.db" "$requests" 30
mkdir -m 700 "$work/pool"
printf 'listen_addr = "127.0.0.1:0"\nworkers = 1\n' >"$work/config.toml"
cd "$work"
"$pool_program" run --config config.toml >pool.log 2>&1 &
pid=$!
for _ in $(seq 200); do
    grep -q 'listening on http://' pool.log && break
    sleep 0.1
done
pool=$(grep -o 'http://127[0-9.]*:[0-9]*' pool.log | head -1)
week=$(date -u -d '6 days ago' +%FT%TZ)
paths=(
    "/status"
    "/status/usage?last=30d&group=model"
    "/status/usage?last=7d&by=hour&group=account"
    "/status/requests"
    "/admin/usage?last=30d&group=user"
    "/admin/usage?last=8d&by=hour&group=user"
    "/admin/usage?last=30d&user=hana"
    "/admin/requests?limit=100"
    "/admin/requests?user=hana&limit=100"
    "/admin/requests?status=failed&account=gemini:key_1"
    "/admin/requests?model=experimental-x&user=hana"
    "/admin/requests?status=418"
    "/admin/requests?to=$week&limit=100"
    "/admin/accounts"
    "/api/pool/stats"
    "/api/pool/users/hana/daily?days=90"
    "/api/pool/hourly?hours=168"
)
for path in "${paths[@]}"; do
    for _ in $(seq 20); do
        curl -s --noproxy '*' -o /dev/null -w '%{time_total}\n' "$pool$path"
    done | sort -n | awk -v path="$path" 'NR == 10 { ms = $1 * 1000 } END { printf "| `%s` | %.1f |\n", path, ms }'
done
