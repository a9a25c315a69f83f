/// Wrong passwords and codes: who has to wait before the next try.
///
///   writers         readers  guarded by     if the writer dies inside
///   --------------  -------  -------------  ----------------------------------------------
///   workers, admin  all      attempts.mutex the entry being written may be forgotten
///
/// - Per client: three tries are free; each wrong one more doubles the wait, up to 15 minutes. What lies an hour back
///   is forgiven.
/// - Per target, against many clients that each try a little: while it has seen more than 100 wrong tries within an
///   hour, clients that never got it right take turns, one try at a time, each later than the one before. Who once got
///   it right is not held up by others.
#pragma once

#include "shared/base/ip_address.hpp"
#include "shared/base/units.hpp"
#include "shared/segment/robust_mutex.hpp"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace shared {

struct Segment;

/// What is being guessed.
enum class AttemptTarget : std::uint8_t { owner, friend_code };

inline constexpr std::size_t kAttemptTargets = 2;
inline constexpr std::size_t kAttemptPlaces =
    2048; ///< clients remembered; the oldest of a set gives way
inline constexpr std::uint32_t kFreeAttempts = 3;
inline constexpr std::uint32_t kTargetFreeAttempts = 100;
inline constexpr std::chrono::milliseconds kAttemptWaitMax = std::chrono::minutes(15);
inline constexpr std::chrono::milliseconds kTargetWaitMax = std::chrono::seconds(30);
inline constexpr std::chrono::milliseconds kAttemptForgivenAfter = std::chrono::hours(1);

struct AttemptClient {
    std::uint64_t client = 0; ///< hash of target and address; 0 = free
    UnixMillis last_wrong;
    UnixMillis last_right;
    std::uint32_t wrong = 0; ///< in a row
};

struct AttemptTargetState {
    UnixMillis last_wrong;
    UnixMillis next_turn; ///< of a client that never got it right
    double wrong = 0;     ///< lately: falls by 100 an hour
};

struct AttemptTable {
    std::array<AttemptClient, kAttemptPlaces> clients{};
    std::array<AttemptTargetState, kAttemptTargets> targets{};

    void repair() noexcept {}
};

/// How long this client must wait before its next try counts; 0 = it may try now. `client` is an address, or the
/// network of one (client_key()).
[[nodiscard]] std::chrono::milliseconds
attempt_wait(Segment& segment, AttemptTarget target, std::string_view client, UnixMillis now);

/// What came of a try.
void note_attempt(
    Segment& segment, AttemptTarget target, std::string_view client, bool right, UnixMillis now);

/// Whom wrong tries of this address are held against: an IPv4 address, or the /64 network of an IPv6 one, of which
/// everybody has as many addresses as they like.
[[nodiscard]] std::string client_key(const IpAddress& address);

} // namespace shared
