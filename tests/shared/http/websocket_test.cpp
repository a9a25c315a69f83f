#include "shared/http/websocket.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace shared::http {
namespace {

using Piece = FrameTracker::Piece;

/// What a tracker saw, with payloads unmasked and joined per frame.
struct Seen {
    std::vector<std::string> frames;
    bool broken = false;
};

Seen follow(std::string_view bytes, bool masked, std::size_t piece_size)
{
    FrameTracker tracker(masked);
    Seen seen;
    std::string payload;
    for (std::size_t at = 0; at < bytes.size(); at += piece_size) {
        std::string_view rest = bytes.substr(at, piece_size);
        while (true) {
            const FrameTracker::Step step = tracker.step(rest);
            if (step.piece == Piece::payload) {
                FrameTracker::unmask(
                    tracker.head(), tracker.payload_offset(), rest.substr(0, step.taken), payload);
            }
            rest.remove_prefix(step.taken);
            if (step.piece == Piece::broken) {
                seen.broken = true;
                return seen;
            }
            if (step.piece == Piece::end) seen.frames.push_back(std::exchange(payload, {}));
            if (step.piece == Piece::need_more) break;
        }
    }
    return seen;
}

TEST(WebSocket, FramesAreFollowedWhateverTheSplit)
{
    const std::array<std::uint8_t, 4> mask{0x12, 0x34, 0x56, 0x78};
    const std::vector<std::string> payloads{
        "hello", "", std::string(125, 'a'), std::string(126, 'b'), std::string(70'000, 'c')};
    std::string masked;
    std::string plain;
    for (const auto& payload : payloads) {
        masked += encode_masked_frame(Opcode::text, payload, mask);
        plain += encode_frame(Opcode::text, payload);
    }
    for (const std::size_t size : {1U, 2U, 3U, 7U, 1000U, 1'000'000U}) {
        EXPECT_EQ(follow(masked, true, size).frames, payloads) << size;
        EXPECT_EQ(follow(plain, false, size).frames, payloads) << size;
    }
}

TEST(WebSocket, WhatNoFrameMayBeIsRefused)
{
    const auto broken = [](std::string bytes) { return follow(bytes, false, 1).broken; };
    EXPECT_TRUE(broken("\xC1\x01x")) << "compression bit without an extension";
    EXPECT_TRUE(broken("\x83\x01x")) << "reserved opcode";
    EXPECT_TRUE(broken("\x09\x01x")) << "fragmented ping";
    EXPECT_TRUE(broken(std::string("\x89\x7E\x00\x7E", 4))) << "long ping";
    EXPECT_TRUE(broken("\x80\x01x")) << "continuation of nothing";
    EXPECT_TRUE(broken("\x01\x01x\x81\x01y")) << "new message inside another";
    EXPECT_TRUE(broken("\x81\x81mask")) << "a server must not mask";
    EXPECT_TRUE(follow("\x81\x01x", true, 1).broken) << "a client must mask";
    EXPECT_TRUE(broken(std::string("\x81\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF", 10)))
        << "absurd length";
    EXPECT_FALSE(broken("\x01\x01x\x89\x01p\x80\x01y")) << "a ping between fragments is fine";
}

TEST(WebSocket, BoundariesAreKnown)
{
    FrameTracker tracker(false);
    EXPECT_TRUE(tracker.at_boundary());
    (void)tracker.step("\x81");
    EXPECT_FALSE(tracker.at_boundary());
    EXPECT_EQ(tracker.step("\x01").piece, Piece::head);
    EXPECT_FALSE(tracker.at_boundary());
    EXPECT_EQ(tracker.step("x").piece, Piece::payload);
    EXPECT_EQ(tracker.step("").piece, Piece::end);
    EXPECT_TRUE(tracker.at_boundary());
}

TEST(WebSocket, ACloseReasonIsCut)
{
    EXPECT_EQ(close_payload(1012, std::string(500, 'r')).size(), 122U);
    EXPECT_EQ(close_payload(1000, ""), std::string("\x03\xE8", 2));
}

} // namespace
} // namespace shared::http
