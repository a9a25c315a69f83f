/// What a vendor keeps of an account, modelled: two windows sized in tokens.
///
/// Assumptions, which docs/simulation.md repeats: the long window is a week from one fixed moment to the next; the
/// short one is five hours and begins with the first request after the last one ended; a request is refused only if a
/// window is full when it begins, and is counted when it ends; what counts is Usage::billable().
#pragma once

#include "shared/base/units.hpp"
#include "shared/providers/provider.hpp"
#include "shared/segment/layout.hpp"

#include <string>

namespace shared::simulation {

inline constexpr std::chrono::hours kShortWindow{5};
inline constexpr std::chrono::hours kLongWindow{7 * 24};

/// One account to simulate. Its owner's numbers (priority, cap …) are in `options`; quota and state there do not count.
struct AccountModel {
    std::string id;
    ProviderId provider = ProviderId::none;
    CredentialKind kind = CredentialKind::oauth; ///< an API key has no windows
    float capacity = 1;                          ///< Provider::plan_weight
    double short_tokens = 0;
    double long_tokens = 0;
    double long_used = 0;  ///< tokens already spent when it begins
    UnixMillis long_reset; ///< the first after the beginning
    AccountRouting options;
    std::string models_allowed; ///< as in AccountOptions; empty = all
    std::string models_denied;
    std::string owner;
};

/// An account's true quota, which the pool only learns of.
class Quota {
public:
    explicit Quota(const AccountModel& model);

    /// Lets resets happen that have passed.
    void advance(UnixMillis now);
    /// `kept`: the share of each window that the pool keeps for somebody else.
    [[nodiscard]] bool has_room(double kept = 0) const noexcept;
    /// When it has room again; now or earlier if it has.
    [[nodiscard]] UnixMillis room_at() const noexcept;
    /// A request begins: the short window runs from here if none does.
    void begin(UnixMillis now);
    /// A request has ended.
    void spend(double tokens, UnixMillis now);
    /// What response headers or a poll tell now.
    void report(AccountRouting& routing, EvidenceSource source, UnixMillis now) const;

    /// Over all long windows that ended: their size, and what of it was not used.
    [[nodiscard]] double ended_tokens() const noexcept { return ended_tokens_; }

    [[nodiscard]] double unused_tokens() const noexcept { return unused_tokens_; }

    [[nodiscard]] unsigned resets() const noexcept { return resets_; }

private:
    bool limited_;
    double short_tokens_;
    double long_tokens_;
    double short_used_ = 0;
    double long_used_;
    UnixMillis short_reset_; ///< unset: none runs
    UnixMillis long_reset_;
    double ended_tokens_ = 0;
    double unused_tokens_ = 0;
    unsigned resets_ = 0;
};

} // namespace shared::simulation
