#!/usr/bin/env bash
# All tests: unit, integration, chaos, tidy, then the real CLIs and the package under systemd. Ends with "N passed, N failed".
#   --asan   build and run under AddressSanitizer and UBSan as well (all but the CLIs and the package)
#   --long   the above, ten minutes of a flood in virtual time, the package for arm64 under qemu-user, every fuzz target for
#            a minute (FUZZ_SECONDS)
#   --quick  without the real CLIs and the package
#   -j N     parallel jobs (default: cores)
set -uo pipefail
cd "$(dirname "$0")/.."

jobs=$(nproc)
asan=0 long=0 quick=0
while [ $# -gt 0 ]; do
    case "$1" in
        --asan) asan=1 ;;
        --long) asan=1 long=1 && export CODEX_POOL_LONG=1 ;;
        --quick) quick=1 ;;
        -j) jobs=$2 && shift ;;
        -j*) jobs=${1#-j} ;;
        *) sed -n '2,8p' "$0" >&2 && exit 2 ;;
    esac
    shift
done

started=$SECONDS
passed=0 failed=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT

step() { printf '\n== %s (%ds)\n' "$*" $((SECONDS - started)); }

give_up() {
    echo "test.sh: $* failed"
    echo "$passed passed, $((failed + 1)) failed"
    exit 1
}

# run_ctest FOLDER ARGUMENTS...: adds the run's numbers to the totals.
run_ctest() {
    local folder=$1 summary bad all skipped
    shift
    ctest --test-dir "$folder" --output-on-failure --no-tests=ignore "$@" 2>&1 | tee "$log"
    summary=$(grep -E '[0-9]+% tests passed, [0-9]+ tests? failed out of [0-9]+' "$log" | tail -1)
    [ -n "$summary" ] || return 0
    bad=$(sed -E 's/.*passed, ([0-9]+) tests? failed.*/\1/' <<<"$summary")
    all=$(sed -E 's/.*out of ([0-9]+).*/\1/' <<<"$summary")
    # ctest counts what was skipped among the passed.
    skipped=$(grep -cE '^ *[0-9]+/[0-9]+ Test .*\*\*\*Skipped' "$log")
    passed=$((passed + all - bad - skipped))
    failed=$((failed + bad))
}

build() {
    cmake --preset "$1" >"$log" 2>&1 || { cat "$log" && give_up "configuring $1"; }
    cmake --build --preset "$1" -j "$jobs" || give_up "building $1"
}

step "packages"
scripts/deps.sh test || give_up "installing packages"

step "build"
build dev

step "unit, integration, chaos and tidy tests"
run_ctest build/dev -LE 'cli|systemd' -j "$jobs"

if [ $quick -eq 0 ]; then
    step "the real CLIs"
    run_ctest build/dev -L cli

    # Skipped, with the reason, where no container can be booted.
    step "the Debian package in a container with systemd"
    run_ctest build/dev -L systemd
    grep -h '^SKIPPED: ' build/dev/Testing/Temporary/LastTest.log
fi

if [ $asan -eq 1 ]; then
    step "AddressSanitizer and UBSan: build"
    build asan
    step "AddressSanitizer and UBSan: tests"
    run_ctest build/asan -LE 'cli|systemd|tidy' -j "$jobs"
fi

if [ $long -eq 1 ]; then
    step "the package for arm64 under qemu-user"
    scripts/arm64.sh -j "$jobs" 2>&1 | tee "$log"
    summary=$(grep -E '^[0-9]+ passed, [0-9]+ failed$' "$log" | tail -1)
    if [ -n "$summary" ]; then
        passed=$((passed + ${summary%% *}))
        summary=${summary#*, }
        failed=$((failed + ${summary% failed}))
    else
        failed=$((failed + 1)) # it was not built
    fi

    step "fuzzing, ${FUZZ_SECONDS:-60} s each"
    build fuzz
    for target in build/fuzz/tests/fuzz/fuzz_*; do
        { [ -f "$target" ] && [ -x "$target" ]; } || continue
        echo "-- $(basename "$target")"
        if (cd build/fuzz && "../../$target" -max_total_time="${FUZZ_SECONDS:-60}" -print_final_stats=1 >"$log" 2>&1); then
            passed=$((passed + 1))
        else
            tail -50 "$log"
            failed=$((failed + 1))
        fi
    done
fi

step "done"
echo "$passed passed, $failed failed"
[ $failed -eq 0 ] && [ $passed -gt 0 ]
