/// A segment filled by hand, with everything that pages, JSON and metrics show.
#pragma once

#include "admin_ui/pool_view.hpp"
#include "shared/segment/account_table.hpp"
#include "shared/segment/pin_table.hpp"
#include "shared/segment/segment.hpp"

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <utility>

namespace tests {

inline constexpr shared::UnixMillis kStart{1'763'800'000'000}; // 2025-11-22T08:26:40Z
inline constexpr shared::UnixMillis kNow{kStart.value + 90'061'000};
inline constexpr std::int64_t kMonotonicUs = 5'000'000'000;

class PoolFixture {
public:
    shared::SegmentMapping mapping{std::move(*shared::SegmentMapping::create(kStart))};

    shared::Segment& segment() { return *mapping; }

    /// Puts an account into the next slot and returns its slot.
    std::uint16_t add_account(
        std::string_view id,
        shared::AccountState state = shared::AccountState::ready,
        std::string_view reason = "")
    {
        shared::Segment& s = *mapping;
        const auto slot = static_cast<std::uint16_t>(s.account_slots.load());
        s.accounts[slot].with_lock([&](shared::AccountRecord& record) {
            shared::AccountIdentity identity;
            identity.id.assign(id);
            identity.kind = 1;
            identity.plan = "pro";
            identity.account_id = "acct-77";
            identity.email = "owner@example.com";
            identity.loaded_at = kStart;
            shared::write_identity(record, identity);
            record.routing = {};
            record.routing.state = state;
            record.routing.state_since = kStart;
            record.routing.reason.assign(reason);
        });
        s.account_slots = slot + 1U;
        return slot;
    }

    template <class Edit>
    void edit(std::uint16_t slot, Edit&& change)
    {
        mapping->accounts[slot].with_lock(
            [&](shared::AccountRecord& record) { change(record.identity, record.routing); });
    }

    void
    set_window(std::uint16_t slot, std::uint32_t seconds, double used, std::int64_t resets_in_ms)
    {
        edit(slot, [&](shared::AccountIdentity&, shared::AccountRouting& routing) {
            shared::record_window(
                routing,
                seconds,
                shared::UsedShare::from_fraction(used),
                {kNow.value + resets_in_ms},
                shared::EvidenceSource::header,
                {kNow.value - 60'000});
        });
    }

    void add_worker(std::uint16_t slot, std::int32_t pid)
    {
        shared::WorkerSlot& worker = mapping->workers[slot];
        mapping->worker_slots = std::max<std::uint32_t>(mapping->worker_slots, slot + 1U);
        worker.pid = pid;
        worker.state = shared::SlotState::serving;
        worker.listener = slot;
        worker.heartbeat_us = kMonotonicUs - 250'000;
        worker.open_connections = 4;
        worker.running_requests = 2;
        worker.counters.requests = 10;
        worker.counters.by_status_class[2] = 8;
        worker.counters.by_status_class[4] = 2;
    }

    void set_problems(std::string_view lines, std::uint32_t broken)
    {
        mapping->info.with_lock([&](shared::PoolInfo& info) {
            info.loaded_at = kStart;
            info.accounts = mapping->account_slots.load();
            info.broken_files = broken;
            info.problems.assign(lines);
        });
    }

    [[nodiscard]] admin_ui::PoolView view()
    {
        return admin_ui::observe(*mapping, kNow, kMonotonicUs);
    }
};

} // namespace tests
