/// Fills a usage database with a made-up month, for screenshots, measurements and the tests of the pages:
///
///   make_month DATABASE [REQUESTS [DAYS]]
///
/// Eight people work by day and rest at night, conversations stay on their account, some requests fail. The same
/// arguments give the same rows but for the time, which ends now. It is written by the pool's own writer, so rows and
/// sums agree.
#include "shared/base/clock.hpp"
#include "supervisor/usage_db.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace {

using supervisor::UsageBacklog;

struct Model {
    std::string_view name;
    std::uint8_t provider;
    std::uint16_t first_account;
    std::uint16_t accounts;
};

// Names as fake_upstreams gives them; the last two are keys.
constexpr std::array<std::string_view, 8> kAccounts{
    "codex:codex_1",
    "codex:codex_2",
    "codex:codex_3",
    "claude:1",
    "claude:2",
    "gemini:1",
    "claude:key_1",
    "gemini:key_1"};
constexpr std::array kModels{
    Model{"gpt-5.4", 1, 0, 3},
    Model{"gpt-5.3-codex", 1, 0, 3},
    Model{"claude-sonnet-5-5", 2, 3, 2},
    Model{"claude-opus-5-5", 2, 3, 2},
    Model{"claude-haiku-5-5", 2, 6, 1},
    Model{"gemini-3.5-flash", 3, 5, 1},
    Model{"gemini-3.1-pro", 3, 7, 1},
    Model{"experimental-x", 1, 0, 3}};
constexpr std::array<std::string_view, 8> kUsers{
    "ada", "brook", "chen", "dana", "emil", "farah", "gus", "hana"};

std::string_view account_name(shared::AccountSlot slot)
{
    return slot.value < kAccounts.size() ? kAccounts[slot.value] : std::string_view();
}

class Month {
public:
    Month(std::int64_t end_ms, std::int64_t requests, std::int64_t days)
        : begin_ms_(end_ms - days * kDay), requests_(requests)
    {
        double sum = 0;
        for (std::int64_t hour = 0; hour < days * 24; ++hour)
            until_.push_back(sum += busy(begin_ms_ + hour * kHour) * (0.6 + 0.8 * uniform()));
    }

    /// The i-th request; later ones finish later.
    shared::UsageEntry request(std::int64_t i)
    {
        const std::int64_t at = time_of(i);
        shared::UsageEntry entry;
        char id[24];
        std::snprintf(id, sizeof id, "%016llx", static_cast<unsigned long long>(i + 1));
        std::copy_n(id, 16, entry.request_id.begin());
        const std::size_t user = pick_user(at);
        const Model& model = pick_model(user);
        entry.user = kUsers[user];
        entry.model = model.name;
        entry.provider = model.provider;
        // A conversation lasts an hour and keeps its account.
        const std::size_t conversation =
            user * 7919 + static_cast<std::size_t>(at / 3'600'000) * 31;
        entry.account = {
            static_cast<std::uint16_t>(model.first_account + conversation % model.accounts)};
        entry.conversation = conversation + 1;
        entry.path = model.provider == 2 ? "/v1/messages" : "/v1/responses";
        entry.status = 200;
        entry.attempts = 1;
        entry.outcome = shared::RequestOutcome::completed;
        fill_tokens(entry);
        fill_times(entry, at);
        fail_some(entry);
        return entry;
    }

private:
    static constexpr std::int64_t kHour = 3'600'000;
    static constexpr std::int64_t kDay = 24 * kHour;

    /// Requests are as many in each hour as it is busy.
    [[nodiscard]] std::int64_t time_of(std::int64_t i) const
    {
        const double wanted =
            until_.back() * (static_cast<double>(i) + 0.5) / static_cast<double>(requests_);
        const auto hour = std::lower_bound(until_.begin(), until_.end(), wanted);
        const double before = hour == until_.begin() ? 0 : *(hour - 1);
        const double share = (wanted - before) / (*hour - before);
        return begin_ms_ + (hour - until_.begin()) * kHour +
               static_cast<std::int64_t>(share * static_cast<double>(kHour - 1));
    }

    /// 0 to 1: how much is going on at this hour (UTC), less on weekends.
    static double busy(std::int64_t at)
    {
        const double hour = static_cast<double>(at % 86'400'000) / 3'600'000;
        const std::int64_t weekday = (at / 86'400'000 + 4) % 7;
        const double day = 0.5 - 0.5 * std::cos((hour - 3) / 24 * 2 * 3.14159265);
        return (0.05 + 0.95 * day) * (weekday == 0 || weekday == 6 ? 0.45 : 1.0);
    }

    std::size_t pick_user(std::int64_t at)
    {
        // Some work more than others, and the first one also at night.
        if (uniform() > busy(at)) return 0;
        const double x = uniform();
        return static_cast<std::size_t>(x * x * static_cast<double>(kUsers.size()));
    }

    const Model& pick_model(std::size_t user)
    {
        if (uniform() < 0.01) return kModels.back();
        const double x = uniform();
        const std::size_t own = user % 3 * 2;
        if (x < 0.6) return kModels[own];
        if (x < 0.85) return kModels[own + 1];
        return kModels[static_cast<std::size_t>(uniform() * 7)];
    }

    void fill_tokens(shared::UsageEntry& entry)
    {
        const double size = std::exp(9.2 + 1.1 * normal_(random_));
        entry.input = static_cast<std::int64_t>(size);
        entry.cached_input = static_cast<std::int64_t>(size * (0.45 + 0.5 * uniform()));
        if (entry.provider == 2)
            entry.cache_creation =
                (entry.input - entry.cached_input) * static_cast<std::int64_t>(uniform() * 8) / 10;
        entry.output = static_cast<std::int64_t>(std::exp(5.6 + 1.0 * normal_(random_)));
        entry.reasoning =
            static_cast<std::int64_t>(static_cast<double>(entry.output) * 0.4 * uniform());
        entry.request_bytes = static_cast<std::uint64_t>(entry.input) * 4;
        entry.response_bytes = static_cast<std::uint64_t>(entry.output) * 40;
    }

    void fill_times(shared::UsageEntry& entry, std::int64_t at)
    {
        entry.queued_ms = uniform() < 0.03 ? static_cast<std::uint32_t>(uniform() * 4000) : 0;
        entry.connect_ms = uniform() < 0.2 ? static_cast<std::uint32_t>(20 + uniform() * 80) : 0;
        const auto upstream = static_cast<std::uint32_t>(300 + uniform() * 2500);
        entry.first_byte_ms = entry.queued_ms + entry.connect_ms + upstream;
        entry.duration_ms = entry.first_byte_ms + static_cast<std::uint32_t>(entry.output * 12);
        entry.own_us = static_cast<std::uint32_t>(90 + uniform() * 200);
        entry.finished_at = {at};
        entry.started_at = {at - static_cast<std::int64_t>(entry.duration_ms)};
    }

    void fail_some(shared::UsageEntry& entry)
    {
        const double x = uniform();
        if (x > 0.025) return;
        entry.output = entry.reasoning = 0;
        if (x < 0.012) {
            entry.status = 429;
            entry.attempts = 3;
        } else if (x < 0.018) {
            entry.outcome = shared::RequestOutcome::client_gone;
        } else if (x < 0.022) {
            entry.status = 503;
            entry.outcome = shared::RequestOutcome::refused;
            entry.account = {};
            entry.input = entry.cached_input = entry.cache_creation = 0;
        } else {
            entry.outcome = shared::RequestOutcome::upstream_cut;
        }
    }

    double uniform() { return uniform_(random_); }

    std::int64_t begin_ms_;
    std::int64_t requests_;
    std::vector<double> until_; ///< per hour: how much was done until its end
    std::mt19937_64 random_{20261122};
    std::uniform_real_distribution<double> uniform_{0.0, 1.0};
    std::normal_distribution<double> normal_{0.0, 1.0};
};

} // namespace

int main(int argc, char** argv)
{
    if (argc < 2 || argc > 4) {
        std::fprintf(stderr, "usage: make_month DATABASE [REQUESTS [DAYS]]\n");
        return 2;
    }
    const std::int64_t requests = argc > 2 ? std::atoll(argv[2]) : 20'000;
    const std::int64_t days = argc > 3 ? std::atoll(argv[3]) : 30;
    if (requests < 1 || days < 1) {
        std::fprintf(stderr, "make_month: REQUESTS and DAYS are numbers from 1 on\n");
        return 2;
    }
    auto db = supervisor::UsageDb::open(argv[1]);
    if (!db.has_value()) {
        std::fprintf(stderr, "make_month: %s\n", db.error().text().c_str());
        return 1;
    }
    Month month(shared::now_unix().value, requests, days);
    constexpr std::int64_t kBatch = 5000;
    for (std::int64_t done = 0; done < requests; done += kBatch) {
        UsageBacklog backlog;
        for (std::int64_t i = done; i < std::min(requests, done + kBatch); ++i) {
            const shared::UsageEntry entry = month.request(i);
            backlog.add(entry, account_name(entry.account));
        }
        if (auto written = db->write(backlog, backlog.rows().size(), account_name); !written) {
            std::fprintf(stderr, "make_month: %s\n", written.error().text().c_str());
            return 1;
        }
    }
    std::printf(
        "%lld requests of %lld days\n",
        static_cast<long long>(requests),
        static_cast<long long>(days));
    return 0;
}
