#!/usr/bin/env bash
# The Debian package in a container with real systemd: install, serve, break, upgrade, reboot, remove, purge.
#
#   run.sh BUILD_FOLDER FAKE_UPSTREAMS POOL_LOAD
#
# The main process is killed under 20 open streams and 50 requests a second; CODEX_POOL_FULL_LOAD=1 makes it 200 and 500.
# Ends with "N passed, N failed"; with status 77 and the reason where no container can be booted. The Debian root is kept
# in $CODEX_POOL_TEST_CACHE (default ~/.cache/codex-pool-tests).
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
build=$1 fakes=$2 pool_load=$3

skip() {
    echo "SKIPPED: $*"
    exit 77
}

if [ "$(id -u)" -ne 0 ]; then
    sudo -n true 2>/dev/null || skip "booting a container needs root, and sudo asks for a password"
    exec sudo -n CODEX_POOL_FULL_LOAD="${CODEX_POOL_FULL_LOAD:-}" \
        CODEX_POOL_TEST_CACHE="${CODEX_POOL_TEST_CACHE:-$HOME/.cache/codex-pool-tests}" "${BASH_SOURCE[0]}" "$@"
fi
for program in systemd-nspawn debootstrap lintian; do
    command -v $program >/dev/null || skip "$program is not installed (scripts/deps.sh test)"
done

# Processes of its own number space: however this ends, the container ends with it.
if [ -z "${CODEX_POOL_SYSTEMD_INSIDE:-}" ]; then
    export CODEX_POOL_SYSTEMD_INSIDE=1
    unshare --pid --fork --mount-proc true || skip "this machine gives no process number space of its own"
    exec unshare --pid --fork --kill-child --mount-proc "${BASH_SOURCE[0]}" "$@"
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/codex-pool-systemd-XXXXXX")
root=$work/root
nspawn="" leader=""
passed=0
# shellcheck source=container.sh
. "$here/container.sh"
# shellcheck source=../support/checks.sh
. "$here/../support/checks.sh"
trap 'stop_container; soon rm -rf --one-file-system "$work"' EXIT # the last processes may still write

clues() { [ -z "$leader" ] || inside journalctl --no-pager -u codex-pool -u fakes -n 40; }

not() { ! "$@"; }

# ---- the service, as its user sees it --------------------------------------------------------------------------------

base=http://127.0.0.1:8989
get() { inside curl -sS --fail-with-body --max-time 60 "$@"; }
healthy() { get "$base/healthz" | grep -q '"ok":true'; }
has_accounts() { get "$base/healthz" | grep -q "\"healthy_accounts\":$1\\b"; }
state() { inside systemctl show --property="$1" --value codex-pool; }
state_is() { [ "$(state ActiveState)" = "$1" ]; }
# Read to the end, because a journalctl that cannot write on fails.
journal_says() { inside journalctl --no-pager -u codex-pool --since "@$since" | grep -E "$1" >/dev/null; }
# journal_has FIELD=VALUE... TEXT: a line with these fields and this text.
journal_has() { inside journalctl --no-pager -o cat -u codex-pool "${@:1:$#-1}" | grep -F "${*: -1}" >/dev/null; }
journal_begins() { since=$(date +%s); }
mode() { [ "$(inside stat -c '%a %U:%G' "$1")" = "$2" ] || { inside ls -ld "$1" && false; }; }

# ask [CURL_OPTION...]: one turn.
ask() {
    get --no-buffer "$base/v1/messages" -H 'Content-Type: application/json' -H 'X-Api-Key: any' "$@" \
        -H 'anthropic-version: 2023-06-01' \
        -d '{"model":"claude-sonnet-4-5","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"hi"}]}'
}
answered() { ask "$@" | grep -q '^event: message_stop'; }

# begin_stream starts a turn whose answer stops in the middle, until whole_stream lets it go on.
tell_fakes() { get "http://127.0.0.1:18080/_fake/$1" -d "${2:-}"; }
begin_stream() {
    rm -f "$work/stream"
    tell_fakes reset && tell_fakes script '{"times":1,"gate_after":3}' || return 1
    ask >"$work/stream" 2>&1 &
    stream=$!
    soon grep -q '^event: message_start' "$work/stream"
}
still_streaming() { kill -0 "$stream" && ! grep -q '^event: message_stop' "$work/stream"; }
whole_stream() { still_streaming && tell_fakes release && wait "$stream" && grep -q '^event: message_stop' "$work/stream"; }

# begin_load: open streams and requests at a steady rate, until end_load.
begin_load() {
    local streams=20 per_second=50
    [ -z "${CODEX_POOL_FULL_LOAD:-}" ] || { streams=200 per_second=500; }
    inside pool_load 8989 18080 /var/lib/codex-pool/proxy.db $streams $per_second >"$work/load" 2>&1 &
    load=$!
    soon grep -qx loaded "$work/load" || { cat "$work/load" && false; }
}
end_load() {
    inside pkill -TERM -x pool_load
    wait "$load"
    local code=$?
    cat "$work/load"
    return $code
}

counted_requests() { get "$base/metrics" | awk '/^codexpool_account_requests_total/ { sum += $2 } END { print sum + 0 }'; }
counted() { [ "$(counted_requests)" -ge "$1" ]; }

drop_in() { inside install -D -m 644 "/usr/share/doc/codex-pool/examples/$1" "/etc/systemd/system/codex-pool.service.d/$1"; }
no_drop_ins() { inside rm -rf /etc/systemd/system/codex-pool.service.d && inside systemctl daemon-reload; }
restart() { inside systemctl daemon-reload && inside systemctl restart codex-pool; }
# listens ADDRESS: every listening TCP socket on the port is on that address (as /proc/net/tcp spells it).
# shellcheck disable=SC2016
listens() { [ "$(inside awk '$4 == "0A" { print $2 }' /proc/net/tcp | grep -v ':46A0$' | sort -u)" = "$1" ]; }
processes() { inside pgrep -u codex-pool; }
# Every process of the user is the main process or its child.
one_family() { [ "$(processes | wc -l)" -eq $(($(inside pgrep -P "$(state MainPID)" | wc -l) + 1)) ]; }

# A container with nothing in it but our own /usr: where that does not run, no other would.
nspawn_works() {
    mkdir -p "$work/probe/usr" && ln -s usr/bin usr/lib usr/lib64 "$work/probe/" &&
        SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 systemd-nspawn --quiet --directory="$work/probe" --bind-ro=/usr --private-network \
            --register=no --keep-unit --console=pipe "--machine=codex-pool-probe-$$" /usr/bin/true </dev/null >"$work/output" 2>&1
}
nspawn_works || skip "systemd-nspawn does not work on this machine: $(tail -1 "$work/output")"

# ---- the package --------------------------------------------------------------------------------------------------------

step "the package"
check "cpack makes a package" cpack --config "$build/CPackConfig.cmake" -B "$work/deb"
deb=$(find "$work/deb" -maxdepth 1 -name 'codex-pool_*.deb')
check "lintian finds no error and no warning" lintian --allow-root --fail-on error,warning "$deb"
newer=$work/codex-pool_newer.deb
dpkg-deb -R "$deb" "$work/newer" && sed -i 's/^Version: .*/&+newer/' "$work/newer/DEBIAN/control" &&
    dpkg-deb --root-owner-group -b "$work/newer" "$newer" >/dev/null || exit 1

step "a container"
cached=$("$here/root.sh" "${CODEX_POOL_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/codex-pool-tests}/systemd" "$deb") || exit 1
cp -a "$cached" "$root" || exit 1
rm -f "$root/.complete"
cp "$deb" "$newer" "$root/srv/"
install -m 755 "$fakes" "$root/usr/local/bin/fake_upstreams"
install -m 755 "$pool_load" "$root/usr/local/bin/pool_load"
# The fakes' tokens of these accounts are the same at every start.
cat >"$root/etc/systemd/system/fakes.service" <<UNIT
[Service]
ExecStart=/usr/local/bin/fake_upstreams /srv/fake claude=1 claude_key=1 codex_key=2 --port=18080
[Install]
WantedBy=multi-user.target
UNIT
# Nothing of ours is in it yet: if this does not work it is the machine's matter.
boot || { cat "$work/console"; skip "systemd-nspawn cannot boot a Debian container on this machine"; }
inside systemctl enable --now fakes 2>/dev/null
soon inside test -s /srv/fake/url || { inside systemctl status fakes; exit 1; }

step "installation"
install_package() { inside apt-get install -q -y "/srv/$(basename "$1")" </dev/null; }
check "apt installs it and asks nothing" install_package "$deb"
check "it is enabled" inside systemctl is-enabled codex-pool
check "it is started" soon state_is active
check "enable --now has nothing to complain about" inside systemctl enable --now codex-pool
check "it answers, without any account" soon healthy
check "it listens on loopback only" listens 0100007F:231D
check "config.toml is root's and the service's" mode /etc/codex-pool/config.toml '640 root:codex-pool'
check "the data folder is the service's alone" mode /var/lib/codex-pool '700 codex-pool:codex-pool'
check "the pool folder, too" mode /var/lib/codex-pool/pool '700 codex-pool:codex-pool'
exposure() {
    local score
    score=$(inside systemd-analyze --no-pager security codex-pool | sed -nE 's/.*exposure level.*: ([0-9.]+) .*/\1/p')
    echo "exposure $score"
    awk -v score="$score" 'BEGIN { exit !(score != "" && score <= 1.5) }'
}
check "systemd-analyze security gives at most 1.5" exposure
sandboxed() {
    local pid
    pid=$(state MainPID)
    inside grep -E '^(Seccomp|NoNewPrivs|CapEff):' "/proc/$pid/status"
    inside grep -qE '^Seccomp:\s*2' "/proc/$pid/status" && inside grep -qE '^NoNewPrivs:\s*1' "/proc/$pid/status" &&
        not inside nsenter -m -t "$pid" touch /etc/x &&
        not inside nsenter -m -t "$pid" sh -c 'ls -A ~ | grep .'
}
check "its sandbox is on" sandboxed
check "its user cannot write to its configuration" not inside runuser -u codex-pool -- touch /etc/codex-pool/x /etc/codex-pool/config.toml

step "configuration"
# shellcheck disable=SC2016
configure() {
    # The example's last table makes way for the fakes' one.
    inside sed -i '/^\[upstream\]/,$d' /etc/codex-pool/config.toml &&
        inside sh -c 'cat /srv/fake/upstream.toml >>/etc/codex-pool/config.toml && echo "# mine" >>/etc/codex-pool/config.toml'
}
check "the fakes are configured" configure
check "a restart takes it" restart
check "the packaged configuration has no fault" inside runuser -u codex-pool -- codex-pool check --config /etc/codex-pool/config.toml

step "credentials"
journal_begins
check "a credential file comes with the wrong owner" inside install -m 600 /srv/fake/pool/claude_1.json /var/lib/codex-pool/pool/
check "a reload says so" inside systemctl reload codex-pool
check "the journal names it" soon journal_says 'claude_1.json.*permission denied'
check "credential files come" inside sh -c 'install -o codex-pool -g codex-pool -m 600 /srv/fake/pool/*.json /var/lib/codex-pool/pool/'
check "a reload" inside systemctl reload codex-pool
check "the accounts are in service" soon has_accounts 4
check "a turn is answered" answered
# shellcheck disable=SC2016
check "root may ask what the accounts do" inside sh -c '[ "$(codex-pool accounts --config /etc/codex-pool/config.toml | grep -c claude:)" -eq 2 ]'
check "the journal has the request" soon journal_says 'request=.*status=200'
check "it finds it by its user" soon journal_has POOL_USER=local status=200
check "by its account and status" soon journal_has POOL_ACCOUNT=claude:1 POOL_STATUS=200 request=
check "and has what concerns an account but is no request" soon journal_has POOL_EVENT=account_added POOL_ACCOUNT=claude:1 event=account_added
check "not a line came from the processes' standard error" not journal_has _TRANSPORT=stdout role=
check "codex-pool logs shows it" inside sh -c 'codex-pool logs --user local --lines 5 | grep -q status=200'

step "in the shell"
conf=/etc/codex-pool/config.toml
# shellcheck disable=SC2016
says() { inside sh -c '"$@" 2>&1 | tee /dev/stderr' sh codex-pool "${@:1:$#-1}" --config $conf | grep -qF "${*: -1}"; }
check "status says how it is" says status "All 4 accounts can serve."
check "doctor finds nothing wrong" inside codex-pool doctor --config $conf
check "it knows the service" says doctor "codex-pool.service is active (enabled)"
check "and its sandbox" says doctor "its sandbox is whole"
check "a backup is made while it serves" inside codex-pool backup /srv/pool.backup --config $conf
check "it is not restored meanwhile" says restore /srv/pool.backup "works in this folder"
before=$(counted_requests)
check "the service stops" inside systemctl stop codex-pool
check "somebody removes the credentials" inside rm -r /var/lib/codex-pool/pool
check "root restores" inside codex-pool restore /srv/pool.backup --config $conf
check "all of it belongs to the service's user" \
    not inside sh -c 'find /var/lib/codex-pool -not -user codex-pool | grep .'
check "start" inside systemctl start codex-pool
check "the accounts are back" soon has_accounts 4
check "and what was counted" soon counted "$before"
check "a turn is answered" answered

step "nothing is cut by a reload or by the end of a worker"
check "a stream begins" begin_stream
check "reload" inside systemctl reload codex-pool
check "the stream runs on and ends whole" whole_stream
main=$(state MainPID)
worker=$(inside pgrep -f 'child --role worker' | head -1)
check "a worker is killed" inside kill -KILL "$worker"
check "it is replaced" soon sh -c "! kill -0 $worker 2>/dev/null"
check "the pool serves on" answered
check "under the same main process" test "$main" = "$(state MainPID)"

step "kill -9 of the main process"
# What systemd keeps for the next one.
stores() { [ "$(state NFileDescriptorStore)" -ge 3 ] || { state NFileDescriptorStore && false; }; }
check "systemd keeps the segment and the sockets" stores
check "a load begins" begin_load
journal_begins
check "the supervisor is killed" inside kill -KILL "$main"
check "systemd starts another" soon journal_says 'Started codex-pool'
check "another it is" not test "$main" = "$(state MainPID)"
check "it takes the segment over" soon journal_says 'event=segment_taken_over'
check "it finds the worker left behind" soon journal_says 'event=orphan_found'
check "the accounts are in service again" soon has_accounts 4
check "it has others' workers, which have streams" not one_family
check "no request failed, no stream was cut, usage is complete, no pin moved" end_load
tail -1 "$work/load" | sed 's/^/   /'
check "the workers left behind have gone" soon one_family
check "a turn is answered" answered

step "an unreadable configuration"
check "it loses its mode" inside chmod 000 /etc/codex-pool/config.toml
journal_begins
check "a restart fails" not restart
check "the journal says why" soon journal_says 'config.toml.*permission denied'
check "it gets its mode back" inside chmod 640 /etc/codex-pool/config.toml
check "the service comes back by itself" soon healthy

step "the examples"
check "lan.conf" drop_in lan.conf
check "a password for it" inside sh -c 'umask 077 && echo POOL_ADMIN_PASSWORD=a-long-enough-password >/etc/codex-pool/environment'
check "restart" restart
check "it answers" soon healthy
check "it listens on every address" listens 00000000:231D
check "strangers see nothing" not get "$base/status"
check "the owner does" get -u admin:a-long-enough-password "$base/status"
no_drop_ins
check "listen.conf" drop_in listen.conf
check "restart" restart
base=http://127.0.0.1:80
check "it answers on port 80" soon healthy
check "and nowhere else" listens 0100007F:0050
no_drop_ins
base=http://127.0.0.1:8989
check "restart without them" restart
check "it is back at its own address" soon healthy
check "a turn is answered" answered

step "an update of the package"
begun=$(counted_requests)
main=$(state MainPID)
check "a stream begins" begin_stream
journal_begins
check "apt installs the newer one and asks nothing" install_package "$newer"
check "it took over from the running one" journal_says 'event=upgraded'
check "the stream runs on and ends whole" whole_stream
check "it is the newer one" inside sh -c "dpkg-query -W -f '\${Version}' codex-pool | grep -q newer"
check "it runs" soon healthy
check "under the same main process" test "$main" = "$(state MainPID)"
program_is_new() { inside test "/proc/$main/exe" -ef /usr/bin/codex-pool; }
check "which is the new program" program_is_new
check "with its workers only" soon one_family
check "with the owner's configuration" inside grep -qx '# mine' /etc/codex-pool/config.toml
check "config.toml is still root's and the service's" mode /etc/codex-pool/config.toml '640 root:codex-pool'
check "with its accounts" soon has_accounts 4
check "with its usage" counted "$begun"
check "a turn is answered" answered

step "a reboot"
begun=$(counted_requests)
inside systemctl reboot
halted
check "the container reboots" test $? -eq 133
check "and comes up" boot
check "the pool is there" soon healthy
check "with its accounts" soon has_accounts 4
check "with its usage" counted "$begun"
check "a turn is answered" answered

step "a stop lets a stream finish"
check "a stream begins" begin_stream
inside systemctl stop codex-pool &
check "the service is stopping" soon state_is deactivating
check "the stream runs on and ends whole" whole_stream
check "the service has stopped" soon state_is inactive
check "no process is left" not processes
check "start" inside systemctl start codex-pool

step "removal"
check "apt removes it" inside apt-get remove -q -y codex-pool
check "no process is left" not processes
check "nobody answers" not healthy
check "the program is gone" not inside test -e /usr/bin/codex-pool
check "the configuration stays" inside grep -qx '# mine' /etc/codex-pool/config.toml
check "the credentials stay" inside test -s /var/lib/codex-pool/pool/claude_1.json
check "the database stays" inside test -s /var/lib/codex-pool/proxy.db
check "it is installed again" install_package "$newer"
check "it serves at once" soon has_accounts 4
check "a turn is answered" answered

step "purge"
check "apt purges it and asks nothing" inside apt-get purge -q -y codex-pool
check "no process is left" not processes
leftovers() {
    inside find / -xdev -name '*codex-pool*' -not -path '/proc/*' -not -path '/srv/*' -not -path '/tmp/*'
}
nothing_left() { [ -z "$(leftovers)" ] || { leftovers && false; }; }
check "no file is left" nothing_left
check "systemd knows nothing of it" not inside systemctl cat codex-pool

echo "$passed passed, 0 failed"
