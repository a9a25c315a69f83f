# Shared by the set-up and its undo: bash 3.2 and the tools of any Unix. The state of every CLI that was set up is in
# $state/<cli>: "manifest" has a line per file (kind, number, path), "before/N" is the file as it was (absent: there was
# none), "after/N" as the set-up left it.

say() { printf '%s\n' "$*"; }
complain() { printf 'codex-pool: %s\n' "$*" >&2; }

json_tool() {
    local python
    python=$(command -v python3) || python=
    # On a Mac without developer tools this name only opens a dialogue.
    if [ "$python" = /usr/bin/python3 ] && [ "$(uname)" = Darwin ] && ! xcode-select -p >/dev/null 2>&1; then python=; fi
    if [ -n "$python" ] && python3 -c 'import json' >/dev/null 2>&1; then echo python3
    elif command -v node >/dev/null 2>&1 && node -e '' >/dev/null 2>&1; then echo node
    fi
}

# edit_json set|unset FILE SPEC OUT [BEFORE]: SPEC has a line per value: its path, a tab, the value as JSON.
# Ends with 0, or with 3 if the file is nothing that can be edited without losing something.
edit_json() {
    case $(json_tool) in
    python3) python3 - "$@" <<'PYTHON' ;;
import json, sys
mode, path, spec, out = sys.argv[1:5]
before = sys.argv[5] if len(sys.argv) > 5 else None
def once(pairs):
    if len({k for k, _ in pairs}) != len(pairs):
        raise ValueError("a key twice")
    return dict(pairs)
def read(name):
    with open(name, encoding="utf-8-sig", newline="") as f:
        text = f.read()
    data = json.loads(text, object_pairs_hook=once) if text.strip() else {}
    if not isinstance(data, dict):
        raise ValueError("no object")
    return data
def find(data, keys):
    for key in keys:
        if not isinstance(data, dict) or key not in data:
            return False, None
        data = data[key]
    return True, data
try:
    data = read(path)
    old = read(before) if before else {}
    for line in open(spec, encoding="utf-8"):
        name, value = line.rstrip("\n").split("\t", 1)
        keys, value = name.split("."), json.loads(value)
        if mode == "set":
            node = data
            for key in keys[:-1]:
                if node.get(key) is None:
                    node[key] = {}
                node = node[key]
                if not isinstance(node, dict):
                    raise ValueError("no object")
            node[keys[-1]] = value
            continue
        if find(data, keys) != (True, value):
            continue
        had, was = find(old, keys)
        if had:
            find(data, keys[:-1])[1][keys[-1]] = was
            continue
        while keys:
            parent = find(data, keys[:-1])[1]
            del parent[keys[-1]]
            keys.pop()
            if parent or not keys or find(old, keys)[0]:
                break
    with open(out, "w", encoding="utf-8", newline="") as f:
        f.write(json.dumps(data, indent=2, ensure_ascii=False) + "\n" if data or before else "")
except (OSError, ValueError, RecursionError):
    sys.exit(3)
PYTHON
    node) node - "$@" <<'NODE' ;;
const fs = require("fs");
const [mode, path, spec, out, before] = process.argv.slice(process.argv[1] === "-" ? 2 : 1);
const read = (name) => {
  const text = fs.readFileSync(name, "utf8").replace(/^\uFEFF/, "");
  if (/[0-9]{16,}/.test(text)) throw new Error("a number that would be rounded");
  const data = text.trim() ? JSON.parse(text) : {};
  if (data === null || typeof data !== "object" || Array.isArray(data)) throw new Error("no object");
  return data;
};
const isObject = (x) => x !== null && typeof x === "object" && !Array.isArray(x);
const find = (data, keys) => {
  for (const key of keys) {
    if (!isObject(data) || !Object.hasOwn(data, key)) return [false, undefined];
    data = data[key];
  }
  return [true, data];
};
try {
  const data = read(path);
  const old = before ? read(before) : {};
  for (const line of fs.readFileSync(spec, "utf8").split("\n")) {
    if (!line) continue;
    const tab = line.indexOf("\t");
    const keys = line.slice(0, tab).split("."), value = JSON.parse(line.slice(tab + 1));
    if (mode === "set") {
      let node = data;
      for (const key of keys.slice(0, -1)) {
        if (node[key] === undefined || node[key] === null) node[key] = {};
        node = node[key];
        if (!isObject(node)) throw new Error("no object");
      }
      node[keys[keys.length - 1]] = value;
      continue;
    }
    const [has, now] = find(data, keys);
    if (!has || now !== value) continue;
    const [had, was] = find(old, keys);
    if (had) { find(data, keys.slice(0, -1))[1][keys[keys.length - 1]] = was; continue; }
    while (keys.length) {
      const parent = find(data, keys.slice(0, -1))[1];
      delete parent[keys.pop()];
      if (Object.keys(parent).length || !keys.length || find(old, keys)[0]) break;
    }
  }
  fs.writeFileSync(out, Object.keys(data).length || before ? JSON.stringify(data, null, 2) + "\n" : "");
} catch {
  process.exit(3);
}
NODE
    *) return 3 ;;
    esac
}

# Takes the set-up's lines out of a TOML file or a shell's start-up file and brings back the ones it had put aside.
without_our_lines() {
    awk '/^# >>> codex-pool/ { ours = 1 } !ours { sub(/^#codex-pool-was# /, ""); print } /^# <<< codex-pool/ { ours = 0 }' "$1"
}

# put_back STATE NUMBER PATH: the file as it was before, also its time.
put_back() {
    if [ -e "$1/before/$2" ]; then
        cat "$1/before/$2" >"$3" && touch -r "$1/before/$2" "$3"
    else
        rm -f "$3"
    fi
}

# undo_changed STATE KIND NUMBER PATH: the file was changed since: only what the set-up did is taken back.
undo_changed() {
    local before= result=$1/undone
    [ -e "$1/before/$3" ] && before=$1/before/$3
    case $2 in
    document)
        if grep -qF -e "$(cat "$1/mark/$3")" "$4"; then put_back "$1" "$3" "$4"; return; fi
        say "  kept     $4 (it is another one now; the one before the set-up is in $4.before-codex-pool)"
        [ -z "$before" ] || cp -p "$before" "$4.before-codex-pool"
        return ;;
    json)
        if ! edit_json unset "$4" "$1/spec/$3" "$result" ${before:+"$before"}; then
            complain "$4 cannot be edited here; take these out by hand:"
            cut -f 1 "$1/spec/$3" | sed 's/^/    /' >&2
            return 1
        fi ;;
    *) without_our_lines "$4" >"$result" || return 1 ;;
    esac
    if [ -z "$before" ] && [ ! -s "$result" ]; then rm -f "$4"; else cat "$result" >"$4"; fi
    rm -f "$result"
}

# undo_state STATE: everything its manifest names, the last first.
undo_state() {
    local kind number path failed=0
    [ -r "$1/manifest" ] || return 0
    while IFS="$(printf '\t')" read -r kind number path; do
        if [ "$kind" = folder ]; then rmdir "$path" 2>/dev/null; continue; fi
        [ -e "$1/after/$number" ] || continue # the set-up did not get that far
        if [ ! -e "$path" ]; then
            [ ! -e "$1/before/$number" ] || cp -p "$1/before/$number" "$path" || failed=1
        elif cmp -s "$path" "$1/after/$number"; then
            put_back "$1" "$number" "$path" || failed=1
        else
            undo_changed "$1" "$kind" "$number" "$path" || failed=1
        fi
        [ "${quiet:-}" = 1 ] || say "  restored $path"
    done <<LINES
$(awk '{ line[NR] = $0 } END { for (i = NR; i > 0; i--) print line[i] }' "$1/manifest")
LINES
    [ "$failed" = 0 ] || { complain "not everything could be restored; what was there before is kept in $1"; return 1; }
    rm -rf "$1"
}

# The variables of all CLIs that are set up, in one file for the shells' start-up files; fish has a language of its own.
join_variables() {
    local one fish=$HOME/.config/fish/conf.d/codex-pool.fish after
    : >"$state/env.sh"
    for one in "$state"/*/env.sh; do [ ! -r "$one" ] || cat "$one" >>"$state/env.sh"; done
    if [ -r "$state/profiles/fish" ]; then
        after=$state/profiles/after/$(cat "$state/profiles/fish")
        if cmp -s "$fish" "$after"; then fish_variables >"$fish" && cp "$fish" "$after"; fi
    fi
    [ -s "$state/env.sh" ] || rm -f "$state/env.sh"
}

fish_variables() {
    printf '# >>> codex-pool: made by its set-up, undone by bash ~/.codex-pool-setup/undo.sh\n'
    sed -n -e 's/^export \([A-Z_0-9]*\)=/set -gx \1 /p' -e 's/^unset \([A-Z_0-9]*\)$/set -e \1/p' "$state/env.sh"
    printf '# <<< codex-pool\n'
}

undo() { # CLI, or nothing for all
    local one left=0
    if [ ! -d "$state" ]; then
        [ "${quiet:-}" = 1 ] || say "codex-pool: nothing is set up here."
        return 0
    fi
    for one in "$state"/*/manifest; do
        one=${one%/manifest}
        case ${one##*/} in profiles | '*') continue ;; esac
        if [ -n "${1:-}" ] && [ "${one##*/}" != "$1" ]; then left=1; continue; fi
        [ "${quiet:-}" = 1 ] || say "Undoing the set-up of ${one##*/}:"
        undo_state "$one" || return 1
    done
    if [ "${quiet:-}" = 1 ] && [ "$left" = 0 ]; then return 0; fi # it is set up again in a moment
    if [ "$left" = 1 ]; then join_variables; return 0; fi
    [ ! -d "$state/profiles" ] || undo_state "$state/profiles" || return 1
    rm -rf "$state"
    say "Done. Shells that are open keep their variables until you close them."
}
