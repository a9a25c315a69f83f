#include "shared/segment/attempt_table.hpp"

#include "shared/segment/layout.hpp"

#include <algorithm>
#include <utility>

namespace shared {
namespace {

constexpr std::size_t kWays = 8;
constexpr double kForgottenPerHour = 100;
constexpr double kHourMs = 3'600'000;

std::uint64_t hash_of(AttemptTarget target, std::string_view client) noexcept
{
    std::uint64_t hash = 0xcbf29ce484222325 + static_cast<std::uint64_t>(target); // FNV-1a
    for (const char c : client)
        hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    return hash == 0 ? 1 : hash;
}

std::size_t first_of(std::uint64_t hash) noexcept
{
    return static_cast<std::size_t>((hash >> 32U) % (kAttemptPlaces / kWays)) * kWays;
}

const AttemptClient* find(const AttemptTable& table, std::uint64_t hash) noexcept
{
    const std::size_t first = first_of(hash);
    for (std::size_t i = first; i < first + kWays; ++i)
        if (table.clients[i].client == hash) return &table.clients[i];
    return nullptr;
}

UnixMillis last_seen(const AttemptClient& client) noexcept
{
    return std::max(client.last_wrong, client.last_right);
}

/// The client's own place, or the one that matters least: those that once got it right are kept longest.
AttemptClient& place_for(AttemptTable& table, std::uint64_t hash) noexcept
{
    const std::size_t first = first_of(hash);
    AttemptClient* best = &table.clients[first];
    const auto rank = [](const AttemptClient& client) {
        return std::pair(client.last_right.is_set(), last_seen(client).value);
    };
    for (std::size_t i = first; i < first + kWays; ++i) {
        AttemptClient& client = table.clients[i];
        if (client.client == hash) return client;
        if (best->client != 0 && (client.client == 0 || rank(client) < rank(*best))) best = &client;
    }
    *best = {};
    best->client = hash;
    return *best;
}

double wrong_lately(const AttemptTargetState& target, UnixMillis now) noexcept
{
    const auto passed =
        static_cast<double>(std::max<std::int64_t>(0, now.since(target.last_wrong).count()));
    return std::max(0.0, target.wrong - passed / kHourMs * kForgottenPerHour);
}

std::chrono::milliseconds clients_wait(const AttemptClient& client, UnixMillis now) noexcept
{
    if (client.wrong < kFreeAttempts) return {};
    const auto passed = now.since(client.last_wrong);
    if (passed >= kAttemptForgivenAfter) return {};
    const std::uint32_t doublings = std::min<std::uint32_t>(client.wrong - kFreeAttempts, 20);
    const auto wait = std::min(
        std::chrono::milliseconds(std::chrono::seconds(1)) * (1U << doublings), kAttemptWaitMax);
    // A clock that was set back must not make anybody wait for longer.
    return passed.count() < 0 ? wait : std::max(wait - passed, std::chrono::milliseconds(0));
}

} // namespace

std::chrono::milliseconds
attempt_wait(Segment& segment, AttemptTarget target, std::string_view client, UnixMillis now)
{
    const std::uint64_t hash = hash_of(target, client);
    return segment.attempts.with_lock([&](AttemptTable& table) {
        const AttemptClient* known = find(table, hash);
        if (known != nullptr) {
            const auto wait = clients_wait(*known, now);
            if (wait.count() > 0 || known->last_right.is_set()) return wait;
        }
        AttemptTargetState& state = table.targets[static_cast<std::size_t>(target)];
        const double wrong = wrong_lately(state, now);
        if (wrong <= kTargetFreeAttempts) return std::chrono::milliseconds(0);
        const auto left = state.next_turn.since(now);
        if (left.count() > 0) return std::min(left, kTargetWaitMax);
        const auto pause = std::chrono::milliseconds(
            static_cast<std::int64_t>((wrong - kTargetFreeAttempts) * 100));
        state.next_turn = now.plus(std::min(pause, kTargetWaitMax));
        return std::chrono::milliseconds(0);
    });
}

void note_attempt(
    Segment& segment, AttemptTarget target, std::string_view client, bool right, UnixMillis now)
{
    const std::uint64_t hash = hash_of(target, client);
    segment.attempts.with_lock([&](AttemptTable& table) {
        AttemptClient& known = place_for(table, hash);
        if (right) {
            known.wrong = 0;
            known.last_right = now;
            return;
        }
        if (now.since(known.last_wrong) >= kAttemptForgivenAfter) known.wrong = 0;
        ++known.wrong;
        known.last_wrong = now;
        AttemptTargetState& state = table.targets[static_cast<std::size_t>(target)];
        state.wrong = wrong_lately(state, now) + 1;
        state.last_wrong = now;
    });
}

std::string client_key(const IpAddress& address)
{
    constexpr std::ptrdiff_t kNetworkBytes = 8;
    IpAddress network = address;
    if (network.bits == 128)
        std::fill(network.bytes.begin() + kNetworkBytes, network.bytes.end(), std::uint8_t{0});
    return network.text();
}

} // namespace shared
