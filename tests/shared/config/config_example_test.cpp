/// etc/config.example.toml against the table of settings: every setting, its default, its variable.
#include "shared/config/config_keys.hpp"
#include "tests/support/temp_dir.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include <fmt/format.h>

namespace shared {
namespace {

std::string source_text(const char* name)
{
    std::ifstream file(std::filesystem::path(CODEX_POOL_SOURCE_DIR) / name);
    return {std::istreambuf_iterator<char>(file), {}};
}

std::string example_text()
{
    return source_text("etc/config.example.toml");
}

/// The row of the README's table for a setting.
std::string readme_row(const Setting& setting)
{
    std::string names = fmt::format("`{}`", setting.environment);
    if (!setting.flag.empty()) names += fmt::format(" `{}`", setting.flag);
    std::string_view value = setting.default_text;
    if (value.starts_with('"')) value = value.substr(1, value.size() - 2);
    std::string shown = value.empty() ? "–" : fmt::format("`{}`", value);
    if (!setting.unit.empty()) shown += fmt::format(" {}", setting.unit);
    return fmt::format("\n| `{}` | {} | {} | {} |\n", setting.key, names, shown, setting.doc);
}

TEST(ConfigReadme, TablesHaveEverySetting)
{
    const std::string text = source_text("README.md");
    for (const Setting& setting : settings())
        EXPECT_NE(text.find(readme_row(setting)), std::string::npos) << readme_row(setting);
    const ProviderRegistry registry;
    for (const auto& provider : registry.all()) {
        for (const UpstreamSpec& spec : provider->upstreams()) {
            const std::string row = fmt::format(
                "\n| `{}` | `{}` | `{}` |\n", spec.key, spec.environment, spec.default_url);
            EXPECT_NE(text.find(row), std::string::npos) << row;
        }
    }
}

TEST(ConfigExample, HasEverySettingWithItsDefault)
{
    const std::string text = "\n" + example_text();
    for (const Setting& setting : settings()) {
        const std::string name(setting.key.substr(setting.key.rfind('.') + 1));
        EXPECT_NE(
            text.find("\n" + name + " = " + std::string(setting.default_text) + "\n"),
            std::string::npos)
            << setting.key;
        EXPECT_NE(text.find(setting.environment), std::string::npos) << setting.environment;
        EXPECT_NE(text.find(setting.flag), std::string::npos) << setting.flag;
    }
    const ProviderRegistry registry;
    for (const auto& provider : registry.all()) {
        for (const UpstreamSpec& spec : provider->upstreams()) {
            const std::string line =
                "\n" + std::string(spec.key) + " = \"" + std::string(spec.default_url) + "\"\n";
            EXPECT_NE(text.find(line), std::string::npos) << line;
            EXPECT_NE(text.find("(" + std::string(spec.environment) + ")"), std::string::npos)
                << spec.environment;
        }
    }
}

TEST(ConfigExample, MeansTheSameAsNoFile)
{
    const tests::TempDir with;
    const tests::TempDir without;
    with.write("config.toml", example_text());
    const ProviderRegistry registry;
    const ConfigLoad given = load_config(registry, {}, {}, with.path(), 2);
    const ConfigLoad standard = load_config(registry, {}, {}, without.path(), 2);
    for (const Problem& problem : given.problems)
        ADD_FAILURE() << problem.text();
    ASSERT_TRUE(given.config && standard.config);
    EXPECT_TRUE(given.config->warnings.empty());
    std::string expected = to_toml(*standard.config);
    const std::string from = without.path().string();
    for (std::size_t at = 0; (at = expected.find(from, at)) != std::string::npos;)
        expected.replace(at, from.size(), with.path().string());
    EXPECT_EQ(to_toml(*given.config), expected);
}

} // namespace
} // namespace shared
