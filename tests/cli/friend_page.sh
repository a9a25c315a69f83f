# shellcheck shell=bash disable=SC2154
# Sourced by run.sh: a friend who has nothing but the friend page. A browser clicks, the shell runs what it copied.

# in_bare_home NAME: a home folder with nothing in it, and a terminal that knows of no CLI.
in_bare_home() {
    unset CODEX_HOME CODEX_REFRESH_TOKEN_URL_OVERRIDE ANTHROPIC_API_KEY ANTHROPIC_BASE_URL CLAUDE_CODE_OAUTH_TOKEN \
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC CODE_ASSIST_ENDPOINT GOOGLE_GENAI_USE_GCA GOOGLE_CLOUD_ACCESS_TOKEN \
        GEMINI_API_KEY GOOGLE_GEMINI_BASE_URL GEMINI_CLI_TRUST_WORKSPACE
    export HOME=$dir/$1
    mkdir -p "$HOME"
}

# run_line FILE: what was copied, in a shell of its own.
run_line() { bash "$1" </dev/null >"$dir/said" 2>&1 || { sed 's/^/    | /' "$dir/said" && return 1; }; }

first_answer() { # CLI
    # shellcheck disable=SC1091
    . "$HOME/.codex-pool-setup/env.sh"
    case $1 in
    codex) codex_says 'fake codex reply' --skip-git-repo-check --color never 'say hi' ;;
    claude) says 'fake claude reply' "$cache/claude" -p 'say hi' ;;
    gemini) GEMINI_CLI_TRUST_WORKSPACE=true says 'fake gemini reply' "$cache/node" "$cache/gemini.js" -p 'say hi' ;;
    esac
}

# Files below HOME whose names or bytes come from the set-up.
set_up_remains() { # CLI
    find "$HOME/.codex-pool-setup" -type f 2>/dev/null
    [ "$1" != codex ] || find "$HOME/.codex" -name auth.json 2>/dev/null
    grep -rlE 'codex-pool-setup|model_providers.codex-pool|CLAUDE_CODE_OAUTH_TOKEN|CODE_ASSIST_ENDPOINT' \
        "$HOME"/.bashrc "$HOME"/.profile "$HOME"/.codex/config.toml "$HOME"/.claude/settings.json "$HOME"/.gemini/settings.json 2>/dev/null
}

scenario_friend_page() {
    local browser cli before after left
    browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome) && [ -e "$cache/pages-2/.complete" ] || {
        echo "  SKIPPED: there is no browser here"
        return 0
    }
    start_shared_pool codex=1 claude=1 gemini=1 || return 1
    ln -sfn "$cache/pages-2/node_modules" "$dir/node_modules"
    cp "$here/../pages/join.mjs" "$dir/join.mjs"
    (cd "$dir" && timeout 200 node join.mjs "$base" "$browser" "$dir/copied" 'the code') || return 1
    for cli in codex claude gemini; do
        in_bare_home "bare-$cli"
        before=$(picture)
        run_line "$dir/copied/first/$cli.line" || return 1
        [ "$(picture)" != "$before" ] || { echo "  the line for $cli did nothing" && return 1; }
        run_line "$dir/copied/first/$cli.undo" || return 1
        after=$(picture)
        [ "$before" = "$after" ] || { echo "  the undo of $cli left:" && diff <(echo "$before") <(echo "$after") | sed 's/^/    | /' && return 1; }
        # Once more for good: a CLI that has answered has files of its own, which stay.
        in_bare_home "used-$cli"
        run_line "$dir/copied/second/$cli.line" && first_answer "$cli" && run_line "$dir/copied/second/$cli.undo" || return 1
        left=$(set_up_remains "$cli")
        [ -z "$left" ] || { echo "  after the answer the undo of $cli left:" && echo "$left" | sed 's/^/    | /' && return 1; }
    done
}
