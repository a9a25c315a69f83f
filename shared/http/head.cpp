#include "shared/http/head.hpp"

#include "shared/http/scan.hpp"

#include <array>
#include <bit>
#include <cstring>

namespace shared::http {
namespace {

using CharSet = std::array<bool, 256>;

constexpr CharSet make_set(std::string_view extra)
{
    CharSet set{};
    for (char c = '0'; c <= '9'; ++c)
        set[static_cast<unsigned char>(c)] = true;
    for (char c = 'a'; c <= 'z'; ++c)
        set[static_cast<unsigned char>(c)] = true;
    for (char c = 'A'; c <= 'Z'; ++c)
        set[static_cast<unsigned char>(c)] = true;
    for (const char c : extra)
        set[static_cast<unsigned char>(c)] = true;
    return set;
}

// RFC 9110 5.6.2: what a method or field name is made of.
constexpr CharSet kTokenChars = make_set("!#$%&'*+-.^_`|~");
// RFC 3986 3.2.2 and 3.2.3: registered names, addresses, ports.
constexpr CharSet kHostChars = make_set("-._~%!$&'()*+;=:[]");

constexpr bool in(const CharSet& set, char c) noexcept
{
    return set[static_cast<unsigned char>(c)];
}

/// End of the token that begins at `p`.
const char* skip_token(const char* p, const char* end) noexcept
{
    while (end - p >= 16) {
        const std::uint32_t plain = scan::mask16(scan::letters_digits_dashes16(scan::load16(p)));
        p += std::countr_one(plain);
        if (plain != 0xFFFF) break;
    }
    while (p < end && in(kTokenChars, *p))
        ++p;
    return p;
}

constexpr char lower(char c) noexcept
{
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
}

std::string_view trim(std::string_view text) noexcept
{
    const auto blank = [](char c) { return c == ' ' || c == '\t'; };
    const char* begin = text.data();
    const char* end = begin + text.size();
    while (begin < end && blank(*begin))
        ++begin;
    while (begin < end && blank(end[-1]))
        --end;
    return {begin, static_cast<std::size_t>(end - begin)};
}

/// Outcome of reading one part of the head; `none` means: go on.
struct Stop {
    bool stop = false;
    ParseStatus status = ParseStatus::incomplete;
    const char* error = nullptr;
};

constexpr Stop kGoOn{};
constexpr Stop kNeedMore{true, ParseStatus::incomplete, nullptr};

constexpr Stop refuse(const char* error)
{
    return {true, ParseStatus::bad_request, error};
}

/// What the fields say about the message's framing; shared by requests and responses.
struct Framing {
    std::uint64_t content_length = 0;
    bool has_length = false;
    bool chunked = false;
    bool close = false;
    bool keep_alive = false;
    bool upgrade = false;
    bool websocket = false;
    bool expects_continue = false;
    unsigned hosts = 0;
};

/// Walks the bytes of one head.
class Reader {
public:
    explicit Reader(std::string_view bytes)
        : begin_(bytes.data()),
          at_(bytes.data()),
          end_(bytes.data() + (bytes.size() < kHeadBytesMax ? bytes.size() : kHeadBytesMax))
    {}

    [[nodiscard]] Stop request_line(RequestHead& head);
    [[nodiscard]] Stop status_line(ResponseHead& head);
    [[nodiscard]] Stop fields(Fields& fields, Framing& framing);

    [[nodiscard]] std::size_t position() const noexcept
    {
        return static_cast<std::size_t>(at_ - begin_);
    }

private:
    [[nodiscard]] Stop version(std::uint8_t& minor);
    [[nodiscard]] Stop end_of_line();
    [[nodiscard]] Stop field(Field& field);

    const char* begin_;
    const char* at_;
    const char* end_;
};

/// "HTTP/1.x". Says at the first wrong byte that this is no HTTP, not only when the line is whole.
Stop Reader::version(std::uint8_t& minor)
{
    static constexpr std::string_view kName = "HTTP/";
    for (const char expected : kName) {
        if (at_ == end_) return kNeedMore;
        if (*at_ != expected) return refuse("malformed HTTP version");
        ++at_;
    }
    if (end_ - at_ < 3) return kNeedMore;
    const auto digit = [](char c) { return c >= '0' && c <= '9'; };
    if (!digit(at_[0]) || at_[1] != '.' || !digit(at_[2])) return refuse("malformed HTTP version");
    if (at_[0] != '1' || at_[2] > '1')
        return {true, ParseStatus::bad_version, "only HTTP/1.0 and HTTP/1.1 are spoken here"};
    minor = static_cast<std::uint8_t>(at_[2] - '0');
    at_ += 3;
    return kGoOn;
}

Stop Reader::end_of_line()
{
    if (at_ == end_) return kNeedMore;
    if (*at_ != '\r') return refuse("a line does not end with CR LF");
    if (at_ + 1 == end_) return kNeedMore;
    if (at_[1] != '\n') return refuse("a CR without LF");
    at_ += 2;
    return kGoOn;
}

Stop Reader::request_line(RequestHead& head)
{
    static constexpr std::ptrdiff_t kMethodBytesMax = 32;
    const char* start = at_;
    while (at_ < end_ && in(kTokenChars, *at_))
        ++at_;
    if (at_ - start > kMethodBytesMax) return refuse("the method is too long");
    if (at_ == end_) return kNeedMore;
    if (*at_ != ' ' || at_ == start) return refuse("malformed request line");
    head.method = {start, static_cast<std::size_t>(at_ - start)};
    start = ++at_;
    const char* query = nullptr;
    for (; at_ < end_ && *at_ != ' '; ++at_) {
        const auto byte = static_cast<unsigned char>(*at_);
        if (byte <= 0x20 || byte >= 0x7F || byte == '#')
            return refuse("the request target has a character that is not allowed there");
        if (byte == '?' && query == nullptr) query = at_;
    }
    // Checked before the line is whole, so that a wrong form is refused at once.
    if (start < at_ && *start != '/') return refuse("the request target must begin with '/'");
    if (at_ == end_) return kNeedMore;
    if (at_ == start) return refuse("the request target is empty");
    head.target = {start, static_cast<std::size_t>(at_ - start)};
    head.path = head.target;
    if (query != nullptr) {
        head.path = {start, static_cast<std::size_t>(query - start)};
        head.query = {query + 1, static_cast<std::size_t>(at_ - query - 1)};
    }
    ++at_;
    if (const Stop stop = version(head.minor_version); stop.stop) return stop;
    return end_of_line();
}

Stop Reader::status_line(ResponseHead& head)
{
    if (const Stop stop = version(head.minor_version); stop.stop) return stop;
    if (end_ - at_ < 5) return kNeedMore; // SP, three digits, and the byte that ends them
    if (at_[0] != ' ') return refuse("malformed status line");
    for (int i = 1; i <= 3; ++i) {
        if (at_[i] < '0' || at_[i] > '9') return refuse("malformed status");
        head.status = head.status * 10 + static_cast<unsigned>(at_[i] - '0');
    }
    if (head.status < 100 || head.status > 599) return refuse("the status is out of range");
    at_ += 4;
    if (*at_ == ' ') {
        const char* start = ++at_;
        while ((at_ = scan::find_control(at_, end_)) < end_ && *at_ == '\t')
            ++at_;
        head.reason = {start, static_cast<std::size_t>(at_ - start)};
    }
    return end_of_line();
}

/// One field line, its CR LF included.
Stop Reader::field(Field& field)
{
    const char* start = at_;
    at_ = skip_token(at_, end_);
    if (at_ == end_) return kNeedMore;
    if (*at_ != ':' || at_ == start) {
        if (at_ == start && (*at_ == ' ' || *at_ == '\t'))
            return refuse("folded header lines are not accepted");
        if (*at_ == '\n') return refuse("a line does not end with CR LF");
        return refuse("malformed header line");
    }
    field.name = {start, static_cast<std::size_t>(at_ - start)};
    ++at_;
    start = at_;
    while ((at_ = scan::find_control(at_, end_)) < end_ && *at_ == '\t')
        ++at_;
    field.value = trim({start, static_cast<std::size_t>(at_ - start)});
    if (at_ < end_ && *at_ != '\r')
        return refuse(
            *at_ == '\n' ? "a line does not end with CR LF"
                         : "a header value has a control character");
    return end_of_line();
}

Stop read_length(std::string_view value, Framing& framing)
{
    static constexpr std::size_t kDigitsMax = 18; // fits 63 bits with room to add
    if (framing.has_length) return refuse("more than one Content-Length");
    if (value.empty() || value.size() > kDigitsMax) return refuse("malformed Content-Length");
    for (const char c : value) {
        if (c < '0' || c > '9') return refuse("malformed Content-Length");
        framing.content_length = framing.content_length * 10 + static_cast<unsigned>(c - '0');
    }
    framing.has_length = true;
    return kGoOn;
}

void read_connection(std::string_view value, Fields& fields, Framing& framing)
{
    if (fields.connection.data() != nullptr)
        fields.connection_repeated = true;
    else
        fields.connection = value;
    framing.close = framing.close || list_contains(value, "close");
    framing.keep_alive = framing.keep_alive || list_contains(value, "keep-alive");
    framing.upgrade = framing.upgrade || list_contains(value, "upgrade");
}

Stop read_host(std::string_view value, Framing& framing)
{
    if (++framing.hosts > 1) return refuse("more than one Host");
    for (const char c : value) {
        if (!in(kHostChars, c)) return refuse("malformed Host");
    }
    return kGoOn;
}

/// Takes note of the fields that decide about framing and connection. The length of the name tells most
/// of them apart, so that the other fields cost one jump.
Stop note(const Field& field, Fields& fields, Framing& framing)
{
    switch (field.name.size()) {
    case 4:
        if (iequals(field.name, "host")) return read_host(field.value, framing);
        break;
    case 6:
        if (iequals(field.name, "expect"))
            framing.expects_continue = iequals(field.value, "100-continue");
        break;
    case 7:
        if (iequals(field.name, "upgrade") && list_contains(field.value, "websocket"))
            framing.websocket = true;
        break;
    case 10:
        if (iequals(field.name, "connection")) read_connection(field.value, fields, framing);
        break;
    case 14:
        if (iequals(field.name, "content-length")) return read_length(field.value, framing);
        break;
    case 17:
        if (iequals(field.name, "transfer-encoding")) {
            if (framing.chunked || !iequals(field.value, "chunked"))
                return refuse("the only Transfer-Encoding accepted is a single \"chunked\"");
            framing.chunked = true;
        }
        break;
    default:
        break;
    }
    return kGoOn;
}

Stop Reader::fields(Fields& fields, Framing& framing)
{
    for (;;) {
        if (at_ == end_) return kNeedMore;
        if (*at_ == '\r') return end_of_line();
        if (fields.list.size() == kFieldsMax)
            return {true, ParseStatus::too_large, "too many header fields"};
        Field& field = fields.list.emplace_back();
        if (const Stop stop = this->field(field); stop.stop) return stop;
        if (const Stop stop = note(field, fields, framing); stop.stop) return stop;
    }
}

void clear(Fields& fields)
{
    fields.list.clear();
    fields.list.reserve(32);
    fields.connection = {};
    fields.connection_repeated = false;
}

/// The status to return when the reader stopped before the head was whole.
ParseStatus stopped(const Stop& stop, std::size_t bytes, const char** error)
{
    ParseStatus status = stop.status;
    const char* clause = stop.error;
    if (status == ParseStatus::incomplete && bytes >= kHeadBytesMax) {
        status = ParseStatus::too_large;
        clause = "the head is too large";
    }
    if (error != nullptr) *error = clause;
    return status;
}

bool keeps_alive(std::uint8_t minor_version, const Framing& framing) noexcept
{
    if (framing.close) return false;
    return minor_version >= 1 || framing.keep_alive;
}

/// Faults that only the whole head shows; nullptr = none.
const char* framing_fault(std::uint8_t minor_version, const Framing& framing) noexcept
{
    if (!framing.chunked) return nullptr;
    if (framing.has_length) return "Content-Length together with Transfer-Encoding";
    if (minor_version == 0) return "Transfer-Encoding in HTTP/1.0";
    return nullptr;
}

} // namespace

bool iequals(std::string_view a, std::string_view b) noexcept
{
    if (a.size() != b.size()) return false;
    std::size_t i = 0;
    // Nearly all that differ do so in the first byte, and nearly all that do not are the same in case as well.
    for (std::uint64_t x = 0, y = 0; a.size() - i >= sizeof x; i += sizeof x) {
        std::memcpy(&x, a.data() + i, sizeof x);
        std::memcpy(&y, b.data() + i, sizeof y);
        if (x != y) break;
    }
    for (; i < a.size(); ++i) {
        const int difference = a[i] ^ b[i];
        if (difference == 0) continue;
        if (difference != 0x20 || lower(a[i]) != lower(b[i])) return false;
    }
    return true;
}

bool list_contains(std::string_view value, std::string_view token) noexcept
{
    while (!value.empty()) {
        const std::size_t comma = value.find(',');
        if (iequals(trim(value.substr(0, comma)), token)) return true;
        if (comma == std::string_view::npos) break;
        value.remove_prefix(comma + 1);
    }
    return false;
}

std::string_view Fields::find(std::string_view name) const noexcept
{
    for (const Field& field : list) {
        if (field.name.size() == name.size() && iequals(field.name, name)) return field.value;
    }
    return {};
}

std::size_t Fields::count(std::string_view name) const noexcept
{
    std::size_t n = 0;
    for (const Field& field : list)
        n += iequals(field.name, name) ? 1U : 0U;
    return n;
}

bool Fields::lists(std::string_view name, std::string_view token) const noexcept
{
    for (const Field& field : list) {
        if (iequals(field.name, name) && list_contains(field.value, token)) return true;
    }
    return false;
}

std::string_view RequestHead::query_parameter(std::string_view name) const noexcept
{
    std::string_view rest = query;
    while (!rest.empty()) {
        const std::size_t end = rest.find('&');
        const std::string_view pair = rest.substr(0, end);
        const std::size_t equals = pair.find('=');
        if (pair.substr(0, equals) == name) {
            return equals == std::string_view::npos ? pair.substr(pair.size())
                                                    : pair.substr(equals + 1);
        }
        if (end == std::string_view::npos) break;
        rest.remove_prefix(end + 1);
    }
    return {};
}

ParseStatus parse_request(std::string_view bytes, RequestHead& head, const char** error)
{
    if (error != nullptr) *error = nullptr;
    clear(head.fields);
    head.query = {};
    Reader reader(bytes);
    Framing framing;
    Stop stop = reader.request_line(head);
    if (!stop.stop) stop = reader.fields(head.fields, framing);
    if (stop.stop) return stopped(stop, bytes.size(), error);

    const char* fault = framing_fault(head.minor_version, framing);
    if (fault == nullptr && framing.hosts == 0 && head.minor_version >= 1)
        fault = "the Host field is missing";
    if (fault != nullptr) return stopped(refuse(fault), bytes.size(), error);

    head.body = BodyKind::none;
    if (framing.chunked)
        head.body = BodyKind::chunked;
    else if (framing.has_length && framing.content_length > 0)
        head.body = BodyKind::length;
    head.content_length = framing.content_length;
    head.keep_alive = keeps_alive(head.minor_version, framing);
    head.expects_continue = framing.expects_continue && head.minor_version >= 1;
    head.upgrades_to_websocket = framing.upgrade && framing.websocket && head.minor_version >= 1 &&
                                 head.method == "GET" && head.body == BodyKind::none;
    head.head_bytes = reader.position();
    return ParseStatus::complete;
}

ParseStatus
parse_response(std::string_view bytes, std::string_view request_method, ResponseHead& head)
{
    clear(head.fields);
    head.status = 0;
    head.reason = {};
    Reader reader(bytes);
    Framing framing;
    Stop stop = reader.status_line(head);
    if (!stop.stop) stop = reader.fields(head.fields, framing);
    if (stop.stop) return stopped(stop, bytes.size(), nullptr);
    if (framing_fault(head.minor_version, framing) != nullptr) return ParseStatus::bad_request;

    head.content_length = framing.content_length;
    head.keep_alive = keeps_alive(head.minor_version, framing);
    head.head_bytes = reader.position();
    const bool bare_status = head.status < 200 || head.status == 204;
    const bool tunnel = request_method == "CONNECT" && head.status < 300;
    if (bare_status || tunnel || head.status == 304 || request_method == "HEAD") {
        head.body = BodyKind::none;
        // These must not announce a body. What does may send one all the same: never reuse it.
        if (bare_status && (framing.chunked || framing.content_length > 0)) head.keep_alive = false;
    } else if (framing.chunked) {
        head.body = BodyKind::chunked;
    } else if (framing.has_length) {
        head.body = framing.content_length > 0 ? BodyKind::length : BodyKind::none;
    } else {
        head.body = BodyKind::until_close;
        head.keep_alive = false;
    }
    return ParseStatus::complete;
}

} // namespace shared::http
