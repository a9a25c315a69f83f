/// What remains of a request: its row in the usage ring, counters, one line in the log.
#include "shared/base/clock.hpp"
#include "shared/base/log.hpp"
#include "shared/segment/account_table.hpp"
#include "worker/exchange.hpp"

#include <algorithm>

namespace worker {

namespace {

std::uint32_t clamped(std::int64_t value) noexcept
{
    return static_cast<std::uint32_t>(std::clamp<std::int64_t>(value, 0, 0xFFFFFFFF));
}

} // namespace

void Exchange::record(shared::RequestOutcome outcome)
{
    if (std::exchange(recorded_, true)) return;
    deadline_.clear();
    const std::int64_t now_us = shared::now_monotonic_us();
    shared::WorkerSlot::Counters& counters = worker_.row().counters;
    counters.requests.fetch_add(1, std::memory_order_relaxed);
    const std::size_t status_class = std::min<std::size_t>(status_ / 100U, 5);
    counters.by_status_class[status_class].fetch_add(1, std::memory_order_relaxed);

    const std::int64_t total_us = now_us - timings_.begun;
    const std::int64_t head_us = timings_.answered == 0 ? 0 : timings_.answered - timings_.begun;
    const std::int64_t own_us = timings_.own(timings_.answered == 0 ? now_us : timings_.answered);
    shared::UsageEntry entry;
    if (running_) {
        shared::UsageEntry& row = running_->entry();
        row.status = status_;
        row.attempts = attempts_;
        row.duration_ms = clamped(total_us / 1000);
        row.first_byte_ms = clamped(head_us / 1000);
        row.own_us = clamped(own_us);
        row.request_bytes = request_bytes_;
        row.response_bytes = response_bytes_;
        entry = row;
        running_->finish(outcome, shared::now_unix());
        running_.reset();
    }
    const bool loud = !quiet_;
    if (!shared::log::is_on(loud ? shared::log::Level::info : shared::log::Level::debug)) return;
    const std::string_view account =
        account_.is_set() ? std::string_view(worker_.accounts.get(account_).id) : "-";
    const auto line = fmt::format(
        "request={} user={} provider={} model={} account={} status={} outcome={} attempts={} "
        "input={} cached={} output={} ms={} head_ms={} connect_ms={} upstream_ms={} own_us={} "
        "path={}",
        view(id_),
        user_.empty() ? std::string_view("-") : user_.view(),
        provider_ != nullptr ? provider_->name() : std::string_view("-"),
        entry.model.empty() ? std::string_view("-") : entry.model.view(),
        account,
        status_,
        shared::to_string(outcome),
        attempts_,
        entry.input,
        entry.cached_input,
        entry.output,
        total_us / 1000,
        head_us / 1000,
        timings_.connect / 1000,
        timings_.upstream / 1000,
        own_us,
        path_.view());
    shared::log::write(loud ? shared::log::Level::info : shared::log::Level::debug, line);
}

} // namespace worker
