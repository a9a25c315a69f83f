#include "shared/http/websocket.hpp"
#include "tests/fuzz/fuzz.hpp"

#include <string>

using namespace shared::http;

namespace {

/// Everything the tracker said, as text; a payload's pieces are joined.
std::string follow(bool masked, std::string_view bytes, std::uint8_t seed)
{
    FrameTracker tracker(masked);
    std::string out;
    bool broken = false;
    fuzz::in_pieces(bytes, seed, [&](std::string_view piece) {
        std::size_t idle_steps = 0;
        bool more = true;
        while (more && !broken) {
            const FrameTracker::Step step = tracker.step(piece);
            FUZZ_CHECK(step.taken <= piece.size());
            // An end and "need more" may follow each other without a byte, never more than that.
            idle_steps = step.taken == 0 ? idle_steps + 1 : 0;
            FUZZ_CHECK(idle_steps <= 2);
            const FrameHead& head = tracker.head();
            switch (step.piece) {
            case FrameTracker::Piece::head:
                FUZZ_CHECK(head.masked == masked);
                FUZZ_CHECK(!head.is_control() || (head.final && head.payload_bytes <= 125));
                out += "[" + std::to_string(static_cast<int>(head.opcode)) +
                       (head.final ? "!" : "") + std::to_string(head.payload_bytes) + ":";
                break;
            case FrameTracker::Piece::payload:
                FrameTracker::unmask(
                    head, tracker.payload_offset(), piece.substr(0, step.taken), out);
                break;
            case FrameTracker::Piece::end:
                out += "]";
                break;
            case FrameTracker::Piece::broken:
                broken = true;
                out += "broken";
                break;
            case FrameTracker::Piece::need_more:
                FUZZ_CHECK(step.taken == piece.size());
                more = false;
                break;
            }
            piece.remove_prefix(step.taken);
        }
    });
    return out;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    fuzz::Input input(data, size);
    const bool masked = input.choice() % 2 == 1;
    const std::uint8_t seed = input.choice();
    const std::string whole = follow(masked, input.rest(), 255);
    FUZZ_CHECK(whole == follow(masked, input.rest(), 0));
    FUZZ_CHECK(whole == follow(masked, input.rest(), seed));
    return 0;
}
