#include "supervisor/check.hpp"

#include "shared/base/read_file.hpp"
#include "shared/base/time_text.hpp"
#include "shared/providers/pool_folder.hpp"
#include "supervisor/certificate.hpp"
#include "supervisor/data_directories.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <ostream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/chrono.h>
#include <fmt/format.h>

namespace supervisor {

namespace {

/// "2026-07-31 12:00 UTC, in 3 days"
std::string when(shared::UnixMillis at, shared::UnixMillis now)
{
    const std::time_t seconds = at.value / 1000;
    std::tm parts{};
    ::gmtime_r(&seconds, &parts);
    const auto minutes = std::chrono::duration_cast<std::chrono::minutes>(at.since(now)).count();
    const std::int64_t away = minutes < 0 ? -minutes : minutes;
    std::string distance = away < 120       ? fmt::format("{} minutes", away)
                           : away < 48 * 60 ? fmt::format("{} hours", away / 60)
                                            : fmt::format("{} days", away / 60 / 24);
    distance = minutes < 0 ? distance + " ago" : "in " + distance;
    return fmt::format("{:%Y-%m-%d %H:%M} UTC, {}", parts, distance);
}

/// Enough of an address to know it again: "p***@example.com".
std::string masked(std::string_view email)
{
    const std::size_t at = email.find('@');
    if (at == std::string_view::npos || at == 0) return "***";
    std::size_t first = 1; // the whole first character, however many bytes
    while (first < at && (static_cast<unsigned char>(email[first]) & 0xC0U) == 0x80U)
        ++first;
    return shared::printable(email.substr(0, first)) + "***" + shared::printable(email.substr(at));
}

std::string expiry(const shared::Credential& credential, shared::UnixMillis now)
{
    if (credential.kind == shared::CredentialKind::api_key) return "does not expire";
    if (!credential.expires_at.is_set()) return "expiry unknown";
    const char* word = credential.expires_at < now ? "token expired " : "token expires ";
    return word + when(credential.expires_at, now);
}

/// One run of run_check.
class Check {
public:
    Check(
        const shared::ProviderRegistry& registry,
        const CheckInputs& inputs,
        std::ostream& out,
        std::ostream& err)
        : registry_(registry), inputs_(inputs), out_(out), err_(err)
    {}

    int run()
    {
        shared::ConfigLoad load = shared::load_config(
            registry_,
            inputs_.flags,
            inputs_.environment,
            inputs_.working_directory,
            inputs_.cores);
        if (load.config) {
            if (auto loaded = load_certificate(*load.config, inputs_.now); !loaded)
                load.problems.push_back(loaded.error());
        }
        for (const shared::Problem& problem : load.problems)
            report(problem);
        if (load.config) {
            print_config(*load.config);
            print_accounts(*load.config);
        }
        if (problems_.empty())
            out_ << "ok\n";
        else
            out_ << fmt::format(
                "{} problem{}\n", problems_.size(), problems_.size() == 1 ? "" : "s");
        return problems_.empty() ? 0 : 1;
    }

    /// What was found, as one object.
    [[nodiscard]] std::string json() const
    {
        Json all;
        all["ok"] = problems_.empty();
        all["settings"] = settings_;
        all["accounts"] = accounts_;
        all["warnings"] = warnings_;
        all["problems"] = problems_;
        return all.dump(2, ' ', false, Json::error_handler_t::replace) + '\n';
    }

private:
    using Json = nlohmann::ordered_json;

    void print_config(const shared::Config& config)
    {
        const std::string source = shared::printable(config.source.string());
        line("configuration", source.empty() ? "no file; flags, environment and defaults" : source);
        line(
            "address",
            fmt::format(
                "{} ({})",
                config.listen.text(),
                config.shared_mode ? "shared mode: nobody is served without a credential"
                                   : "local mode: this machine only, no credential needed"));
        line("workers", std::to_string(config.workers));
        line("pool folder", shared::printable(config.pool_dir.string()));
        line("database", shared::printable(config.db_path.string()));
        print_upstreams(config);
        for (const auto& folder : missing_data_directories(config))
            line("to be created", shared::printable(folder.string()) + " (by run, mode 0700)");
        for (const std::string& warning : config.warnings)
            warn(warning);
    }

    /// Only those that are not the default: they decide where credentials go.
    void print_upstreams(const shared::Config& config)
    {
        for (const auto& provider : registry_.all()) {
            for (const shared::UpstreamSpec& spec : provider->upstreams()) {
                const auto found = config.upstreams.find(spec.key);
                const auto standard = shared::http::parse_base_url(spec.default_url);
                if (found == config.upstreams.end() || !standard || found->second == *standard)
                    continue;
                const auto& base = found->second;
                line(
                    fmt::format("upstream {}", spec.key),
                    fmt::format(
                        "{}://{}{}", base.tls ? "https" : "http", base.authority(), base.prefix));
            }
        }
    }

    void print_accounts(const shared::Config& config)
    {
        const shared::PoolLoad pool = shared::load_pool(registry_, config.pool_dir);
        if (pool.fatal) report(*pool.fatal);
        for (const shared::Problem& problem : pool.problems)
            report(problem);
        if (pool.fatal) return;
        out_ << fmt::format(
            "\n{} account{}\n", pool.accounts.size(), pool.accounts.size() == 1 ? "" : "s");
        for (const shared::LoadedAccount& account : pool.accounts)
            print_account(account);
        if (pool.accounts.empty() && pool.problems.empty())
            warn(fmt::format(
                "{} holds no credential files; see README.md for where each CLI keeps its own",
                shared::printable(config.pool_dir.string())));
        out_ << '\n';
    }

    void print_account(const shared::LoadedAccount& account)
    {
        const shared::Credential& credential = account.credential;
        std::string text = fmt::format("  {}\n    ", account.id);
        text += credential.kind == shared::CredentialKind::api_key ? "API key" : "login";
        if (!credential.plan.empty()) text += ", plan " + shared::printable(credential.plan);
        if (!credential.email.empty()) text += ", " + masked(credential.email);
        text += ", " + expiry(credential, inputs_.now);
        const bool renewable =
            credential.kind == shared::CredentialKind::api_key || !credential.refresh_token.empty();
        if (!renewable) text += ", cannot be refreshed";
        if (credential.disabled) text += ", disabled in the file";
        text += fmt::format("\n    {}\n", shared::printable(account.file.string()));
        out_ << text;
        Json json;
        json["id"] = account.id;
        json["kind"] = credential.kind == shared::CredentialKind::api_key ? "api_key" : "oauth";
        json["plan"] = credential.plan;
        json["expires_at"] = credential.expires_at.is_set()
                                 ? Json(shared::iso_time(credential.expires_at))
                                 : Json(nullptr);
        json["renewable"] = renewable;
        json["disabled"] = credential.disabled;
        json["file"] = account.file.string();
        accounts_.push_back(std::move(json));
        for (const std::string& warning : account.warnings)
            warn(fmt::format("{}: {}", account.id, warning));
    }

    void line(std::string_view name, std::string_view value)
    {
        out_ << fmt::format("{:<16} {}\n", name, value);
        std::string key(name);
        std::replace(key.begin(), key.end(), ' ', '_');
        settings_[key] = value;
    }

    void warn(std::string_view text)
    {
        err_ << "warning: " << shared::printable(text) << '\n';
        warnings_.push_back(shared::printable(text));
    }

    void report(const shared::Problem& problem)
    {
        problems_.push_back(
            {{"where", problem.where}, {"what", problem.what}, {"remedy", problem.remedy}});
        err_ << "error: " << shared::printable(problem.text()) << '\n';
    }

    const shared::ProviderRegistry& registry_;
    const CheckInputs& inputs_;
    std::ostream& out_;
    std::ostream& err_;
    Json settings_ = Json::object();
    Json accounts_ = Json::array();
    Json warnings_ = Json::array();
    Json problems_ = Json::array();
};

} // namespace

int run_check(
    const shared::ProviderRegistry& registry,
    const CheckInputs& inputs,
    std::ostream& out,
    std::ostream& err)
{
    if (!inputs.json) return Check(registry, inputs, out, err).run();
    std::ostringstream text; // nobody reads it
    Check check(registry, inputs, text, text);
    const int code = check.run();
    out << check.json();
    return code;
}

} // namespace supervisor
