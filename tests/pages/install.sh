#!/usr/bin/env bash
# Installs what the browser tests drive the browser with, pinned, into the cache folder given (outside the tree).
set -euo pipefail
cache=$1/pages-2
[ -e "$cache/.complete" ] && exit 0
mkdir -p "$1"
exec 9>"$1/pages.lock"
flock 9
[ -e "$cache/.complete" ] && exit 0
rm -rf "$cache"
mkdir -p "$cache"
cd "$cache"
echo '{"private":true}' >package.json
if ! npm install --ignore-scripts --no-audit --no-fund --no-package-lock puppeteer-core@24.8.2 axe-core@4.14.1 >npm.log 2>&1; then
    tail -20 npm.log >&2
    echo "install.sh: npm could not install puppeteer-core and axe-core" >&2
    exit 1
fi
touch .complete
