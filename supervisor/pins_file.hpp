/// The saved copy of the sticky conversations, so that a restart does not move them. Written by pin_keeper.
///
/// Format (little-endian): magic "cpoolpin", u32 version, u32 accounts, u32 pins; per account u16 length and its id;
/// per pin 16 bytes key, i64 last use (Unix ms), u16 index of its account; SHA-256 over all before it. Account ids, not
/// slots: slots are only good for one run.
#pragma once

#include "shared/base/result.hpp"
#include "shared/segment/layout.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace supervisor {

struct SavedPin {
    shared::PinKey key{};
    shared::UnixMillis last_used;
    std::string account; ///< account id
};

/// As many as the segment holds.
inline constexpr std::size_t kSavedPinsMax = shared::kPinShards * shared::kPinsPerShard;

[[nodiscard]] std::string encode_pins(const std::vector<SavedPin>& pins);
/// A Problem if anything at all is wrong with the bytes; nothing of a damaged file is believed.
[[nodiscard]] shared::Result<std::vector<SavedPin>> decode_pins(std::string_view bytes);

/// A missing file is no Problem: no pins.
[[nodiscard]] shared::Result<std::vector<SavedPin>> load_pins(const std::filesystem::path& file);

} // namespace supervisor
