/// Keeps the conversations' pins over a restart: restores them into the segment as their accounts appear, and saves
/// them every few seconds. supervisor.cpp runs all of it on the usage writer's thread, for its disk access.
#pragma once

#include "supervisor/pins_file.hpp"

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace supervisor {

class PinKeeper {
public:
    /// `segment` outlives it. Pins not used for `ttl` are not kept.
    PinKeeper(shared::Segment& segment, std::filesystem::path file, std::chrono::hours ttl);

    /// Reads the file. A damaged one is kept aside as FILE.damaged and said in the log; the pool starts without pins.
    void load(shared::UnixMillis now);

    /// Puts the loaded pins of accounts that are in the segment by now into it; the others go on waiting for their
    /// account. Returns how many were restored.
    std::size_t restore(shared::UnixMillis now);

    /// Saves what the segment holds and what still waits. Nothing is written if nothing changed. Says in the log, once,
    /// when the disk begins or stops to refuse.
    void save(shared::UnixMillis now);

    /// What save() would write.
    [[nodiscard]] std::string copy(shared::UnixMillis now);
    /// Takes over a copy that was made of another segment a moment ago: of two pins of a conversation the one that was
    /// used later counts.
    [[nodiscard]] shared::Result<bool> take(std::string_view bytes, shared::UnixMillis now);

private:
    [[nodiscard]] std::map<std::string, shared::AccountSlot, std::less<>> account_slots() const;
    [[nodiscard]] bool is_old(const SavedPin& pin, shared::UnixMillis now) const noexcept;

    shared::Segment& segment_;
    std::filesystem::path file_;
    std::chrono::hours ttl_;
    std::vector<SavedPin> waiting_; ///< their accounts have not appeared
    std::uint64_t roster_seen_ = 0;
    std::string saved_digest_;
    bool refused_ = false;
};

} // namespace supervisor
