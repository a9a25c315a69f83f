/// One call of the refresher's own to a vendor.
#pragma once

#include "shared/http/base_url.hpp"
#include "shared/net/http_client.hpp"
#include "shared/providers/provider.hpp"

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <optional>

namespace refresher {

/// The parts of call_vendor(), for whoever must do something in between.
[[nodiscard]] shared::net::ClientRequest request_of(
    const shared::http::BaseUrl& base,
    const shared::UpstreamCall& call,
    std::optional<shared::net::ForwardProxy> proxy);
[[nodiscard]] shared::CallReply reply_of(shared::net::ClientResponse&& answer);

/// Makes the call, through `proxy` if the account has its own. Problem: no whole answer in time.
[[nodiscard]] boost::asio::awaitable<shared::Result<shared::CallReply>> call_vendor(
    shared::net::HttpClient& client,
    const shared::http::BaseUrl& base,
    const shared::UpstreamCall& call,
    std::chrono::milliseconds deadline,
    std::optional<shared::net::ForwardProxy> proxy);

} // namespace refresher
