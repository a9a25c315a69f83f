#include "admin_ui/bar_chart.hpp"
#include "admin_ui/usage_report.hpp"
#include "admin_ui/usage_view.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace {

using namespace admin_ui;
using nlohmann::json;

constexpr std::int64_t kMidnight = 1'778'716'800'000; // 2026-05-14T00:00:00Z
constexpr shared::UnixMillis kNow{kMidnight + 10 * kHourMillis + 5};

UsageRange range_of(std::string_view query)
{
    Parameters parameters(query, {"from", "to", "last", "by", "group", "user"});
    const UsageRange range = usage_range(parameters, kNow);
    EXPECT_EQ(parameters.problem(), "") << query;
    return range;
}

std::string problem_of(std::string_view query)
{
    Parameters parameters(query, {"from", "to", "last", "by", "group", "user"});
    (void)usage_range(parameters, kNow);
    return parameters.problem();
}

UsageRow row(std::int64_t at, const char* user, const char* account, const char* model)
{
    UsageRow made{{at}, user, account, model, {}};
    made.sums.requests = 2;
    made.sums.failed_requests = 1;
    made.sums.input = 1'000'000;
    made.sums.cached_input = 600'000;
    made.sums.cache_creation = 100'000;
    made.sums.output = 50'000;
    made.sums.reasoning = 20'000;
    return made;
}

PriceList prices()
{
    auto list = PriceList::parse(
        R"({"version":"v","models":[
            {"model":"big","input":10,"cached_input":1,"cache_write":12,"output":100,"source":"s","date":"d"},
            {"model":"big-mini*","input":1,"output":2,"source":"s","date":"d"}]})",
        "test");
    EXPECT_TRUE(list.has_value());
    return *list;
}

TEST(UsageRange, CoversWholeStepsAndEndsWithTheOneThatRuns)
{
    UsageRange range = range_of("");
    EXPECT_EQ(range.step, UsageStep::day);
    EXPECT_EQ(range.to.value, kMidnight + kDayMillis);
    EXPECT_EQ(range.steps(), 7U);
    range = range_of("last=24h");
    EXPECT_EQ(range.step, UsageStep::hour);
    EXPECT_EQ(range.steps(), 24U);
    EXPECT_EQ(range.to.value, kMidnight + 11 * kHourMillis);
    range = range_of("last=7d&by=hour");
    EXPECT_EQ(range.steps(), 168U);
    range = range_of("from=2026-05-01&to=2026-05-03T12:00:00Z&by=day&group=user&user=a%20b");
    EXPECT_EQ(iso_time(range.from), "2026-05-01T00:00:00Z");
    EXPECT_EQ(iso_time(range.to), "2026-05-04T00:00:00Z");
    EXPECT_EQ(range.group, UsageGroup::user);
    EXPECT_EQ(range.user, "a b");
    EXPECT_EQ(range_of("from=2026-05-13T10:30&to=2026-05-13T11:10").steps(), 2U);
}

TEST(UsageRange, SillyQuestionsAreAnsweredWithASentence)
{
    EXPECT_EQ(
        problem_of("last=1y"), "last must be a span like 7d or 48h, at most 400d, not \"1y\".");
    EXPECT_EQ(
        problem_of("last=0d"), "last must be a span like 7d or 48h, at most 400d, not \"0d\".");
    EXPECT_EQ(problem_of("by=week"), "by must be one of hour, day, not \"week\".");
    EXPECT_EQ(
        problem_of("group=<b>"),
        "group must be one of provider, model, account, user, not \"<b>\".");
    EXPECT_EQ(problem_of("from=2026-05-02&to=2026-05-01"), "from must be before to.");
    EXPECT_EQ(problem_of("last=7d&from=2026-05-02"), "Give either last, or from and to.");
    EXPECT_EQ(
        problem_of("last=30d&by=hour"),
        "by=hour covers at most 8 days; ask for by=day, or for less.");
    EXPECT_NE(problem_of("from=1999-01-01").find("at most 400 days"), std::string::npos);
    EXPECT_EQ(
        problem_of("from=yesterday"),
        "from must be a time like 2026-05-14 or 2026-05-14T10:00:00Z, not \"yesterday\".");
    EXPECT_NE(problem_of("from=9999999999999999").find("must be a time"), std::string::npos);
    EXPECT_EQ(problem_of("by=day&by=hour"), "by is given twice.");
    EXPECT_EQ(problem_of("by=%4"), "The query holds a broken percent escape.");
    EXPECT_EQ(problem_of("user=%00"), "The query holds a broken percent escape.");
    EXPECT_EQ(problem_of("user=%ff"), "user is no UTF-8.");
    EXPECT_NE(
        problem_of("user=" + std::string(300, 'x')).find("longer than 256"), std::string::npos);
    EXPECT_EQ(
        problem_of("hour=1"),
        "There is no parameter \"hour\" here; there are: from, to, last, by, group, user.");
}

TEST(UsageReport, SumsByStepAndGroup)
{
    UsageRange range = range_of("last=7d&group=model");
    const std::vector<UsageRow> rows{
        row(kMidnight, "ann", "codex:a", "big"),
        row(kMidnight, "bob", "codex:b", "big"),
        row(kMidnight - kDayMillis, "ann", "codex:a", "big-mini-2"),
        row(kMidnight - 30 * kDayMillis, "ann", "codex:a", "big")}; // not asked for
    const auto keys = [](std::string_view account) { return account == "codex:b"; };
    UsageReport report = usage_report(range, rows, prices(), keys);
    EXPECT_EQ(report.total.sums.requests, 6);
    EXPECT_EQ(report.total.sums.input, 3'000'000);
    ASSERT_EQ(report.groups.size(), 2U);
    EXPECT_EQ(report.groups[0].first, "big");
    EXPECT_EQ(report.groups[0].second.sums.requests, 4);
    EXPECT_EQ(report.steps[6].sums.requests, 4);
    EXPECT_EQ(report.cells[5][1].sums.output, 50'000);
    EXPECT_EQ(report.cells[5][0].sums.requests, 0);
    // fresh 0.3 M, cached 0.6 M, written 0.1 M, output 0.05 M
    constexpr double kBig = 0.3 * 10 + 0.6 * 1 + 0.1 * 12 + 0.05 * 100;
    constexpr double kMini =
        1.0 * 1 + 0.05 * 2; // without prices of their own cached tokens are input
    EXPECT_DOUBLE_EQ(report.groups[0].second.cost.list, 2 * kBig);
    EXPECT_DOUBLE_EQ(report.groups[0].second.cost.api_keys, kBig);
    EXPECT_DOUBLE_EQ(report.total.cost.list, 2 * kBig + kMini);

    range.group = UsageGroup::provider;
    report = usage_report(range, rows, prices(), keys);
    ASSERT_EQ(report.groups.size(), 1U);
    EXPECT_EQ(report.groups[0].first, "codex");
    range.group = UsageGroup::none;
    EXPECT_TRUE(usage_report(range, rows, prices(), keys).groups.empty());
}

TEST(UsageReport, AModelWithoutAPriceIsInNoCostAndIsNamed)
{
    const UsageRange range = range_of("");
    const UsageReport report = usage_report(
        range, {row(kMidnight, "a", "x:y", "unheard-of")}, prices(), [](std::string_view) {
            return true;
        });
    EXPECT_EQ(report.total.cost.list, 0);
    EXPECT_EQ(report.total.cost.unpriced, 1'050'000);
    EXPECT_EQ(report.unpriced_models, std::vector<std::string>{"unheard-of"});
}

TEST(UsageReport, AsJsonItHasTheSameNumbers)
{
    const UsageRange range = range_of("group=user");
    const UsageReport report = usage_report(
        range,
        {row(kMidnight, "a", "x:y", "big"), row(kMidnight - kDayMillis, "\xff<b>", "x:y", "big")},
        prices(),
        [](std::string_view) { return false; });
    const json parsed = json::parse(usage_json(report, prices()));
    EXPECT_EQ(parsed["by"], "day");
    EXPECT_EQ(parsed["totals"]["input_tokens"], 2'000'000);
    EXPECT_EQ(parsed["groups"].size(), 2U);
    EXPECT_EQ(parsed["steps"].size(), 2U) << "steps without use are left out";
    EXPECT_EQ(parsed["steps"][1]["groups"][0]["name"], "a");
    EXPECT_EQ(parsed["totals"]["cost_list"], 19.6);
}

TEST(UsageText, IsATableWithBarsWhereTheTerminalTakesThem)
{
    const UsageRange range = range_of("group=user");
    UsageRow small = row(kMidnight, "bob", "x:y", "big");
    small.sums.input = 200'000;
    small.sums.cached_input = 0;
    const UsageReport report = usage_report(
        range, {row(kMidnight, "ann\x1b[31m", "x:y", "big"), small}, prices(), [](auto) {
            return false;
        });
    const std::string plain = usage_text(report, prices(), {});
    EXPECT_NE(plain.find("USER"), std::string::npos);
    EXPECT_NE(plain.find("60 %"), std::string::npos);
    EXPECT_NE(plain.find("all"), std::string::npos);
    EXPECT_EQ(plain.find('\x1b'), std::string::npos) << "a name cannot colour the terminal";
    EXPECT_EQ(plain.find("█"), std::string::npos);
    const std::string bars = usage_text(report, prices(), {true, true, 120});
    EXPECT_NE(bars.find("█"), std::string::npos);
    EXPECT_NE(bars.find("\x1b[32m"), std::string::npos);
    EXPECT_NE(usage_text(report, prices(), {false, true, 20}).find("bob"), std::string::npos);
}

TEST(BarChart, RoundsItsScaleUp)
{
    EXPECT_EQ(round_up(0), 1);
    EXPECT_EQ(round_up(1), 1);
    EXPECT_EQ(round_up(1.01), 1.5);
    EXPECT_EQ(round_up(37), 40);
    EXPECT_EQ(round_up(13'700), 15'000);
    EXPECT_EQ(round_up(5000), 5000);
    EXPECT_EQ(round_up(5001), 6000);
    EXPECT_EQ(round_up(8001), 10000);
    EXPECT_EQ(round_up(-1), 1);
}

} // namespace
