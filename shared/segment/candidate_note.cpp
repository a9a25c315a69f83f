#include "shared/segment/candidate_note.hpp"

#include <array>

namespace shared {

std::string_view to_string(PassedOver reason) noexcept
{
    static constexpr std::array<std::string_view, kPassedOverReasons> kWords{
        "picked",
        "lower_score",
        "lower_priority",
        "pinned_elsewhere",
        "tried",
        "wrong_kind",
        "other_kind",
        "no_websocket",
        "model_denied",
        "cooling",
        "probing",
        "exhausted",
        "reserved",
        "busy",
        "failing",
        "needs_login",
        "disabled",
        "removed",
    };
    const auto index = static_cast<std::size_t>(reason);
    return index < kWords.size() ? kWords[index] : "unknown";
}

} // namespace shared
