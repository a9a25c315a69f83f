# Completion of codex-pool for fish. Commands and options come from the program's own help, so they are never out of date.

# Lines "name<TAB>description" of a PART (options or commands) of the help, of a command if one was typed.
function __codex_pool_help --argument-names part
    set --local tokens (commandline --tokenize --cut-at-cursor --current-process)
    set --local program $tokens[1]
    set --local command (__codex_pool_command $tokens)
    begin
        # A command takes the common options as well as its own.
        test $part = options -o -z "$command"; and $program --help 2>/dev/null
        test -n "$command"; and $program $command --help 2>/dev/null
    end | awk -v wanted=$part '
        /^Options:/ { part = "options"; next }
        /^Subcommands:/ { part = "commands"; next }
        /^[^ ]/ { part = "" }
        part == wanted && /^  [-a-z]/ {
            line = substr($0, 3)
            description = match(line, /  +/) ? substr(line, RSTART + RLENGTH) : ""
            if (RSTART > 0) line = substr(line, 1, RSTART - 1)
            sub(/ .*/, "", line)
            count = split(line, names, ",")
            for (i = 1; i <= count; i++) {
                sub(/\{.*/, "", names[i])
                if (!seen[names[i]]++) print names[i] "\t" description
            }
        }'
end

# The commands among the words typed: each one the name of one below the last.
function __codex_pool_command
    set --local command
    for word in $argv[2..]
        if $argv[1] $command --help 2>/dev/null | awk '/^Subcommands:/ { on = 1; next } /^[^ ]/ { on = 0 } on { print $1 }' | string match --quiet -- $word
            set --append command $word
        end
    end
    string join \n -- $command
end

function __codex_pool_before
    set --local tokens (commandline --tokenize --cut-at-cursor --current-process)
    contains -- $tokens[-1] $argv
end

complete --command codex-pool --no-files
complete --command codex-pool --condition '__codex_pool_before -c --config --db-path --passphrase-file' --force-files
complete --command codex-pool --condition '__fish_seen_subcommand_from backup restore' --force-files
complete --command codex-pool --condition '__codex_pool_before --pool-dir' --arguments '(__fish_complete_directories)'
complete --command codex-pool --condition 'not __codex_pool_before -c --config --db-path --passphrase-file --pool-dir -l --listen --workers' \
    --arguments '(__codex_pool_help commands; string match --quiet -- "-*" (commandline --current-token); and __codex_pool_help options)'
