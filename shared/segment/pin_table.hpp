/// Sticky conversations: key -> account, bounded, with a time to live.
#pragma once

#include "shared/segment/layout.hpp"

#include <chrono>
#include <optional>
#include <string_view>
#include <vector>

namespace shared {

/// Key of a conversation: user + provider + id, so that two users' equal ids never meet.
[[nodiscard]] PinKey
pin_key(std::string_view user, std::uint8_t provider, std::string_view conversation_id) noexcept;

/// The pinned account, if the pin was used within `ttl`. Renews its last use.
[[nodiscard]] std::optional<AccountSlot>
find_pin(Segment& segment, const PinKey& key, UnixMillis now, std::chrono::milliseconds ttl);

/// Sets or moves a pin. In a full set the least recently used pin gives way.
void set_pin(Segment& segment, const PinKey& key, AccountSlot account, UnixMillis now);

/// Number of valid pins, and all of them for saving.
[[nodiscard]] std::size_t count_pins(Segment& segment);
[[nodiscard]] std::vector<Pin> all_pins(Segment& segment);

} // namespace shared
