#!/usr/bin/env bash
# The real CLIs, end to end: each one through the real pool in front of the fake upstreams, in a network namespace with
# nothing but loopback and with a HOME of its own. Ends with "N passed, N failed".
#
#   run.sh CODEX_POOL FAKE_UPSTREAMS TAP [SCENARIO...]
#
# The CLIs are kept in $CODEX_POOL_TEST_CACHE (default ~/.cache/codex-pool-tests).
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

if [ -z "${CODEX_POOL_CLI_INSIDE:-}" ]; then
    cache=${CODEX_POOL_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/codex-pool-tests}
    "$here/install.sh" "$cache" || { echo "0 passed, 1 failed" && exit 1; }
    # Where there is a browser, one scenario uses it.
    if command -v chromium chromium-browser google-chrome >/dev/null && command -v npm >/dev/null; then
        "$here/../pages/install.sh" "$cache" || { echo "0 passed, 1 failed" && exit 1; }
    fi
    export CODEX_POOL_CLI_INSIDE=1 CODEX_POOL_TEST_CACHE=$cache
    # Root needs no user namespace; others get one in which they are root, or, where the machine gives none, sudo.
    if [ "$(id -u)" -eq 0 ]; then
        exec unshare -n "${BASH_SOURCE[0]}" "$@"
    elif unshare -rn true 2>/dev/null; then
        exec unshare -rn "${BASH_SOURCE[0]}" "$@"
    fi
    # shellcheck disable=SC2016
    exec sudo -n unshare -n sh -c 'ip link set lo up && uid=$1 gid=$2 && shift 2 && exec setpriv --reuid="$uid" --regid="$gid" --init-groups env "$@"' \
        sh "$(id -u)" "$(id -g)" HOME="$HOME" PATH="$PATH" LANG="${LANG:-C.UTF-8}" CODEX_POOL_CLI_INSIDE=1 CODEX_POOL_TEST_CACHE="$cache" \
        ${NODE_EXTRA_CA_CERTS:+NODE_EXTRA_CA_CERTS="$NODE_EXTRA_CA_CERTS"} "${BASH_SOURCE[0]}" "$@"
fi

pool_program=$(realpath "$1") fake_program=$(realpath "$2") tap_program=$(realpath "$3")
shift 3
cache=$CODEX_POOL_TEST_CACHE
ip link show lo | grep -q LOOPBACK,UP || ip link set lo up
work=$(mktemp -d "${TMPDIR:-/tmp}/codex-pool-cli-XXXXXX")
started=()
passed=0 failed=0
# Nothing of the caller's set-up may reach the programs.
for name in $(compgen -e | grep -E '^(PROXY_|POOL_|UPSTREAM_|FRIEND_|ADMIN_|ANTHROPIC_|CLAUDE|OPENAI_|CODEX_[A-OQ-Z]|GEMINI_|GOOGLE_|CODE_ASSIST|HTTPS?_PROXY|https?_proxy|ALL_PROXY|NO_PROXY|no_proxy)' || true); do
    unset "$name"
done

stop_all() {
    local pid
    for pid in "${started[@]}"; do kill "$pid" 2>/dev/null; done
    for pid in "${started[@]}"; do wait "$pid" 2>/dev/null; done
    started=()
}
trap 'stop_all; rm -rf "$work"' EXIT

wait_for() { # FILE or "FILE PATTERN"
    local i
    for ((i = 0; i < 300; i++)); do
        if [ $# -eq 1 ]; then [ -s "$1" ] && return 0; else grep -q "$2" "$1" 2>/dev/null && return 0; fi
        sleep 0.1
    done
    echo "  gave up waiting for $*"
    return 1
}

# start_pool ACCOUNTS...: fakes, pool and tap; sets $dir, $fake, $pool, $base (the tap). $settings: more configuration.
settings=
start_pool() {
    dir=$work/$scenario
    mkdir -p "$dir/home" "$dir/project" && chmod 700 "$dir"
    "$fake_program" "$dir" --strict "$@" >"$dir/fake.log" 2>&1 &
    started+=($!)
    wait_for "$dir/url" || return 1
    fake=$(cat "$dir/url")
    chmod 700 "$dir/pool"
    { printf 'listen_addr = "127.0.0.1:0"\nworkers = 2\n%s\n' "$settings" && cat "$dir/upstream.toml"; } >"$dir/config.toml"
    (cd "$dir" && exec "$pool_program" run --config "$dir/config.toml") >"$dir/pool.log" 2>&1 &
    started+=($!)
    wait_for "$dir/pool.log" 'listening on http://' || return 1
    pool=$(grep -o 'http://127[0-9.]*:[0-9]*' "$dir/pool.log" | head -1)
    local wanted i
    wanted=$(find "$dir/pool" -name '*.json' | wc -l)
    for ((i = 0; i < 100; i++)); do
        curl -s --noproxy '*' "$pool/healthz" | grep -q "\"accounts\": *$wanted" && break
        sleep 0.1
    done
    for ((i = 0; i < 100; i++)); do
        [ "$(grep -c project_found "$dir/pool.log")" -ge "$(find "$dir/pool" -name 'gemini_[0-9]*.json' | wc -l)" ] && break
        sleep 0.1
    done
    "$tap_program" "${pool##*:}" "$dir/tap" >"$dir/tap.err" 2>&1 &
    started+=($!)
    wait_for "$dir/tap/url" || return 1
    base=$(cat "$dir/tap/url")
    export HOME=$dir/home TMPDIR=$dir
    cd "$dir/project" || return 1
}

script() { curl -sf --noproxy '*' "$fake/_fake/script" -d "$1" >/dev/null; }

check() { python3 "$here/check.py" "$dir" "$pool" "$fake" "$@"; }

# says PATTERN COMMAND...: runs it without input for at most 120 s and wants the pattern in its output; sets $code.
says() {
    local pattern=$1
    shift
    timeout 120 "$@" </dev/null >"$dir/out" 2>&1
    code=$?
    grep -qiE "$pattern" "$dir/out" && return 0
    echo "  '$pattern' is not in the output of: $*"
    sed 's/^/    | /' "$dir/out" | tail -40
    return 1
}

# No provider answers any more. The CLIs are told to ask twice at most where they would for minutes (docs/errors.md).
end_upstream() { kill "${started[0]}" && wait "${started[0]}" 2>/dev/null; true; }

asked() { grep -c '^refused' "$dir/tap/tap.log"; }

# refused "KIND [SECONDS]" MOST PATTERN COMMAND...: with the pool's own error of this kind in answer to its turn, the CLI
# ends in failure, says the pattern and has asked at most MOST times.
refused() {
    local kind=$1 most=$2 before begun=$SECONDS times
    shift 2
    before=$(asked)
    echo "$kind" >"$dir/tap/refuse"
    says "$@" || return 1
    times=$(($(asked) - before))
    rm "$dir/tap/refuse"
    echo "  $kind: asked $times times in $((SECONDS - begun)) s: $(grep -oiE -m1 ".{0,60}($1).*" "$dir/out")"
    [ "$times" -ge 1 ] && [ "$times" -le "$most" ] && [ "$code" -ne 0 ] && [ "$code" -ne 124 ] && return 0
    echo "  wanted: 1 to $most times and a failure; its exit code: $code"
    return 1
}

# waits_out PATTERN COMMAND...: a limit that ends in a few seconds is no failure: the CLI waits and goes on.
waits_out() {
    local before
    before=$(asked)
    echo 'exhausted 4' >"$dir/tap/refuse"
    (
        for ((i = 0; i < 600 && $(asked) == before; i++)); do sleep 0.1; done
        rm "$dir/tap/refuse"
    ) &
    says "$@" && [ "$code" -eq 0 ] && [ "$(asked)" -gt "$before" ]
}

# ---- Codex ---------------------------------------------------------------------------------------------------

codex_home() { # EXTRA-TOP-LEVEL PROVIDER-LINES
    export CODEX_HOME=$HOME/.codex
    mkdir -p "$CODEX_HOME"
    cp "$dir/client_auth.json" "$CODEX_HOME/auth.json"
    cat >"$CODEX_HOME/config.toml" <<END
chatgpt_base_url = "$base/backend-api"
$1

[analytics]
enabled = false
[features]
daemon_auto_start = false
[projects."$dir/project"]
trust_level = "trusted"
END
    [ -z "${2:-}" ] || printf '[model_providers.codex-pool]\nbase_url = "%s/v1"\nwire_api = "responses"\n%s\n' "$base" "$2" >>"$CODEX_HOME/config.toml"
}

codex() { "$cache/codex" "$@"; }

codex_says() {
    local pattern=$1
    shift
    says "$pattern" "$cache/codex" exec "$@"
}

codex_two_turns() {
    codex_says 'fake codex reply' --skip-git-repo-check --color never 'say hi' &&
        codex_says 'fake codex reply' --skip-git-repo-check --color never resume --last 'and again'
}

scenario_codex_sse() {
    start_pool codex=2 codex_key=1 || return 1
    codex_home 'model_provider = "codex-pool"' $'name = "OpenAI via codex-pool proxy"\nrequires_openai_auth = true'
    codex_two_turns && check turns=2 one-account
}

scenario_codex_websocket() {
    start_pool codex=2 || return 1
    codex_home 'model_provider = "codex-pool"' $'name = "OpenAI via codex-pool proxy"\nrequires_openai_auth = true\nsupports_websockets = true'
    codex_two_turns && check turns=2 one-account websocket
}

scenario_codex_zstd() {
    start_pool codex=2 || return 1
    codex_home 'model_provider = "codex-pool"' $'name = "OpenAI"\nrequires_openai_auth = true'
    codex_two_turns && check turns=2 one-account coding=zstd
}

scenario_codex_builtin() {
    start_pool codex=2 || return 1
    codex_home "openai_base_url = \"$base/v1\""
    codex_two_turns && check turns=2 one-account websocket
}

scenario_codex_api_key() {
    start_pool codex_key=2 || return 1
    codex_home 'model_provider = "codex-pool"' $'name = "Pool with a key"\nenv_key = "POOL_KEY"'
    rm "$CODEX_HOME/auth.json"
    POOL_KEY=sk-any codex_two_turns && check turns=2 one-account accounts=codex_key_1,codex_key_2
}

scenario_codex_interactive() {
    start_pool codex=2 || return 1
    codex_home 'model_provider = "codex-pool"' $'name = "OpenAI via codex-pool proxy"\nrequires_openai_auth = true'
    local tmux=(tmux -S "$dir/tmux" -f /dev/null) i seen=1
    "${tmux[@]}" new-session -d -x 120 -y 40 "env TERM=xterm-256color HOME='$HOME' CODEX_HOME='$CODEX_HOME' '$cache/codex' 'say hi'; echo ENDED; sleep 100"
    for ((i = 0; i < 400; i++)); do
        "${tmux[@]}" capture-pane -p >"$dir/pane" 2>/dev/null
        grep -q 'fake codex reply' "$dir/pane" && seen=0 && break
        grep -q ENDED "$dir/pane" && break
        sleep 0.1
    done
    # The thread's title is asked for at the same time, by a request of its own.
    for ((i = 0; i < 50; i++)); do
        [ "$(grep -c '^POST /v1/responses' "$dir/tap/tap.log")" -ge 2 ] && break
        sleep 0.1
    done
    "${tmux[@]}" kill-server 2>/dev/null
    [ $seen -eq 0 ] || { echo "  no reply on the screen:" && sed 's/^/    | /' "$dir/pane" && return 1; }
    check turns=1
}

# As Codex writes it: with the date, unless it is today.
codex_time='([A-Z][a-z]{2} [0-9]{1,2}(st|nd|rd|th), [0-9]{4} )?[0-9]{1,2}:[0-9]{2} [AP]M'

scenario_codex_used_up() {
    start_pool codex=2 || return 1
    codex_home 'model_provider = "codex-pool"' $'name = "OpenAI via codex-pool proxy"\nrequires_openai_auth = true'
    script '{"status":429,"headers":{"Content-Type":"application/json"},"body":"{\"error\":{\"type\":\"usage_limit_reached\",\"message\":\"used up\",\"resets_in_seconds\":5400}}"}'
    codex_says "hit your usage limit\\. Try again at $codex_time" --skip-git-repo-check --color never 'say hi'
}

codex_over() { # [websocket]
    local more=
    [ "${1:-}" != websocket ] || more=$'\nsupports_websockets = true'
    codex_home 'model_provider = "codex-pool"' $'name = "OpenAI via codex-pool proxy"\nrequires_openai_auth = true'"$more"
}

# The pool's errors as Codex shows them (docs/errors.md).
scenario_codex_refused() {
    start_pool codex=1 || return 1
    codex_over
    local turn=("$cache/codex" exec --skip-git-repo-check --color never 'say hi')
    refused 'exhausted 5400' 1 "hit your usage limit\\. Try again at $codex_time" "${turn[@]}" &&
        refused 'exhausted' 1 'hit your usage limit\. Try again later' "${turn[@]}" &&
        refused 'user_limit 5400' 1 "usage limit\\. the pool says user_limit, or try again at $codex_time" "${turn[@]}" &&
        refused 'user_limit' 1 'usage limit\. the pool says user_limit, or try again later' "${turn[@]}" &&
        refused 'user_disabled' 6 '403 Forbidden: the pool says user_disabled' "${turn[@]}" &&
        waits_out 'fake codex reply' "${turn[@]}"
}

scenario_codex_websocket_refused() {
    start_pool codex=1 || return 1
    codex_over websocket
    local turn=("$cache/codex" exec --skip-git-repo-check --color never 'say hi')
    refused 'exhausted 5400' 2 "hit your usage limit\\. Try again at $codex_time" "${turn[@]}" &&
        refused 'user_limit 5400' 2 "usage limit\\. the pool says user_limit, or try again at $codex_time" "${turn[@]}" &&
        waits_out 'fake codex reply' "${turn[@]}" &&
        script '{"status":429,"headers":{"Content-Type":"application/json"},"body":"{\"error\":{\"type\":\"usage_limit_reached\",\"message\":\"used up\",\"resets_in_seconds\":5400}}"}' &&
        says "hit your usage limit\\. Try again at $codex_time" "${turn[@]}"
}

scenario_codex_no_account() {
    start_pool claude=1 || return 1
    codex_over
    codex_says '503 Service Unavailable: the pool has no account' --skip-git-repo-check --color never 'say hi'
}

# Without anybody's credential, and with a body that is answered before it is read.
scenario_codex_bad_key() {
    local settings='friend_code = "nobody-knows-it"'
    start_pool codex=1 || return 1
    codex_over
    CODEX_REFRESH_TOKEN_URL_OVERRIDE=$base/oauth/token \
        codex_says "a pool user's credential is needed" --skip-git-repo-check --color never 'say hi'
}

scenario_codex_body_too_large() {
    local settings='max_body_bytes = 4096'
    start_pool codex=1 || return 1
    codex_over
    codex_says '413 Payload Too Large: the request body is larger' --skip-git-repo-check --color never 'say hi'
}

scenario_codex_upstream_down() {
    start_pool codex=1 || return 1
    codex_home 'model_provider = "codex-pool"' $'name = "OpenAI via codex-pool proxy"\nrequires_openai_auth = true\nrequest_max_retries = 1\nstream_max_retries = 1'
    end_upstream
    codex_says '502 Bad Gateway: the upstream' --skip-git-repo-check --color never 'say hi'
}

scenario_codex_deadline() {
    local settings=$'first_byte_timeout_seconds = 1\nall_attempts_timeout_seconds = 2'
    start_pool codex=1 || return 1
    codex_home 'model_provider = "codex-pool"' $'name = "OpenAI via codex-pool proxy"\nrequires_openai_auth = true\nrequest_max_retries = 1\nstream_max_retries = 1'
    script '{"fault":"hang_before_head"}'
    codex_says '504 Gateway Timeout: the upstream did not answer in time' --skip-git-repo-check --color never 'say hi'
}

scenario_codex_failover() {
    start_pool codex=2 || return 1
    codex_home 'model_provider = "codex-pool"' $'name = "OpenAI via codex-pool proxy"\nrequires_openai_auth = true'
    script '{"status":401,"body":"{}","times":1}'
    codex_says 'fake codex reply' --skip-git-repo-check --color never 'say hi' && check turns=1
}

# ---- Claude Code -----------------------------------------------------------------------------------------------

claude_environment() {
    export ANTHROPIC_BASE_URL=$base CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1
    unset ANTHROPIC_API_KEY CLAUDE_CODE_OAUTH_TOKEN
}

claude_two_turns() {
    says 'fake claude reply' "$cache/claude" -p 'say hi' &&
        says 'fake claude reply' "$cache/claude" -p --continue 'and again'
}

scenario_claude_api_key() {
    start_pool claude=2 claude_key=1 || return 1
    claude_environment
    ANTHROPIC_API_KEY=pool-user-key claude_two_turns && check turns=2 one-account
}

scenario_claude_oauth() {
    start_pool claude=2 || return 1
    claude_environment
    CLAUDE_CODE_OAUTH_TOKEN=sk-ant-oat01-pool-any claude_two_turns && check turns=2 one-account
}

scenario_claude_by_key() {
    start_pool claude_key=2 || return 1
    claude_environment
    CLAUDE_CODE_OAUTH_TOKEN=sk-ant-oat01-pool-any claude_two_turns && check turns=2 one-account
}

scenario_claude_used_up() {
    start_pool claude=2 || return 1
    claude_environment
    script '{"status":429,"headers":{"Content-Type":"application/json","anthropic-ratelimit-unified-status":"rejected","retry-after":"5400"},"body":"{\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":\"used up\"}}"}'
    CLAUDE_CODE_OAUTH_TOKEN=sk-ant-oat01-pool-any says 'hit your usage limit · resets' "$cache/claude" -p 'say hi'
}

# The pool's errors as Claude Code shows them (docs/errors.md), with an API key and with a subscription's token.
scenario_claude_refused() {
    start_pool claude=1 || return 1
    claude_environment
    local turn=("$cache/claude" -p 'say hi')
    export ANTHROPIC_API_KEY=pool-user-key
    refused 'exhausted 5400' 1 'rejected \(429\) · the pool says exhausted \(until 20' "${turn[@]}" &&
        refused 'exhausted' 1 'rejected \(429\) · the pool says exhausted' "${turn[@]}" &&
        refused 'user_limit 5400' 1 'rejected \(429\) · the pool says user_limit \(until 20' "${turn[@]}" &&
        refused 'user_limit' 1 'rejected \(429\) · the pool says user_limit' "${turn[@]}" &&
        refused 'user_disabled' 1 'API Error: 403 the pool says user_disabled' "${turn[@]}" &&
        refused 'no_account' 1 'API Error: 503 the pool says no_account' "${turn[@]}" &&
        waits_out 'fake claude reply' "${turn[@]}" || return 1
    unset ANTHROPIC_API_KEY
    export CLAUDE_CODE_OAUTH_TOKEN=sk-ant-oat01-pool-any
    refused 'exhausted 5400' 1 'hit your usage limit · resets' "${turn[@]}" &&
        refused 'exhausted' 1 'the pool says exhausted' "${turn[@]}" &&
        refused 'user_limit 5400' 1 'hit your usage limit · resets' "${turn[@]}" &&
        refused 'user_limit' 1 'hit your usage limit' "${turn[@]}" &&
        refused 'user_disabled' 1 'API Error: 403 the pool says user_disabled' "${turn[@]}" &&
        waits_out 'fake claude reply' "${turn[@]}"
}

scenario_claude_bad_key() {
    local settings='friend_code = "nobody-knows-it"'
    start_pool claude=1 || return 1
    claude_environment
    ANTHROPIC_API_KEY=pool-user-key says "API Error: 401 a pool user's credential is needed" "$cache/claude" -p 'say hi' &&
        CLAUDE_CODE_OAUTH_TOKEN=sk-ant-oat01-pool-any says "API Error: 401 a pool user's credential is needed" "$cache/claude" -p 'say hi'
}

scenario_claude_body_too_large() {
    local settings='max_body_bytes = 4096'
    start_pool claude=1 || return 1
    claude_environment
    ANTHROPIC_API_KEY=pool-user-key says 'Request too large' "$cache/claude" -p 'say hi'
}

scenario_claude_deadline() {
    local settings=$'first_byte_timeout_seconds = 1\nall_attempts_timeout_seconds = 2'
    start_pool claude=1 || return 1
    claude_environment
    script '{"fault":"hang_before_head"}'
    ANTHROPIC_API_KEY=pool-user-key says 'API Error: 504 the upstream did not answer in time' "$cache/claude" -p 'say hi'
}

scenario_claude_upstream_down() {
    start_pool claude=1 || return 1
    claude_environment
    end_upstream
    CLAUDE_CODE_MAX_RETRIES=1 ANTHROPIC_API_KEY=pool-user-key says 'API Error: 502 the upstream' "$cache/claude" -p 'say hi'
}

scenario_claude_failover() {
    start_pool claude=2 || return 1
    claude_environment
    script '{"status":529,"body":"{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"busy\"}}","times":1}'
    ANTHROPIC_API_KEY=pool-user-key says 'fake claude reply' "$cache/claude" -p 'say hi' && check turns=1
}

# ---- Gemini CLI ----------------------------------------------------------------------------------------------------

gemini_environment() {
    export GEMINI_CLI_TRUST_WORKSPACE=true
    mkdir -p "$HOME/.gemini"
    unset CODE_ASSIST_ENDPOINT GOOGLE_GENAI_USE_GCA GOOGLE_CLOUD_ACCESS_TOKEN GEMINI_API_KEY GOOGLE_GEMINI_BASE_URL
    if [ "$1" = gca ]; then
        echo '{"privacy":{"usageStatisticsEnabled":false}}' >"$HOME/.gemini/settings.json"
        export CODE_ASSIST_ENDPOINT=$base GOOGLE_GENAI_USE_GCA=true GOOGLE_CLOUD_ACCESS_TOKEN=pool-any
    else
        echo '{"privacy":{"usageStatisticsEnabled":false},"security":{"auth":{"selectedType":"gemini-api-key"}}}' >"$HOME/.gemini/settings.json"
        export GEMINI_API_KEY=pool-any GOOGLE_GEMINI_BASE_URL=$base
    fi
}

gemini_asks_twice() { sed -i 's/^{/{"general":{"maxAttempts":2},/' "$HOME/.gemini/settings.json"; }

gemini_two_turns() {
    says 'fake gemini reply' "$cache/node" "$cache/gemini.js" -p 'say hi' &&
        says 'fake gemini reply' "$cache/node" "$cache/gemini.js" --resume latest -p 'and again'
}

# Its project belongs to one account and is replaced where another serves: those bodies differ by that value alone.
scenario_gemini_code_assist() {
    start_pool gemini=2 gemini_key=1 || return 1
    gemini_environment gca
    gemini_two_turns && check turns=4 one-account accounts=gemini_1,gemini_2 no-hashes
}

scenario_gemini_one_account() {
    start_pool gemini=1 || return 1
    gemini_environment gca
    gemini_two_turns && check turns=4 one-account
}

# No conversation id at all: the pool goes by the first element of `contents`, which the router's request shares or not.
scenario_gemini_api_key() {
    start_pool gemini_key=2 || return 1
    gemini_environment key
    gemini_two_turns && check turns=4
}

scenario_gemini_used_up() {
    start_pool gemini=2 || return 1
    gemini_environment gca
    script '{"status":429,"headers":{"Content-Type":"application/json"},"body":"{\"error\":{\"code\":429,\"status\":\"RESOURCE_EXHAUSTED\",\"message\":\"used up\",\"details\":[{\"@type\":\"type.googleapis.com/google.rpc.ErrorInfo\",\"reason\":\"QUOTA_EXHAUSTED\",\"metadata\":{\"quotaResetDelay\":\"5400s\"}}]}}"}'
    says 'TerminalQuotaError: every account that could serve this is used up' "$cache/node" "$cache/gemini.js" -m gemini-2.5-flash -p 'say hi'
}

# The pool's errors as Gemini CLI shows them (docs/errors.md), over Code Assist and with an API key.
scenario_gemini_refused() {
    start_pool gemini=1 gemini_key=1 || return 1
    local turn=("$cache/node" "$cache/gemini.js" -m gemini-2.5-flash -p 'say hi')
    gemini_environment gca
    refused 'exhausted 5400' 1 'TerminalQuotaError: the pool says exhausted \(until 20' "${turn[@]}" &&
        refused 'exhausted' 1 'TerminalQuotaError: the pool says exhausted' "${turn[@]}" &&
        refused 'user_disabled' 1 'the pool says user_disabled' "${turn[@]}" &&
        refused 'no_account' 1 'TerminalQuotaError: the pool says no_account' "${turn[@]}" &&
        waits_out 'fake gemini reply' "${turn[@]}" || return 1
    gemini_environment key
    refused 'exhausted 5400' 1 'TerminalQuotaError: the pool says exhausted \(until 20' "${turn[@]}" &&
        refused 'user_limit' 1 'TerminalQuotaError: the pool says user_limit' "${turn[@]}" &&
        refused 'no_account' 1 'TerminalQuotaError: the pool says no_account' "${turn[@]}"
}

scenario_gemini_bad_key() {
    local settings='friend_code = "nobody-knows-it"'
    start_pool gemini=1 gemini_key=1 || return 1
    gemini_environment gca
    says "a pool user's credential is needed" "$cache/node" "$cache/gemini.js" -p 'say hi' || return 1
    gemini_environment key
    says "a pool user's credential is needed" "$cache/node" "$cache/gemini.js" -p 'say hi'
}

scenario_gemini_body_too_large() {
    local settings='max_body_bytes = 4096'
    start_pool gemini_key=1 || return 1
    gemini_environment key
    says 'the request body is larger' "$cache/node" "$cache/gemini.js" -p 'say hi'
}

scenario_gemini_upstream_down() {
    start_pool gemini_key=1 || return 1
    gemini_environment key
    gemini_asks_twice
    end_upstream
    says 'the upstream' "$cache/node" "$cache/gemini.js" -m gemini-2.5-flash -p 'say hi'
}

scenario_gemini_deadline() {
    local settings=$'first_byte_timeout_seconds = 1\nall_attempts_timeout_seconds = 2'
    start_pool gemini_key=1 || return 1
    gemini_environment key
    gemini_asks_twice
    script '{"fault":"hang_before_head"}'
    says 'the upstream did not answer in time' "$cache/node" "$cache/gemini.js" -m gemini-2.5-flash -p 'say hi'
}

scenario_gemini_failover() {
    start_pool gemini=2 || return 1
    gemini_environment gca
    script '{"status":503,"body":"{}","times":1}'
    says 'fake gemini reply' "$cache/node" "$cache/gemini.js" -p 'say hi' && check turns=2 no-hashes
}

# ---- friends: set up by the line of their page, from a home folder with settings of its own, and undone ----------------

# The home folder's files with their bytes, rights and times.
picture() { (cd "$HOME" && find . ! -name '*.lock' \( -type f -printf '%p %m %t ' -exec sha256sum {} ';' -o -printf '%p %m\n' \) | sort); }

start_shared_pool() {
    settings=$'friend_code = "the code"\nadmin_token = "the token"\n' start_pool "$@" || return 1
    export CODEX_POOL_OWNER='the token'
}

# join CLI: a new friend, and the line for that CLI. The variables are those of a terminal that is opened now.
join() {
    local line
    line=$(curl -sf --noproxy '*' "$base/api/friend/claim" -d '{"friend_code":"the code"}' |
        python3 -c 'import json, sys; print(json.load(sys.stdin)["setup"][sys.argv[1]]["command"])' "$1") || return 1
    bash -c "$line" </dev/null >"$dir/said" 2>&1 || { sed 's/^/    | /' "$dir/said" && return 1; }
    # shellcheck disable=SC1091
    [ ! -r "$HOME/.codex-pool-setup/env.sh" ] || . "$HOME/.codex-pool-setup/env.sh"
}

undo() { bash "$HOME/.codex-pool-setup/undo.sh" >"$dir/said" 2>&1 || { sed 's/^/    | /' "$dir/said" && return 1; }; }

# set_up_and_back CLI: the line and its undo leave nothing behind; then the line again, for good.
set_up_and_back() {
    local before after
    echo 'alias ll="ls -l"' >"$HOME/.bashrc"
    before=$(picture)
    join "$1" && undo || return 1
    after=$(picture)
    [ "$before" = "$after" ] || { echo "  the undo left:" && diff <(echo "$before") <(echo "$after") | sed 's/^/    | /' && return 1; }
    join "$1"
}

scenario_friend_codex() {
    start_shared_pool codex=2 || return 1
    export CODEX_HOME=$HOME/.codex
    mkdir -p "$CODEX_HOME"
    cat >"$CODEX_HOME/config.toml" <<END
model_provider = "mine" # kept as a comment
[analytics]
enabled = false
[features]
daemon_auto_start = false
[projects."$dir/project"]
trust_level = "trusted"
[model_providers.mine]
name = "mine"
base_url = "http://127.0.0.1:1/v1"
END
    cp "$CODEX_HOME/config.toml" "$dir/config.mine"
    set_up_and_back codex || return 1
    codex_two_turns && check turns=2 one-account || return 1
    undo && cmp "$CODEX_HOME/config.toml" "$dir/config.mine" && [ ! -e "$CODEX_HOME/auth.json" ]
}

scenario_friend_codex_bare_home() {
    start_shared_pool codex=2 || return 1
    unset CODEX_HOME
    set_up_and_back codex || return 1
    codex_two_turns && check turns=2 one-account
}

scenario_friend_claude() {
    start_shared_pool claude=2 || return 1
    unset ANTHROPIC_API_KEY CLAUDE_CODE_OAUTH_TOKEN ANTHROPIC_BASE_URL CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC
    mkdir -p "$HOME/.claude"
    echo '{"env": {"MINE": "1"}, "cleanupPeriodDays": 30}' >"$HOME/.claude/settings.json"
    cp "$HOME/.claude/settings.json" "$dir/settings.mine"
    set_up_and_back claude || return 1
    claude_two_turns && check turns=2 one-account || return 1
    undo && cmp "$HOME/.claude/settings.json" "$dir/settings.mine"
}

# The settings file alone is enough: a terminal that was open before needs no variable.
scenario_friend_claude_by_settings() {
    start_shared_pool claude=2 || return 1
    join claude || return 1
    unset ANTHROPIC_API_KEY CLAUDE_CODE_OAUTH_TOKEN ANTHROPIC_BASE_URL CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC
    claude_two_turns && check turns=2 one-account
}

scenario_friend_gemini() {
    start_shared_pool gemini=2 || return 1
    unset CODE_ASSIST_ENDPOINT GOOGLE_GENAI_USE_GCA GOOGLE_CLOUD_ACCESS_TOKEN GEMINI_API_KEY GOOGLE_GEMINI_BASE_URL
    mkdir -p "$HOME/.gemini"
    echo '{"privacy":{"usageStatisticsEnabled":false}}' >"$HOME/.gemini/settings.json"
    cp "$HOME/.gemini/settings.json" "$dir/settings.mine"
    set_up_and_back gemini || return 1
    export GEMINI_CLI_TRUST_WORKSPACE=true
    gemini_two_turns && check turns=4 one-account no-hashes || return 1
    undo && cmp "$HOME/.gemini/settings.json" "$dir/settings.mine"
}

# shellcheck source=tests/cli/friend_page.sh
. "$here/friend_page.sh"

# ---------------------------------------------------------------------------------------------------------------------

all=$(compgen -A function | sed -n 's/^scenario_//p')
for scenario in ${*:-$all}; do
    begun=$SECONDS
    echo "-- $scenario"
    if "scenario_$scenario"; then
        passed=$((passed + 1))
        echo "ok $scenario ($((SECONDS - begun)) s)"
    else
        failed=$((failed + 1))
        echo "FAILED $scenario ($((SECONDS - begun)) s); the pool's log ends:"
        [ -n "${dir:-}" ] && tail -30 "$dir/pool.log" | sed 's/^/    # /'
    fi
    stop_all
    cd "$work" || exit 1
done
echo "$passed passed, $failed failed"
[ $failed -eq 0 ] && [ $passed -gt 0 ]
