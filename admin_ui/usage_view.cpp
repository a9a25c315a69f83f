#include "admin_ui/usage_view.hpp"

#include "admin_ui/json_text.hpp"

#include <nlohmann/json.hpp>

#include <cmath>

namespace admin_ui {
namespace {

/// To a millionth: what is beyond is noise of adding.
double rounded(double amount)
{
    constexpr double kMillion = 1e6;
    return std::round(amount * kMillion) / kMillion;
}

Json cell_json(const UsageCell& cell)
{
    const TokenSums& sums = cell.sums;
    Json json;
    json["requests"] = sums.requests;
    json["failed_requests"] = sums.failed_requests;
    json["input_tokens"] = sums.input;
    json["cached_input_tokens"] = sums.cached_input;
    json["cache_creation_tokens"] = sums.cache_creation;
    json["output_tokens"] = sums.output;
    json["reasoning_tokens"] = sums.reasoning;
    json["cost_list"] = rounded(cell.cost.list);
    json["cost_api_keys"] = rounded(cell.cost.api_keys);
    json["unpriced_tokens"] = cell.cost.unpriced;
    return json;
}

Json named(const std::string& name, const UsageCell& cell)
{
    Json json;
    json["name"] = name;
    json.update(cell_json(cell));
    return json;
}

} // namespace

std::string usage_json(const UsageReport& report, const PriceList& prices)
{
    const UsageRange& range = report.range;
    Json json;
    json["from"] = time_json(range.from);
    json["to"] = time_json(range.to);
    json["by"] = to_string(range.step);
    json["group"] = range.group == UsageGroup::none ? Json(nullptr) : Json(to_string(range.group));
    json["user"] = range.user.empty() ? Json(nullptr) : Json(range.user);
    json["prices"] = {
        {"version", prices.version()},
        {"currency", prices.currency()},
        {"where", prices.where()},
        {"problem", prices.problem().empty() ? Json(nullptr) : Json(prices.problem())}};
    json["totals"] = cell_json(report.total);
    json["groups"] = Json::array();
    for (const auto& [name, cell] : report.groups)
        json["groups"].push_back(named(name, cell));
    json["steps"] = Json::array();
    for (std::size_t i = 0; i < report.steps.size(); ++i) {
        if (report.steps[i].sums.requests == 0) continue;
        Json step;
        step["at"] = time_json(report.step_at(i));
        step.update(cell_json(report.steps[i]));
        step["groups"] = Json::array();
        for (std::size_t g = 0; g < report.groups.size(); ++g) {
            const UsageCell& cell = report.cells[i][g];
            if (cell.sums.requests != 0)
                step["groups"].push_back(named(report.groups[g].first, cell));
        }
        json["steps"].push_back(std::move(step));
    }
    json["unpriced_models"] = report.unpriced_models;
    return to_text(json);
}

} // namespace admin_ui
