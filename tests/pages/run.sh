#!/usr/bin/env bash
# The pages in a real browser: the real pool with a made-up month of history in front of the fake upstreams; every view at
# 1440 and 390 px, light and dark. Ends with "N passed, N failed"; 77 and a reason where there is no browser.
#
#   run.sh CODEX_POOL FAKE_UPSTREAMS MAKE_MONTH [--shots FOLDER] [--serve]
#
# --shots keeps a picture of every view; --serve only starts the pool, says its address and waits.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
pool_program=$(realpath "$1") fake_program=$(realpath "$2") month_program=$(realpath "$3")
shift 3
cache=${CODEX_POOL_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/codex-pool-tests}

skip() { echo "SKIPPED: $*" && exit 77; }
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome) || skip "no Chromium is installed"
command -v node >/dev/null && command -v npm >/dev/null || skip "no Node is installed"
"$here/install.sh" "$cache" || { echo "0 passed, 1 failed" && exit 1; }

work=$(mktemp -d "${TMPDIR:-/tmp}/codex-pool-pages-XXXXXX")
started=()
finish() {
    local pid
    for pid in "${started[@]}"; do kill "$pid" 2>/dev/null; done
    for pid in "${started[@]}"; do wait "$pid" 2>/dev/null; done
    rm -rf "$work"
}
trap finish EXIT
wait_for() { # FILE PATTERN
    local i
    for ((i = 0; i < 300; i++)); do
        grep -qs "$2" "$1" && return 0
        sleep 0.1
    done
    echo "gave up waiting for $2 in $1"
    cat "$1"
    exit 1
}

for name in $(compgen -e | grep -E '^(PROXY_|POOL_|UPSTREAM_|FRIEND_|ADMIN_|HTTPS?_PROXY|https?_proxy|ALL_PROXY)' || true); do
    unset "$name"
done
start_pool() { # FOLDER: fakes and upstream.toml are there; says its address
    (cd "$1" && exec "$pool_program" run --config "$1/config.toml") >"$1/pool.log" 2>&1 &
    started+=($!)
    wait_for "$1/pool.log" 'listening on http://'
    pool=$(grep -o 'http://127[0-9.]*:[0-9]*' "$1/pool.log" | head -1)
    wait_for "$1/pool.log" project_found
}

# The same month in a pool that is shared with friends.
shared=$work/shared
mkdir -m 700 "$shared" "$shared/data"
chmod 700 "$work"
"$month_program" "$work/data/proxy.db" 20000 30 || exit 1
"$fake_program" "$work" codex=3 claude=2 claude_key=1 gemini=1 gemini_key=1 --quotas --interval=300 --deltas=600 >"$work/fake.log" 2>&1 &
started+=($!)
wait_for "$work/url" http
chmod 700 "$work/pool"
cp "$work/data/proxy.db" "$shared/data/proxy.db"
python3 - >"$shared/data/pool_users.json" <<'END'
import json
names = ["ada", "brook", "chen", "dana", "emil", "farah", "gus", "hana"]
users = [{"id": n, "name": n.capitalize() + " <b>" if n == "gus" else n.capitalize(), "email": n + "@example.com",
          "plan_type": "pro", "created_at": "2026-01-02T03:04:05Z"} for n in names]
users[1]["limits"] = {"tokens_per_day": 2000000, "requests_per_minute": 20, "models": "gpt-5*,claude-*"}
users[4]["disabled"] = True
print(json.dumps(users))
END
"$fake_program" "$shared" codex=2 claude=1 claude_key=1 gemini=1 gemini_key=1 --quotas >"$shared/fake.log" 2>&1 &
started+=($!)
wait_for "$shared/url" http
chmod 700 "$shared/pool"
sed -i '1s/{/{"codex_pool": {"owner": "ada"},/' "$shared/pool/claude_1.json"
{
    printf 'listen_addr = "127.0.0.1:0"\nworkers = 1\nfriend_code = "the code"\nallow_contributions = true\n'
    printf 'friend_name = "Ann'"'"'s pool"\nfriend_tagline = "For the few who know, the pool awaits."\n'
    cat "$shared/upstream.toml" && printf '[pool_users]\nadmin_password = "the password"\n'
} >"$shared/config.toml"
start_pool "$shared"
shared_pool=$pool
# One that its owner disabled, one whose file is broken.
sed -i '1s/{/{"disabled": true,/' "$work/pool/codex_3.json"
echo '{' >"$work/pool/broken.json"
{ printf 'listen_addr = "127.0.0.1:0"\nworkers = 2\n' && cat "$work/upstream.toml" && printf '[notify]\npool_low_percent = 60\n'; } >"$work/config.toml"
start_pool "$work"

# Some requests that go on while the browser looks.
for name in one two three four; do
    curl -sN --noproxy '*' "$pool/v1/responses" -H 'Content-Type: application/json' -H "session_id: $name" \
        -d '{"model":"gpt-5.4","stream":true,"input":"count","prompt_cache_key":"'"$name"'"}' >/dev/null 2>&1 &
    started+=($!)
done
for name in five six; do
    curl -sN --noproxy '*' "$pool/v1/messages" -H 'Content-Type: application/json' -H 'anthropic-version: 2023-06-01' \
        -d '{"model":"claude-opus-5-5","stream":true,"max_tokens":9,"messages":[{"role":"user","content":"'"$name"'"}]}' >/dev/null 2>&1 &
    started+=($!)
done
curl -sN --noproxy '*' "$pool/v1/responses" -H 'Content-Type: application/json' \
    -d '{"model":"<img src=x onerror=alert(1)>","stream":true,"input":"count"}' >/dev/null 2>&1 &
started+=($!)
if [ "${1:-}" = --serve ]; then
    echo "$pool"
    echo "$shared_pool shared (the code, the password)"
    wait
    exit 0
fi
ln -sfn "$cache/pages-2/node_modules" "$work/node_modules"
cp "$here/check.mjs" "$work/check.mjs"
cd "$work" && timeout 840 node check.mjs "$pool" "$shared_pool" "$browser" "$@"
