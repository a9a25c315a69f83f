/// The text of a configuration file into a Config. toml++ stays inside config_file.cpp. Private to shared/config.
#pragma once

#include "shared/config/config_values.hpp"

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace shared {

/// A configuration file larger than this is refused without being read.
inline constexpr std::size_t kConfigBytesMax = 1U << 20U;
/// Further problems of one file are counted, not listed.
inline constexpr std::size_t kConfigProblemsMax = 50;

/// Keys that only the supervisor's own text for its children has.
enum class ConfigDialect : std::uint8_t { owner, child };

/// One document to read.
struct ConfigText {
    std::string_view text;
    std::string name;             ///< for messages
    std::filesystem::path folder; ///< what relative paths are relative to
    ConfigDialect dialect = ConfigDialect::owner;
};

/// Reads the document and appends what is wrong, in the order of lines. Unknown keys, wrong types and values out of
/// range are all found in one go; a syntax error ends the reading.
void read_config_text(
    const ProviderRegistry& registry,
    const ConfigText& document,
    Config& config,
    ConfigValues& values,
    std::vector<Problem>& problems);

} // namespace shared
