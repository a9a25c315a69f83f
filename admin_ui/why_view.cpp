#include "admin_ui/why_view.hpp"

#include "admin_ui/views.hpp"
#include "shared/selection/strategy.hpp"

#include <utility>

#include <fmt/format.h>

namespace admin_ui {
namespace {

bool is_request_id(std::string_view id)
{
    return id.size() == sizeof(shared::Decision::request_id) &&
           id.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::string account_name(shared::Segment& segment, shared::AccountSlot account)
{
    if (account.value >= shared::kMaxAccounts) return "no account";
    const auto id = segment.accounts[account.value].with_lock(
        [](const shared::AccountRecord& record) { return record.identity.id; });
    return id.empty() ? "account " + std::to_string(account.value) : std::string(id.view());
}

std::string provider_name(const shared::ProviderRegistry& registry, std::uint8_t id)
{
    for (const auto& provider : registry.all()) {
        if (static_cast<std::uint8_t>(provider->id()) == id) return std::string(provider->name());
    }
    return "an unknown provider";
}

/// What the history still knows; its status is 404 if that is nothing.
WhyAnswer from_history(std::optional<RequestEntry> entry, std::string_view id)
{
    WhyAnswer answer;
    if (!entry) {
        answer.status = 404;
        answer.text =
            "No request with this id is known; each worker keeps the decisions of its last " +
            std::to_string(shared::kDecisionsPerSlot) + " requests.";
        return answer;
    }
    answer.text = fmt::format(
        "Request {} by {} at {}: {}, {}\n{} after {} ms with status {}; account {}, tries "
        "{}.\n\nWhy is not known any more: each worker keeps the decisions of its last {} "
        "requests.\n",
        id,
        entry->user,
        iso_time(entry->started_at),
        entry->provider,
        entry->model.empty() ? entry->path : entry->model,
        entry->outcome,
        entry->duration_ms,
        entry->status,
        entry->account.empty() ? "none" : entry->account,
        entry->attempts,
        shared::kDecisionsPerSlot);
    answer.json = history_json(*entry, answer.text);
    answer.entry = std::move(entry);
    return answer;
}

} // namespace

WhyAnswer explain_request(
    shared::Segment& segment,
    UsageQuery& usage,
    const shared::ProviderRegistry& registry,
    std::string_view request_id,
    std::int64_t row,
    shared::UnixMillis now)
{
    WhyAnswer answer;
    if (!is_request_id(request_id)) {
        answer.status = 400;
        answer.text = "id must be a request's id: the 16 hexadecimal digits of its X-Request-Id.";
        return answer;
    }
    const auto found = shared::find_decision(segment, request_id);
    std::optional<RequestEntry> entry;
    if (auto kept = usage.find_request(request_id, row); kept.has_value()) entry = std::move(*kept);
    if (!found) return from_history(std::move(entry), request_id);
    DecisionNames names;
    names.account = [&segment](shared::AccountSlot account) {
        return account_name(segment, account);
    };
    names.provider = provider_name(registry, found->decision.provider);
    names.strategy = shared::to_string(static_cast<shared::Strategy>(found->decision.strategy));
    answer.text = explain(*found, names, now);
    answer.json = explain_json(*found, names, now);
    answer.entry = std::move(entry);
    return answer;
}

} // namespace admin_ui
