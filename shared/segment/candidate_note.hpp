/// What picking found about one account: written by shared/selection, kept in the segment for `why`.
#pragma once

#include "shared/base/units.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace shared {

/// Why an account was not the one. The numbers are kept in the segment and in traces: never reuse one.
enum class PassedOver : std::uint8_t {
    picked = 0,         ///< it was the one
    lower_score = 1,    ///< it could serve; another scored higher, or it was another's turn
    lower_priority = 2, ///< it could serve; another goes first by its owner's order or the route's
    pinned_elsewhere = 3, ///< it could serve; the conversation belongs to another account
    tried = 4,            ///< this request has been there
    wrong_kind = 5,       ///< its kind of credential does not serve this route
    other_kind = 6,       ///< a conversation does not change between kinds of credential
    no_websocket = 7,     ///< its kind serves the route, but not as a WebSocket
    model_denied = 8,     ///< its owner does not allow this model on it
    cooling = 9,          ///< rate limited, until then
    probing = 10,         ///< one request is finding out whether it serves again
    exhausted = 11,       ///< a window is used up
    reserved = 12,        ///< what is left of a window is kept for its owner's requests
    busy = 13,            ///< as many requests at a time as its owner allows
    failing = 14,         ///< the vendor refuses it, back-off
    needs_login = 15,
    disabled = 16,
    removed = 17,
};

inline constexpr std::size_t kPassedOverReasons = 18;

/// The word for it: "lower_score", "cooling" …
[[nodiscard]] std::string_view to_string(PassedOver reason) noexcept;

struct CandidateNote {
    AccountSlot account;
    PassedOver reason = PassedOver::picked;
    float score = 0; ///< of those that could serve; else 0
};

static_assert(sizeof(CandidateNote) == 8);

} // namespace shared
