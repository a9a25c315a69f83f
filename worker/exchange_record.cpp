/// What remains of a request: its row in the usage ring, counters, one line in the log.
#include "shared/base/clock.hpp"
#include "shared/base/log.hpp"
#include "shared/segment/account_table.hpp"
#include "worker/exchange.hpp"
#include "worker/text_line.hpp"

#include <algorithm>

namespace worker {

namespace {

std::uint32_t clamped(std::int64_t value) noexcept
{
    return static_cast<std::uint32_t>(std::clamp<std::int64_t>(value, 0, 0xFFFFFFFF));
}

/// For /metrics: only what was relayed, so that refusals do not make the pool look fast.
void count_times(
    shared::WorkerSlot::Counters& counters,
    std::int64_t total_us,
    std::int64_t head_us,
    std::int64_t own_us) noexcept
{
    const auto positive = [](std::int64_t us) {
        return static_cast<std::uint64_t>(std::max<std::int64_t>(0, us));
    };
    counters.total.observe(shared::kAnswerBoundsUs, positive(total_us));
    if (head_us == 0) return;
    counters.first_byte.observe(shared::kAnswerBoundsUs, positive(head_us));
    counters.own.observe(shared::kOwnBoundsUs, positive(own_us));
}

/// What the log line says of the row that is gone by then.
struct Spent {
    shared::FixedString<96> model;
    std::int64_t input = 0;
    std::int64_t cached_input = 0;
    std::int64_t output = 0;
};

/// A log line put together by hand: a formatter would cost a tenth of the whole request. Never inlined: two dozen
/// copies of these would push everything else out of the processor's instruction cache.
class LogWords {
public:
    [[gnu::noinline]] void text(std::string_view name, std::string_view value)
    {
        line_.add(name);
        line_.add(value.empty() ? std::string_view("-") : value);
    }

    /// What a client chose must not look like a field of its own.
    void word(std::string_view name, std::string_view value)
    {
        const std::size_t begin = line_.size() + name.size();
        text(name, value);
        std::replace_if(
            line_.at(std::min(begin, line_.size())),
            line_.at(line_.size()),
            [](char c) { return c == ' ' || c == '"'; },
            '_');
    }

    /// Negative ones are zero.
    [[gnu::noinline]] void number(std::string_view name, std::int64_t value)
    {
        line_.add(name);
        line_.add_number(static_cast<std::uint64_t>(std::max<std::int64_t>(0, value)));
    }

    [[nodiscard]] std::string_view view() const noexcept { return line_.view(); }

private:
    TextLine<1024> line_;
};

} // namespace

void Exchange::begin_decision()
{
    if (decision_.begun()) return;
    decision_.begin(worker_.segment, worker_.slot, [this](shared::Decision& decision) {
        decision.request_id = id_;
        decision.started_at = started_;
        decision.user = user_;
        decision.model = waiting_->facts.model;
        decision.path.assign(path_.view());
        decision.provider = static_cast<std::uint8_t>(provider_->id());
        decision.websocket = head().upgrades_to_websocket ? 1 : 0;
        decision.replayable = waiting_->body.finished() ? 1 : 0;
    });
}

void Exchange::note_refusal(shared::PoolError::Kind kind, shared::UnixMillis retry_at)
{
    using Kind = shared::PoolError::Kind;
    // Strangers leave no record: they could wash away everybody else's.
    const bool stranger =
        kind == Kind::unauthorized || kind == Kind::forbidden || kind == Kind::not_found;
    if (stranger || provider_ == nullptr) return;
    begin_decision();
    decision_.refused(kind, retry_at);
}

void Exchange::record(shared::RequestOutcome outcome)
{
    if (std::exchange(recorded_, true)) return;
    deadline_.clear();
    end_probe();
    const std::int64_t now_us = shared::now_monotonic_us();
    shared::WorkerSlot::Counters& counters = worker_.row().counters;
    counters.requests.fetch_add(1, std::memory_order_relaxed);
    const std::size_t status_class = std::min<std::size_t>(status_ / 100U, 5);
    counters.by_status_class[status_class].fetch_add(1, std::memory_order_relaxed);

    const std::int64_t total_us = now_us - timings_.begun;
    const std::int64_t head_us = timings_.answered == 0 ? 0 : timings_.answered - timings_.begun;
    const std::int64_t own_us = timings_.own(timings_.answered == 0 ? now_us : timings_.answered);
    const shared::UnixMillis now = shared::now_unix();
    decision_.ended(outcome, status_, clamped(total_us / 1000), clamped(head_us / 1000), now);
    Spent spent;
    if (running_) {
        shared::UsageEntry& row = running_->entry();
        row.status = status_;
        row.attempts = attempts_;
        row.duration_ms = clamped(total_us / 1000);
        row.first_byte_ms = clamped(head_us / 1000);
        row.own_us = clamped(own_us);
        row.queued_ms = clamped(timings_.waited / 1000);
        row.connect_ms = clamped(timings_.connect / 1000);
        row.request_bytes = request_bytes_;
        row.response_bytes = response_bytes_;
        // A WebSocket's turns are counted one by one; its upgrade says nothing about answers.
        if (row.websocket == 0) count_times(counters, total_us, head_us, own_us);
        spent = {row.model, row.input, row.cached_input, row.output};
        running_->finish(outcome, now);
        running_.reset();
        worker_.waits.place_freed();
    }
    const bool loud = !quiet_;
    if (!shared::log::is_on(loud ? shared::log::Level::info : shared::log::Level::debug)) return;
    const std::string_view account = account_.is_set()
                                         ? std::string_view(worker_.accounts.get(account_).id)
                                         : std::string_view();
    LogWords line;
    line.text("request=", view(id_));
    line.text(" user=", user_.view());
    line.text(" provider=", provider_ != nullptr ? provider_->name() : std::string_view());
    line.word(" model=", spent.model.view());
    line.text(" account=", account);
    line.number(" status=", status_);
    line.text(" outcome=", shared::to_string(outcome));
    line.number(" attempts=", attempts_);
    line.number(" input=", spent.input);
    line.number(" cached=", spent.cached_input);
    line.number(" output=", spent.output);
    line.number(" ms=", total_us / 1000);
    line.number(" head_ms=", head_us / 1000);
    line.number(" queued_ms=", timings_.waited / 1000);
    line.number(" connect_ms=", timings_.connect / 1000);
    line.number(" upstream_ms=", timings_.upstream / 1000);
    line.number(" own_us=", own_us);
    line.word(" path=", path_.view());
    shared::log::write(loud ? shared::log::Level::info : shared::log::Level::debug, line.view());
}

} // namespace worker
