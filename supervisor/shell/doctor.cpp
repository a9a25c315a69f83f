#include "supervisor/shell/doctor.hpp"

#include "shared/base/read_file.hpp"
#include "supervisor/certificate.hpp"
#include "supervisor/control_client.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <ostream>
#include <string>
#include <utility>

#include <fmt/format.h>
#include <pwd.h>
#include <unistd.h>

#include "supervisor/shell/canvas.hpp"
#include "supervisor/shell/doctor_checks.hpp"
#include "supervisor/shell/redact.hpp"

namespace supervisor::shell {
namespace {

constexpr std::chrono::seconds kPoolPatience{5};

std::string_view word_of(Grade grade)
{
    constexpr std::array<std::string_view, 4> kWords{"ok", "note", "warning", "failed"};
    return kWords[static_cast<std::size_t>(grade)];
}

Ink ink_of(Grade grade)
{
    constexpr std::array<Ink, 4> kInks{Ink::good, Ink::soft, Ink::warn, Ink::bad};
    return kInks[static_cast<std::size_t>(grade)];
}

/// "checking the network (5 of 9) …" while it takes its time; gone afterwards.
class Progress {
public:
    Progress(std::ostream& err, bool shown) : err_(err), shown_(shown) {}

    ~Progress() { clear(); }

    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;

    void step(std::string_view what)
    {
        ++step_;
        if (!shown_) return;
        constexpr int kSteps = 8;
        err_ << fmt::format("\r\x1b[Kchecking {} ({} of {}) …", what, step_, kSteps) << std::flush;
    }

    void clear()
    {
        if (shown_ && step_ > 0) err_ << "\r\x1b[K" << std::flush;
    }

private:
    std::ostream& err_;
    bool shown_;
    int step_ = 0;
};

/// One run of `doctor`.
class Doctor {
public:
    Doctor(const shared::ProviderRegistry& registry, const DoctorInputs& inputs, Progress& progress)
        : registry_(registry), inputs_(inputs), progress_(progress)
    {}

    Findings run()
    {
        progress_.step("the configuration");
        if (!load()) return std::move(findings_);
        progress_.step("permissions");
        add(check_permissions(*config_));
        progress_.step("the disk");
        add(check_disk(*config_));
        add(check_fsync(*config_));
        progress_.step("the running pool");
        ask_the_pool();
        add(check_port(*config_, running_.has_value()));
        progress_.step("the network");
        files_ = shared::load_pool(registry_, config_->pool_dir);
        const std::optional<std::int64_t> clock_ahead = look_at_network();
        progress_.step("the clock");
        add(check_clock(clock_ahead));
        progress_.step("systemd");
        add(check_systemd());
        progress_.step("the accounts");
        add(running_ ? check_running_accounts(*running_, registry_, files_)
                     : check_account_files(files_, registry_, inputs_.now));
        return std::move(findings_);
    }

    /// What must not be told: names of people, accounts, folders and hosts of this pool.
    [[nodiscard]] Redactor redactor() const
    {
        Redactor redactor;
        hide_machine(redactor);
        if (!config_) return redactor;
        std::size_t number = 0;
        for (const shared::LoadedAccount& account : files_.accounts)
            hide_account(redactor, account, ++number);
        if (running_) {
            for (const AccountLine& account : running_->accounts)
                hide_id(redactor, account.id, ++number);
        }
        redactor.hide(config_->pool_dir.string(), "(pool folder)");
        redactor.hide(config_->db_path.parent_path().string(), "(data folder)");
        redactor.hide(config_->users_path.parent_path().string(), "(users' folder)");
        redactor.hide(config_->source.parent_path().string(), "(configuration folder)");
        redactor.hide(config_->friend_name, "(name)");
        redactor.hide(config_->public_url, "(public address)");
        if (!config_->listen.is_loopback()) redactor.hide(config_->listen.host, "(address)");
        for (const auto& [key, base] : config_->upstreams)
            if (!is_default(key, base)) redactor.hide(base.host, "(host)");
        if (proxies_.proxy) redactor.hide(proxies_.proxy->host, "(proxy)");
        return redactor;
    }

private:
    void add(Findings more)
    {
        for (Finding& finding : more)
            findings_.push_back(std::move(finding));
    }

    bool load()
    {
        shared::ConfigLoad load = shared::load_config(
            registry_,
            inputs_.flags,
            inputs_.environment,
            inputs_.working_directory,
            inputs_.cores);
        if (load.config) {
            if (auto loaded = supervisor::load_certificate(*load.config, inputs_.now); !loaded)
                load.problems.push_back(loaded.error());
        }
        for (const shared::Problem& problem : load.problems)
            findings_.push_back(
                {"configuration", Grade::bad, problem.where + ": " + problem.what, problem.remedy});
        config_ = std::move(load.config);
        if (!config_) return false;
        const std::string source = config_->source.string();
        if (load.problems.empty())
            findings_.push_back(
                {"configuration",
                 Grade::good,
                 (source.empty() ? "no file; flags, environment and defaults" : source) +
                     (config_->shared_mode ? " (shared mode)" : " (local mode)"),
                 ""});
        for (const std::string& warning : config_->warnings)
            findings_.push_back({"configuration", Grade::warn, warning, ""});
        return true;
    }

    void ask_the_pool()
    {
        supervisor::ControlCall call;
        call.target = "/admin/live?once=1";
        call.patience = kPoolPatience;
        std::string body;
        const auto status = supervisor::ask_pool(
            config_->db_path.parent_path(), call, [&body](unsigned, std::string_view piece) {
                body += piece;
            });
        if (!status) {
            findings_.push_back({"pool", Grade::note, status.error().what, ""});
            return;
        }
        auto snapshot = parse_snapshot(body);
        if (!snapshot) {
            findings_.push_back(
                {"pool", Grade::warn, snapshot.error().what, snapshot.error().remedy});
            return;
        }
        running_ = std::move(*snapshot);
        const Grade grade = running_->status == "ok"         ? Grade::good
                            : running_->status == "degraded" ? Grade::warn
                                                             : Grade::bad;
        findings_.push_back({"pool", grade, running_->sentence, ""});
    }

    std::optional<std::int64_t> look_at_network()
    {
        auto proxies =
            shared::net::ProxySettings::from_environment([this](const char* name) -> const char* {
                const auto found = inputs_.environment.find(std::string_view(name));
                return found == inputs_.environment.end() ? nullptr : found->second.c_str();
            });
        if (!proxies) {
            findings_.push_back(
                {"network", Grade::bad, proxies.error().what, proxies.error().remedy});
            return std::nullopt;
        }
        proxies_ = std::move(*proxies);
        NetworkReport report =
            check_network(reaches(registry_, *config_, files_.accounts), proxies_);
        add(std::move(report.findings));
        return report.clock_ahead;
    }

    [[nodiscard]] bool is_default(std::string_view key, const shared::http::BaseUrl& base) const
    {
        for (const auto& provider : registry_.all()) {
            for (const shared::UpstreamSpec& spec : provider->upstreams()) {
                const auto standard = shared::http::parse_base_url(spec.default_url);
                if (spec.key == key && standard) return *standard == base;
            }
        }
        return false;
    }

    static void hide_machine(Redactor& redactor)
    {
        std::array<char, 256> host{};
        if (::gethostname(host.data(), host.size() - 1) == 0) redactor.hide(host.data(), "(host)");
        if (const passwd* user = ::getpwuid(::geteuid()); user != nullptr) {
            const std::string_view name = user->pw_name;
            if (name == "root" || name == "codex-pool") return; // everybody's
            redactor.hide(user->pw_dir, "(home)");
            redactor.hide(name, "(user)");
        }
    }

    void
    hide_account(Redactor& redactor, const shared::LoadedAccount& account, std::size_t number) const
    {
        hide_id(redactor, account.id, number);
        redactor.hide(account.file.filename().string(), fmt::format("account-{}.json", number));
        redactor.hide(account.credential.email, "(e-mail)");
        redactor.hide(account.credential.account_id, "(account id)");
        redactor.hide(account.credential.project, "(project)");
        const auto& proxy = account.credential.options.proxy_url;
        if (!proxy) return;
        const auto parsed = shared::net::ForwardProxy::parse(*proxy);
        if (parsed) redactor.hide(parsed->address.host, "(proxy)");
    }

    static void hide_id(Redactor& redactor, const std::string& id, std::size_t number)
    {
        const std::size_t colon = id.find(':');
        if (colon == std::string::npos) return;
        redactor.hide(id, fmt::format("{}:account-{}", id.substr(0, colon), number));
        redactor.hide(id.substr(colon + 1), fmt::format("account-{}", number));
    }

    const shared::ProviderRegistry& registry_;
    const DoctorInputs& inputs_;
    Progress& progress_;
    std::optional<shared::Config> config_;
    shared::PoolLoad files_;
    shared::net::ProxySettings proxies_;
    std::optional<Snapshot> running_;
    Findings findings_;
};

} // namespace

std::string doctor_text(const Findings& findings, const supervisor::TerminalStyle& style)
{
    const Paper paper{style.colour, style.bars, 0}; // remedies are to be copied whole
    Lines lines;
    std::array<std::size_t, 4> counts{};
    for (const Finding& finding : findings) {
        ++counts[static_cast<std::size_t>(finding.grade)];
        Line line;
        line.fit(word_of(finding.grade), 8, ink_of(finding.grade));
        line.fit(finding.area, 15, Ink::strong).add(shared::printable(finding.what));
        lines.push_back(std::move(line));
        if (!finding.remedy.empty())
            lines.push_back(Line().gap(23).add("do: " + shared::printable(finding.remedy)));
    }
    const std::size_t bad = counts[static_cast<std::size_t>(Grade::bad)];
    const std::size_t warnings = counts[static_cast<std::size_t>(Grade::warn)];
    lines.emplace_back();
    std::string sum = bad == 0 ? std::string("nothing failed") : fmt::format("{} failed", bad);
    sum += fmt::format(", {} warning{}", warnings, warnings == 1 ? "" : "s");
    lines.emplace_back(sum, bad > 0 ? Ink::bad : warnings > 0 ? Ink::warn : Ink::good);
    return text_of(lines, paper);
}

std::string doctor_json(const Findings& findings)
{
    using Json = nlohmann::ordered_json;
    Json json;
    json["version"] = CODEX_POOL_VERSION;
    json["ok"] = std::none_of(findings.begin(), findings.end(), [](const Finding& finding) {
        return finding.grade == Grade::bad;
    });
    json["findings"] = Json::array();
    for (const Finding& finding : findings) {
        Json one;
        one["area"] = finding.area;
        one["result"] = word_of(finding.grade);
        one["what"] = finding.what;
        one["remedy"] = finding.remedy.empty() ? Json(nullptr) : Json(finding.remedy);
        json["findings"].push_back(std::move(one));
    }
    return json.dump(2, ' ', false, Json::error_handler_t::replace) + '\n';
}

int run_doctor(
    const shared::ProviderRegistry& registry,
    const DoctorInputs& inputs,
    std::ostream& out,
    std::ostream& err)
{
    Findings findings;
    {
        Progress progress(err, inputs.shows_progress);
        Doctor doctor(registry, inputs, progress);
        findings = doctor.run();
        if (inputs.share) {
            const Redactor redactor = doctor.redactor();
            for (Finding& finding : findings) {
                finding.what = redactor.redacted(std::move(finding.what));
                finding.remedy = redactor.redacted(std::move(finding.remedy));
            }
        }
    }
    out << (inputs.json ? doctor_json(findings) : doctor_text(findings, inputs.style));
    return std::any_of(
               findings.begin(),
               findings.end(),
               [](const Finding& finding) { return finding.grade == Grade::bad; })
               ? 1
               : 0;
}

} // namespace supervisor::shell
