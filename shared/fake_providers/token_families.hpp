/// The memory of the fake token endpoints: each sign-in is a family of refresh tokens, of which the last one is good.
/// Using one a second time revokes the whole family, access tokens included, as OpenAI and Anthropic do. Every call
/// locks.
#pragma once

#include "shared/fake_providers/accounts.hpp"
#include "shared/fake_providers/answer.hpp"

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace shared::fake_providers {

class TokenFamilies {
public:
    /// How long the access tokens live that are given out; 300 s are due again at once with the default lead.
    void set_lifetime(long seconds);

    /// A new sign-in: a family of its own for this account, in place of the one before.
    void sign_in(const Account& account);

    /// What one request to a token endpoint does.
    struct Outcome {
        Answer answer;
        std::optional<Account> renewed; ///< the account with its new tokens
        std::string revoked;            ///< the account whose family has just ended
        std::string violation;          ///< what is wrong with the request itself
    };

    [[nodiscard]] Outcome use(const Call& call);

    /// The refresh token that is good now; empty if the family is revoked.
    [[nodiscard]] std::string current(const std::string& account) const;
    [[nodiscard]] bool alive(const std::string& account) const;
    /// Requests that brought a token of this account, over all its sign-ins.
    [[nodiscard]] std::size_t uses(const std::string& account) const;
    /// The most often that any one token came.
    [[nodiscard]] std::size_t most_uses_of_one_token() const;
    /// How often this token came.
    [[nodiscard]] std::size_t uses_of_token(const std::string& token) const;
    [[nodiscard]] std::size_t renewals() const;
    /// Waits until `done` holds after some use.
    bool wait(
        const std::function<bool()>& done,
        std::chrono::milliseconds timeout = std::chrono::seconds(20)) const;

private:
    struct Family {
        Account account;
        std::string current; ///< empty = revoked
        std::size_t rotations = 0;
        std::size_t sign_in = 0;
    };

    struct Owner {
        std::string account;
        std::size_t sign_in = 0;
    };

    [[nodiscard]] Outcome renew(Family& family);

    mutable std::mutex mutex_;
    mutable std::condition_variable changed_;
    long lifetime_ = 3600;
    std::map<std::string, Family> families_;  ///< by account name
    std::map<std::string, Owner> owners_;     ///< of every refresh token ever given out
    std::map<std::string, std::size_t> uses_; ///< by refresh token
    std::size_t renewals_ = 0;
};

} // namespace shared::fake_providers
