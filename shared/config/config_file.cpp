#include "shared/config/config_file.hpp"

#include "shared/base/read_file.hpp"
#include "shared/config/nearest_name.hpp"

#include <algorithm>
#include <array>
#include <tuple>
#include <utility>

#include <fmt/format.h>
#include <toml++/toml.h>

namespace shared {

namespace {

/// Reads one document; lives for one call of read_config_text.
class Reader {
public:
    Reader(
        const ProviderRegistry& registry,
        const ConfigText& document,
        Config& config,
        ConfigValues& values)
        : registry_(registry), document_(document), config_(config), values_(values)
    {
        for (const Setting& setting : settings())
            known_.push_back(setting.key);
        for (const auto& provider : registry.all())
            for (const UpstreamSpec& spec : provider->upstreams())
                dynamic_names_.push_back("upstream." + std::string(spec.key));
        for (const auto& provider : registry.all())
            dynamic_names_.push_back("strategies." + std::string(provider->name()));
        known_.insert(known_.end(), dynamic_names_.begin(), dynamic_names_.end());
        known_.insert(known_.end(), kTables.begin(), kTables.end());
    }

    void read(const toml::table& document) { read_table(document, ""); }

    /// In the order of lines.
    std::vector<Problem> take_problems()
    {
        std::stable_sort(found_.begin(), found_.end(), [](const Found& a, const Found& b) {
            return std::tie(a.line, a.column) < std::tie(b.line, b.column);
        });
        std::vector<Problem> problems;
        for (Found& found : found_) {
            if (problems.size() == kConfigProblemsMax) {
                problems.push_back(
                    {document_.name,
                     fmt::format("{} more problems", found_.size() - kConfigProblemsMax),
                     "mend these first"});
                break;
            }
            problems.push_back(std::move(found.problem));
        }
        return problems;
    }

private:
    struct Found {
        toml::source_index line = 0;
        toml::source_index column = 0;
        Problem problem;
    };

    void read_table(const toml::table& table, std::string_view prefix)
    {
        for (const auto& [key, node] : table) {
            const std::string full = std::string(prefix) + std::string(key.str());
            if (const auto* setting = find_setting(full))
                read_setting(*setting, node);
            else if (const auto* spec = find_upstream(full))
                read_upstream(*spec, full, node);
            else if (const auto* provider = find_strategy(full))
                read_strategy(*provider, full, node);
            else if (prefix.empty() && is_table(full))
                read_known_table(full, node);
            else if (document_.dialect == ConfigDialect::child && read_for_child(full, node))
                continue;
            else
                read_unknown(full, key);
        }
    }

    /// What the supervisor found out at the start; true if it is that.
    bool read_for_child(std::string_view name, const toml::node& node)
    {
        if (name == "shared_mode")
            config_.shared_mode = node.value_or(true);
        else if (name == "tls_cert_pem")
            config_.tls_cert_pem = node.value_or(std::string());
        else if (name == "tls_key_pem")
            config_.tls_key_pem = Secret(node.value_or(std::string()));
        else
            return false;
        return true;
    }

    void read_known_table(const std::string& full, const toml::node& node)
    {
        if (const toml::table* table = node.as_table()) return read_table(*table, full + ".");
        report(
            node.source().begin,
            full + " must be a table, not " + kind_of(node),
            fmt::format("write [{}] on a line of its own and its settings below", full));
    }

    void read_setting(const Setting& setting, const toml::node& node)
    {
        const ValueOrigin origin = origin_of(node.source().begin);
        std::optional<Problem> problem;
        if (const auto* text = node.as_string(); text != nullptr && takes_string(setting))
            problem = values_.set_text(setting, text->get(), origin);
        else if (const auto* number = node.as_integer(); number != nullptr && is_numeric(setting))
            problem = values_.set_number(setting, number->get(), origin);
        else if (const auto* flag = node.as_boolean(); flag != nullptr && is_flag(setting))
            problem = values_.set_flag(setting, flag->get(), origin);
        else
            problem = Problem{
                origin.where,
                fmt::format("{}: this is {}", setting.key, kind_of(node)),
                "it must be " + expected_kind(setting)};
        if (problem) add(node.source().begin, std::move(*problem));
    }

    void read_upstream(const UpstreamSpec& spec, const std::string& full, const toml::node& node)
    {
        const auto* text = node.as_string();
        if (text == nullptr)
            return report(
                node.source().begin,
                fmt::format("{}: this is {}", full, kind_of(node)),
                fmt::format("it must be an address in quotes, like \"{}\"", spec.default_url));
        auto problem = values_.set_upstream(spec, text->get(), origin_of(node.source().begin));
        if (problem) add(node.source().begin, std::move(*problem));
    }

    void read_strategy(const Provider& provider, const std::string& full, const toml::node& node)
    {
        const auto* text = node.as_string();
        if (text == nullptr)
            return report(
                node.source().begin,
                fmt::format("{}: this is {}", full, kind_of(node)),
                "it must be the name of a strategy in quotes, like \"balanced\"");
        auto problem = values_.set_strategy(provider, text->get(), origin_of(node.source().begin));
        if (problem) add(node.source().begin, std::move(*problem));
    }

    void read_unknown(const std::string& full, const toml::key& key)
    {
        for (const IgnoredSetting& ignored : ignored_settings()) {
            if (ignored.key != full) continue;
            config_.warnings.push_back(fmt::format(
                "{}: {} has no effect: {}",
                origin_of(key.source().begin).where,
                full,
                ignored.why));
            return;
        }
        report(
            key.source().begin,
            fmt::format("unknown setting \"{}\"", printable(full)),
            meant(full));
    }

    /// "did you mean …", or where to look.
    [[nodiscard]] std::string meant(const std::string& full) const
    {
        for (const Setting& setting : settings())
            if (setting.environment == full.substr(full.rfind('.') + 1))
                return fmt::format("in the file its name is {}", described(setting.key));
        const std::string_view nearest = nearest_name(full, known_);
        if (nearest.empty()) return "remove it; etc/config.example.toml lists every setting";
        return "did you mean " + described(nearest) + "?";
    }

    /// "admin_password in [pool_users]"
    static std::string described(std::string_view name)
    {
        const std::size_t dot = name.find('.');
        if (is_table(name)) return fmt::format("[{}]", name);
        if (dot == std::string_view::npos) return std::string(name);
        return fmt::format("{} in [{}]", name.substr(dot + 1), name.substr(0, dot));
    }

    [[nodiscard]] static const Setting* find_setting(std::string_view full)
    {
        for (const Setting& setting : settings())
            if (setting.key == full) return &setting;
        return nullptr;
    }

    [[nodiscard]] const UpstreamSpec* find_upstream(std::string_view full) const
    {
        constexpr std::string_view kPrefix = "upstream.";
        if (!full.starts_with(kPrefix)) return nullptr;
        for (const auto& provider : registry_.all())
            for (const UpstreamSpec& spec : provider->upstreams())
                if (spec.key == full.substr(kPrefix.size())) return &spec;
        return nullptr;
    }

    /// The provider that "strategies.<name>" is about.
    [[nodiscard]] const Provider* find_strategy(std::string_view full) const
    {
        constexpr std::string_view kPrefix = "strategies.";
        return full.starts_with(kPrefix) ? registry_.find(full.substr(kPrefix.size())) : nullptr;
    }

    static bool is_table(std::string_view name)
    {
        return std::find(kTables.begin(), kTables.end(), name) != kTables.end();
    }

    static bool is_flag(const Setting& setting)
    {
        return std::holds_alternative<bool Config::*>(setting.field);
    }

    static bool is_numeric(const Setting& setting)
    {
        return !takes_string(setting) && !is_flag(setting);
    }

    static std::string kind_of(const toml::node& node)
    {
        switch (node.type()) {
        case toml::node_type::table:
            return "a table";
        case toml::node_type::array:
            return "an array";
        case toml::node_type::string:
            return "a text";
        case toml::node_type::integer:
            return "a whole number";
        case toml::node_type::floating_point:
            return "a number with a fraction";
        case toml::node_type::boolean:
            return "true or false";
        default:
            return "a date or time";
        }
    }

    [[nodiscard]] ValueOrigin origin_of(const toml::source_position& at) const
    {
        return {
            fmt::format("{}:{}:{}", document_.name, at.line, at.column), document_.folder, true};
    }

    void report(const toml::source_position& at, std::string what, std::string remedy)
    {
        add(at, {origin_of(at).where, std::move(what), std::move(remedy)});
    }

    void add(const toml::source_position& at, Problem problem)
    {
        found_.push_back({at.line, at.column, std::move(problem)});
    }

    static constexpr std::array<std::string_view, 5> kTables{
        "notify", "pool_users", "user_limits", "strategies", "upstream"};

    const ProviderRegistry& registry_;
    const ConfigText& document_;
    Config& config_;
    ConfigValues& values_;
    std::vector<std::string_view> known_;
    std::vector<std::string> dynamic_names_;
    std::vector<Found> found_;
};

/// What the parser says, without what it saw: a piece of the file may be a piece of a secret.
std::string without_content(std::string_view description)
{
    description = description.substr(0, description.find(", saw"));
    const std::size_t escape = description.find("escape sequence '");
    if (escape != std::string_view::npos) description = description.substr(0, escape + 15);
    return printable(description);
}

} // namespace

void read_config_text(
    const ProviderRegistry& registry,
    const ConfigText& document,
    Config& config,
    ConfigValues& values,
    std::vector<Problem>& problems)
{
    Reader reader(registry, document, config, values);
    try {
        reader.read(toml::parse(document.text));
    } catch (const toml::parse_error& error) {
        const auto& at = error.source().begin;
        problems.push_back(
            {fmt::format("{}:{}:{}", document.name, at.line, at.column),
             fmt::format("is not valid TOML: {}", without_content(error.description())),
             "mend this line; texts need quotes"});
        return;
    }
    for (Problem& problem : reader.take_problems())
        problems.push_back(std::move(problem));
}

} // namespace shared
