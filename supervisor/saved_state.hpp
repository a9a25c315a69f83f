/// What outlives a segment: the copies on disk of pins and of what is known of the accounts, saved every ten seconds
/// and at the end. All of it runs on the usage writer's thread, for its disk access.
#pragma once

#include "supervisor/evidence_keeper.hpp"
#include "supervisor/pin_keeper.hpp"

#include <chrono>
#include <filesystem>
#include <string>
#include <string_view>

namespace supervisor {

class SavedState {
public:
    /// `segment` outlives it; the files are in `folder`. Pins not used for `pin_ttl` are not kept.
    SavedState(
        shared::Segment& segment, const std::filesystem::path& folder, std::chrono::hours pin_ttl);

    void load(shared::UnixMillis now);
    /// For accounts that are in the segment by now; says in the log how much came back.
    void restore(shared::UnixMillis now);
    void save(shared::UnixMillis now);

    /// All of it as one text, and the way back: from a segment to another one beside it.
    [[nodiscard]] std::string copy(shared::UnixMillis now);
    [[nodiscard]] shared::Result<bool> take(std::string_view copy, shared::UnixMillis now);

private:
    PinKeeper pins_;
    EvidenceKeeper evidence_;
};

} // namespace supervisor
