# Completion of codex-pool for bash. Commands and options come from the program's own help, so they are never out of date.

# _codex_pool_help PROGRAM [COMMAND]...: lines "option<TAB>TYPE" and "command<TAB>".
_codex_pool_help() {
    "$@" --help 2>/dev/null | awk '
        /^Options:/ { part = "options"; next }
        /^Subcommands:/ { part = "commands"; next }
        /^[^ ]/ { part = "" }
        part == "options" && /^  -/ {
            sub(/^  /, "")
            sub(/  +.*/, "")
            type = (index($0, " ") > 0) ? substr($0, index($0, " ") + 1) : ""
            sub(/ .*/, "")
            count = split($0, names, ",")
            for (i = 1; i <= count; i++) {
                sub(/\{.*/, "", names[i])
                print names[i] "\t" type
            }
        }
        part == "commands" && /^  [a-z]/ { print $1 "\t" }
        /^  FILE / { print "FILE" }'
}

_codex_pool() {
    local program=${COMP_WORDS[0]} current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
    local help below word type
    local -a command=()
    COMPREPLY=()
    help=$(_codex_pool_help "$program") || return 0
    below=$help
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        if [[ $word != -* ]] && grep -qxF "$word"$'\t' <<<"$below"; then
            command+=("$word")
            below=$(_codex_pool_help "$program" "${command[@]}")
        fi
    done
    # A command takes the common options as well as its own.
    [[ ${#command[@]} -eq 0 ]] || help=$below$'\n'$(grep '^-' <<<"$help")

    type=""
    [[ $previous != -* ]] || type=$(awk -F '\t' -v option="$previous" '$1 == option { print $2; exit }' <<<"$help")
    case $type in
    FILE | FOLDER)
        local kind=-f
        [[ $type == FILE ]] || kind=-d
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen $kind -- "$current")
        return 0
        ;;
    ?*) return 0 ;;
    esac
    if [[ $current != -* ]] && grep -qx FILE <<<"$below"; then
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
        return 0
    fi
    local wanted='^[^-]'
    [[ $current != -* ]] || wanted='^--'
    mapfile -t COMPREPLY < <(compgen -W "$(grep -e "$wanted" <<<"$help" | cut -f 1 | sort -u)" -- "$current")
    return 0
}

complete -F _codex_pool codex-pool
