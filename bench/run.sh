#!/usr/bin/env bash
# Measures the release build beside nginx, in front of the same fake upstream, in interleaved rounds on one core, and
# prints ratios (pool / nginx). Absolute times are noise on shared machines; the ratios of one run are not.
#
#   bench/run.sh [ROUNDS]      default 15; needs nginx (scripts/deps.sh test installs it)
#
# Everything is switched on in the pool: authentication, pick, pin look-up, usage scan, request log. Its CPU is that of the
# whole process tree. nginx relays unbuffered with keep-alive upstreams and an access log.
set -euo pipefail
cd "$(dirname "$0")/.."
rounds=${1:-15}
core=${BENCH_CORE:-0}

say() { printf '%s\n' "$*" >&2; }
command -v nginx >/dev/null || PATH=$PATH:/usr/sbin
command -v nginx >/dev/null || { say "nginx is missing: run scripts/deps.sh test"; exit 1; }
say "building the release and the benchmark's programs"
cmake --preset bench >/dev/null
cmake --build --preset bench --target codex-pool bench_upstream bench_load >/dev/null
bin=build/bench

dir=$(mktemp -d)
pids=()
cleanup() { kill "${pids[@]}" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$dir"; }
trap cleanup EXIT
ulimit -n "$(ulimit -Hn)"

free_port() { # a port nobody listens on now, below those that the system gives to connections
  local port
  while :; do
    port=$((20000 + RANDOM % 12000))
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
  done
}
wait_for_port() { for _ in $(seq 200); do (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return; sleep 0.05; done; say "nothing listens on $1"; exit 1; }

# ---- the upstreams ----------------------------------------------------------------------------
plain=$(free_port); tls=$(free_port)
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost \
  -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout "$dir/key.pem" -out "$dir/cert.pem" 2>/dev/null
taskset -c "$core" "$bin/bench/bench_upstream" "$plain" & pids+=($!)
taskset -c "$core" "$bin/bench/bench_upstream" "$tls" "$dir/cert.pem" "$dir/key.pem" & pids+=($!)
wait_for_port "$plain"; wait_for_port "$tls"

# ---- nginx ---------------------------------------------------------------------------------------
start_nginx() { # name upstream_port scheme
  local port; port=$(free_port); mkdir -p "$dir/nginx-$1"
  cat >"$dir/nginx-$1.conf" <<CONF
worker_processes 1; daemon off; pid $dir/nginx-$1/pid; error_log $dir/nginx-$1/error.log;
events { worker_connections 16000; }
http {
  access_log $dir/nginx-$1/access.log; client_body_temp_path $dir/nginx-$1/b; proxy_temp_path $dir/nginx-$1/p;
  fastcgi_temp_path $dir/nginx-$1/f; uwsgi_temp_path $dir/nginx-$1/u; scgi_temp_path $dir/nginx-$1/s;
  keepalive_requests 100000000; client_max_body_size 64m; tcp_nodelay on;
  upstream up { server 127.0.0.1:$2; keepalive 1024; keepalive_requests 100000000; }
  server { listen 127.0.0.1:$port; location / {
    proxy_pass $3://up; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; proxy_request_buffering off;
    proxy_ssl_verify on; proxy_ssl_trusted_certificate $dir/cert.pem; proxy_ssl_name localhost; proxy_ssl_server_name on; } }
}
CONF
  taskset -c "$core" nginx -c "$dir/nginx-$1.conf" -p "$dir" & pids+=($!)
  wait_for_port "$port"
  eval "$1_pid=$!; $1_port=$port"
}
start_nginx nginx "$plain" http
start_nginx nginxtls "$tls" https

# ---- the pool -------------------------------------------------------------------------------------
start_pool() { # name base_url
  local port; port=$(free_port); mkdir -p "$dir/$1/pool"
  for account in one two; do
    printf '{"tokens":{"access_token":"%s-token","refresh_token":"r-%s","account_id":"acct-%s"}}' $account $account $account \
      >"$dir/$1/pool/$account.json"
    chmod 600 "$dir/$1/pool/$account.json"
  done
  (cd "$dir/$1" && SSL_CERT_FILE=$dir/cert.pem UPSTREAM_RESPONSES_BASE=$2 PROXY_WORKERS=1 PROXY_LISTEN_ADDR=127.0.0.1:$port \
    exec taskset -c "$core" "$OLDPWD/$bin/codex-pool" run 2>"$dir/$1/log") & pids+=($!)
  wait_for_port "$port"
  for _ in $(seq 200); do grep -q 'ready' "$dir/$1/log" && break; sleep 0.05; done
  eval "$1_pid=$!; $1_port=$port"
}
start_pool pool "http://127.0.0.1:$plain"
start_pool pooltls "https://localhost:$tls"

# ---- measuring -----------------------------------------------------------------------------------------
tree() { local p; for p in $(pgrep -P "$1"); do tree "$p"; done; echo "$1"; }
cpu_ns() { local p; for p in $(tree "$1"); do cat /proc/"$p"/task/*/schedstat 2>/dev/null; done | awk '{s+=$1} END {printf "%.0f", s}'; }
minflt() { local p; for p in $(tree "$1"); do cut -d' ' -f10 /proc/"$p"/stat 2>/dev/null; done | awk '{s+=$1} END {print s}'; }
rss_kb() { local p; for p in $(tree "$1"); do awk '/^VmRSS/ {print $2}' /proc/"$p"/status 2>/dev/null; done | awk '{s+=$1} END {print s}'; }
field() { sed -n "s/.*$1=\([0-9.]*\).*/\1/p"; }
load() { taskset -c "$core" "$bin/bench/bench_load" "$@"; }

errors=0
measure() { # scenario target pid port connections requests body bench unit
  local before faults out after n per
  load "$4" "$5" $(($5 * 2)) "$7" "$8" >/dev/null
  before=$(cpu_ns "$3"); faults=$(minflt "$3")
  out=$(load "$4" "$5" "$6" "$7" "$8")
  after=$(cpu_ns "$3"); faults=$(($(minflt "$3") - faults))
  n=$(field done <<<"$out"); [ "$9" = event ] && n=$(field events <<<"$out")
  errors=$((errors + $(field errors <<<"$out")))
  per=$(awk "BEGIN {printf \"%.3f\", ($after - $before) / 1000 / $n}")
  echo "$1 $2 $per $(awk "BEGIN {printf \"%.3f\", $n / $(field seconds <<<"$out")}") $(field p50_us <<<"$out") $(field p99_us <<<"$out") $(awk "BEGIN {printf \"%.2f\", $faults / $n}") $n" >>"$dir/rows"
}

paced="sse events=500 interval_us=2000"
burst="sse events=100000 interval_us=0"
for round in $(seq "$rounds"); do
  say "round $round of $rounds"
  for target in nginx pool; do
    pid=${target}_pid; port=${target}_port
    measure small_c1 $target "${!pid}" "${!port}" 1 3000 300 json request
    measure small_c16 $target "${!pid}" "${!port}" 16 10000 300 json request
    measure small_c64 $target "${!pid}" "${!port}" 64 10000 300 json request
    measure body_16k $target "${!pid}" "${!port}" 4 3000 16384 json request
    measure body_1M $target "${!pid}" "${!port}" 4 300 1048576 json request
    measure paced $target "${!pid}" "${!port}" 24 48 300 "$paced" event
    measure burst $target "${!pid}" "${!port}" 1 2 300 "$burst" event
    pid=${target}tls_pid; port=${target}tls_port
    measure tls_c16 $target "${!pid}" "${!port}" 16 7000 300 json request
    measure tls_paced $target "${!pid}" "${!port}" 24 48 300 "$paced" event
  done
  measure small_c1 direct $$ "$plain" 1 3000 300 json request
  measure small_c16 direct $$ "$plain" 16 10000 300 json request
  measure small_c64 direct $$ "$plain" 64 10000 300 json request
done

# ---- memory: 1,000 open streams, an event a second ---------------------------------------------------------
slow="sse events=1000 interval_us=1000000"
memory() { # name pid port
  local idle open
  load "$3" 50 100 300 json >/dev/null
  idle=$(rss_kb "$2")
  load "$3" 1000 1000 300 "$slow" 6 >/dev/null & local loader=$!
  sleep 4; open=$(rss_kb "$2"); wait $loader; sleep 1
  echo "$1 $(awk "BEGIN {printf \"%.1f\", ($open - $idle) / 1000}")"
}
say "memory of 1,000 open streams"
for name in nginx pool nginxtls pooltls; do pid=${name}_pid; port=${name}_port; memory $name "${!pid}" "${!port}" >>"$dir/memory"; done

# ---- the table -----------------------------------------------------------------------------------------------
awk '
function median(list, n,   a, i, j, t) { n = split(list, a, " "); for (i = 2; i <= n; i++) { t = a[i] + 0; for (j = i - 1; j > 0 && a[j] + 0 > t; j--) a[j + 1] = a[j]; a[j + 1] = t }
  return n % 2 ? a[(n + 1) / 2] + 0 : (a[n / 2] + a[n / 2 + 1]) / 2 }
{ k = $1 SUBSEP $2; cpu[k] = cpu[k] " " $3; rate[k] = rate[k] " " $4; p50[k] = p50[k] " " $5; p99[k] = p99[k] " " $6; flt[k] = flt[k] " " $7; counts[$1, $2, $8]++; if (!($1 in seen)) { seen[$1] = 1; order[++m] = $1 } }
END {
  split("small_c1 1.1 small_c16 1.1 small_c64 1.1 body_16k 0.95 body_1M 0.7 paced 1.1 burst - tls_c16 1.1 tls_paced 1.1", g, " "); for (i = 1; i in g; i += 2) goal[g[i]] = g[i + 1]
  printf "%-10s %12s %12s %8s %6s %12s %12s %14s %14s %8s\n", "scenario", "nginx us", "pool us", "ratio", "goal", "nginx /s", "pool /s", "p50 us n/p", "p99 us n/p", "faults"
  for (i = 1; i <= m; i++) { s = order[i]; a = s SUBSEP "nginx"; b = s SUBSEP "pool"
    # The ratio is taken round by round: a slow spell of the machine then hits both sides.
    n = split(cpu[a], x, " "); split(cpu[b], y, " "); r = ""; for (j = 1; j <= n; j++) r = r " " y[j] / x[j]
    printf "%-10s %12.2f %12.2f %8.2f %6s %12.0f %12.0f %14s %14s %8.1f\n", s, median(cpu[a]), median(cpu[b]), median(r), goal[s], median(rate[a]), median(rate[b]), sprintf("%.0f/%.0f", median(p50[a]), median(p50[b])), sprintf("%.0f/%.0f", median(p99[a]), median(p99[b])), median(flt[b]) }
  for (i = 1; i <= 3; i++) { s = order[i]; d = s SUBSEP "direct"; printf "%-10s direct: %.0f /s, p50 %.0f us, p99 %.0f us\n", s, median(rate[d]), median(p50[d]), median(p99[d]) }
}' "$dir/rows"
echo "CPU columns are per request (paced, burst: per event), of the whole process tree; n/p = nginx/pool."
awk '{m[$1] = $2} END {printf "memory, KiB RSS per open stream: nginx %s, pool %s (goal 8); TLS upstream: nginx %s, pool %s (goal 48)\n", m["nginx"], m["pool"], m["nginxtls"], m["pooltls"]}' "$dir/memory"
idle_pss=$(for p in $(tree "$pool_pid"); do awk '/^Pss:/ {print $2}' /proc/"$p"/smaps_rollup; done | awk '{s += $1} END {printf "%.1f", s / 1024}')
echo "pool's whole process tree now: $idle_pss MB PSS"
expected=$((48 * 501)); lost=$(awk -v e=$expected '($1 == "paced" || $1 == "tls_paced") && $8 != e {n++} END {print n + 0}' "$dir/rows")
echo "errors: $errors; rounds with lost events: $lost"
[ "$errors" = 0 ] && [ "$lost" = 0 ]
