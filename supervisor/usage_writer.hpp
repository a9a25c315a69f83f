/// Carries usage from the workers' rings into the database, on a thread of its own: a slow disk never delays the
/// supervisor's loop. Started by supervisor.cpp. While the database refuses, usage waits in a UsageBacklog.
#pragma once

#include "shared/segment/layout.hpp"
#include "supervisor/usage_backlog.hpp"
#include "supervisor/usage_db.hpp"

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace supervisor {

class UsageWriter {
public:
    /// Rows in one transaction.
    static constexpr std::size_t kBatchRowsMax = 5000;
    /// Rows deleted by retention in one transaction.
    static constexpr std::size_t kDeleteRowsMax = 2000;

    /// `segment` outlives the writer. Reads the totals so far from `db`, which must work now.
    [[nodiscard]] static shared::Result<std::unique_ptr<UsageWriter>>
    create(shared::Segment& segment, UsageDb db, std::uint32_t retention_days);

    UsageWriter(const UsageWriter&) = delete;
    UsageWriter& operator=(const UsageWriter&) = delete;
    ~UsageWriter(); ///< stop()

    void start();

    /// From now on this slot's ring is drained. Any thread.
    void watch(std::uint16_t slot);
    /// The slot's process is dead: its ring and open rows are taken, the slot is freed. Any thread.
    void close(std::uint16_t slot);
    /// Runs `job` on the writer thread, soon; for other work that touches the disk. Any thread.
    void post(std::function<void()> job);

    /// Takes and writes everything that is left, then ends the thread. What cannot be written then is said in the
    /// log, as sums per account.
    void stop();

    /// One round of the thread: takes what is there, writes what is due. Returns how long to sleep. Only for the
    /// thread itself and, where start() is not called, for tests. `steady_us` is now_monotonic_us().
    std::chrono::milliseconds step(shared::UnixMillis now, std::int64_t steady_us);

    /// Writer thread or tests only.
    [[nodiscard]] const UsageBacklog& backlog() const noexcept { return backlog_; }

private:
    using TotalsById = std::map<std::string, UsageSums, std::less<>>;

    UsageWriter(
        shared::Segment& segment, UsageDb db, std::uint32_t retention_days, TotalsById totals);

    void run();
    void take_requests();
    void learn_accounts();
    [[nodiscard]] std::size_t drain(shared::UnixMillis now);
    void take(shared::UsageEntry entry, shared::UnixMillis now);
    void flush(std::int64_t steady_us);
    [[nodiscard]] bool write_batch();
    void failed(const shared::Problem& problem, std::int64_t steady_us);
    void prune(shared::UnixMillis now, std::int64_t steady_us);
    void report_lost() const;
    [[nodiscard]] std::string_view account_id(shared::AccountSlot slot) const noexcept;

    shared::Segment& segment_;
    UsageDb db_;
    std::uint32_t retention_days_;

    // Between threads.
    std::mutex mutex_;
    std::condition_variable wake_;
    std::vector<std::uint16_t> to_watch_;
    std::vector<std::uint16_t> to_close_;
    std::vector<std::function<void()>> jobs_;
    bool stopping_ = false;
    std::thread thread_;

    // Writer thread only.
    std::vector<std::uint16_t> watched_;
    std::vector<std::uint16_t> dead_;
    std::vector<std::string> account_ids_; ///< by account slot; empty = not published yet
    TotalsById stored_totals_;             ///< of accounts that have not appeared in the segment
    UsageBacklog backlog_;
    std::chrono::milliseconds pause_;
    std::int64_t flush_at_us_ = 0;
    std::int64_t prune_at_us_ = 0;
    std::chrono::seconds back_off_{0}; ///< not zero: the database refuses
    bool folding_ = false;
};

} // namespace supervisor
