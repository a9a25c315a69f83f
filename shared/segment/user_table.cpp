#include "shared/segment/user_table.hpp"

#include "shared/base/name_list.hpp"
#include "shared/segment/layout.hpp"
#include "shared/segment/worker_slots.hpp"

#include <algorithm>
#include <cstddef>

namespace shared {
namespace {

constexpr std::int64_t kDaySeconds = 24LL * 3600;
constexpr std::int64_t kMinuteSeconds = 60;
/// The epoch was a Thursday: three days after a Monday.
constexpr std::int64_t kEpochWeekday = 3;

static_assert(kUserRows == kMaxSlots);
static_assert(ShmRecord<UserShard>);

std::size_t hash_of(std::string_view id) noexcept
{
    std::uint64_t hash = 0xcbf29ce484222325; // FNV-1a
    for (const char c : id)
        hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    return static_cast<std::size_t>(hash ^ (hash >> 32U));
}

std::size_t shard_of(std::string_view id) noexcept
{
    return hash_of(id) % kUserShards;
}

std::uint16_t slot_at(std::size_t shard, std::size_t place) noexcept
{
    return static_cast<std::uint16_t>(shard * kUsersPerShard + place);
}

/// The place of `id` in its shard, or the first free one on its way; kUsersPerShard if there is neither.
std::size_t find_place(const UserShard& shard, std::string_view id) noexcept
{
    const std::size_t first = hash_of(id) / kUserShards;
    for (std::size_t step = 0; step < kUsersPerShard; ++step) {
        const std::size_t place = (first + step) % kUsersPerShard;
        const UserRecord& user = shard.users[place];
        if (user.state == UserState::free || user.id == id) return place;
    }
    return kUsersPerShard;
}

template <class F>
auto with_user(Segment& segment, UserSlot user, F&& f)
{
    const std::size_t place = user.value % kUsersPerShard;
    return segment.users.shards[user.value / kUsersPerShard].with_lock(
        [&](UserShard& shard) { return f(shard.users[place]); });
}

std::int64_t seconds_of(UnixMillis now) noexcept
{
    return now.value / 1000;
}

std::int64_t day_of(UnixMillis now) noexcept
{
    return seconds_of(now) / kDaySeconds;
}

std::int64_t week_of(UnixMillis now) noexcept
{
    return (day_of(now) + kEpochWeekday) / 7;
}

UnixMillis day_ends(UnixMillis now) noexcept
{
    return {(day_of(now) + 1) * kDaySeconds * 1000};
}

UnixMillis week_ends(UnixMillis now) noexcept
{
    return {((week_of(now) + 1) * 7 - kEpochWeekday) * kDaySeconds * 1000};
}

/// Forgets what belongs to an earlier day or week. A clock that was set back changes nothing.
void enter(UserUsage& usage, UnixMillis now) noexcept
{
    if (day_of(now) > usage.day) {
        usage.day = day_of(now);
        usage.day_tokens = 0;
    }
    if (week_of(now) > usage.week) {
        usage.week = week_of(now);
        usage.week_tokens = 0;
    }
}

/// Makes `second` the last of the 60 counted ones.
void advance(UserUsage& usage, std::int64_t second) noexcept
{
    const std::int64_t passed = second - usage.second;
    if (passed <= 0 && passed > -kMinuteSeconds) return; // the same, or the clock moved a little
    if (passed < 0 || passed >= kMinuteSeconds) {
        usage.requests = {};
    } else {
        for (std::int64_t s = usage.second + 1; s <= second; ++s)
            usage.requests[static_cast<std::size_t>(s % kMinuteSeconds)] = 0;
    }
    usage.second = second;
}

std::uint32_t sum(const UserUsage& usage) noexcept
{
    std::uint32_t all = 0;
    for (const std::uint16_t count : usage.requests)
        all += count;
    return all;
}

/// When so many of the counted requests are older than a minute that one more is within the limit.
UnixMillis minute_frees(const UserUsage& usage, std::uint32_t limit) noexcept
{
    std::uint32_t counted = sum(usage);
    for (std::int64_t s = usage.second - kMinuteSeconds + 1; s <= usage.second; ++s) {
        counted -= usage.requests[static_cast<std::size_t>(s % kMinuteSeconds)];
        if (counted < limit) return {(s + kMinuteSeconds) * 1000};
    }
    return {(usage.second + kMinuteSeconds) * 1000};
}

LimitHit hit(LimitKind kind, std::uint64_t limit, std::uint64_t used, UnixMillis until)
{
    LimitHit made;
    made.kind = kind;
    made.limit = limit;
    made.used = used;
    made.until = until;
    return made;
}

LimitHit check_tokens(const UserRecord& user, const UserAsk& ask) noexcept
{
    const UserLimits& limits = user.limits;
    const UserUsage& usage = user.usage;
    if (limits.tokens_per_day > 0 && usage.day_tokens >= limits.tokens_per_day)
        return hit(
            LimitKind::tokens_per_day, limits.tokens_per_day, usage.day_tokens, day_ends(ask.now));
    if (limits.tokens_per_week > 0 && usage.week_tokens >= limits.tokens_per_week)
        return hit(
            LimitKind::tokens_per_week,
            limits.tokens_per_week,
            usage.week_tokens,
            week_ends(ask.now));
    if (limits.share_percent > 0 && ask.week_capacity > 0) {
        const std::uint64_t percent = usage.week_tokens * 100 / ask.week_capacity;
        if (percent >= limits.share_percent)
            return hit(LimitKind::share_percent, limits.share_percent, percent, week_ends(ask.now));
    }
    return {};
}

LimitHit check_kind(const UserLimits& limits, const UserAsk& ask) noexcept
{
    if (limits.providers != 0 && ((limits.providers >> ask.provider) & 1U) == 0)
        return hit(LimitKind::provider, 0, 0, {});
    if (!limits.models.empty() && !ask.model.empty() && !list_names(limits.models, ask.model))
        return hit(LimitKind::model, 0, 0, {});
    return {};
}

} // namespace

std::optional<UserSlot> publish_user(Segment& segment, const UserPublication& publication)
{
    const std::size_t index = shard_of(publication.id);
    const bool full = segment.users.users.load(std::memory_order_relaxed) >= kUsersMax;
    int change = 0;
    const std::size_t place = segment.users.shards[index].with_lock([&](UserShard& shard) {
        const std::size_t found = find_place(shard, publication.id);
        if (found == kUsersPerShard) return found;
        UserRecord& user = shard.users[found];
        const bool stood = user.state != UserState::free && user.state != UserState::deleted;
        const bool stands = publication.state != UserState::deleted;
        if (!stood && stands && full) return kUsersPerShard;
        change = static_cast<int>(stands) - static_cast<int>(stood);
        std::atomic_ref(user.writing).store(1, std::memory_order_release);
        user.id = publication.id;
        user.name = publication.name;
        user.generation = publication.generation;
        user.limits = publication.limits;
        user.state = publication.state;
        std::atomic_ref(user.writing).store(0, std::memory_order_release);
        return found;
    });
    if (place == kUsersPerShard) return std::nullopt;
    segment.users.users.fetch_add(static_cast<std::uint32_t>(change), std::memory_order_relaxed);
    return UserSlot{slot_at(index, place)};
}

void restore_user_usage(
    Segment& segment,
    UserSlot user,
    std::uint64_t day_tokens,
    std::uint64_t week_tokens,
    UnixMillis now)
{
    with_user(segment, user, [&](UserRecord& record) {
        enter(record.usage, now);
        record.usage.day_tokens = day_tokens;
        record.usage.week_tokens = week_tokens;
    });
}

void publish_users_done(Segment& segment)
{
    segment.users.version.fetch_add(1, std::memory_order_release);
}

UserSlot find_user(Segment& segment, std::string_view id)
{
    if (id.empty()) return {};
    const std::size_t index = shard_of(id);
    const std::size_t place = segment.users.shards[index].with_lock([&](UserShard& shard) {
        const std::size_t found = find_place(shard, id);
        const bool known = found < kUsersPerShard && shard.users[found].state != UserState::free;
        return known ? found : kUsersPerShard;
    });
    if (place == kUsersPerShard) return {};
    return {slot_at(index, place)};
}

UserStanding
user_standing(Segment& segment, UserSlot slot, std::uint32_t generation, UnixMillis now)
{
    if (!slot.is_set()) return UserStanding::unknown;
    return with_user(segment, slot, [&](const UserRecord& user) {
        if (user.state == UserState::free || user.state == UserState::deleted)
            return UserStanding::unknown;
        if (user.generation != generation) return UserStanding::revoked;
        if (user.state == UserState::disabled) return UserStanding::disabled;
        const UnixMillis end = user.limits.expires_at;
        return end.is_set() && end <= now ? UserStanding::expired : UserStanding::active;
    });
}

LimitHit admit_user(Segment& segment, UserSlot slot, const UserAsk& ask)
{
    if (!slot.is_set()) return {};
    return with_user(segment, slot, [&](UserRecord& user) {
        const UserLimits& limits = user.limits;
        UserUsage& usage = user.usage;
        enter(usage, ask.now);
        advance(usage, seconds_of(ask.now));
        LimitHit met = check_kind(limits, ask);
        if (met.kind == LimitKind::none) met = check_tokens(user, ask);
        if (met.kind != LimitKind::none) return met;
        const std::uint32_t counted = sum(usage);
        if (limits.requests_per_minute > 0 && counted >= limits.requests_per_minute)
            return hit(
                LimitKind::requests_per_minute,
                limits.requests_per_minute,
                counted,
                minute_frees(usage, limits.requests_per_minute));
        if (limits.concurrency > 0) {
            const std::uint32_t running = user_in_flight(segment, slot);
            if (running >= limits.concurrency)
                return hit(LimitKind::concurrency, limits.concurrency, running, {});
        }
        if (!ask.counts) return LimitHit{};
        std::uint16_t& second =
            usage.requests[static_cast<std::size_t>(usage.second % kMinuteSeconds)];
        if (second < UINT16_MAX) ++second;
        segment.users.rows[ask.slot].in_flight[slot.value].fetch_add(1, std::memory_order_relaxed);
        return LimitHit{};
    });
}

void leave_user(Segment& segment, UserSlot user, std::uint16_t slot) noexcept
{
    if (!user.is_set()) return;
    segment.users.rows[slot].in_flight[user.value].fetch_sub(1, std::memory_order_relaxed);
}

void add_user_tokens(Segment& segment, UserSlot user, std::uint64_t tokens, UnixMillis now)
{
    if (!user.is_set() || tokens == 0) return;
    with_user(segment, user, [&](UserRecord& record) {
        enter(record.usage, now);
        record.usage.day_tokens += tokens;
        record.usage.week_tokens += tokens;
    });
}

std::uint32_t user_in_flight(const Segment& segment, UserSlot user) noexcept
{
    std::uint32_t running = 0;
    const std::span<const WorkerSlot> workers = used_slots(segment);
    for (std::size_t s = 0; s < workers.size(); ++s) {
        if (workers[s].state.load(std::memory_order_relaxed) == SlotState::free) continue;
        running += segment.users.rows[s].in_flight[user.value].load(std::memory_order_relaxed);
    }
    return running;
}

void clear_user_row(Segment& segment, std::uint16_t slot) noexcept
{
    for (auto& count : segment.users.rows[slot].in_flight) {
        // Only what was used is written: the rest of the row has no memory behind it.
        if (count.load(std::memory_order_relaxed) != 0) count.store(0, std::memory_order_relaxed);
    }
}

UserRecord read_user(Segment& segment, UserSlot user, UnixMillis now)
{
    return with_user(segment, user, [&](const UserRecord& record) {
        UserRecord copy = record;
        enter(copy.usage, now);
        return copy;
    });
}

std::string_view to_string(LimitKind kind) noexcept
{
    switch (kind) {
    case LimitKind::none:
        return "none";
    case LimitKind::provider:
        return "provider";
    case LimitKind::model:
        return "model";
    case LimitKind::requests_per_minute:
        return "requests_per_minute";
    case LimitKind::concurrency:
        return "concurrency";
    case LimitKind::tokens_per_day:
        return "tokens_per_day";
    case LimitKind::tokens_per_week:
        return "tokens_per_week";
    case LimitKind::share_percent:
        return "share_percent";
    }
    return "none";
}

std::uint32_t requests_this_minute(const UserUsage& usage, UnixMillis now) noexcept
{
    UserUsage copy = usage;
    advance(copy, seconds_of(now));
    return sum(copy);
}

} // namespace shared
