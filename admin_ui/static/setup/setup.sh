
usable_home() {
    case ${HOME:-} in
    '' | *[[:cntrl:]]*) complain "HOME names no usable folder"; return 1 ;;
    esac
    [ -d "$HOME" ] || { complain "HOME names no folder"; return 1; }
}

# fetch URL FILE
fetch() {
    if command -v curl >/dev/null 2>&1; then curl -fsS --max-time 60 -o "$2" -- "$1"
    elif command -v wget >/dev/null 2>&1; then wget -q -T 60 -O "$2" -- "$1"
    else complain "curl or wget is needed"; return 1
    fi
}

# The file that is being changed: $path, and $number in the manifest. begin_file KIND FOLDER-VARIABLE FOLDER NAME
begin_file() {
    local folder='' missing=''
    case $2 in '') ;; *) eval "folder=\${$2:-}" ;; esac
    case $folder in *[[:cntrl:]]*) complain "$2 names no usable folder"; return 1 ;; esac
    [ -n "$folder" ] || folder=$HOME/$3
    folder=${folder%/.}
    path=$folder/$4
    number=$((number + 1))
    while [ ! -d "$folder" ]; do
        missing="$folder${missing:+
$missing}"
        folder=${folder%/*}
        [ -n "$folder" ] || folder=/
    done
    if [ -n "$missing" ]; then
        while IFS= read -r folder; do
            mkdir -m 700 -- "$folder" || return 1
            printf 'folder\t0\t%s\n' "$folder" >>"$here/manifest"
        done <<LINES
$missing
LINES
    fi
    if [ -e "$path" ]; then
        [ -f "$path" ] && [ -w "$path" ] || { complain "$path cannot be written"; return 1; }
        cp -p -- "$path" "$here/before/$number" || return 1
    elif [ -L "$path" ]; then
        complain "$path is a link to nothing"
        return 1
    fi
    printf '%s\t%s\t%s\n' "$1" "$number" "$path" >>"$here/manifest"
}

# end_file NEW-TEXT-FILE WHAT: what is in the way of a link stays a link, and the file's rights stay.
end_file() {
    cp -- "$1" "$here/after/$number" && cat -- "$1" >"$path" || return 1
    say "  $2 $path"
}

# document FOLDER-VARIABLE FOLDER NAME KEEP MARK
document() {
    local folder=
    case $1 in '') ;; *) eval "folder=\${$1:-}" ;; esac
    if [ "$4" = keep ] && [ -s "${folder:-$HOME/$2}/$3" ]; then
        say "  kept    ${folder:-$HOME/$2}/$3 (your own sign-in will do)"
        return 0
    fi
    begin_file document "$1" "$2" "$3" || return 1
    printf '%s' "$5" >"$here/mark/$number"
    end_file "$temporary/config" "wrote  "
}

# toml FOLDER-VARIABLE FOLDER NAME, then pairs of path and value: everything else in the file stays; what it had under
# these names is put aside as comments.
toml() {
    local top= tables= table= drop= last= status=0
    begin_file toml "$1" "$2" "$3" || return 1
    shift 3
    while [ $# -gt 1 ]; do
        case $1 in
        *.*)
            table=${1%.*}
            if [ "$table" != "$last" ]; then tables="$tables
[$table]
"; drop="$drop$table
"; last=$table; fi
            tables="$tables${1##*.} = $2
" ;;
        *) top="$top$1 = $2
"; drop="$drop$1
" ;;
        esac
        shift 2
    done
    [ -e "$path" ] || : >"$temporary/empty"
    pool_drop=$drop awk "$toml_program" "$([ -e "$path" ] && printf %s "$path" || printf %s "$temporary/empty")" \
        >"$temporary/rest" || status=$?
    if [ $status -ne 0 ]; then
        complain "$path is not edited: $([ $status -eq 4 ] && echo "it defines ${last%%.*} in one piece, to which nothing can be added" || echo "it is no TOML that this script understands")"
        return 1
    fi
    {
        printf '# >>> codex-pool: made by its set-up, undone by %s\n%s# <<< codex-pool\n' "bash ~/.codex-pool-setup/undo.sh" "$top"
        cat "$temporary/rest"
        printf '# >>> codex-pool%s\n# <<< codex-pool\n' "${tables:+
${tables%
}}"
    } >"$temporary/new"
    end_file "$temporary/new" "changed"
}

# Follows strings and brackets, so that it knows where a statement begins and what its whole name is.
# shellcheck disable=SC2016
toml_program='
function parts(text,   out, c, quote, part) { # a dotted name; sets rest to what follows it
    out = ""; part = ""; rest = ""
    while (text != "") {
        c = substr(text, 1, 1)
        if (c == "\"" || c == "\047") {
            quote = index(substr(text, 2), c)
            if (quote == 0) { broken = 1; return out }
            part = part substr(text, 2, quote - 1); text = substr(text, quote + 2)
        } else if (c == ".") { out = out part "\034"; part = ""; text = substr(text, 2)
        } else if (c == " " || c == "\t") text = substr(text, 2)
        else if (c ~ /[A-Za-z0-9_-]/) { part = part c; text = substr(text, 2) }
        else break
    }
    rest = text
    return out part
}
function follow(text,   i, c, three) { # where the value stands at the end of the line
    for (i = 1; i <= length(text); i++) {
        c = substr(text, i, 1); three = substr(text, i, 3)
        if (inside == "\"\"\"" || inside == "\047\047\047") {
            if (c == "\\" && inside == "\"\"\"") i++
            else if (three == inside) {
                i += 2
                while (substr(text, i + 1, 1) == substr(inside, 1, 1)) i++
                inside = ""
            }
        } else if (inside != "") {
            if (c == "\\" && inside == "\"") i++
            else if (c == inside) inside = ""
        } else if (c == "#") break
        else if (three == "\"\"\"" || three == "\047\047\047") { inside = three; i += 2 }
        else if (c == "\"" || c == "\047") inside = c
        else if (c == "[" || c == "{") depth++
        else if (c == "]" || c == "}") depth--
    }
    if (length(inside) == 1 || depth < 0) broken = 1
}
function ours(name,   i) {
    for (i = 1; i <= count; i++)
        if (name == wanted[i] || index(name, wanted[i] "\034") == 1) return 1
    return 0
}
function contains_ours(name,   i) {
    for (i = 1; i <= count; i++) if (index(wanted[i], name "\034") == 1) return 1
    return 0
}
BEGIN {
    n = split(ENVIRON["pool_drop"], list, "\n")
    for (i = 1; i <= n; i++) if (list[i] != "") { gsub(/\./, "\034", list[i]); wanted[++count] = list[i] }
}
{
    line = $0
    sub(/\r$/, "", line)
    if (NR == 1 && index(line, "\357\273\277") == 1) broken = 1
    if (depth == 0 && inside == "") {
        drop = table_is_ours
        text = line
        sub(/^[ \t]+/, "", text)
        if (text ~ /^\[/) {
            array = text ~ /^\[\[/
            name = parts(substr(text, array ? 3 : 2))
            if (index(rest, array ? "]]" : "]") != 1 || name == "") broken = 1
            table = name
            table_is_ours = drop = ours(name)
            if (array && contains_ours(name)) conflict = 1
            follow(substr(rest, array ? 3 : 2))
        } else if (text != "" && text !~ /^#/) {
            name = parts(text)
            if (substr(rest, 1, 1) != "=" || name == "") broken = 1
            if (table != "") name = table "\034" name
            if (!table_is_ours) { drop = ours(name); if (contains_ours(name)) conflict = 1 }
            follow(substr(rest, 2))
        }
    } else follow(line)
    aside = drop && line != "" ? "#codex-pool-was# " : ""
    print aside $0
    if (broken) exit
}
END { if (broken || inside != "" || depth != 0) exit 3; if (conflict) exit 4 }'

# json FOLDER-VARIABLE FOLDER NAME TEXT, then triples of path, value|variable, and what: TEXT is the whole file if there is
# none yet.
json() {
    local text=$4 value status=0
    begin_file json "$1" "$2" "$3" || return 1
    shift 4
    : >"$here/spec/$number"
    while [ $# -gt 2 ]; do
        value=$3
        if [ "$2" = variable ]; then
            value=$(sed -n "s/^export $3='\\([^']*\\)'\$/\\1/p" "$here/env.sh")
            text=${text//"\${$3}"/$value}
            value="\"$value\""
        fi
        printf '%s\t%s\n' "$1" "$value" >>"$here/spec/$number"
        shift 3
    done
    if [ ! -s "$path" ]; then
        printf '%s\n' "$text" >"$temporary/new"
        end_file "$temporary/new" "wrote  "
        return
    fi
    edit_json set "$path" "$here/spec/$number" "$temporary/new" || status=$?
    if [ $status -ne 0 ]; then
        # It stays as it is: nothing to undo.
        awk -v n="$number" -F '\t' '$2 != n' "$here/manifest" >"$temporary/manifest" && cat "$temporary/manifest" >"$here/manifest"
        rm -f "$here/before/$number"
        say "  NOT changed $path: $([ -n "$(json_tool)" ] && echo "it is no plain JSON" || echo "python3 or node is needed for that"). Set this in it yourself:"
        cut -f 1 "$here/spec/$number" | sed 's/^/      /'
        return 0
    fi
    end_file "$temporary/new" "changed"
}

# Start-up files of the shells that are in use here read $state/env.sh. Once for all CLIs.
profiles() {
    local name any=0 here=$state/profiles
    [ -s "$state/env.sh" ] && [ ! -d "$here" ] || return 0
    mkdir -p "$here/before" "$here/after" && : >"$here/manifest" || return 1
    number=0
    for name in .bashrc .bash_profile .zshrc .profile; do
        [ -f "$HOME/$name" ] || continue
        profile "$name" || return 1
        any=1
    done
    if [ $any -eq 0 ]; then
        case ${SHELL:-} in
        */zsh) profile .zshrc ;;
        */fish) ;;
        */bash) profile .bashrc ;;
        *) profile .profile ;;
        esac || return 1
    fi
    [ -d "$HOME/.config/fish" ] || return 0
    begin_file profile '' .config/fish/conf.d codex-pool.fish || return 1
    fish_variables >"$temporary/new"
    end_file "$temporary/new" "wrote  " && echo "$number" >"$here/fish"
}

profile() { # NAME
    begin_file profile '' . "$1" || return 1
    : >"$temporary/new"
    if [ -s "$path" ]; then
        cat "$path" >"$temporary/new"
        [ -z "$(tail -c 1 "$path")" ] || echo >>"$temporary/new"
    fi
    cat >>"$temporary/new" <<'LINES'
# >>> codex-pool: made by its set-up, undone by bash ~/.codex-pool-setup/undo.sh
if [ -r "$HOME/.codex-pool-setup/env.sh" ]; then . "$HOME/.codex-pool-setup/env.sh"; fi
# <<< codex-pool
LINES
    end_file "$temporary/new" "changed"
}

# The credentials, as the pool sent them: nothing that a shell would run.
good_variables() {
    ! grep -qvE "^export [A-Z][A-Z0-9_]*='[A-Za-z0-9._:/@%+=,~-]*'\$" "$1"
}

set_up() {
    usable_home || return 1
    temporary=$(mktemp -d) || return 1
    # shellcheck disable=SC2064
    trap "rm -rf '$temporary'" EXIT
    umask 077
    if [ -n "$pool_config" ]; then
        fetch "$pool_config" "$temporary/config" ||
            { complain "the pool did not give the credentials; the link may have been used or be too old. Nothing was changed."; return 1; }
        if [ "$pool_config_is" = variables ] && ! good_variables "$temporary/config"; then
            complain "the pool's answer is not what was expected. Nothing was changed."
            return 1
        fi
    fi
    quiet=1
    undo "$pool_cli" || return 1
    quiet=
    here=$state/$pool_cli number=0
    mkdir -p "$here/before" "$here/after" "$here/mark" "$here/spec" && : >"$here/manifest" || return 1
    undo_script >"$state/undo.sh"
    say "Setting up $pool_title for the pool at $pool_url:"
    {
        own_variables
        [ "$pool_config_is" != variables ] || cat "$temporary/config"
    } >"$here/env.sh"
    [ -s "$here/env.sh" ] || rm -f "$here/env.sh"
    if ! plan || ! { join_variables && profiles; }; then
        undo "$pool_cli" >/dev/null
        complain "the set-up has failed; everything is as it was before"
        return 1
    fi
    say "What was there before is kept in $here."
    notes
    [ ! -e "$here/env.sh" ] || say "Open a new terminal, or run:  . ~/.codex-pool-setup/env.sh"
    say "Try it:   $pool_try"
    say "Undo it:  bash ~/.codex-pool-setup/undo.sh $pool_cli"
}

state=${HOME:-}/.codex-pool-setup
case ${1:-} in
'') set_up ;;
undo) undo "$pool_cli" ;;
*) complain "the only argument is: undo"; exit 2 ;;
esac
