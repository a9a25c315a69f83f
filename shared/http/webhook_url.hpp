/// The address of a webhook: unlike an upstream's it may have a query, and all of it may be a secret.
#pragma once

#include "shared/http/base_url.hpp"

#include <string>
#include <string_view>

namespace shared::http {

struct WebhookUrl {
    BaseUrl base;     ///< without a prefix
    std::string path; ///< with the query, beginning with '/'

    /// The value of a query parameter as it stands there (not percent-decoded); empty if there is none.
    [[nodiscard]] std::string_view parameter(std::string_view name) const noexcept;
};

/// https anywhere, http for loopback addresses only; no fragment, no user info. The Problem never repeats the address.
[[nodiscard]] Result<WebhookUrl> parse_webhook_url(std::string_view url);

} // namespace shared::http
