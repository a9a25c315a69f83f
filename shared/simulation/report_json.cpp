#include "shared/simulation/report_json.hpp"

#include <nlohmann/json.hpp>

namespace shared::simulation {
namespace {

using Json = nlohmann::ordered_json;

Json strategy_json(const Trace& trace, std::span<const AccountModel> accounts, const Column& column)
{
    const Outcome& outcome = column.outcome;
    Json json;
    json["strategy"] = to_string(column.strategy);
    json["served"] = outcome.served;
    json["unserved"] = outcome.unserved;
    json["rate_limited"] = outcome.rate_limited;
    json["refused"] = outcome.refused;
    json["refused_with_room"] = outcome.refused_with_room;
    json["pinned"] = outcome.pinned;
    json["moves"] = outcome.moves;
    json["cached_tokens"] = outcome.cached_tokens;
    json["cache_lost_tokens"] = outcome.cache_lost_tokens;
    json["resets"] = outcome.resets;
    json["unused_percent"] = outcome.resets == 0 ? Json(nullptr) : Json(outcome.unused_percent);
    json["waiting"] = Json::array();
    for (std::size_t user = 0; user < trace.users.size(); ++user) {
        const Waiting& waiting = outcome.waiting[user];
        Json one;
        one["user"] = trace.users[user];
        one["p50_ms"] = waiting.p50_ms;
        one["p99_ms"] = waiting.p99_ms;
        one["max_ms"] = waiting.max_ms;
        json["waiting"].push_back(std::move(one));
    }
    json["accounts"] = Json::array();
    for (std::size_t account = 0; account < accounts.size(); ++account) {
        Json one;
        one["account"] = accounts[account].id;
        one["served"] = outcome.by_account[account];
        json["accounts"].push_back(std::move(one));
    }
    return json;
}

} // namespace

std::string json(
    const Origin& origin,
    const Trace& trace,
    std::span<const AccountModel> accounts,
    std::span<const Column> columns)
{
    const Extent all = extent(trace);
    Json json;
    json["source"] = origin.source;
    json["quotas"] = origin.quotas;
    json["users"] = all.users;
    json["requests"] = all.requests;
    json["conversations"] = all.conversations;
    json["conversations_guessed"] = trace.conversations_guessed;
    json["days"] = all.days;
    json["strategies"] = Json::array();
    for (const Column& column : columns)
        json["strategies"].push_back(strategy_json(trace, accounts, column));
    return json.dump(2, ' ', false, Json::error_handler_t::replace) + '\n';
}

} // namespace shared::simulation
