/// What an owner says about one account besides its credential: "codex_pool" of its file, or an owner action.
#pragma once

#include "shared/base/result.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace shared {

/// Every option may be unsaid; then the next source speaks, at last the default.
struct AccountOptions {
    std::optional<bool> disabled;
    std::optional<bool> paused; ///< out of service by the pool user it belongs to
    std::optional<std::int16_t> priority;         ///< higher goes first; 0
    std::optional<std::uint16_t> weight_percent;  ///< of the score; 100 (written 1.0)
    std::optional<std::uint16_t> max_concurrency; ///< requests at a time; 0 = no limit
    std::optional<std::uint8_t>
        reserve_percent;                       ///< of each window, kept for its owner's requests; 0
    std::optional<std::string> models_allowed; ///< comma-separated names, `*` at an end; all
    std::optional<std::string> models_denied;  ///< the same, beats `models_allowed`; none
    std::optional<std::string> proxy_url;      ///< http:// or socks5://; may hold a password
    std::optional<std::string> owner;          ///< the pool user it belongs to

    friend bool operator==(const AccountOptions&, const AccountOptions&) = default;
};

/// `first` where it says something, else `second`.
[[nodiscard]] AccountOptions merged(const AccountOptions& first, const AccountOptions& second);

/// Reads an owner's wish, a JSON object: null means "no longer said". Unknown keys are problems. The Problem's `where`
/// is the key ("'codex_pool.weight'"), `what` never quotes a value.
[[nodiscard]] Result<AccountOptions> parse_options_text(std::string_view json);

/// Whether the account's owner lets it serve this model; no model is always served. The lists are `models_allowed` and
/// `models_denied`, empty = unsaid.
[[nodiscard]] bool
serves_model(std::string_view allowed, std::string_view denied, std::string_view model) noexcept;

/// Whether a request of this user is the account's owner's, for whom `reserve_percent` is kept. No `owner` = whoever
/// sits on the pool's machine or has its password.
[[nodiscard]] bool is_owned_by(std::string_view owner, std::string_view user) noexcept;

} // namespace shared
