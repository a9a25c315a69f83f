# shellcheck shell=bash disable=SC2154
# Sourced by the tests that are shell scripts. They set $work, a folder, and $passed; $failed, if they have failures besides.
# The one that sources defines `clues`: what to print after a failure.

step() { printf -- '-- %s\n' "$*"; }

# check WHAT COMMAND...: what follows builds on what was checked, so the first failure ends the run.
check() {
    local what=$1
    shift
    if "$@" >"$work/output" 2>&1; then
        passed=$((passed + 1))
        echo "ok $what"
        return
    fi
    echo "FAILED $what"
    sed 's/^/    | /' "$work/output" | tail -40
    clues | sed 's/^/    # /'
    echo "$passed passed, $((${failed:-0} + 1)) failed"
    exit 1
}

# soon COMMAND...: waits until it succeeds, for at most two minutes.
soon() {
    local i
    for ((i = 0; i < 1200; i++)); do
        "$@" && return 0
        sleep 0.1
    done
    return 1
}
