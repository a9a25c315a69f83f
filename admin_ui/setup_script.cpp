#include "admin_ui/setup_script.hpp"

#include "admin_ui/assets.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <vector>

namespace admin_ui {
namespace {

using Json = nlohmann::ordered_json;
using shared::ClientFile;
using shared::ClientSetup;
using shared::ClientVariable;

/// Whether the credentials come as a document that becomes a file, or as variables.
bool has_document(const ClientSetup& setup)
{
    return std::any_of(setup.files.begin(), setup.files.end(), [](const ClientFile& file) {
        return file.kind == ClientFile::Kind::document;
    });
}

std::string config_url(const ScriptFacts& facts, const ClientSetup& setup, const char* format)
{
    const std::string query = has_document(setup) ? "" : std::string("?format=") + format;
    return facts.base_url + facts.config_path + query;
}

std::string assignment(const char* name, std::string_view value)
{
    return std::string(name) + '=' + bash_quoted(value) + '\n';
}

/// One call of document(), toml() or json() in setup.sh.
std::string plan_line(const ClientFile& file)
{
    std::vector<std::string> words;
    const auto place = [&] {
        words.insert(words.end(), {file.folder_variable, file.folder, file.name});
    };
    switch (file.kind) {
    case ClientFile::Kind::document:
        words.emplace_back("document");
        place();
        words.insert(words.end(), {file.keep_existing ? "keep" : "replace", file.mark});
        break;
    case ClientFile::Kind::toml:
        words.emplace_back("toml");
        place();
        for (const shared::ClientSetting& setting : file.settings)
            words.insert(words.end(), {setting.path, setting.value});
        break;
    case ClientFile::Kind::json:
        words.emplace_back("json");
        place();
        words.push_back(new_json_file(file));
        for (const shared::ClientSetting& setting : file.settings) {
            const bool variable = !setting.variable.empty();
            words.insert(
                words.end(),
                {setting.path,
                 variable ? "variable" : "value",
                 variable ? setting.variable : setting.value});
        }
        break;
    }
    std::string line = "    " + words.front();
    for (std::size_t i = 1; i < words.size(); ++i)
        line += ' ' + bash_quoted(words[i]);
    return line + " &&\n";
}

std::string own_variables(const ClientSetup& setup)
{
    std::string lines;
    for (const std::string& name : setup.unset)
        lines += "unset " + name + '\n';
    for (const ClientVariable& variable : setup.variables)
        if (!variable.secret)
            lines += "export " + variable.name + '=' + bash_quoted(variable.value) + '\n';
    return lines;
}

/// A function that prints `text` as it stands.
std::string printer(const char* name, const std::string& text)
{
    if (text.empty()) return std::string(name) + "() { :; }\n";
    return std::string(name) + "() { printf '%s' " + bash_quoted(text) + "; }\n";
}

std::string powershell_array(const std::vector<std::string>& items)
{
    std::string out = "@(";
    for (std::size_t i = 0; i < items.size(); ++i)
        out.append(i == 0 ? "" : ", ").append(powershell_quoted(items[i]));
    return out + ')';
}

std::string powershell_file(const ClientFile& file)
{
    constexpr const char* kKinds[] = {"document", "toml", "json"};
    std::string out = "    @{ Kind = '";
    out += kKinds[static_cast<std::size_t>(file.kind)];
    out += "'; FolderVariable = " + powershell_quoted(file.folder_variable);
    out += "; Folder = " + powershell_quoted(file.folder);
    out += "; Name = " + powershell_quoted(file.name);
    out += "; Keep = $" + std::string(file.keep_existing ? "true" : "false");
    out += "; Mark = " + powershell_quoted(file.mark) + "; Settings = @(\n";
    for (std::size_t i = 0; i < file.settings.size(); ++i) {
        const shared::ClientSetting& setting = file.settings[i];
        out += "        @{ Path = " + powershell_quoted(setting.path);
        out += "; Value = " + powershell_quoted(setting.value);
        out += "; Variable = " + powershell_quoted(setting.variable) + " }";
        out += i + 1 < file.settings.size() ? ",\n" : "\n";
    }
    return out + "    ) }";
}

} // namespace

std::string bash_quoted(std::string_view text)
{
    std::string out = "'";
    for (const char c : text) {
        if (c == '\'')
            out += "'\\''";
        else
            out += c;
    }
    return out + '\'';
}

std::string powershell_quoted(std::string_view text)
{
    // PowerShell takes typographic quotes for quotes as well.
    constexpr std::string_view kTypographic[] = {"\u2018", "\u2019", "\u201A", "\u201B"};
    std::string out = "'";
    while (!text.empty()) {
        std::size_t length = 1;
        bool quote = text.front() == '\'';
        for (const std::string_view mark : kTypographic) {
            if (!text.starts_with(mark)) continue;
            quote = true;
            length = mark.size();
        }
        for (int i = 0; i < (quote ? 2 : 1); ++i)
            out += text.substr(0, length);
        text.remove_prefix(length);
    }
    return out + '\'';
}

std::string new_json_file(const ClientFile& file)
{
    Json document = Json::object();
    for (const shared::ClientSetting& setting : file.settings) {
        std::string pointer = '/' + setting.path;
        std::replace(pointer.begin(), pointer.end(), '.', '/');
        const Json value = setting.variable.empty() ? Json::parse(setting.value)
                                                    : Json("${" + setting.variable + '}');
        document[Json::json_pointer(pointer)] = value;
    }
    return document.dump(2);
}

std::string new_toml_file(const ClientFile& file)
{
    std::string top;
    std::string tables;
    std::string last;
    for (const shared::ClientSetting& setting : file.settings) {
        const std::size_t dot = setting.path.rfind('.');
        if (dot == std::string::npos) {
            top += setting.path + " = " + setting.value + '\n';
            continue;
        }
        const std::string table = setting.path.substr(0, dot);
        if (table != last) tables += "\n[" + table + "]\n";
        last = table;
        tables += setting.path.substr(dot + 1) + " = " + setting.value + '\n';
    }
    return top + tables;
}

std::string shell_variables(const ClientSetup& setup)
{
    std::string lines;
    for (const ClientVariable& variable : setup.variables)
        if (variable.secret)
            lines += "export " + variable.name + '=' + bash_quoted(variable.value) + '\n';
    return lines;
}

std::string json_variables(const ClientSetup& setup)
{
    Json object = Json::object();
    for (const ClientVariable& variable : setup.variables)
        if (variable.secret) object[variable.name] = variable.value;
    return object.dump() + '\n';
}

std::string bash_script(const ScriptFacts& facts, const ClientSetup& setup)
{
    std::string notes;
    for (const std::string& note : setup.notes)
        notes += "Note: " + note + '\n';
    const std::string undo(embedded_file("setup/undo.sh"));
    std::string plan = "plan() {\n";
    for (const ClientFile& file : setup.files)
        plan += plan_line(file);
    std::string script = "#!/usr/bin/env bash\n";
    script += "# Sets up a CLI for a codex-pool. Says what it does; with the argument \"undo\" it "
              "takes it back.\n";
    script += assignment("pool_cli", facts.cli) + assignment("pool_title", facts.title);
    script += assignment("pool_url", facts.base_url);
    script += assignment("pool_config", config_url(facts, setup, "shell"));
    script += assignment("pool_config_is", has_document(setup) ? "document" : "variables");
    script += assignment("pool_try", setup.try_it);
    script += printer("notes", notes) + printer("own_variables", own_variables(setup));
    script += plan + "    :\n}\n";
    script +=
        "undo_script() { cat <<'CODEX_POOL_UNDO'\n" + undo_script() + "CODEX_POOL_UNDO\n}\n\n";
    script += undo;
    script += embedded_file("setup/setup.sh");
    return script;
}

std::string undo_script()
{
    std::string script = "#!/usr/bin/env bash\n";
    script += "# Takes back what a codex-pool's set-up has changed: undo.sh [CLI]\n";
    script += embedded_file("setup/undo.sh");
    script += "\nstate=${HOME:?}/.codex-pool-setup\nundo \"$@\"\n";
    return script;
}

std::string powershell_undo_script()
{
    std::string script = "# Takes back what a codex-pool's set-up has changed.\n";
    script += "$PoolUndo = $true\n$PoolCli = ''\n";
    script += embedded_file("setup/setup.ps1");
    return script;
}

std::string powershell_script(const ScriptFacts& facts, const ClientSetup& setup)
{
    const auto set = [](const char* name, const std::string& value) {
        return std::string("$") + name + " = " + value + '\n';
    };
    std::string script =
        "# Sets up a CLI for a codex-pool. Says what it does and how to undo it.\n";
    script += set("PoolUndo", "$false");
    script += set("PoolCli", powershell_quoted(facts.cli));
    script += set("PoolTitle", powershell_quoted(facts.title));
    script += set("PoolUrl", powershell_quoted(facts.base_url));
    script += set("PoolConfig", powershell_quoted(config_url(facts, setup, "variables")));
    script += set("PoolTry", powershell_quoted(setup.try_it));
    script += set("PoolNotes", powershell_array(setup.notes));
    script += set("PoolUnset", powershell_array(setup.unset));
    script += "$PoolVariables = [ordered]@{\n";
    for (const ClientVariable& variable : setup.variables)
        if (!variable.secret)
            script += "    " + variable.name + " = " + powershell_quoted(variable.value) + '\n';
    script += "}\n$PoolFiles = @(\n";
    for (std::size_t i = 0; i < setup.files.size(); ++i)
        script += powershell_file(setup.files[i]) + (i + 1 < setup.files.size() ? ",\n" : "\n");
    script += ")\n\n";
    script += embedded_file("setup/setup.ps1");
    return script;
}

} // namespace admin_ui
