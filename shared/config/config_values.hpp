/// One value into the configuration: from text (environment, flags) or typed (file). Private to shared/config.
#pragma once

#include "shared/config/config_keys.hpp"

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace shared {

/// Where a value comes from.
struct ValueOrigin {
    std::string where;            ///< file:line:column, variable or flag
    std::filesystem::path folder; ///< what a relative path is relative to
    bool in_file = false; ///< then messages name the setting; a variable or flag does so itself
};

/// Puts values into a Config and remembers where each came from. Every function returns what is wrong, if anything; no
/// Problem repeats the value of a secret.
class ConfigValues {
public:
    explicit ConfigValues(Config& config) : config_(config) {}

    /// For environment and flags, where everything is text, and for texts of the file.
    [[nodiscard]] std::optional<Problem>
    set_text(const Setting& setting, std::string_view text, const ValueOrigin& origin);
    [[nodiscard]] std::optional<Problem>
    set_number(const Setting& setting, std::int64_t number, const ValueOrigin& origin);
    [[nodiscard]] std::optional<Problem>
    set_flag(const Setting& setting, bool value, const ValueOrigin& origin);
    [[nodiscard]] std::optional<Problem>
    set_upstream(const UpstreamSpec& spec, std::string_view url, const ValueOrigin& origin);

    /// `[strategies] provider = name`
    [[nodiscard]] std::optional<Problem>
    set_strategy(const Provider& provider, std::string_view name, const ValueOrigin& origin);

    /// Where the value of a setting came from; empty = its default.
    [[nodiscard]] std::string where(std::string_view key) const;

private:
    void remember(std::string_view key, const ValueOrigin& origin);

    Config& config_;
    std::map<std::string, std::string, std::less<>> origins_;
};

/// "a text", "a whole number (seconds)", "true or false" …: what a setting takes, for messages.
[[nodiscard]] std::string expected_kind(const Setting& setting);
/// Whether the file gives this setting as a string.
[[nodiscard]] bool takes_string(const Setting& setting) noexcept;

/// "host:port", "[v6]:port" or ":port" (every IPv4 address). The Problem's `where` is left empty.
[[nodiscard]] Result<ListenAddress> parse_listen_address(std::string_view text);

/// "balanced" … or what there is instead. The Problem's `where` is left empty.
[[nodiscard]] Result<Strategy> strategy_of(std::string_view name);

} // namespace shared
