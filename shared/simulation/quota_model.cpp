#include "shared/simulation/quota_model.hpp"

#include "shared/segment/account_table.hpp"

#include <algorithm>

namespace shared::simulation {

Quota::Quota(const AccountModel& model)
    : limited_(model.kind != CredentialKind::api_key),
      short_tokens_(model.short_tokens),
      long_tokens_(model.long_tokens),
      long_used_(model.long_used),
      long_reset_(model.long_reset)
{}

void Quota::advance(UnixMillis now)
{
    if (short_reset_.is_set() && short_reset_ <= now) {
        short_reset_ = {};
        short_used_ = 0;
    }
    while (limited_ && long_reset_.is_set() && long_reset_ <= now) {
        ended_tokens_ += long_tokens_;
        unused_tokens_ += std::max(0.0, long_tokens_ - long_used_);
        ++resets_;
        long_used_ = 0;
        long_reset_ = long_reset_.plus(kLongWindow);
    }
}

bool Quota::has_room(double kept) const noexcept
{
    const double share = 1 - kept;
    return !limited_ ||
           (short_used_ < share * short_tokens_ && long_used_ < share * long_tokens_);
}

UnixMillis Quota::room_at() const noexcept
{
    UnixMillis at;
    if (!limited_) return at;
    if (short_used_ >= short_tokens_) at = short_reset_;
    if (long_used_ >= long_tokens_) at = std::max(at, long_reset_);
    return at;
}

void Quota::begin(UnixMillis now)
{
    if (!short_reset_.is_set()) short_reset_ = now.plus(kShortWindow);
}

void Quota::spend(double tokens, UnixMillis now)
{
    advance(now);
    begin(now);
    short_used_ += tokens;
    long_used_ += tokens;
}

namespace {

/// Vendors round down: what is not used up is never told as 100 %.
UsedShare told(double used, double size)
{
    constexpr double kAlmost = 0.9999;
    return UsedShare::from_fraction(used >= size ? 1.0 : std::min(used / size, kAlmost));
}

} // namespace

void Quota::report(AccountRouting& routing, EvidenceSource source, UnixMillis now) const
{
    if (!limited_) return;
    using std::chrono::duration_cast;
    using std::chrono::seconds;
    record_window(
        routing,
        static_cast<std::uint32_t>(duration_cast<seconds>(kShortWindow).count()),
        told(short_used_, short_tokens_),
        short_reset_,
        source,
        now);
    record_window(
        routing,
        static_cast<std::uint32_t>(duration_cast<seconds>(kLongWindow).count()),
        told(long_used_, long_tokens_),
        long_reset_,
        source,
        now);
}

} // namespace shared::simulation
