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
#include <optional>
#include <set>
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

    /// The same without a database: what comes waits in the segment until open().
    [[nodiscard]] static std::unique_ptr<UsageWriter>
    create_waiting(shared::Segment& segment, std::uint32_t retention_days);
    /// Before start() and watch(). The totals in the segment are then the database's; what it has already of the rings
    /// is not written again.
    [[nodiscard]] shared::Result<bool> open(UsageDb db);

    UsageWriter(const UsageWriter&) = delete;
    UsageWriter& operator=(const UsageWriter&) = delete;
    ~UsageWriter(); ///< stop()

    void start();

    /// From now on this slot's ring is drained, if it is not yet. Any thread.
    void watch(std::uint16_t slot);
    /// The slot's process is dead: its ring and open rows are taken, the slot is freed. Any thread.
    void close(std::uint16_t slot);
    /// Runs `job` on the writer thread, soon; for other work that touches the disk. Any thread.
    void post(std::function<void()> job);

    /// Takes and writes everything that is left, then ends the thread. What cannot be written then is said in the
    /// log, as sums per account.
    void stop();

    /// Ends the thread for another program to go on; true = everything was written. If not, what was read and not
    /// written can still be read again. start() goes on after what others have read meanwhile.
    [[nodiscard]] bool pause();

    /// One round of the thread: takes what is there, writes what is due. Returns how long to sleep. Only for the
    /// thread itself and, where start() is not called, for tests. `steady_us` is now_monotonic_us().
    std::chrono::milliseconds step(shared::UnixMillis now, std::int64_t steady_us);

    /// Writer thread or tests only.
    [[nodiscard]] const UsageBacklog& backlog() const noexcept { return backlog_; }

private:
    using TotalsById = std::map<std::string, UsageSums, std::less<>>;

    UsageWriter(shared::Segment& segment, std::uint32_t retention_days);

    void run();
    void take_requests();
    void learn_accounts();
    [[nodiscard]] std::size_t drain(shared::UnixMillis now);
    void read_dead(shared::UnixMillis now);
    void release();
    [[nodiscard]] bool waits_for_room() const noexcept;
    void take(shared::UsageEntry entry, shared::UnixMillis now);
    void flush(std::int64_t steady_us);
    [[nodiscard]] bool write_batch();
    void failed(const shared::Problem& problem, std::int64_t steady_us);
    void prune(shared::UnixMillis now, std::int64_t steady_us);
    void count_others(std::int64_t steady_us);
    void report_lost() const;
    [[nodiscard]] bool is_written(const shared::UsageEntry& entry) const;
    [[nodiscard]] std::string_view account_id(shared::AccountSlot slot) const noexcept;

    shared::Segment& segment_;
    std::optional<UsageDb> db_;
    std::uint32_t retention_days_;

    // Between threads.
    std::mutex mutex_;
    std::condition_variable wake_;
    std::vector<std::uint16_t> to_watch_;
    std::vector<std::uint16_t> to_close_;
    std::vector<std::function<void()>> jobs_;
    bool stopping_ = false;
    bool pausing_ = false;
    std::thread thread_;

    // Writer thread only.
    /// A ring that is read; its places before `read` are given back once these entries are in the database.
    struct Watched {
        std::uint16_t slot;
        std::uint64_t read;
    };

    std::vector<Watched> watched_;
    std::vector<std::uint16_t> dead_;
    std::vector<std::uint16_t> to_free_; ///< read, but not in the database yet
    /// Of requests that an earlier writer may have written without having given their places back.
    std::set<RequestId> written_before_;
    std::vector<std::string> account_ids_; ///< by account slot; empty = not published yet
    TotalsById stored_totals_;             ///< of accounts that have not appeared in the segment
    UsageBacklog backlog_;
    std::chrono::milliseconds pause_;
    std::int64_t flush_at_us_ = 0;
    std::int64_t prune_at_us_ = 0;
    std::int64_t count_others_at_us_ = 0;
    std::chrono::seconds back_off_{0}; ///< not zero: the database refuses
    bool folding_ = false;
};

} // namespace supervisor
