/// Sends records to journald without ever waiting for it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace shared::log {

class JournalSocket {
public:
    /// What waits for journald at most, in bytes; the oldest go first.
    static constexpr std::size_t kWaitingMax = std::size_t{512} * 1024;

    JournalSocket() = default;
    ~JournalSocket();
    JournalSocket(const JournalSocket&) = delete;
    JournalSocket& operator=(const JournalSocket&) = delete;

    /// Where records go; false if nobody takes them there.
    bool open(const std::string& path);
    void close() noexcept;

    /// The text that the next record is appended to; end_record() ends it.
    [[nodiscard]] std::string& records() noexcept { return records_; }

    void end_record();

    [[nodiscard]] std::size_t waiting_bytes() const noexcept { return records_.size() - sent_; }

    /// Sends as many as journald takes at once.
    void send();
    /// The same, waiting a little for a journald that is busy: at the end of a process.
    void send_all(int patience_ms);

    /// Records that were dropped since this was asked last.
    [[nodiscard]] std::uint64_t take_dropped() noexcept;

private:
    void drop_oldest();
    void forget_sent();

    int fd_ = -1;
    std::string path_;
    std::string records_;
    std::vector<std::size_t> ends_; ///< of the records
    std::size_t first_ = 0;         ///< record not sent yet
    std::size_t sent_ = 0;          ///< bytes before it
    std::uint64_t dropped_ = 0;
};

} // namespace shared::log
