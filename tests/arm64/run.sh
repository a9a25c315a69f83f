#!/usr/bin/env bash
# The Debian package of arm64 on a machine of another architecture, under qemu-user: what it says of itself, unit tests of
# the code that is written for a machine, and the program with all its processes.
#
#   run.sh PACKAGE TESTS_BUILD_FOLDER
#
# The pool executes itself, so the kernel must know whom to ask for arm64: it is told in a user namespace of its own (Linux
# 6.7 or newer), which ends with this script and with it all that was started. Ends with "N passed, N failed".
set -uo pipefail
deb=$(realpath "$1") tests=$(realpath "$2")
qemu=$(command -v qemu-aarch64-static || command -v qemu-aarch64) || { echo "qemu-user is not installed" && exit 1; }

work=$(mktemp -d "${TMPDIR:-/tmp}/codex-pool-arm64-XXXXXX")
pool=""
passed=0 failed=0
cleanup() {
    [ -z "$pool" ] || { kill -KILL "$pool" && wait "$pool"; } 2>/dev/null
    mountpoint -q "$work/binfmt" && umount "$work/binfmt"
    rm -rf --one-file-system "$work"
}
trap cleanup EXIT

# shellcheck source=../support/checks.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/checks.sh"

unit_tests() {
    local name code good bad
    step "unit tests"
    # qemu-user has no set_robust_list: whoever waits for a lock of a process that was killed waits for ever. So tests that kill
    # are left out; a dead process's locks are the kernel's matter, on every architecture.
    for name in base http ipc segment; do
        "$qemu" "$tests/tests/test_$name" '--gtest_filter=-RobustMutex.*:*Killed*' >"$work/$name" 2>&1
        code=$?
        good=$(grep -c '^\[       OK \]' "$work/$name")
        bad=$(grep -cE '^\[  FAILED  \] .* \([0-9]+ ms\)$' "$work/$name")
        if [ $code -ne 0 ] || [ "$good" -eq 0 ]; then
            bad=$((bad > 0 ? bad : 1))
            grep -vE '^\[( RUN   |       OK|------)' "$work/$name" | tail -60
        fi
        echo "$name: $good passed, $bad failed"
        passed=$((passed + good)) failed=$((failed + bad))
    done
}

if [ -z "${CODEX_POOL_ARM64_INSIDE:-}" ]; then
    unit_tests # here, because some need more than one user
    cleanup
    export CODEX_POOL_ARM64_INSIDE="$passed $failed"
    own=(unshare --user --map-root-user --mount --pid --fork --kill-child --mount-proc)
    if "${own[@]}" true; then exec "${own[@]}" "${BASH_SOURCE[0]}" "$deb" "$tests"; fi
    step "the package: SKIPPED, this machine gives no user namespace"
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ]
    exit
fi
read -r passed failed <<<"$CODEX_POOL_ARM64_INSIDE"

clues() { [ ! -e "$work/log" ] || tail -40 "$work/log"; }

step "the package"
root=$work/root
program=$root/usr/bin/codex-pool
check "it is arm64's" test "$(dpkg-deb -f "$deb" Architecture)" = arm64
check "dpkg unpacks it" dpkg-deb -x "$deb" "$root"
check "so is the program" sh -c "readelf -h '$program' | grep -q 'Machine: *AArch64'"
# Every library that the program names comes with a package that the package depends on, by its name or one it provides.
libraries_are_depended_on() {
    local library package name depends
    depends=$(dpkg-deb -f "$deb" Depends | sed 's/([^)]*)//g; s/[, ]\+/\n/g')
    for library in $(readelf -d "$program" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'); do
        package=$(dpkg-query -S "*/aarch64-linux-gnu/$library" | sed -n 's/:arm64: .*//p' | head -1)
        echo "$library is in ${package:=?}"
        for name in $(dpkg-query -W -f '${Package},${Provides}' "$package:arm64" | sed 's/([^)]*)//g; s/,/ /g'); do
            grep -qxF "$name" <<<"$depends" && continue 2
        done
        return 1
    done
}
check "it depends on the packages of its libraries" libraries_are_depended_on
check "lintian finds no error and no warning" lintian --allow-root --fail-on error,warning "$deb"

step "the program"
check "it says its version" sh -c "'$qemu' '$program' --version | grep -qx 'codex-pool [0-9.]*'"
mkdir -p "$work/home/pool" && cd "$work/home" || exit 1
printf '{"OPENAI_API_KEY":"sk-test"}\n' >pool/key.json
chmod -R go= .
check "it checks a configuration" sh -c "HOME=$work/home '$qemu' '$program' check | grep -q codex:key"

mkdir "$work/binfmt"
if ! mount -t binfmt_misc binfmt_misc "$work/binfmt" 2>"$work/output"; then
    step "its processes: SKIPPED, this kernel gives no user namespace a binfmt_misc of its own: $(cat "$work/output")"
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ]
    exit
fi
step "its processes"
# \x7fELF, 64 bits, little-endian; an executable or a position-independent one; EM_AARCH64
magic='\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00'
mask='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'
register() { printf '%s' ":codex-pool-arm64:M::$magic:$mask:$qemu:F" >"$work/binfmt/register"; }
check "the kernel starts programs of arm64" register
"$program" demo --listen 127.0.0.1:0 >"$work/log" 2>&1 &
pool=$!
address() { base=$(sed -n 's|.*open *\(http://[^ ]*\)/$|\1|p' "$work/log") && [ -n "$base" ]; }
get() { curl -sS --noproxy '*' --fail-with-body --max-time 60 "$@"; }
healthy() { get "$base/healthz" | grep -q '"ok":true'; }
answered() {
    get --no-buffer "$base/v1/messages" -H 'Content-Type: application/json' \
        -d '{"model":"claude-demo","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"hi"}]}' |
        grep -q '^event: message_stop'
}
counted() { get "$base/metrics" | awk '/^codexpool_account_requests_total/ { n += $2 } END { exit !(n > 0) }'; }
check "the demo serves" soon address
check "it is healthy" soon healthy
check "a turn is answered, event by event" answered
check "it is counted" soon counted
check "a page is shown" sh -c "curl -sS --noproxy '*' --fail '$base/' | grep -qi '<html'"
kill -TERM "$pool"
wait "$pool"
code=$? pool=""
check "it stops in order" test "$code" -eq 0

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
