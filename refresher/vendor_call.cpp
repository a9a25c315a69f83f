// g++ 12 warns of Asio's own headers once they are inlined here at -O2; neither warning is true.
#pragma GCC diagnostic ignored "-Wnull-dereference"
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
#include "refresher/vendor_call.hpp"

#include <utility>

namespace refresher {

shared::net::ClientRequest request_of(
    const shared::http::BaseUrl& base,
    const shared::UpstreamCall& call,
    std::optional<shared::net::ForwardProxy> proxy)
{
    shared::net::ClientRequest request;
    request.base = base;
    request.method = call.method;
    request.path = call.path;
    request.headers = call.headers;
    request.body = call.body;
    request.proxy = std::move(proxy);
    return request;
}

shared::CallReply reply_of(shared::net::ClientResponse&& answer)
{
    shared::CallReply reply;
    reply.status = answer.status;
    reply.headers = std::move(answer.headers);
    reply.body = std::move(answer.body);
    return reply;
}

boost::asio::awaitable<shared::Result<shared::CallReply>> call_vendor(
    shared::net::HttpClient& client,
    const shared::http::BaseUrl& base,
    const shared::UpstreamCall& call,
    std::chrono::milliseconds deadline,
    std::optional<shared::net::ForwardProxy> proxy)
{
    shared::net::ClientRequest request = request_of(base, call, std::move(proxy));
    auto answer = co_await client.send(std::move(request), deadline);
    if (!answer.has_value()) co_return answer.error();
    co_return reply_of(std::move(*answer));
}

} // namespace refresher
