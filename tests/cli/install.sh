#!/usr/bin/env bash
# Installs the real CLIs at pinned versions into the cache folder given (outside the tree) and prints nothing on success.
set -euo pipefail
cache=$1
codex=0.169.0
claude=2.1.330
gemini=0.61.0
node=20

mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9

# install NAME SPEC...: into its own folder, whole or not at all.
install() {
    local name=$1
    shift
    [ -e "$cache/$name/.complete" ] && return 0
    rm -rf "${cache:?}/$name"
    mkdir -p "$cache/$name"
    (
        cd "$cache/$name"
        echo '{"private":true}' >package.json
        if ! npm install --ignore-scripts --no-audit --no-fund --no-package-lock "$@" >npm.log 2>&1; then
            tail -20 npm.log >&2
            echo "install.sh: npm could not install $*" >&2
            exit 1
        fi
        touch .complete
    )
}

install "codex-$codex" "@openai/codex@$codex"
install "claude-$claude" "@anthropic-ai/claude-code@$claude"
install "gemini-$gemini" "@google/gemini-cli@$gemini"

# Gemini CLI needs Node 20; Debian 12 has 18.
major=$(node --version 2>/dev/null | sed -E 's/^v([0-9]+).*/\1/' || true)
if [ "${major:-0}" -lt $node ]; then
    install "node-$node" "node-linux-$(uname -m | sed 's/x86_64/x64/; s/aarch64/arm64/')@$node"
fi

ln -sfn "$(find "$cache/codex-$codex/node_modules" -path '*/vendor/*/bin/codex' -type f | head -1)" "$cache/codex"
ln -sfn "$(find "$cache/claude-$claude/node_modules/@anthropic-ai" -path '*claude-code-linux*' -name claude -type f | head -1)" "$cache/claude"
ln -sfn "$cache/gemini-$gemini/node_modules/@google/gemini-cli/bundle/gemini.js" "$cache/gemini.js"
if [ -e "$cache/node-$node" ]; then
    ln -sfn "$(find "$cache/node-$node/node_modules" -name node -type f -path '*/bin/*' | head -1)" "$cache/node"
else
    ln -sfn "$(command -v node)" "$cache/node"
fi
for program in codex claude gemini.js node; do
    [ -e "$cache/$program" ] || { echo "install.sh: $program was not in its package" >&2 && exit 1; }
done
