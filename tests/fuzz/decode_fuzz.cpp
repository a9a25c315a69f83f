#include "shared/http/decode.hpp"
#include "tests/fuzz/fuzz.hpp"

#include <array>
#include <string>

using namespace shared::http;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    static constexpr std::array<std::string_view, 4> kCodings = {"gzip", "deflate", "br", "zstd"};
    static constexpr std::size_t kCap = 256 * 1024;
    fuzz::Input input(data, size);
    const std::string_view coding = kCodings[input.choice() % kCodings.size()];
    const std::uint8_t seed = input.choice();

    std::string whole;
    const DecodeStatus status = decode_all(coding, input.rest(), kCap, whole);
    FUZZ_CHECK(whole.size() <= kCap);
    FUZZ_CHECK(status != DecodeStatus::unsupported);
    if (status == DecodeStatus::too_large) {
        FUZZ_CHECK(whole.size() == kCap);
        return 0; // a stream has no cap: a bomb would only cost time here
    }

    const auto decoder = make_stream_decoder(coding);
    std::string streamed;
    bool good = true;
    fuzz::in_pieces(input.rest(), seed, [&](std::string_view piece) {
        if (good) good = decoder->feed(piece, streamed);
    });
    if (status == DecodeStatus::ok) {
        FUZZ_CHECK(good && streamed == whole);
    } else {
        // How much comes out before a fault may depend on the pieces, what comes out may not.
        const std::size_t both = streamed.size() < whole.size() ? streamed.size() : whole.size();
        FUZZ_CHECK(streamed.compare(0, both, whole, 0, both) == 0);
    }
    return 0;
}
