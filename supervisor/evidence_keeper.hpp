/// Keeps what is known of the accounts over a restart: an account that cools down goes on cooling, windows and
/// forecasts need not be learnt anew. Runs beside pin_keeper on the usage writer's thread, for its disk access.
#pragma once

#include "supervisor/evidence_file.hpp"

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

namespace supervisor {

class EvidenceKeeper {
public:
    /// `segment` outlives it.
    EvidenceKeeper(shared::Segment& segment, std::filesystem::path file);

    /// Reads the file, if the segment knows no account yet. A damaged one is kept aside as FILE.damaged and said in the
    /// log.
    void load();

    /// Gives accounts that are in the segment by now what was known of them; older evidence never replaces newer. The
    /// others go on waiting for their account. Returns how many got something.
    std::size_t restore(shared::UnixMillis now);

    /// Saves what the segment knows, and what still waits. Nothing is written if nothing changed. Says in the log,
    /// once, when the disk begins or stops to refuse.
    void save(shared::UnixMillis now);

    /// What save() would write.
    [[nodiscard]] std::string copy(shared::UnixMillis now);
    /// Takes over a copy that was made of another segment a moment ago, where it is newer.
    [[nodiscard]] shared::Result<bool> take(std::string_view text, shared::UnixMillis now);

private:
    shared::Segment& segment_;
    std::filesystem::path file_;
    EvidenceById waiting_; ///< their accounts have not appeared
    std::uint64_t roster_seen_ = 0;
    std::string saved_; ///< the file's content
    bool refused_ = false;
};

} // namespace supervisor
