#include "shared/segment/pin_table.hpp"

#include "shared/base/hash.hpp"

#include <array>
#include <cstring>

namespace shared {
namespace {

constexpr std::size_t kWays = 8;
constexpr std::size_t kSets = kPinsPerShard / kWays;

/// The shard and the first of the eight places where a key may stand.
struct Place {
    std::size_t shard;
    std::size_t first;
};

Place place_of(const PinKey& key) noexcept
{
    return {key[0] % kPinShards, (key[0] / kPinShards % kSets) * kWays};
}

void write_pin(Pin& pin, const PinKey& key, AccountSlot account, UnixMillis now) noexcept
{
    const std::atomic_ref state(pin.state);
    state.store(Pin::State::writing, std::memory_order_release);
    pin.key = key;
    pin.account = account;
    pin.last_used = now;
    state.store(Pin::State::valid, std::memory_order_release);
}

} // namespace

PinKey
pin_key(std::string_view user, std::uint8_t provider, std::string_view conversation_id) noexcept
{
    const std::array<char, 2> between{'\0', static_cast<char>(provider)};
    const Sha256Digest digest = sha256({user, {between.data(), between.size()}, conversation_id});
    PinKey key;
    std::memcpy(key.data(), digest.data(), sizeof(key));
    return key;
}

std::optional<AccountSlot>
find_pin(Segment& segment, const PinKey& key, UnixMillis now, std::chrono::milliseconds ttl)
{
    const Place place = place_of(key);
    const AccountSlot found = segment.pins[place.shard].with_lock([&](PinShard& shard) {
        for (std::size_t i = place.first; i < place.first + kWays; ++i) {
            Pin& pin = shard.pins[i];
            if (pin.state != Pin::State::valid || pin.key != key) continue;
            if (now.since(pin.last_used) > ttl) return AccountSlot{};
            pin.last_used = now;
            return pin.account;
        }
        return AccountSlot{};
    });
    return found.is_set() ? std::optional(found) : std::nullopt;
}

void set_pin(Segment& segment, const PinKey& key, AccountSlot account, UnixMillis now)
{
    const Place place = place_of(key);
    segment.pins[place.shard].with_lock([&](PinShard& shard) {
        Pin* best = &shard.pins[place.first];
        for (std::size_t i = place.first; i < place.first + kWays; ++i) {
            Pin& pin = shard.pins[i];
            const bool free = pin.state != Pin::State::valid;
            if (!free && pin.key == key) {
                best = &pin;
                break;
            }
            const bool best_free = best->state != Pin::State::valid;
            if (best_free) continue;
            if (free || pin.last_used < best->last_used) best = &pin;
        }
        write_pin(*best, key, account, now);
    });
}

std::size_t count_pins(Segment& segment)
{
    std::size_t count = 0;
    for (auto& shard : segment.pins) {
        count += shard.with_lock([](PinShard& pins) {
            std::size_t valid = 0;
            for (const Pin& pin : pins.pins)
                valid += pin.state == Pin::State::valid ? 1 : 0;
            return valid;
        });
    }
    return count;
}

std::vector<Pin> all_pins(Segment& segment)
{
    std::vector<Pin> all;
    std::vector<Pin> copy(kPinsPerShard); // allocated before the lock is taken
    for (auto& shard : segment.pins) {
        const std::size_t count = shard.with_lock([&](PinShard& pins) {
            std::size_t valid = 0;
            for (const Pin& pin : pins.pins) {
                if (pin.state == Pin::State::valid) copy[valid++] = pin;
            }
            return valid;
        });
        all.insert(all.end(), copy.begin(), copy.begin() + static_cast<std::ptrdiff_t>(count));
    }
    return all;
}

} // namespace shared
