#include "shared/selection/claim.hpp"

#include "shared/segment/account_table.hpp"

namespace shared {

bool claim(
    Segment& segment,
    const Selection& selection,
    RunningRequest& request,
    UnixMillis now,
    std::chrono::milliseconds probe_for)
{
    const AccountSlot account = selection.account;
    if (!selection.probe && !selection.capped) {
        request.assign(account);
        return true;
    }
    return segment.accounts[account.value].with_lock([&](AccountRecord& record) {
        AccountRouting& routing = record.routing;
        if (condition(routing, now) == AccountCondition::cooling ||
            condition(routing, now) == AccountCondition::failing)
            return false;
        const std::uint32_t most = routing.max_concurrency;
        const bool counted = request.entry().account == account; // by take_place()
        if (!counted && most > 0 && in_flight(segment, account) >= most) return false;
        if (half_open(routing, now)) routing.probing_until = now.plus(probe_for);
        request.assign(account);
        return true;
    });
}

void end_probe(Segment& segment, AccountSlot account)
{
    segment.accounts[account.value].with_lock(
        [](AccountRecord& record) { record.routing.probing_until = {}; });
}

} // namespace shared
