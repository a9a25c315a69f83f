#include "supervisor/usage_writer.hpp"

#include "shared/base/clock.hpp"
#include "shared/base/log.hpp"
#include "shared/segment/unread_usage.hpp"

#include <algorithm>
#include <utility>

#include <signal.h>

namespace supervisor {
namespace {

using namespace std::chrono_literals;

// How often the rings are looked at: often enough that none fills (1024 entries each), rarely when idle.
constexpr auto kPauseMin = 2ms;
constexpr auto kPauseMax = 100ms;
constexpr std::int64_t kFlushEveryUs = 1'000'000;
constexpr std::int64_t kPruneEveryUs = std::int64_t{3600} * 1'000'000;
constexpr std::int64_t kPruneFirstUs = std::int64_t{60} * 1'000'000;
/// Sums over the whole history are not had for nothing.
constexpr std::int64_t kCountOthersEveryUs = 3'000'000;
constexpr std::chrono::seconds kBackOffMax{30};
/// More than all rings hold of one second.
constexpr std::size_t kWrittenBeforeMax = 20'000;

/// Calls change(total, sum) for each number that is a sum.
template <class Change>
void for_each_sum(shared::AccountTotals& totals, const UsageSums& sums, Change&& change)
{
    change(totals.requests, sums.requests);
    change(totals.failed_requests, sums.failed_requests);
    change(totals.input, sums.input);
    change(totals.cached_input, sums.cached_input);
    change(totals.cache_creation, sums.cache_creation);
    change(totals.output, sums.output);
    change(totals.reasoning, sums.reasoning);
}

/// Only this thread writes them.
void add_to_totals(shared::AccountTotals& totals, const UsageSums& sums) noexcept
{
    constexpr auto relaxed = std::memory_order_relaxed;
    for_each_sum(totals, sums, [](auto& total, const auto& sum) {
        total.store(total.load(relaxed) + sum, relaxed);
    });
    if (sums.last_used_ms > totals.last_used_ms.load(relaxed)) {
        totals.last_used_ms.store(sums.last_used_ms, relaxed);
    }
}

/// Touches only memory that is used.
void clear(shared::AccountTotals& totals) noexcept
{
    for (auto* each :
         {&totals.requests,
          &totals.failed_requests,
          &totals.input,
          &totals.cached_input,
          &totals.cache_creation,
          &totals.output,
          &totals.reasoning,
          &totals.last_used_ms}) {
        if (each->load(std::memory_order_relaxed) != 0) each->store(0, std::memory_order_relaxed);
    }
}

void set_totals(shared::AccountTotals& totals, const UsageSums& sums) noexcept
{
    constexpr auto relaxed = std::memory_order_relaxed;
    for_each_sum(totals, sums, [](auto& total, const auto& sum) { total.store(sum, relaxed); });
    totals.last_used_ms.store(sums.last_used_ms, relaxed);
}

/// The next pause: shorter when a ring was a quarter full, longer when there was little.
std::chrono::milliseconds next_pause(std::chrono::milliseconds pause, std::size_t fullest)
{
    if (fullest > shared::kUsageRingEntries / 2) return std::max(kPauseMin, pause / 8);
    if (fullest > shared::kUsageRingEntries / 4) return std::max(kPauseMin, pause / 2);
    if (fullest < shared::kUsageRingEntries / 16) return std::min(kPauseMax, pause * 2);
    return pause;
}

} // namespace

shared::Result<std::unique_ptr<UsageWriter>>
UsageWriter::create(shared::Segment& segment, UsageDb db, std::uint32_t retention_days)
{
    auto writer = create_waiting(segment, retention_days);
    if (auto opened = writer->open(std::move(db)); !opened) return opened.error();
    return writer;
}

std::unique_ptr<UsageWriter>
UsageWriter::create_waiting(shared::Segment& segment, std::uint32_t retention_days)
{
    return std::unique_ptr<UsageWriter>(new UsageWriter(segment, retention_days));
}

UsageWriter::UsageWriter(shared::Segment& segment, std::uint32_t retention_days)
    : segment_(segment), retention_days_(retention_days), pause_(kPauseMax)
{}

shared::Result<bool> UsageWriter::open(UsageDb db)
{
    (void)db.others_wrote(); // before the totals: what is written in between is counted next time
    auto totals = db.account_totals();
    if (!totals) return totals.error();
    stored_totals_ = std::move(*totals);
    auto written = db.newest_request_ids(kWrittenBeforeMax);
    if (!written) return written.error();
    written_before_ = std::move(*written);
    db_ = std::move(db);
    for (shared::AccountTotals& each : segment_.totals)
        clear(each);
    learn_accounts();
    return true;
}

UsageWriter::~UsageWriter()
{
    stop();
}

void UsageWriter::start()
{
    for (Watched& ring : watched_) {
        // Another program may have gone on in between.
        const std::uint64_t released =
            segment_.usage[ring.slot].tail.load(std::memory_order_acquire);
        ring.read = std::max(ring.read, released);
    }
    // Signals belong to the supervisor's loop; a thread inherits the mask it is created under.
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    thread_ = std::thread([this] { run(); });
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void UsageWriter::watch(std::uint16_t slot)
{
    const std::scoped_lock lock(mutex_);
    to_watch_.push_back(slot);
}

void UsageWriter::close(std::uint16_t slot)
{
    const std::scoped_lock lock(mutex_);
    to_close_.push_back(slot);
    wake_.notify_one();
}

void UsageWriter::post(std::function<void()> job)
{
    const std::scoped_lock lock(mutex_);
    jobs_.push_back(std::move(job));
    wake_.notify_one();
}

void UsageWriter::stop()
{
    if (!thread_.joinable()) return;
    {
        const std::scoped_lock lock(mutex_);
        stopping_ = true;
        wake_.notify_one();
    }
    thread_.join();
}

bool UsageWriter::pause()
{
    pausing_ = true;
    stop();
    pausing_ = false;
    stopping_ = false;
    return backlog_.empty();
}

void UsageWriter::run()
{
    for (;;) {
        const std::chrono::milliseconds pause =
            step(shared::now_unix(), shared::now_monotonic_us());
        std::unique_lock lock(mutex_);
        if (stopping_ && to_close_.empty() && jobs_.empty()) break;
        wake_.wait_for(
            lock, pause, [this] { return stopping_ || !to_close_.empty() || !jobs_.empty(); });
    }
    // Whoever finished after the last round is still in its ring.
    (void)drain(shared::now_unix());
    while (!backlog_.empty() && write_batch()) {
    }
    // Whoever goes on after a pause finds in the rings what could not be written.
    if (backlog_.empty() || !pausing_) release();
    if (!backlog_.empty() && !pausing_) report_lost();
}

std::chrono::milliseconds UsageWriter::step(shared::UnixMillis now, std::int64_t steady_us)
{
    take_requests();
    learn_accounts();
    pause_ = next_pause(pause_, drain(now));
    flush(steady_us);
    prune(now, steady_us);
    count_others(steady_us);
    return pause_;
}

void UsageWriter::take_requests()
{
    std::vector<std::function<void()>> jobs;
    {
        const std::scoped_lock lock(mutex_);
        for (const std::uint16_t slot : to_watch_) {
            const bool known =
                std::any_of(watched_.begin(), watched_.end(), [slot](const Watched& each) {
                    return each.slot == slot;
                });
            if (known) continue;
            watched_.push_back({slot, segment_.usage[slot].tail.load(std::memory_order_acquire)});
        }
        dead_.insert(dead_.end(), to_close_.begin(), to_close_.end());
        to_watch_.clear();
        to_close_.clear();
        jobs.swap(jobs_);
    }
    for (const auto& job : jobs)
        job();
}

void UsageWriter::learn_accounts()
{
    const std::size_t used = std::min<std::size_t>(
        segment_.account_slots.load(std::memory_order_acquire), shared::kMaxAccounts);
    if (account_ids_.size() < used) account_ids_.resize(used);
    for (std::size_t i = 0; i < used; ++i) {
        if (!account_ids_[i].empty()) continue;
        const auto id = segment_.accounts[i].with_lock(
            [](const shared::AccountRecord& record) { return record.identity.id; });
        account_ids_[i] = id.view();
        const auto stored = stored_totals_.find(id.view());
        if (stored == stored_totals_.end()) continue;
        add_to_totals(segment_.totals[i], stored->second);
        stored_totals_.erase(stored);
    }
}

std::string_view UsageWriter::account_id(shared::AccountSlot slot) const noexcept
{
    if (!slot.is_set()) return {};
    const bool known = slot.value < account_ids_.size() && !account_ids_[slot.value].empty();
    return known ? std::string_view(account_ids_[slot.value]) : "unknown";
}

std::size_t UsageWriter::drain(shared::UnixMillis now)
{
    std::size_t fullest = 0;
    for (Watched& ring : watched_) {
        const std::uint64_t before = ring.read;
        ring.read = shared::read_ring(
            segment_.usage[ring.slot],
            ring.read,
            shared::kUsageRingEntries,
            [&](const shared::UsageEntry& entry) { take(entry, now); });
        fullest = std::max<std::size_t>(fullest, ring.read - before);
    }
    read_dead(now);
    // Only what was there when this writer began can have been written by another.
    written_before_.clear();
    return fullest;
}

void UsageWriter::read_dead(shared::UnixMillis now)
{
    for (const std::uint16_t slot : dead_) {
        const auto ring = std::find_if(watched_.begin(), watched_.end(), [&](const Watched& each) {
            return each.slot == slot;
        });
        const std::uint64_t from = ring != watched_.end()
                                       ? ring->read
                                       : segment_.usage[slot].tail.load(std::memory_order_relaxed);
        for (const shared::UsageEntry& entry : shared::read_slot(segment_, slot, from, now))
            take(entry, now);
        if (ring != watched_.end()) watched_.erase(ring);
        to_free_.push_back(slot);
    }
    dead_.clear();
}

/// Everything that was read is in the database, or can only be kept in memory.
void UsageWriter::release()
{
    for (const Watched& ring : watched_)
        shared::release_ring(segment_.usage[ring.slot], ring.read);
    for (const std::uint16_t slot : to_free_)
        shared::free_slot(segment_, slot);
    to_free_.clear();
}

bool UsageWriter::waits_for_room() const noexcept
{
    return std::any_of(watched_.begin(), watched_.end(), [this](const Watched& ring) {
        const std::uint64_t released =
            segment_.usage[ring.slot].tail.load(std::memory_order_relaxed);
        return ring.read - released > shared::kUsageRingEntries / 2;
    });
}

bool UsageWriter::is_written(const shared::UsageEntry& entry) const
{
    return !written_before_.empty() && written_before_.contains(entry.request_id);
}

void UsageWriter::take(shared::UsageEntry entry, shared::UnixMillis now)
{
    if (is_written(entry)) return;
    sanitize(entry, now);
    if (entry.account.is_set()) {
        // An account published after the last look; also never trust an index from another process.
        if (entry.account.value >= account_ids_.size()) learn_accounts();
        if (entry.account.value >= account_ids_.size()) entry.account = {};
    }
    if (entry.account.is_set()) {
        UsageSums one;
        one.add(entry);
        add_to_totals(segment_.totals[entry.account.value], one);
    }
    if (backlog_.add(entry, account_id(entry.account))) return;
    segment_.usage_rows_folded.fetch_add(1, std::memory_order_relaxed);
    if (!folding_) {
        shared::log::error(
            "event=usage_folding rows_waiting={}: the database takes no rows; from now on only "
            "sums per"
            " hour, user, account and model are kept",
            backlog_.rows().size());
    }
    folding_ = true;
}

void UsageWriter::flush(std::int64_t steady_us)
{
    segment_.usage_rows_waiting.store(backlog_.rows().size(), std::memory_order_relaxed);
    const bool refused = back_off_.count() != 0;
    const bool full = !refused && (backlog_.rows().size() >= kBatchRowsMax || waits_for_room());
    if (backlog_.empty() || refused) release();
    if (backlog_.empty() || (steady_us < flush_at_us_ && !full)) return;
    flush_at_us_ = steady_us + kFlushEveryUs;
    // A round that writes a long backlog still returns to the rings between transactions.
    const std::size_t rows = std::min(backlog_.rows().size(), kBatchRowsMax);
    auto written =
        db_->write(backlog_, rows, [this](shared::AccountSlot slot) { return account_id(slot); });
    if (!written) return failed(written.error(), steady_us);
    backlog_.written(rows);
    if (backlog_.empty()) release();
    segment_.usage_rows_waiting.store(backlog_.rows().size(), std::memory_order_relaxed);
    if (refused) {
        shared::log::warn(
            "event=usage_database_works_again rows_written={} rows_waiting={} rows_folded={}",
            rows,
            backlog_.rows().size(),
            segment_.usage_rows_folded.load(std::memory_order_relaxed));
    }
    back_off_ = {};
    folding_ = false;
}

bool UsageWriter::write_batch()
{
    const std::size_t rows = std::min(backlog_.rows().size(), kBatchRowsMax);
    auto written =
        db_->write(backlog_, rows, [this](shared::AccountSlot slot) { return account_id(slot); });
    if (written) {
        backlog_.written(rows);
    } else {
        shared::log::error("event=usage_database_refuses {}", written.error().text());
    }
    return written.has_value();
}

void UsageWriter::failed(const shared::Problem& problem, std::int64_t steady_us)
{
    if (back_off_.count() == 0) {
        shared::log::error(
            "event=usage_database_refuses {}; requests go on, up to {} rows wait in memory",
            problem.text(),
            UsageBacklog::kRowsMax);
    }
    back_off_ = std::clamp(back_off_ * 2, std::chrono::seconds{1}, kBackOffMax);
    flush_at_us_ = steady_us + std::chrono::microseconds(back_off_).count();
    release(); // workers go on, what they finish waits in memory
}

void UsageWriter::prune(shared::UnixMillis now, std::int64_t steady_us)
{
    if (prune_at_us_ == 0) prune_at_us_ = steady_us + kPruneFirstUs;
    if (retention_days_ == 0 || steady_us < prune_at_us_ || back_off_.count() != 0) return;
    const shared::UnixMillis cutoff = now.plus(-std::chrono::hours(24) * retention_days_);
    const auto deleted = db_->delete_before(cutoff, kDeleteRowsMax);
    // More of them: go on with the next small batch in a second, between batches of new rows.
    const bool more = deleted && *deleted >= kDeleteRowsMax / 2;
    prune_at_us_ = steady_us + (more ? kFlushEveryUs : kPruneEveryUs);
    if (!deleted) shared::log::warn("event=usage_not_pruned {}", deleted.error().text());
}

/// What drainers write beside us belongs to the totals too.
void UsageWriter::count_others(std::int64_t steady_us)
{
    // With nothing waiting, the database holds all that was counted here.
    if (steady_us < count_others_at_us_ || !backlog_.empty()) return;
    count_others_at_us_ = steady_us + kCountOthersEveryUs;
    if (!db_->others_wrote()) return;
    auto totals = db_->account_totals();
    if (!totals) return shared::log::warn("event=totals_not_read {}", totals.error().text());
    for (std::size_t i = 0; i < account_ids_.size(); ++i) {
        const auto total = totals->find(account_ids_[i]);
        if (total == totals->end()) continue;
        set_totals(segment_.totals[i], total->second);
        totals->erase(total);
    }
    stored_totals_ = std::move(*totals);
}

void UsageWriter::report_lost() const
{
    UsageSumsByKey lost = backlog_.sums();
    for (const UsageRow& row : backlog_.rows())
        add_usage(lost, row, account_id(row.account));
    std::map<std::string, UsageSums> by_account;
    for (const auto& [key, sums] : lost)
        by_account[key.account].add(sums);
    for (const auto& [account, sums] : by_account) {
        shared::log::error(
            "event=usage_not_written account={} requests={} input={} cached_input={}"
            " cache_creation={} output={} reasoning={}",
            account.empty() ? "-" : account,
            sums.requests,
            sums.input,
            sums.cached_input,
            sums.cache_creation,
            sums.output,
            sums.reasoning);
    }
}

} // namespace supervisor
