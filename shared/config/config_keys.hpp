/// THE table of settings: name in the file, environment variable, flag, type, bounds, unit, default, meaning.
///
/// Reading, writing (to_toml), the example file's test and the README's test all walk this one table. `[upstream]` keys
/// are not in it: providers declare them (UpstreamSpec); nor are those of `[strategies]`, the providers' names.
#pragma once

#include "shared/config/config.hpp"

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <variant>

namespace shared {

/// Where a setting's value lives; the type of the member is the type of the setting.
using SettingField = std::variant<
    bool Config::*,
    std::uint32_t Config::*,
    std::uint64_t Config::*,
    std::string Config::*,
    Secret Config::*,
    std::filesystem::path Config::*,
    ListenAddress Config::*,
    Strategy Config::*>;

/// What a text must look like beyond being text.
enum class TextRule : std::uint8_t {
    any,        ///< UTF-8 without control characters
    public_url, ///< http(s)://host[:port][/path], nothing that could break out of a shell or a page
    webhook_url,    ///< https, or http to a loopback address; path and query as they are
    webhook_format, ///< json, ntfy, slack, discord, telegram
    log_format,     ///< auto, text, json
    proxy_url,      ///< http(s)://[user:password@]host[:port]
    networks,       ///< comma-separated IP addresses and networks
    user_list,      ///< as many bytes as the segment has for a list of a user's
};

struct Setting {
    std::string_view key; ///< in the file; "table.key" inside a table
    std::string_view environment;
    std::string_view flag; ///< with its dashes; empty = none
    SettingField field;
    std::uint64_t min = 0; ///< numbers only
    std::uint64_t max = 0;
    std::string_view unit;         ///< of numbers: "seconds", "bytes" …
    std::string_view default_text; ///< as written in TOML; empty texts are ""
    std::string_view doc;          ///< one sentence for the example file and the README
    TextRule rule = TextRule::any;
};

[[nodiscard]] std::span<const Setting> settings() noexcept;

/// A setting of the program this one takes after that is not built here: setting it is a warning that says why.
struct IgnoredSetting {
    std::string_view key;         ///< in the file; may be empty
    std::string_view environment; ///< may be empty; a trailing '*' stands for any rest
    std::string_view why;
};

[[nodiscard]] std::span<const IgnoredSetting> ignored_settings() noexcept;

/// The environment variable that names the configuration file.
inline constexpr std::string_view kConfigPathVariable = "CONFIG_PATH";
/// The file's name where neither flag nor variable names one.
inline constexpr std::string_view kConfigFileName = "config.toml";

} // namespace shared
