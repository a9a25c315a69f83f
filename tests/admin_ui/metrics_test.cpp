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
        R"re(([a-z_]+)(\{[a-z]+="(?:[^"\\\n]|\\["\\n])*"(?:,[a-z]+="(?:[^"\\\n]|\\["\\n])*")*\})? (-?[0-9.e+]+))re");
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
        EXPECT_EQ(match[1], family) << line;
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
