/// Pool users as every process knows them: who may call, within which limits, and what they have used.
///
///   part           writers                               readers         guarded by    if the writer dies inside
///   -------------  ------------------------------------  --------------  ------------  ------------------------------
///   UserShard[h]   admin child (who, limits), workers    workers, admin  shard.mutex   who: refused until the admin
///                  (what is used), supervisor (what a                                  child published again; used:
///                  dead worker's requests used)                                        may miss one request
///   UserRow[s]     worker in slot s; supervisor          workers, admin  atomics       supervisor zeroes it
///   version        admin child                           all             atomic        -
///
/// A record stands in the shard its id hashes to, and keeps its place as long as the segment lives.
///
/// Limits are exact over workers: the check and the count are one step under the user's lock. Tokens are only known
/// when a request ends, so requests that run at the same time can together pass a token limit by what they use.
#pragma once

#include "shared/base/fixed_string.hpp"
#include "shared/base/units.hpp"
#include "shared/segment/robust_mutex.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace shared {

struct Segment;

inline constexpr std::size_t kUsersMax = 10'000;
/// Few locks: each one touches a page of its own as soon as the segment is made.
inline constexpr std::size_t kUserShards = 64;
inline constexpr std::size_t kUsersPerShard =
    256; ///< more than a fair part, so that no shard is ever full
inline constexpr std::size_t kUserPlaces = kUserShards * kUsersPerShard;

/// Where a user stands.
struct UserSlot {
    static constexpr std::uint16_t kNone = 0xFFFF;
    std::uint16_t value = kNone;

    [[nodiscard]] constexpr bool is_set() const noexcept { return value < kUserPlaces; }

    friend constexpr bool operator==(UserSlot, UserSlot) = default;
};

/// What a user may use; 0, empty or unset = no limit. Tokens are billable ones: input not read from a cache, plus
/// output. Days and weeks are UTC; weeks begin on Monday.
struct UserLimits {
    std::uint64_t tokens_per_day = 0;
    std::uint64_t tokens_per_week = 0;
    std::uint32_t requests_per_minute = 0; ///< in any 60 seconds
    std::uint32_t providers = 0;           ///< bit 1 << ProviderId
    std::uint16_t concurrency = 0;         ///< requests at a time
    std::uint8_t share_percent = 0; ///< of the tokens that the pool can serve in a week, as learnt
    UnixMillis expires_at;          ///< the user may not call from then on
    FixedString<240> models;        ///< comma-separated names, `*` at an end for any rest
};

enum class UserState : std::uint8_t {
    free,     ///< no user stands here
    active,   ///< may call
    disabled, ///< by the owner
    deleted,  ///< keeps its place, so that others are still found
};

/// What a user has used, as far as limits need it.
struct UserUsage {
    std::int64_t second = 0; ///< last second in which a request was counted, since the epoch
    std::array<std::uint16_t, 60> requests{}; ///< counted in each of the 60 seconds up to then
    std::int64_t day = 0;                     ///< since the epoch
    std::int64_t week = 0;                    ///< since Monday, 29 December 1969
    std::uint64_t day_tokens = 0;
    std::uint64_t week_tokens = 0;
};

struct UserRecord {
    FixedString<40> id;
    FixedString<80> name;         ///< e-mail or name; for pages, never for decisions
    std::uint32_t generation = 0; ///< credentials of another one are revoked
    UserState state = UserState::free;
    std::uint8_t writing = 0; ///< set while the admin child changes who this is
    UserLimits limits;
    UserUsage usage;
};

struct UserShard {
    std::array<UserRecord, kUsersPerShard> users{};

    void repair() noexcept
    {
        for (UserRecord& user : users) {
            // Who this is cannot be told: nobody calls in this name until it is published again.
            if (user.writing != 0 && user.state == UserState::active)
                user.state = UserState::disabled;
            user.writing = 0;
        }
    }
};

inline constexpr std::size_t kUserRows = 256; ///< worker slots

/// Requests that one worker runs per user.
struct UserRow {
    std::array<std::atomic<std::uint16_t>, kUserPlaces> in_flight{};
};

struct UserTable {
    /// Bumped by the admin child after any change; 0 = users were not published yet.
    std::atomic<std::uint64_t> version{0};
    std::atomic<std::uint32_t> users{0}; ///< neither free nor deleted; admin child
    std::array<Guarded<UserShard>, kUserShards> shards;
    std::array<UserRow, kUserRows> rows;
};

// ---- who (admin child) -------------------------------------------------------------------------------

/// What the admin child publishes of one user.
struct UserPublication {
    FixedString<40> id;
    FixedString<80> name;
    std::uint32_t generation = 0;
    UserState state = UserState::active;
    UserLimits limits;
};

/// Adds or changes a user; what it has used stays. Nothing if the table is full. Admin child only.
std::optional<UserSlot> publish_user(Segment& segment, const UserPublication& user);

/// Sets what a user has used today and this week: after a start, from the history. Admin child only.
void restore_user_usage(
    Segment& segment,
    UserSlot user,
    std::uint64_t day_tokens,
    std::uint64_t week_tokens,
    UnixMillis now);

/// Tells all processes that something was published.
void publish_users_done(Segment& segment);

// ---- may they? (workers) -----------------------------------------------------------------------------

enum class UserStanding : std::uint8_t {
    active,
    unknown,  ///< no such user
    revoked,  ///< the credential is of an older generation
    disabled, ///< by the owner, or deleted
    expired,  ///< limits.expires_at has passed
};

/// The user's place; none if there is no such user.
[[nodiscard]] UserSlot find_user(Segment& segment, std::string_view id);

/// Whether the user of a credential of this generation may call now.
[[nodiscard]] UserStanding
user_standing(Segment& segment, UserSlot user, std::uint32_t generation, UnixMillis now);

/// Which limit a request meets.
enum class LimitKind : std::uint8_t {
    none,
    provider, ///< not allowed to this user
    model,    ///< the same
    requests_per_minute,
    concurrency,
    tokens_per_day,
    tokens_per_week,
    share_percent,
};

struct LimitHit {
    LimitKind kind = LimitKind::none;
    std::uint64_t limit = 0;
    std::uint64_t used = 0;
    UnixMillis
        until; ///< when it ends; unset = only the owner can lift it, or another request has to end
};

/// What a request asks for.
struct UserAsk {
    std::uint8_t provider = 0;
    std::string_view model;
    std::uint16_t slot = 0; ///< the asking worker
    /// Billable tokens that the pool can serve in a week; 0 = not learnt: share_percent does not hold then.
    std::uint64_t week_capacity = 0;
    UnixMillis now;
    bool counts = true; ///< false: only whether it would be let in
};

/// Checks the limits and, where none is met, counts the request: in this minute, and in the worker's row until
/// leave_user(). One step over all workers.
[[nodiscard]] LimitHit admit_user(Segment& segment, UserSlot user, const UserAsk& ask);

/// The admitted request is over.
void leave_user(Segment& segment, UserSlot user, std::uint16_t slot) noexcept;

/// Adds what a request used.
void add_user_tokens(Segment& segment, UserSlot user, std::uint64_t tokens, UnixMillis now);

/// Requests this user has running over all workers.
[[nodiscard]] std::uint32_t user_in_flight(const Segment& segment, UserSlot user) noexcept;

/// A dead worker runs nothing. Supervisor only.
void clear_user_row(Segment& segment, std::uint16_t slot) noexcept;

/// A copy of the record, its usage as of `now`: a day or week that is over counts nothing.
[[nodiscard]] UserRecord read_user(Segment& segment, UserSlot user, UnixMillis now);

/// The name of a limit, as in the configuration.
[[nodiscard]] std::string_view to_string(LimitKind kind) noexcept;

/// Requests counted in the 60 seconds up to now.
[[nodiscard]] std::uint32_t requests_this_minute(const UserUsage& usage, UnixMillis now) noexcept;

} // namespace shared
