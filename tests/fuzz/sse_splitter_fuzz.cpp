#include "shared/http/sse_splitter.hpp"
#include "tests/fuzz/fuzz.hpp"

#include <string>
#include <vector>

using namespace shared::http;

namespace {

using Events = std::vector<std::string>;

/// A second opinion, by the letter of the HTML standard (9.2.6): lines first, then fields.
Events read_events(std::string_view stream)
{
    if (stream.starts_with("\xEF\xBB\xBF")) stream.remove_prefix(3);
    Events events;
    std::string data;
    bool has_data = false;
    while (true) {
        const std::size_t end = stream.find_first_of("\r\n");
        if (end == std::string_view::npos) return events;
        const std::string_view line = stream.substr(0, end);
        stream.remove_prefix(stream.substr(end).starts_with("\r\n") ? end + 2 : end + 1);
        if (line.empty()) {
            if (has_data) events.push_back(data);
            data.clear();
            has_data = false;
            continue;
        }
        const std::size_t colon = line.find(':');
        if (line.substr(0, colon) != "data") continue;
        std::string_view value = colon == std::string_view::npos ? "" : line.substr(colon + 1);
        if (value.starts_with(' ')) value.remove_prefix(1);
        if (has_data) data += '\n';
        data += value;
        has_data = true;
    }
}

Events split(std::string_view stream, std::uint8_t seed)
{
    SseSplitter splitter;
    Events events;
    std::string open;
    fuzz::in_pieces(stream, seed, [&](std::string_view piece) {
        splitter.feed(
            piece,
            [&open](std::string_view data) {
                FUZZ_CHECK(!data.empty());
                open += data;
            },
            [&] {
                events.push_back(open);
                open.clear();
            });
    });
    return events;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    fuzz::Input input(data, size);
    const std::uint8_t seed = input.choice();
    const Events expected = read_events(input.rest());
    FUZZ_CHECK(split(input.rest(), seed) == expected);
    FUZZ_CHECK(split(input.rest(), 0) == expected);
    FUZZ_CHECK(split(input.rest(), 255) == expected);
    return 0;
}
