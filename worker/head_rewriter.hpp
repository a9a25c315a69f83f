/// Builds the two message heads that the pool writes: the request's towards an upstream and the response's
/// towards the client. Each is one string, written together with the body bytes that are already there.
#pragma once

#include "shared/http/base_url.hpp"
#include "shared/http/head.hpp"
#include "shared/providers/provider.hpp"
#include "worker/header_memo.hpp"
#include "worker/request_ids.hpp"
#include "worker/timings.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace worker {

/// How the request's body goes upstream; its framing is ours, not the client's.
struct OutgoingBody {
    shared::http::BodyKind kind = shared::http::BodyKind::none; ///< none, length or chunked
    std::uint64_t length = 0;
    bool decoded = false; ///< Content-Encoding was undone: the field is dropped
};

/// Which request fields go to one provider, by kind of credential; `none` stands for API keys of the client's own.
using RequestMemos = std::array<HeaderMemo, 3>;

/// A request in an account's name. `memos` are those of `provider`. `own_key`: the credential is an API key or token of
/// the client's own, so what names its organisation stays.
void append_upstream_head(
    const shared::Provider& provider,
    const shared::Leg& leg,
    const shared::http::BaseUrl& base,
    const shared::http::RequestHead& request,
    const shared::AccountCredential& account,
    const OutgoingBody& body,
    RequestMemos& memos,
    std::string& head,
    bool own_key = false);

/// What the admin child is told of a request's caller.
struct PageCaller {
    std::string_view role; ///< nobody, user or owner
    shared::FixedString<40> user;
    std::string client; ///< address
    bool by_session = false;
    bool https = false; ///< as a trusted proxy says
};

/// A request to the admin child: as it came, with the caller's credential replaced by what was found out of it.
void append_admin_head(
    const shared::http::RequestHead& request,
    const OutgoingBody& body,
    const RequestId& id,
    const PageCaller& caller,
    std::string& head);

/// What the client must be told besides the upstream's own fields.
struct ClientHead {
    RequestId id{};
    const Timings* timings = nullptr;
    std::int64_t now_us = 0;
    bool close = false;                         ///< no further request on this connection
    bool keep_alive_10 = false;                 ///< an HTTP/1.0 client asked to keep the connection
    bool body_unchunked = false;                ///< the chunk framing is taken off (HTTP/1.0)
    const shared::Provider* provider = nullptr; ///< null for the admin child's answers
    const shared::PoolSummary* pool = nullptr;  ///< for quota fields, where the upstream sent some
    bool own_quota =
        false; ///< the client's own account answered: what is told of it is the client's
    shared::UnixMillis now;
};

/// The upstream's response head as the client gets it. `memo` is for response fields of this provider (or of
/// the admin child).
void append_client_head(
    const shared::http::ResponseHead& response,
    const ClientHead& context,
    HeaderMemo& memo,
    std::string& head);

/// Whether the upstream told a quota, so that the pool's own must be told instead.
[[nodiscard]] bool has_quota_fields(
    const shared::Provider& provider, const shared::http::ResponseHead& response) noexcept;

/// The id by which the vendor knows the request; may be empty.
[[nodiscard]] std::string_view
upstream_request_id(const shared::http::ResponseHead& response) noexcept;

/// A whole answer of the pool's own. `for_head` = the method was HEAD: no body.
void append_local_answer(
    const shared::LocalReply& reply, const ClientHead& context, bool for_head, std::string& out);

void append_number(std::string& out, std::uint64_t number);
[[nodiscard]] std::string_view reason_phrase(unsigned status) noexcept;

} // namespace worker
