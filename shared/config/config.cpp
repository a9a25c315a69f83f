#include "shared/config/config.hpp"

#include "shared/base/read_file.hpp"
#include "shared/config/config_checks.hpp"
#include "shared/config/config_file.hpp"
#include "shared/config/config_keys.hpp"
#include "shared/config/config_values.hpp"
#include "shared/config/nearest_name.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>

namespace shared {

namespace {

/// One run of load_config: file, then environment, then flags, then the whole.
class Loader {
public:
    Loader(
        const ProviderRegistry& registry,
        const ConfigFlags& flags,
        const Environment& environment,
        const std::filesystem::path& working_directory)
        : registry_(registry),
          flags_(flags),
          environment_(environment),
          working_directory_(working_directory.lexically_normal()),
          values_(config_)
    {}

    ConfigLoad load(std::uint32_t cores)
    {
        find_file();
        set_defaults();
        read_file_settings();
        read_environment();
        read_flags();
        if (config_.workers == 0) config_.workers = std::clamp(cores, 1U, kDefaultWorkersMax);
        check_whole(config_, values_, problems_);
        check_user_providers();
        ConfigLoad result;
        result.problems = std::move(problems_);
        if (result.problems.empty()) result.config = std::move(config_);
        return result;
    }

private:
    static constexpr std::uint32_t kDefaultWorkersMax = 4;

    /// Which file to read; a file that was asked for must be there, the default one need not.
    void find_file()
    {
        std::string named_by;
        std::string name(kConfigFileName);
        if (flags_.config_path) {
            named_by = "--config";
            name = *flags_.config_path;
        } else if (const std::string* variable = environment(kConfigPathVariable)) {
            named_by = kConfigPathVariable;
            name = *variable;
        }
        file_ = (working_directory_ / name).lexically_normal();
        auto text = read_file(file_, kConfigBytesMax, "configuration file");
        if (!text) {
            problems_.push_back(text.error());
        } else if (!text->missing) {
            text_ = std::move(*text);
        } else if (!named_by.empty()) {
            problems_.push_back(
                {named_by,
                 fmt::format("there is no file {}", printable(file_.string())),
                 "name a file that exists; etc/config.example.toml is a beginning"});
        }
    }

    /// Default paths lie where the same text in the file would put them.
    void set_defaults()
    {
        const std::filesystem::path folder = text_ ? file_.parent_path() : working_directory_;
        for (const Setting& setting : settings()) {
            const auto* field = std::get_if<std::filesystem::path Config::*>(&setting.field);
            if (field == nullptr) continue;
            const std::string_view quoted = setting.default_text;
            const std::string_view name = quoted.substr(1, quoted.size() - 2);
            if (!name.empty()) config_.** field = (folder / name).lexically_normal();
        }
        for (const auto& provider : registry_.all()) {
            for (const UpstreamSpec& spec : provider->upstreams()) {
                auto problem = values_.set_upstream(spec, spec.default_url, {});
                if (problem) problems_.push_back(std::move(*problem));
            }
        }
    }

    void read_file_settings()
    {
        if (!text_) return;
        config_.source = file_;
        read_config_text(
            registry_,
            {text_->bytes, printable(file_.string()), file_.parent_path(), ConfigDialect::owner},
            config_,
            values_,
            problems_);
        const bool has_secret = !config_.friend_code.empty() || !config_.admin_token.empty() ||
                                !config_.admin_password.empty() || !config_.jwt_secret.empty() ||
                                !config_.gemini_oauth_client_secret.empty() ||
                                !config_.refresh_proxy_url.empty();
        const std::string warning = exposure_warning(file_, text_->mode);
        if (has_secret && !warning.empty()) config_.warnings.push_back(warning);
    }

    void read_environment()
    {
        for (const Setting& setting : settings())
            if (const std::string* text = environment(setting.environment))
                add(values_.set_text(setting, *text, origin(setting.environment)));
        for (const auto& provider : registry_.all())
            for (const UpstreamSpec& spec : provider->upstreams())
                if (const std::string* text = environment(spec.environment))
                    add(values_.set_upstream(spec, *text, origin(spec.environment)));
        for (const auto& [name, value] : environment_)
            if (!value.empty()) warn_of_stranger(name);
    }

    void read_flags()
    {
        const auto given = [&](std::string_view flag, const std::optional<std::string>& text) {
            if (text) add(values_.set_text(setting_of(flag), *text, origin(flag)));
        };
        given("--listen", flags_.listen);
        given("--pool-dir", flags_.pool_dir);
        given("--db-path", flags_.db_path);
        if (flags_.workers)
            add(values_.set_number(setting_of("--workers"), *flags_.workers, origin("--workers")));
        if (flags_.debug)
            add(values_.set_flag(setting_of("--debug"), *flags_.debug, origin("--debug")));
    }

    /// A variable that looks like one of ours and is none: known elsewhere and not built here, or mistyped.
    void warn_of_stranger(const std::string& name)
    {
        const std::vector<std::string_view> known = known_variables();
        if (std::find(known.begin(), known.end(), name) != known.end()) return;
        for (const IgnoredSetting& ignored : ignored_settings()) {
            if (!matches(ignored.environment, name)) continue;
            config_.warnings.push_back(
                fmt::format("{} has no effect: {}", printable(name), ignored.why));
            return;
        }
        constexpr std::array<std::string_view, 7> kFamilies{
            "PROXY_", "UPSTREAM_", "FRIEND_", "POOL_", "STREAM_", "WEBSOCKET_", "ADMIN_"};
        const bool ours =
            std::any_of(kFamilies.begin(), kFamilies.end(), [&](std::string_view family) {
                return name.starts_with(family);
            });
        if (!ours) return;
        const std::string_view nearest = nearest_name(name, known);
        if (!nearest.empty())
            config_.warnings.push_back(
                fmt::format("{} is not known; did you mean {}?", printable(name), nearest));
    }

    [[nodiscard]] std::vector<std::string_view> known_variables() const
    {
        std::vector<std::string_view> known{kConfigPathVariable};
        for (const Setting& setting : settings())
            known.push_back(setting.environment);
        for (const auto& provider : registry_.all())
            for (const UpstreamSpec& spec : provider->upstreams())
                known.push_back(spec.environment);
        return known;
    }

    /// `pattern` may have one '*', which stands for any text.
    static bool matches(std::string_view pattern, std::string_view name)
    {
        const std::size_t star = pattern.find('*');
        if (star == std::string_view::npos) return !pattern.empty() && pattern == name;
        return name.size() + 1 >= pattern.size() && name.starts_with(pattern.substr(0, star)) &&
               name.ends_with(pattern.substr(star + 1));
    }

    static const Setting& setting_of(std::string_view flag)
    {
        return *std::find_if(settings().begin(), settings().end(), [&](const Setting& setting) {
            return setting.flag == flag;
        });
    }

    /// A variable's value; null if it is not set or empty, which shells make hard to tell apart.
    [[nodiscard]] const std::string* environment(std::string_view name) const
    {
        const auto found = environment_.find(name);
        return found == environment_.end() || found->second.empty() ? nullptr : &found->second;
    }

    [[nodiscard]] ValueOrigin origin(std::string_view name) const
    {
        return {std::string(name), working_directory_, false};
    }

    void check_user_providers()
    {
        std::string_view names = config_.user_providers;
        while (!names.empty()) {
            const std::size_t comma = std::min(names.find(','), names.size());
            std::string_view name = names.substr(0, comma);
            names.remove_prefix(std::min(comma + 1, names.size()));
            while (name.starts_with(' '))
                name.remove_prefix(1);
            while (name.ends_with(' '))
                name.remove_suffix(1);
            if (name.empty() || name == "*" || registry_.find(name) != nullptr) continue;
            std::string known;
            for (const auto& provider : registry_.all())
                known.append(known.empty() ? "" : ", ").append(provider->name());
            problems_.push_back(
                {values_.where("user_limits.providers"),
                 fmt::format("there is no provider \"{}\"", printable(name)),
                 "name some of " + known});
        }
    }

    void add(std::optional<Problem> problem)
    {
        if (problem) problems_.push_back(std::move(*problem));
    }

    const ProviderRegistry& registry_;
    const ConfigFlags& flags_;
    const Environment& environment_;
    std::filesystem::path working_directory_;
    Config config_;
    ConfigValues values_;
    std::vector<Problem> problems_;
    std::filesystem::path file_;
    std::optional<FileText> text_;
};

/// `text` as a TOML basic string.
std::string toml_string(std::string_view text)
{
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\')
            (out += '\\') += c;
        else if (static_cast<unsigned char>(c) < 0x20U || c == 0x7F)
            out += fmt::format("\\u{:04X}", static_cast<unsigned char>(c));
        else
            out += c;
    }
    return out + '"';
}

std::string url_text(const http::BaseUrl& base)
{
    return fmt::format("{}://{}{}", base.tls ? "https" : "http", base.authority(), base.prefix);
}

/// The value of a setting as TOML.
struct TomlValue {
    const Config& config;

    std::string operator()(bool Config::*field) const { return config.*field ? "true" : "false"; }

    std::string operator()(std::uint32_t Config::*field) const
    {
        return std::to_string(config.*field);
    }

    std::string operator()(std::uint64_t Config::*field) const
    {
        return std::to_string(config.*field);
    }

    std::string operator()(std::string Config::*field) const { return toml_string(config.*field); }

    std::string operator()(Secret Config::*field) const
    {
        return toml_string((config.*field).reveal());
    }

    std::string operator()(std::filesystem::path Config::*field) const
    {
        return toml_string((config.*field).string());
    }

    std::string operator()(ListenAddress Config::*field) const
    {
        return toml_string((config.*field).text());
    }

    std::string operator()(Strategy Config::*field) const
    {
        return toml_string(to_string(config.*field));
    }
};

} // namespace

bool ListenAddress::is_loopback() const
{
    if (host == "localhost") return true;
    in_addr v4{};
    if (::inet_pton(AF_INET, host.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24U) == 127;
    in6_addr v6{};
    if (::inet_pton(AF_INET6, host.c_str(), &v6) != 1) return false;
    if (IN6_IS_ADDR_V4MAPPED(&v6)) return v6.s6_addr[12] == 127;
    return IN6_IS_ADDR_LOOPBACK(&v6);
}

std::string ListenAddress::text() const
{
    const bool v6 = host.find(':') != std::string::npos;
    return v6 ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

const http::BaseUrl& Config::upstream(const ProviderRegistry& registry, UpstreamRef ref) const
{
    const auto specs = registry.get(ref.provider).upstreams();
    return upstreams.find(specs[ref.index].key)->second;
}

Strategy Config::strategy_for(const Provider& provider) const
{
    const auto own = strategies.find(provider.name());
    return own == strategies.end() ? strategy : own->second;
}

OAuthClient Config::oauth_client(ProviderId provider) const
{
    if (provider != ProviderId::gemini) return {}; // the others' cannot be set
    return {gemini_oauth_client_id, gemini_oauth_client_secret.reveal()};
}

ConfigLoad load_config(
    const ProviderRegistry& registry,
    const ConfigFlags& flags,
    const Environment& environment,
    const std::filesystem::path& working_directory,
    std::uint32_t cores)
{
    return Loader(registry, flags, environment, working_directory).load(cores);
}

std::string to_toml(const Config& config)
{
    std::string top = fmt::format(
        "shared_mode = {}\ntls_cert_pem = {}\ntls_key_pem = {}\n",
        config.shared_mode,
        toml_string(config.tls_cert_pem),
        toml_string(config.tls_key_pem.reveal()));
    std::map<std::string_view, std::string> tables;
    for (const Setting& setting : settings()) {
        const std::string value = std::visit(TomlValue{config}, setting.field);
        const std::size_t dot = setting.key.find('.');
        const bool in_table = dot != std::string_view::npos;
        std::string& text = in_table ? tables[setting.key.substr(0, dot)] : top;
        text +=
            fmt::format("{} = {}\n", in_table ? setting.key.substr(dot + 1) : setting.key, value);
    }
    for (const auto& [name, text] : tables)
        top += fmt::format("\n[{}]\n{}", name, text);
    std::string strategies = "\n[strategies]\n";
    for (const auto& [provider, strategy] : config.strategies)
        strategies += fmt::format("{} = {}\n", provider, toml_string(to_string(strategy)));
    std::string upstreams = "\n[upstream]\n";
    for (const auto& [key, base] : config.upstreams)
        upstreams += fmt::format("{} = {}\n", key, toml_string(url_text(base)));
    return top + strategies + upstreams;
}

Result<Config> from_toml(const ProviderRegistry& registry, std::string_view text)
{
    Config config;
    ConfigValues values(config);
    std::vector<Problem> problems;
    read_config_text(
        registry, {text, "configuration", "/", ConfigDialect::child}, config, values, problems);
    if (!problems.empty()) return problems.front();
    for (const auto& provider : registry.all())
        for (const UpstreamSpec& spec : provider->upstreams())
            if (!config.upstreams.contains(spec.key))
                return Problem{
                    "configuration",
                    fmt::format("has no upstream.{}", spec.key),
                    "start it with `codex-pool run`"};
    return config;
}

} // namespace shared
