#!/usr/bin/env bash
# Pictures of `codex-pool status` and `codex-pool top` from a run of the demo: docs/screenshots/status.svg and top.svg.
#
#   terminal_pictures.sh PROGRAM
set -euo pipefail
program=$(realpath "$1")
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=$here/../docs/screenshots
work=$(mktemp -d)
socket=$work/tmux
cleanup() {
    tmux -S "$socket" kill-server 2>/dev/null || true
    kill "${traffic[@]}" 2>/dev/null || true
    wait "${traffic[@]}" 2>/dev/null || true
    kill "$demo" 2>/dev/null || true
    wait 2>/dev/null || true
    rm -rf "$work"
}
traffic=()
"$program" demo --listen 127.0.0.1:0 >"$work/log" 2>&1 &
demo=$!
trap cleanup EXIT
until grep -q 'codex-pool top --config' "$work/log"; do sleep 0.1; done
config=$(sed -n 's/.*codex-pool top --config //p' "$work/log")
url=$(sed -n 's|.*open *\(http://[^ ]*\)/$|\1|p' "$work/log")

# A few users' worth of conversations, and an account out of service.
talk() {
    while :; do
        curl -sS "$url/v1/messages" -H 'content-type: application/json' -H "X-Claude-Code-Session-Id: picture-$1" -o "$work/answer-$1" \
            -d '{"model":"claude-demo","stream":true,"max_tokens":100,"messages":[{"role":"user","content":"hi"}]}' || sleep 1
    done
}
ask() {
    while :; do
        curl -sS "$url/v1/responses" -H 'content-type: application/json' -H "session-id: picture-$1" -o "$work/answer-$1" \
            -d "{\"model\":\"gpt-demo\",\"stream\":true,\"prompt_cache_key\":\"picture-$1\",\"input\":[]}" || sleep 1
    done
}
for number in 1 2 3; do
    talk "$number" & traffic+=($!)
    ask "$((number + 3))" & traffic+=($!)
done
until "$program" accounts disable gemini:key --config "$config" >"$work/said" 2>&1; do sleep 0.2; done
sleep "${PICTURE_SECONDS:-25}" # until there is a pace to forecast from

# picture NAME ROWS COMMAND
picture() {
    tmux -S "$socket" new-session -d -x 100 -y "$2" "$3; sleep 60"
    sleep 3
    tmux -S "$socket" capture-pane -e -p | python3 "$here/ansi_svg.py" >"$out/$1.svg"
    tmux -S "$socket" kill-server
}
picture status 26 "$program status --config $config"
picture top 24 "$program top --config $config"
echo "made $out/status.svg and $out/top.svg"
