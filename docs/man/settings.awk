# Fills a template of a manual page (the first file) with the settings of etc/config.example.toml (the second), where it
# says @SETTINGS@. A test compares that example with the program's table of settings, so nothing is missing here.

FNR == NR {
    gsub(/@PROJECT_VERSION@/, version)
    template[++lines] = $0
    next
}

FNR == 1 {
    for (next_line = 1; next_line <= lines && template[next_line] != "@SETTINGS@"; next_line++) print template[next_line]
}

function plain(text) {
    gsub(/\\/, "\\e", text)
    gsub(/-/, "\\-", text)
    gsub(/'/, "\\(aq", text)
    return text
}

# Prints what was collected: the settings that share a description, and the description.
function flush_settings(    i, sentence) {
    for (i = 1; i <= settings; i++) {
        print (i == 1 ? ".TP" : ".TQ")
        print "\\fB" plain(name[i]) "\\fP = " plain(value[i])
    }
    if (settings > 0) {
        sentence = plain(description)
        if (sentence ~ /^\./) sentence = "\\&" sentence
        print (sentence == "" ? "An example." : sentence)
    } else if (description != "") {
        print ".PP"
        print plain(description)
    }
    settings = 0
    description = ""
}

/^# ----/ {
    flush_settings()
    title = $0
    gsub(/^# -+ | -+$/, "", title)
    print ".SH " toupper(plain(title))
    begun = 1
    next
}

# The introduction is for readers of the file; a comment above a table is for those of the table.
!begun { next }

/^\[/ {
    table = substr($0, 2, index($0, "]") - 2)
    introduction = description
    description = ""
    print ".SH TABLE [" plain(table) "]"
    if (introduction != "") print plain(introduction)
    next
}

# A table whose names the owner chooses has an example only.
/^# [a-z_]+ = / {
    sub(/^# /, "")
}

/^#/ {
    if (settings > 0) flush_settings()
    text = $0
    sub(/^# ?/, "", text)
    description = description (description == "" ? "" : " ") text
    next
}

/^[a-z_]+ = / {
    name[++settings] = $1
    value[settings] = substr($0, index($0, "= ") + 2)
    next
}

/^$/ { flush_settings() }

END {
    flush_settings()
    while (++next_line <= lines) print template[next_line]
}
