# Makes the package's config.toml of config.example.toml: the same settings and words, but what is the default anyway
# becomes a comment, so that an update of the package can change it, and files lie where the service has them.
BEGIN {
    place["pool_dir"] = "\"/var/lib/codex-pool/pool\""
    place["db_path"] = "\"/var/lib/codex-pool/proxy.db\""
    place["pool_users.storage_path"] = "\"/var/lib/codex-pool/pool_users.json\""
    places = 3
    print "# Configuration of the codex-pool service, see codex-pool.toml(5). What begins with #name = shows a default."
    print "#"
    print "# Check it with:   codex-pool check --config /etc/codex-pool/config.toml"
    print "# Apply it with:   systemctl restart codex-pool"
    print "#"
    print "# An environment variable (the name in parentheses) beats this file. The service and root alone can read it"
    print "# (root:codex-pool 0640): it may hold secrets."
    print ""
}

# The example's own introduction ends where its first section begins.
!begun && !/^# ----/ { next }
{ begun = 1 }

/^\[/ { table = substr($0, 2, index($0, "]") - 2) "." }

/^[a-z_]+ = / {
    key = table $1
    if (key in place) {
        print $1 " = " place[key]
        placed++
    } else
        print "#" $0
    next
}

{ print }

END {
    if (placed != places) {
        print "package_config.awk: " placed + 0 " of " places " paths were found" >"/dev/stderr"
        exit 1
    }
}
