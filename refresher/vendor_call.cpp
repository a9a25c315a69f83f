// g++ 12 warns of Asio's own headers once they are inlined here at -O2; neither warning is true.
#pragma GCC diagnostic ignored "-Wnull-dereference"
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
#include "refresher/vendor_call.hpp"

#include "shared/providers/reset_time.hpp"

#include <utility>

namespace refresher {

boost::asio::awaitable<shared::Result<shared::CallReply>> call_vendor(
    shared::net::HttpClient& client,
    const shared::http::BaseUrl& base,
    const shared::UpstreamCall& call,
    std::chrono::milliseconds deadline,
    std::optional<shared::net::ForwardProxy> proxy)
{
    shared::net::ClientRequest request;
    request.base = base;
    request.method = call.method;
    request.path = call.path;
    request.headers = call.headers;
    request.body = call.body;
    request.proxy = std::move(proxy);
    auto answer = co_await client.send(std::move(request), deadline);
    if (!answer.has_value()) co_return answer.error();
    shared::CallReply reply;
    reply.status = answer->status;
    reply.headers = std::move(answer->headers);
    reply.body = std::move(answer->body);
    co_return reply;
}

shared::http::ResponseHead head_of(const shared::CallReply& reply)
{
    shared::http::ResponseHead head;
    head.status = reply.status;
    for (const shared::http::Header& header : reply.headers)
        head.fields.list.push_back({header.name, header.value});
    return head;
}

std::optional<std::chrono::milliseconds>
retry_after(const shared::CallReply& reply, shared::UnixMillis now)
{
    const std::string_view value = head_of(reply).fields.find("retry-after");
    if (value.empty()) return std::nullopt;
    const auto point = shared::providers::parse_retry_after(value, now);
    if (!point || *point <= now) return std::nullopt;
    return point->since(now);
}

} // namespace refresher
