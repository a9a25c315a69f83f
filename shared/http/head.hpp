/// HTTP/1.1 message heads, parsed in place: strict on what a proxy must refuse (request smuggling),
/// lenient on nothing. No I/O, no allocation beyond the field list.
///
/// All views point into the bytes given to parse(); they must outlive the head.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace shared::http {

/// ASCII case-insensitive comparison, as HTTP field names need it.
[[nodiscard]] bool iequals(std::string_view a, std::string_view b) noexcept;

/// True if the comma-separated list `value` contains `token` (case-insensitive).
[[nodiscard]] bool list_contains(std::string_view value, std::string_view token) noexcept;

/// An owned header field, for messages the pool makes itself.
struct Header {
    std::string name;
    std::string value;
};

/// A header field as it stands in the message: name as sent, value without surrounding white space.
struct Field {
    std::string_view name;
    std::string_view value;
};

/// What parsing a head came to.
enum class ParseStatus : std::uint8_t {
    complete,    ///< the head ends at `head_bytes`
    incomplete,  ///< more bytes are needed
    bad_request, ///< malformed or ambiguous: answer 400 and close
    too_large,   ///< more than kHeadBytesMax or kFieldsMax: 431
    bad_version, ///< not HTTP/1.0 or HTTP/1.1: 505
};

inline constexpr std::size_t kHeadBytesMax = 64 * 1024;
inline constexpr std::size_t kFieldsMax = 128;

/// How the length of a message body is known.
enum class BodyKind : std::uint8_t { none, length, chunked, until_close };

struct Fields {
    std::vector<Field> list;
    std::string_view connection;      ///< value of the first Connection field
    bool connection_repeated = false; ///< there are more of them

    /// Value of the first field called `name` (any case); empty view with data()==nullptr if absent.
    [[nodiscard]] std::string_view find(std::string_view name) const noexcept;

    [[nodiscard]] bool has(std::string_view name) const noexcept
    {
        return find(name).data() != nullptr;
    }

    /// How many fields are called `name`.
    [[nodiscard]] std::size_t count(std::string_view name) const noexcept;
    /// True if any field called `name` lists `token`.
    [[nodiscard]] bool lists(std::string_view name, std::string_view token) const noexcept;
};

struct RequestHead {
    std::string_view method;
    std::string_view target; ///< origin-form as sent: path and query
    std::string_view path;   ///< target up to '?'
    std::string_view query;  ///< after '?', without it; may be empty
    std::uint8_t minor_version = 1;
    Fields fields;

    BodyKind body = BodyKind::none;
    std::uint64_t content_length = 0; ///< valid if body == length
    bool keep_alive = true;
    bool expects_continue = false;
    bool upgrades_to_websocket = false; ///< Connection: upgrade + Upgrade: websocket + GET

    std::size_t head_bytes = 0; ///< including the empty line

    /// Value of query parameter `name` as sent (not percent-decoded); data()==nullptr if absent.
    [[nodiscard]] std::string_view query_parameter(std::string_view name) const noexcept;
};

struct ResponseHead {
    unsigned status = 0;
    std::string_view reason;
    std::uint8_t minor_version = 1;
    Fields fields;

    BodyKind body = BodyKind::until_close;
    std::uint64_t content_length = 0;
    bool keep_alive = true;

    std::size_t head_bytes = 0;
};

/// Parses a request head from the start of `bytes`. Refuses: obs-fold, bare LF or CR, control characters,
/// space before the colon, more than one Content-Length (even equal ones) or one that is not plain decimal,
/// Content-Length together with Transfer-Encoding, any transfer coding but a single "chunked", Transfer-Encoding
/// in HTTP/1.0, every target that is not origin-form or has a fragment, a control or a non-ASCII character,
/// a missing Host in HTTP/1.1, a repeated or malformed one in any version.
/// `error` (if not null) receives one clause for the answer. `head` may be reused: its list keeps its memory.
[[nodiscard]] ParseStatus
parse_request(std::string_view bytes, RequestHead& head, const char** error = nullptr);

/// Parses a response head. `request_method` decides about a body (HEAD, CONNECT); 1xx, 204 and 304
/// have none. Both Content-Length and Transfer-Encoding, or several lengths: bad_request.
[[nodiscard]] ParseStatus
parse_response(std::string_view bytes, std::string_view request_method, ResponseHead& head);

/// True for fields that belong to one connection and are never relayed: Connection and what it names,
/// Keep-Alive, Proxy-*, TE, Trailer, Transfer-Encoding, Upgrade.
/// `connection_value` is the message's own Connection field, or empty. A Connection field cannot take away
/// Host or a Content-* field: without them the body would be read differently on the other side.
/// Who relays a chunked body raw must write "Transfer-Encoding: chunked" anew.
[[nodiscard]] bool is_hop_by_hop(std::string_view name, std::string_view connection_value) noexcept;

/// The same for a parsed message, with all of its Connection fields.
[[nodiscard]] bool is_hop_by_hop(std::string_view name, const Fields& fields) noexcept;

} // namespace shared::http
