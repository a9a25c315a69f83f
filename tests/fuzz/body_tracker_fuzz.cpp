#include "shared/http/framing.hpp"
#include "tests/fuzz/fuzz.hpp"

#include <string>

using namespace shared::http;

namespace {

struct Trace {
    std::string payload;
    std::size_t consumed = 0;
    bool finished = false;
    bool failed = false;

    friend bool operator==(const Trace&, const Trace&) = default;
};

/// A second opinion on chunked bodies, written for clearness: line by line.
Trace read_chunked(std::string_view bytes)
{
    Trace out;
    std::string_view rest = bytes;
    while (true) {
        const std::size_t end = rest.find("\r\n");
        if (end == std::string_view::npos) return out;
        const std::string_view line = rest.substr(0, end);
        const std::string digits(line.substr(0, line.find(';')));
        rest.remove_prefix(end + 2);
        const std::uint64_t size = std::stoull(digits, nullptr, 16);
        if (size == 0) break;
        out.payload += rest.substr(0, size);
        if (rest.size() < size + 2) return out;
        FUZZ_CHECK(rest.substr(size, 2) == "\r\n");
        rest.remove_prefix(size + 2);
    }
    while (true) {
        const std::size_t end = rest.find("\r\n");
        if (end == std::string_view::npos) return out;
        rest.remove_prefix(end + 2);
        if (end == 0) break;
    }
    out.finished = true;
    out.consumed = bytes.size() - rest.size();
    return out;
}

Trace follow(BodyKind kind, std::uint64_t length, std::string_view bytes, std::uint8_t seed)
{
    BodyTracker tracker(kind, length);
    Trace out;
    bool stopped = false;
    fuzz::in_pieces(bytes, seed, [&](std::string_view piece) {
        if (stopped) return;
        const std::size_t taken = tracker.consume(piece, [&out](std::string_view data) {
            FUZZ_CHECK(!data.empty());
            out.payload += data;
        });
        FUZZ_CHECK(taken <= piece.size());
        stopped = taken < piece.size();
        FUZZ_CHECK(!stopped || tracker.finished() || tracker.failed());
        out.consumed += taken;
    });
    out.finished = tracker.finished();
    out.failed = tracker.failed();
    FUZZ_CHECK(!(out.finished && out.failed));
    FUZZ_CHECK(tracker.payload_bytes() == out.payload.size());
    return out;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    fuzz::Input input(data, size);
    const auto kind = static_cast<BodyKind>(input.choice() % 4);
    const std::uint8_t seed = input.choice();
    const std::uint64_t length = seed;
    const std::string_view bytes = input.rest();
    if (bytes.empty()) return 0;
    const Trace whole = follow(kind, length, bytes, 255);
    FUZZ_CHECK(whole == follow(kind, length, bytes, 0));
    FUZZ_CHECK(whole == follow(kind, length, bytes, seed));
    if (kind == BodyKind::length) {
        FUZZ_CHECK(whole.payload == bytes.substr(0, length));
    } else if (kind == BodyKind::chunked && !whole.failed) {
        const Trace other = read_chunked(bytes);
        FUZZ_CHECK(whole.payload == other.payload && whole.finished == other.finished);
        FUZZ_CHECK(!whole.finished || whole.consumed == other.consumed);
    }
    return 0;
}
