#include "admin_ui/metrics.hpp"
#include "tests/admin_ui/pool_fixture.hpp"

#include <gtest/gtest.h>

#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>

namespace {

using tests::PoolFixture;

/// All samples by name and labels; fails on every line that is not Prometheus' text format.
std::map<std::string, double> parse(const std::string& text)
{
    static const std::regex kSample(
        R"re(([a-z_]+)(\{[a-z]+="(?:[^"\\\n]|\\["\\n])*"(?:,[a-z]+="(?:[^"\\\n]|\\["\\n])*")*\})? (-?[0-9.e+-]+))re");
    std::map<std::string, double> samples;
    std::map<std::string, std::string> types;
    std::set<std::string> closed;
    std::string family;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        std::smatch match;
        if (line.starts_with("# HELP ")) {
            closed.insert(family);
            family = line.substr(7, line.find(' ', 7) - 7);
            EXPECT_FALSE(closed.contains(family)) << "family in two places: " << family;
            continue;
        }
        if (line.starts_with("# TYPE ")) {
            const std::string rest = line.substr(7);
            types[family] = rest.substr(rest.find(' ') + 1);
            EXPECT_EQ(rest.substr(0, rest.find(' ')), family);
            continue;
        }
        if (!std::regex_match(line, match, kSample)) {
            ADD_FAILURE() << "not a sample: " << line;
            continue;
        }
        std::string of = match[1];
        if (types[family] == "histogram") {
            for (const char* part : {"_bucket", "_sum", "_count"})
                if (of == family + part) of = family;
        }
        EXPECT_EQ(of, family) << line;
        EXPECT_TRUE(types.contains(family));
        EXPECT_EQ(types[family] == "counter", family.ends_with("_total")) << family;
        const std::string key = match[1].str() + match[2].str();
        EXPECT_FALSE(samples.contains(key)) << "twice: " << key;
        samples[key] = std::stod(match[3]);
    }
    EXPECT_TRUE(text.ends_with('\n'));
    return samples;
}

TEST(Metrics, EverySampleIsWellFormedAndHasItsFamily)
{
    PoolFixture pool;
    const auto a = pool.add_account("codex:a");
    pool.add_account("claude:b", shared::AccountState::failing);
    pool.set_window(a, 18000, 0.5, 1000);
    pool.add_worker(0, 10);
    pool.add_worker(1, 11);
    auto& totals = pool.segment().totals[a];
    totals.requests = 5;
    totals.input = 1234;
    pool.segment().worker_restarts = 2;
    pool.segment().workers[1].in_flight[a] = 3;
    auto samples = parse(admin_ui::metrics_text(pool.view()));
    EXPECT_EQ(samples[R"(codexpool_requests_total{status="2xx"})"], 16);
    EXPECT_EQ(samples[R"(codexpool_account_requests_total{account="codex:a"})"], 5);
    EXPECT_EQ(samples[R"(codexpool_account_tokens_total{account="codex:a",kind="input"})"], 1234);
    EXPECT_EQ(samples[R"(codexpool_account_in_flight{account="codex:a"})"], 3);
    EXPECT_EQ(samples[R"(codexpool_account_condition{account="claude:b",condition="failing"})"], 1);
    EXPECT_EQ(samples[R"(codexpool_account_condition{account="claude:b",condition="ready"})"], 0);
    EXPECT_EQ(
        samples[R"(codexpool_account_window_used_ratio{account="codex:a",window="short"})"], 0.5);
    EXPECT_FALSE(samples.contains(
        R"(codexpool_account_window_used_ratio{account="codex:a",window="long"})"));
    EXPECT_EQ(samples["codexpool_worker_restarts_total"], 2);
    EXPECT_EQ(samples[R"(codexpool_worker_connections{slot="1"})"], 4);
    EXPECT_TRUE(samples.contains("codexpool_pins"));
    EXPECT_TRUE(samples.contains("codexpool_usage_rows_folded_total"));
}

TEST(Metrics, HistogramsAreCumulativeAndInSeconds)
{
    PoolFixture pool;
    pool.add_worker(0, 10);
    pool.add_worker(1, 11);
    shared::Segment& segment = pool.segment();
    segment.workers[0].counters.total.observe(shared::kAnswerBoundsUs, 50'000); // on the bound
    segment.workers[1].counters.total.observe(shared::kAnswerBoundsUs, 400'000);
    segment.retired.total.observe(shared::kAnswerBoundsUs, 7'200'000'000);
    segment.workers[0].counters.own.observe(shared::kOwnBoundsUs, 99);
    auto samples = parse(admin_ui::metrics_text(pool.view()));
    const auto bucket = [&](const std::string& le) {
        return samples.at("codexpool_request_duration_seconds_bucket{le=\"" + le + "\"}");
    };
    EXPECT_EQ(bucket("0.05"), 1);
    EXPECT_EQ(bucket("0.25"), 1);
    EXPECT_EQ(bucket("0.5"), 2);
    EXPECT_EQ(bucket("600"), 2);
    EXPECT_EQ(bucket("+Inf"), 3);
    EXPECT_EQ(samples["codexpool_request_duration_seconds_count"], 3);
    EXPECT_DOUBLE_EQ(samples["codexpool_request_duration_seconds_sum"], 7200.45);
    EXPECT_EQ(samples[R"(codexpool_request_overhead_seconds_bucket{le="5e-05"})"], 0);
    EXPECT_EQ(samples[R"(codexpool_request_overhead_seconds_bucket{le="0.0001"})"], 1);
    EXPECT_EQ(samples["codexpool_request_first_byte_seconds_count"], 0);
}

TEST(Metrics, UsersAreNamedOnlyIfWantedAndNeverTooMany)
{
    PoolFixture pool;
    EXPECT_EQ(admin_ui::metrics_text(pool.view()).find("codexpool_user_"), std::string::npos);
    admin_ui::UserList users;
    for (std::size_t i = 0; i <= admin_ui::kMetricsUsersMax; ++i) {
        auto& user = users.emplace_back();
        user.user = "u" + std::to_string(i);
        user.sums.requests = 3;
        user.sums.input = static_cast<std::int64_t>(i);
    }
    auto samples = parse(admin_ui::metrics_text(pool.view(), users));
    EXPECT_FALSE(samples.contains(R"(codexpool_user_requests_total{user="u0"})")) << "the smallest";
    EXPECT_EQ(samples[R"(codexpool_user_requests_total{user="u1000"})"], 3);
    EXPECT_EQ(samples[R"(codexpool_user_tokens_total{user="u7",kind="input"})"], 7);
}

TEST(Metrics, LabelsAreEscaped)
{
    PoolFixture pool;
    pool.add_account("codex:a\"b\\c\nd");
    auto samples = parse(admin_ui::metrics_text(pool.view()));
    EXPECT_TRUE(samples.contains(R"(codexpool_account_in_flight{account="codex:a\"b\\c\nd"})"));
}

TEST(Metrics, AnEmptyPoolHasMetricsToo)
{
    PoolFixture pool;
    EXPECT_FALSE(parse(admin_ui::metrics_text(pool.view())).empty());
}

} // namespace
