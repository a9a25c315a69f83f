#include "supervisor/simulate.hpp"

#include "shared/base/read_file.hpp"
#include "shared/evidence/publish_options.hpp"
#include "shared/providers/account_settings.hpp"
#include "shared/providers/pool_folder.hpp"
#include "shared/simulation/report.hpp"
#include "shared/simulation/report_json.hpp"
#include "shared/simulation/simulation.hpp"
#include "shared/simulation/week.hpp"
#include "supervisor/usage_history.hpp"

#include <algorithm>
#include <charconv>
#include <ostream>
#include <string_view>
#include <vector>

#include <fmt/format.h>

namespace supervisor {
namespace {

namespace simulation = shared::simulation;
using shared::Problem;
using shared::ProviderId;
using shared::Result;
using shared::Strategy;

Result<std::vector<Strategy>> strategies_of(std::string_view list)
{
    std::vector<Strategy> strategies;
    while (!list.empty()) {
        const std::size_t end = std::min(list.find(','), list.size());
        const std::string_view name = list.substr(0, end);
        list.remove_prefix(std::min(end + 1, list.size()));
        const auto strategy = shared::parse_strategy(name);
        if (!strategy)
            return Problem{
                "--strategy",
                fmt::format("\"{}\" is no strategy", shared::printable(name.substr(0, 60))),
                "use balanced, reset_soonest, fill_first, round_robin or least_used"};
        strategies.push_back(*strategy);
    }
    if (strategies.empty())
        strategies.assign(shared::kStrategies.begin(), shared::kStrategies.end());
    return {boost::system::in_place_value, std::move(strategies)};
}

/// "7d", "48h"
Result<std::chrono::milliseconds> length_of(std::string_view text)
{
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
    const bool known = unit == "d" || unit == "h";
    constexpr std::int64_t kMost = 100'000;
    if (error != std::errc{} || number <= 0 || number > kMost || !known)
        return Problem{"--last", "is no length of time", "write it like 7d or 48h"};
    return std::chrono::milliseconds(std::chrono::hours(unit == "d" ? number * 24 : number));
}

/// One run of run_simulate.
class Simulate {
public:
    Simulate(const shared::ProviderRegistry& registry, const SimulateInputs& inputs)
        : registry_(registry), inputs_(inputs), options_(inputs.options)
    {}

    /// The text to print.
    Result<std::string> run()
    {
        const auto strategies = strategies_of(options_.strategies);
        if (!strategies) return strategies.error();
        if (options_.load_percent < 1 || options_.load_percent > 1000)
            return Problem{"--load", "is out of range", "use 1 to 1000 percent"};
        if (auto made = options_.scenario ? make_up() : recall(); !made) return made.error();
        if (trace_.requests.empty())
            return Problem{
                "", "there is nothing to replay", "no request was recorded in this time"};

        std::vector<simulation::Column> columns;
        for (const Strategy strategy : *strategies) {
            simulation::Rules rules;
            rules.strategy = strategy;
            rules.seed = options_.seed;
            rules.pin_ttl = pin_ttl_;
            columns.push_back({strategy, simulation::simulate(trace_, accounts_, rules)});
        }
        if (options_.json)
            return {
                boost::system::in_place_value,
                simulation::json({source_, quotas()}, trace_, accounts_, columns)};
        return {
            boost::system::in_place_value,
            source_ + ": " + simulation::summary(trace_) + '\n' + assumptions() + '\n' +
                simulation::table(trace_, columns)};
    }

private:
    Result<void> make_up()
    {
        if (*options_.scenario != "week")
            return Problem{"--scenario", "is not known", "there is one: week"};
        simulation::Scenario week = simulation::make_week(
            registry_.all().front()->id(), options_.seed, options_.load_percent);
        trace_ = std::move(week.trace);
        accounts_ = std::move(week.accounts);
        source_ = fmt::format("a week made up, seed {}", options_.seed);
        return {};
    }

    /// What was recorded, and the accounts there are.
    Result<void> recall()
    {
        const shared::ConfigLoad load = shared::load_config(
            registry_,
            inputs_.flags,
            inputs_.environment,
            inputs_.working_directory,
            inputs_.cores);
        if (!load.config) return load.problems.front();
        pin_ttl_ = std::chrono::hours(load.config->pin_ttl_hours);
        auto trace = options_.trace ? read_trace() : read_database(*load.config);
        if (!trace) return trace.error();
        trace_ = std::move(*trace);
        simulation::derive_conversations(trace_);
        if (auto gathered = gather_accounts(*load.config); !gathered)
            return gathered.error();
        if (options_.week_tokens > 0)
            simulation::set_quotas(
                trace_, accounts_, static_cast<double>(options_.week_tokens), kUsedShare);
        else
            simulation::size_quotas(trace_, accounts_, options_.load_percent);
        return {};
    }

    Result<simulation::Trace> read_trace()
    {
        const std::filesystem::path path = inputs_.working_directory / *options_.trace;
        auto text = shared::read_file(path, simulation::kTraceBytesMax, "trace");
        if (!text) return text.error();
        if (text->missing)
            return Problem{shared::printable(path.string()), "there is no such file", ""};
        source_ = shared::printable(path.filename().string());
        return simulation::parse_trace(text->bytes, source_, registry_, ProviderId::none);
    }

    Result<simulation::Trace> read_database(const shared::Config& config)
    {
        const auto length = length_of(options_.last);
        if (!length) return length.error();
        source_ = "the last " + options_.last;
        return read_history(config.db_path, registry_, inputs_.now.plus(-*length));
    }

    /// For each provider of the trace: those of the pool folder, or as many equal ones as were asked for.
    Result<void> gather_accounts(const shared::Config& config)
    {
        shared::PoolLoad pool;
        shared::AccountSettings settings(config.db_path.parent_path() / "account_settings.json");
        if (options_.accounts == 0) {
            pool = shared::load_pool(registry_, config.pool_dir);
            if (auto read = settings.load(); !read) return read.error();
        }
        for (const auto& provider : registry_.all()) {
            const ProviderId id = provider->id();
            const bool used = std::any_of(
                trace_.requests.begin(), trace_.requests.end(), [id](const auto& request) {
                    return request.provider == id;
                });
            if (!used) continue;
            const std::size_t before = accounts_.size();
            for (const shared::LoadedAccount& loaded : pool.accounts) {
                if (loaded.provider == id) add_account(*provider, loaded, settings);
            }
            for (std::uint32_t i = 0; i < options_.accounts; ++i) {
                simulation::AccountModel account;
                account.id = fmt::format("{}:{}", provider->name(), i + 1);
                account.provider = id;
                accounts_.push_back(std::move(account));
            }
            if (accounts_.size() == before)
                return Problem{
                    shared::printable(config.pool_dir.string()),
                    fmt::format("has no account of {}", provider->display_name()),
                    "say how many equal ones to assume with --accounts N"};
        }
        if (accounts_.size() > shared::kMaxAccounts)
            return Problem{
                "--accounts", "are too many", fmt::format("{} at most", shared::kMaxAccounts)};
        return {};
    }

    [[nodiscard]] std::string quotas() const
    {
        return options_.week_tokens > 0 && !options_.scenario
                   ? fmt::format("weekly quotas of {} tokens times the plan", options_.week_tokens)
                   : fmt::format(
                         "quotas of which the requests need {:.0f} %", options_.load_percent);
    }

    void add_account(
        const shared::Provider& provider,
        const shared::LoadedAccount& loaded,
        const shared::AccountSettings& settings)
    {
        const auto said = settings.all().find(loaded.id);
        const auto effective = shared::effective_options(
            said == settings.all().end() ? shared::AccountOptions{} : said->second,
            loaded.credential);
        if (effective.disabled) return;
        const shared::AccountOptions& options = effective.options;
        simulation::AccountModel account;
        account.id = loaded.id;
        account.provider = provider.id();
        account.kind = loaded.credential.kind;
        account.capacity = static_cast<float>(provider.plan_weight(loaded.credential.plan));
        shared::put_options(options, account.options);
        account.models_allowed = options.models_allowed.value_or("");
        account.models_denied = options.models_denied.value_or("");
        account.owner = options.owner.value_or("");
        accounts_.push_back(std::move(account));
    }

    [[nodiscard]] std::string assumptions() const
    {
        std::string text = simulation::counted(accounts_.size(), "account") + ", " + quotas() +
                           "; docs/simulation.md says what else is assumed\n";
        if (trace_.conversations_guessed)
            text += "no request names its conversation: guessed from pauses of ten minutes\n";
        return text;
    }

    static constexpr double kUsedShare = 0.85;

    const shared::ProviderRegistry& registry_;
    const SimulateInputs& inputs_;
    const SimulateOptions& options_;
    simulation::Trace trace_;
    std::vector<simulation::AccountModel> accounts_;
    std::string source_;
    std::chrono::milliseconds pin_ttl_ = std::chrono::hours(24);
};

} // namespace

int run_simulate(
    const shared::ProviderRegistry& registry,
    const SimulateInputs& inputs,
    std::ostream& out,
    std::ostream& err)
{
    const auto text = Simulate(registry, inputs).run();
    if (text)
        out << *text;
    else
        err << "error: " << shared::printable(text.error().text()) << '\n';
    return text ? 0 : 1;
}

} // namespace supervisor
