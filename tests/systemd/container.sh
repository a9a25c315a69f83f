# shellcheck shell=bash disable=SC2154
# Sourced by run.sh: a booted container root, and how to look into it. Nothing of it reaches any network: the container has
# loopback only.

# boot: starts $root and waits until its systemd has started everything. Sets $nspawn and $leader.
boot() {
    local i
    SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 systemd-nspawn --quiet --directory="$root" --boot --private-network \
        --register=no --keep-unit --console=pipe "--machine=codex-pool-$$" </dev/null >"$work/console" 2>&1 &
    nspawn=$!
    for ((i = 0; i < 600; i++)); do
        leader=$(pgrep -P "$nspawn" -x systemd | head -1)
        [ -n "$leader" ] && inside systemctl is-system-running 2>/dev/null | grep -qxE 'running|degraded' && return 0
        kill -0 "$nspawn" 2>/dev/null || break
        sleep 0.1
    done
    return 1
}

# halted: waits until the container has ended, and returns what systemd-nspawn returned.
halted() {
    local i
    for ((i = 0; i < 600; i++)); do
        kill -0 "$nspawn" 2>/dev/null || break
        sleep 0.1
    done
    local code=0
    wait "$nspawn" || code=$?
    nspawn="" leader=""
    return $code
}

stop_container() {
    [ -n "${nspawn:-}" ] || return 0
    # With its init everything in it ends, and systemd-nspawn tidies up.
    [ -z "${leader:-}" ] || kill -KILL "$leader" 2>/dev/null
    kill -TERM "$nspawn" 2>/dev/null
    wait "$nspawn" 2>/dev/null
    nspawn="" leader=""
}

# inside COMMAND...: runs it in the container.
inside() {
    nsenter --all --target "$leader" env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
        LANG=C.UTF-8 "$@"
}
