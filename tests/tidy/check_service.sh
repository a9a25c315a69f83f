#!/usr/bin/env bash
# The unit's sandbox, the alerts and the manual pages, each by the tool that knows: check_service.sh ROOT PACKAGE_FOLDER
set -uo pipefail
root=$1 package=$2
faults=0

fault() {
    echo "$*"
    faults=$((faults + 1))
}

there() {
    command -v "$1" >/dev/null && return 0
    echo "$1 is not installed: left out"
    return 1
}

if there systemd-analyze; then
    score=$(systemd-analyze --no-pager security --offline=yes "$root/systemd/codex-pool.service" |
        sed -nE 's/.*exposure level.*: ([0-9.]+) .*/\1/p')
    awk -v score="$score" 'BEGIN { exit !(score != "" && score <= 1.5) }' ||
        fault "systemd/codex-pool.service: exposure level ${score:-unknown} is above 1.5"
fi
if there promtool; then
    promtool check rules "$root/etc/prometheus/alerts.yml" || fault "etc/prometheus/alerts.yml: see above"
    promtool test rules "$root/tests/tidy/alerts_test.yml" || fault "tests/tidy/alerts_test.yml: see above"
fi
if there man; then
    for page in "$package"/codex-pool.1 "$package"/codex-pool.toml.5; do
        said=$(LC_ALL=C.UTF-8 MANWIDTH=100 man --warnings -E UTF-8 -l "$page" 2>&1 >/dev/null)
        [ -z "$said" ] || fault "$page: $said"
    done
fi
# A test compares the example with the table of settings; this compares the manual page with the example.
while read -r name; do
    grep -qF "\\fB${name//-/\\-}\\fP = " "$package/codex-pool.toml.5" || fault "codex-pool.toml.5: $name is missing"
    grep -qE "^#?$name = " "$package/config.toml" || fault "config.toml of the package: $name is missing"
done < <(sed -nE 's/^([a-z_]+) = .*/\1/p' "$root/etc/config.example.toml")

[ $faults -eq 0 ] && echo "service: ok"
[ $faults -eq 0 ]
