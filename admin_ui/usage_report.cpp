#include "admin_ui/usage_report.hpp"

#include <algorithm>
#include <set>

namespace admin_ui {
namespace {

using shared::UnixMillis;

std::string_view group_name(UsageGroup group, const UsageRow& row)
{
    switch (group) {
    case UsageGroup::provider:
        return provider_of(row.account);
    case UsageGroup::model:
        return row.model;
    case UsageGroup::account:
        return row.account;
    case UsageGroup::user:
        return row.user;
    case UsageGroup::none:
        break;
    }
    return {};
}

/// Costs of one row, with what is asked for again and again kept.
class Costs {
public:
    Costs(const PriceList& prices, const PaidByUse& paid_by_use)
        : prices_(prices), paid_by_use_(paid_by_use)
    {}

    Cost of(const UsageRow& row)
    {
        Cost cost;
        const auto price = prices_.cost(row.model, row.sums);
        if (!price) {
            cost.unpriced = row.sums.tokens();
            if (cost.unpriced > 0) unpriced_.insert(row.model);
            return cost;
        }
        cost.list = *price;
        auto paid = paid_.find(row.account);
        if (paid == paid_.end()) paid = paid_.emplace(row.account, paid_by_use_(row.account)).first;
        if (paid->second) cost.api_keys = *price;
        return cost;
    }

    [[nodiscard]] const std::set<std::string>& unpriced() const { return unpriced_; }

private:
    const PriceList& prices_;
    const PaidByUse& paid_by_use_;
    std::map<std::string, bool, std::less<>> paid_;
    std::set<std::string> unpriced_;
};

} // namespace

std::string_view to_string(UsageStep step) noexcept
{
    return step == UsageStep::hour ? "hour" : "day";
}

std::string_view to_string(UsageGroup group) noexcept
{
    switch (group) {
    case UsageGroup::provider:
        return "provider";
    case UsageGroup::model:
        return "model";
    case UsageGroup::account:
        return "account";
    case UsageGroup::user:
        return "user";
    case UsageGroup::none:
        break;
    }
    return "";
}

std::string_view provider_of(std::string_view account) noexcept
{
    const std::size_t colon = account.find(':');
    return colon == std::string_view::npos ? std::string_view() : account.substr(0, colon);
}

UsageRange usage_range(Parameters& parameters, UnixMillis now)
{
    constexpr std::int64_t kDefaultDays = 7;
    constexpr std::int64_t kHourlyByDefault = 2 * kDayMillis;
    constexpr std::int64_t kDaysMax = 400;
    UsageRange range;
    const std::int64_t last = parameters.span("last");
    range.from = parameters.time("from");
    range.to = parameters.time("to");
    if (last != 0 && (range.from.is_set() || range.to.is_set()))
        parameters.complain("Give either last, or from and to.");
    const std::int64_t length = last != 0 ? last : kDefaultDays * kDayMillis;
    if (!range.to.is_set()) range.to = now;
    if (!range.from.is_set()) range.from = {range.to.value - length};
    const std::int64_t asked = range.to.value - range.from.value;
    if (asked <= 0) parameters.complain("from must be before to.");
    const std::size_t by = parameters.choice("by", {"", "hour", "day"});
    const bool hourly = by == 0 ? asked <= kHourlyByDefault : by == 1;
    range.step = hourly ? UsageStep::hour : UsageStep::day;
    range.group = static_cast<UsageGroup>(
        parameters.choice("group", {"", "provider", "model", "account", "user"}));
    range.user = parameters.text("user");
    const std::int64_t days_max = hourly ? kHourlyDaysMax : kDaysMax;
    if (asked > days_max * kDayMillis) {
        parameters.complain(
            "by=" + std::string(to_string(range.step)) + " covers at most " +
            std::to_string(days_max) + " days" +
            (hourly ? "; ask for by=day, or for less." : "; ask for less."));
    }
    if (!parameters.problem().empty()) return {};
    // Whole steps: a span ends with the one that runs now, and begins so that it has as many as were asked for.
    const std::int64_t step = range.step_millis();
    const std::int64_t end = (range.to.value + step - 1) / step * step;
    const bool by_length = last != 0 || !parameters.has("from");
    const std::int64_t steps = std::max<std::int64_t>(1, (asked + step - 1) / step);
    range.from = {by_length ? end - steps * step : range.from.value / step * step};
    range.to = {end};
    return range;
}

UsageReport usage_report(
    const UsageRange& range,
    const std::vector<UsageRow>& rows,
    const PriceList& prices,
    const PaidByUse& paid_by_use)
{
    UsageReport report;
    report.range = range;
    report.steps.resize(range.steps());
    Costs costs(prices, paid_by_use);

    struct Series {
        UsageCell total;
        std::vector<UsageCell> steps;
    };

    std::map<std::string, Series, std::less<>> series;
    for (const UsageRow& row : rows) {
        if (row.at < range.from || row.at >= range.to) continue;
        const auto step =
            static_cast<std::size_t>((row.at.value - range.from.value) / range.step_millis());
        const UsageCell cell{row.sums, costs.of(row)};
        report.total.add(cell);
        report.steps[step].add(cell);
        if (range.group == UsageGroup::none) continue;
        const std::string_view name = group_name(range.group, row);
        auto place = series.find(name);
        if (place == series.end()) {
            place = series.emplace(std::string(name), Series()).first;
            place->second.steps.resize(report.steps.size());
        }
        place->second.total.add(cell);
        place->second.steps[step].add(cell);
    }
    std::vector<const std::pair<const std::string, Series>*> order;
    for (const auto& one : series)
        order.push_back(&one);
    std::stable_sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
        return a->second.total.sums.tokens() > b->second.total.sums.tokens();
    });
    report.cells.resize(report.steps.size());
    for (const auto* one : order) {
        report.groups.emplace_back(one->first, one->second.total);
        for (std::size_t i = 0; i < report.steps.size(); ++i)
            report.cells[i].push_back(one->second.steps[i]);
    }
    report.unpriced_models.assign(costs.unpriced().begin(), costs.unpriced().end());
    return report;
}

} // namespace admin_ui
