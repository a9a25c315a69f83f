/// The scripts that set up a CLI on somebody's machine, and the undo for them. What is particular to a CLI or a user
/// stands in assignments at the top, quoted; the rest is static/setup/*, the same for all. Pure.
#pragma once

#include "shared/providers/client_setup.hpp"

#include <string>
#include <string_view>

namespace admin_ui {

struct ScriptFacts {
    std::string cli;         ///< name of its provider
    std::string title;       ///< "Codex"
    std::string base_url;    ///< of the pool
    std::string config_path; ///< below it: what answers the credentials
    bool local = false;      ///< no credential counts here: nothing is spent
};

[[nodiscard]] std::string bash_script(const ScriptFacts& facts, const shared::ClientSetup& setup);
[[nodiscard]] std::string
powershell_script(const ScriptFacts& facts, const shared::ClientSetup& setup);
/// bash; takes the CLI's name as an argument, or nothing for all.
[[nodiscard]] std::string undo_script();
[[nodiscard]] std::string powershell_undo_script();

/// What /config answers with format=shell, to be read by a shell: the variables that are secret.
[[nodiscard]] std::string shell_variables(const shared::ClientSetup& setup);
/// The same as a JSON object.
[[nodiscard]] std::string json_variables(const shared::ClientSetup& setup);

/// `text` as one word of bash, whatever is in it; as one string of PowerShell.
[[nodiscard]] std::string bash_quoted(std::string_view text);
[[nodiscard]] std::string powershell_quoted(std::string_view text);

/// The JSON text of a settings file that has nothing but `settings`; ${NAME} stands for a variable's value.
[[nodiscard]] std::string new_json_file(const shared::ClientFile& file);
/// The lines of a TOML file that has nothing but `settings`.
[[nodiscard]] std::string new_toml_file(const shared::ClientFile& file);

} // namespace admin_ui
