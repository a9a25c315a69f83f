#include "worker/head_rewriter.hpp"

#include <array>
#include <charconv>

namespace worker {

using shared::http::BodyKind;
using shared::http::Field;
using shared::http::iequals;

namespace {

void append_field(std::string& head, std::string_view name, std::string_view value)
{
    head.append(name).append(": ").append(value).append("\r\n");
}

void append_body_fields(const OutgoingBody& body, std::string& head)
{
    if (body.kind == BodyKind::length) {
        head += "Content-Length: ";
        append_number(head, body.length);
        head += "\r\n";
    } else if (body.kind == BodyKind::chunked) {
        head += "Transfer-Encoding: chunked\r\n";
    }
}

/// Fields that this side of the pool writes anew or keeps to itself.
bool is_ours(std::string_view name) noexcept
{
    switch (name.size()) {
    case 4:
        return iequals(name, "host");
    case 6:
        return iequals(name, "expect");
    case 14:
        return iequals(name, "content-length");
    default:
        return false;
    }
}

/// Extensions would let the two ends compress frames that the pool has to read.
bool is_websocket_extension(std::string_view name) noexcept
{
    return name.size() == 24 && iequals(name, "sec-websocket-extensions");
}

/// Whatever the provider, the account and the Connection field say: these are not relayed upstream.
bool is_never_sent(std::string_view name) noexcept
{
    return is_ours(name) || shared::http::is_hop_by_hop(name, std::string_view()) ||
           shared::is_credential_header(name) || shared::is_proxy_trace_header(name) ||
           is_websocket_extension(name);
}

/// The same for what the client gets, quota fields of the provider included.
bool is_never_told(std::string_view name, const shared::Provider* provider) noexcept
{
    // Trailers are relayed with the body, so their announcement is too.
    if (iequals(name, "trailer")) return false;
    // A vendor's cookies are not for the client; the pool's own pages have sessions.
    const bool cookie = iequals(name, "set-cookie") || iequals(name, "set-cookie2");
    return shared::http::is_hop_by_hop(name, std::string_view()) || iequals(name, "x-request-id") ||
           iequals(name, "x-upstream-request-id") ||
           (provider != nullptr && (cookie || provider->is_quota_header(name)));
}

/// Whether the Connection field names other fields: then each must be asked about.
bool connection_names_fields(const shared::http::Fields& fields) noexcept
{
    const std::string_view value = fields.connection;
    if (fields.connection_repeated) return true;
    return !value.empty() && !iequals(value, "keep-alive") && !iequals(value, "close") &&
           !iequals(value, "upgrade");
}

/// Appends the fields that `keep` lets through. Neighbours are copied together, as they stand in the message:
/// it was checked when it was parsed.
template <class Keep>
void append_fields(const std::vector<Field>& list, Keep&& keep, std::string& head)
{
    const char* run = nullptr; // where the current run of kept fields begins
    for (const Field& field : list) {
        const char* begin = field.name.data();
        if (keep(field)) {
            if (run == nullptr) run = begin;
        } else if (run != nullptr) {
            head.append(run, static_cast<std::size_t>(begin - run));
            run = nullptr;
        }
    }
    if (run == nullptr) return;
    const Field& last = list.back();
    const char* end = last.name.data() + last.name.size();
    while (*end != '\n')
        ++end;
    head.append(run, static_cast<std::size_t>(end + 1 - run));
}

} // namespace

void append_number(std::string& out, std::uint64_t number)
{
    std::array<char, 24> digits{};
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number);
    out.append(digits.data(), static_cast<std::size_t>(end.ptr - digits.data()));
}

void append_upstream_head(
    const shared::Provider& provider,
    const shared::Leg& leg,
    const shared::http::BaseUrl& base,
    const shared::http::RequestHead& request,
    const shared::AccountCredential& account,
    const OutgoingBody& body,
    RequestMemos& memos,
    std::string& head,
    bool own_key)
{
    const bool keeps = own_key && account.kind == shared::CredentialKind::api_key;
    const auto never_sent = [&](std::string_view name) {
        return is_never_sent(name) || (!keeps && provider.replaces_header(name, account.kind));
    };
    HeaderMemo& memo = keeps ? memos[0] : memos[static_cast<std::size_t>(account.kind)];
    head.reserve(request.head_bytes + account.token.size() + 256);
    head.append(request.method).append(" ").append(base.prefix);
    head += provider.upstream_target(leg, request, account);
    head += " HTTP/1.1\r\nHost: ";
    base.append_authority(head);
    head += "\r\n";
    const bool named = connection_names_fields(request.fields);
    append_fields(
        request.fields.list,
        [&](const Field& field) {
            if (memo.ask(field.name, never_sent)) return false;
            if (named && shared::http::is_hop_by_hop(field.name, request.fields)) return false;
            return !body.decoded || !iequals(field.name, "content-encoding");
        },
        head);
    provider.append_credentials(account, request, head);
    append_body_fields(body, head);
    if (request.upgrades_to_websocket) head += "Connection: Upgrade\r\nUpgrade: websocket\r\n";
    head += "\r\n";
}

void append_admin_head(
    const shared::http::RequestHead& request,
    const OutgoingBody& body,
    const RequestId& id,
    const PageCaller& caller,
    std::string& head)
{
    head.append(request.method).append(" ").append(request.target).append(" HTTP/1.1\r\n");
    for (const Field& field : request.fields.list) {
        if (iequals(field.name, "expect") || iequals(field.name, "content-length") ||
            iequals(field.name, "x-request-id") ||
            shared::http::is_hop_by_hop(field.name, request.fields) ||
            shared::is_credential_header(field.name))
            continue;
        append_field(head, field.name, field.value);
    }
    append_field(head, "X-Request-Id", view(id));
    append_field(head, "X-Codex-Pool-Role", caller.role);
    append_field(head, "X-Codex-Pool-User", caller.user.view());
    append_field(head, "X-Codex-Pool-Client", caller.client);
    if (caller.by_session) append_field(head, "X-Codex-Pool-Session", "1");
    if (caller.https) append_field(head, "X-Codex-Pool-Scheme", "https");
    append_body_fields(body, head);
    head += "\r\n";
}

std::string_view upstream_request_id(const shared::http::ResponseHead& response) noexcept
{
    const std::string_view id = response.fields.find("x-request-id");
    return id.data() != nullptr ? id : response.fields.find("request-id");
}

bool has_quota_fields(
    const shared::Provider& provider, const shared::http::ResponseHead& response) noexcept
{
    for (const Field& field : response.fields.list) {
        if (provider.is_quota_header(field.name)) return true;
    }
    return false;
}

void append_client_head(
    const shared::http::ResponseHead& response,
    const ClientHead& context,
    HeaderMemo& memo,
    std::string& head)
{
    head.reserve(response.head_bytes + 512);
    head += "HTTP/1.1 ";
    append_number(head, response.status);
    const std::string_view reason =
        response.reason.empty() ? reason_phrase(response.status) : response.reason;
    head.append(" ").append(reason).append("\r\n");
    const bool named = connection_names_fields(response.fields);
    append_fields(
        response.fields.list,
        [&](const Field& field) {
            const auto rule = [&context](std::string_view name) {
                return is_never_told(name, context.provider);
            };
            const bool never = context.own_quota ? is_never_told(field.name, nullptr) ||
                                                       iequals(field.name, "set-cookie")
                                                 : memo.ask(field.name, rule);
            if (never) return false;
            return !named || iequals(field.name, "trailer") ||
                   !shared::http::is_hop_by_hop(field.name, response.fields);
        },
        head);
    if (response.body == BodyKind::chunked && !context.body_unchunked)
        head += "Transfer-Encoding: chunked\r\n";
    if (context.provider != nullptr && context.pool != nullptr)
        context.provider->append_pool_quota(*context.pool, context.now, head);
    append_field(head, "X-Request-Id", view(context.id));
    if (context.provider != nullptr) {
        const std::string_view theirs = upstream_request_id(response);
        if (!theirs.empty()) append_field(head, "X-Upstream-Request-Id", theirs);
    }
    if (context.timings != nullptr) context.timings->append_to(head, context.now_us);
    if (response.status == 101)
        head += "Connection: Upgrade\r\nUpgrade: websocket\r\n";
    else if (context.close)
        head += "Connection: close\r\n";
    else if (context.keep_alive_10)
        head += "Connection: keep-alive\r\n";
    head += "\r\n";
}

void append_local_answer(
    const shared::LocalReply& reply, const ClientHead& context, bool for_head, std::string& out)
{
    out += "HTTP/1.1 ";
    append_number(out, reply.status);
    out.append(" ").append(reason_phrase(reply.status)).append("\r\n");
    for (const shared::http::Header& header : reply.headers)
        append_field(out, header.name, header.value);
    const bool bodiless = reply.status == 204 || reply.status == 304 || reply.status / 100 == 1;
    if (!bodiless) {
        out += "Content-Length: ";
        append_number(out, reply.body.size());
        out += "\r\n";
    }
    append_field(out, "X-Request-Id", view(context.id));
    if (context.timings != nullptr) context.timings->append_to(out, context.now_us);
    if (context.close)
        out += "Connection: close\r\n";
    else if (context.keep_alive_10)
        out += "Connection: keep-alive\r\n";
    out += "\r\n";
    if (!bodiless && !for_head) out += reply.body;
}

std::string_view reason_phrase(unsigned status) noexcept
{
    switch (status) {
    case 101:
        return "Switching Protocols";
    case 200:
        return "OK";
    case 201:
        return "Created";
    case 202:
        return "Accepted";
    case 204:
        return "No Content";
    case 302:
        return "Found";
    case 303:
        return "See Other";
    case 304:
        return "Not Modified";
    case 400:
        return "Bad Request";
    case 401:
        return "Unauthorized";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 408:
        return "Request Timeout";
    case 409:
        return "Conflict";
    case 410:
        return "Gone";
    case 413:
        return "Content Too Large";
    case 426:
        return "Upgrade Required";
    case 429:
        return "Too Many Requests";
    case 431:
        return "Request Header Fields Too Large";
    case 500:
        return "Internal Server Error";
    case 502:
        return "Bad Gateway";
    case 503:
        return "Service Unavailable";
    case 504:
        return "Gateway Timeout";
    case 505:
        return "HTTP Version Not Supported";
    default:
        return "Status";
    }
}

} // namespace worker
