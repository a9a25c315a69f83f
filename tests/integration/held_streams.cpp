#include "tests/integration/held_streams.hpp"

#include "tests/integration/turns.hpp"

#include <gtest/gtest.h>

namespace tests {

void HeldStreams::open(fake::Server& upstream, std::uint16_t port, std::size_t count)
{
    fake::Behaviour gated;
    gated.gate_after = 4;
    gated.path = "/v1/messages";
    upstream.script(gated);
    for (std::size_t i = 0; i < count; ++i) {
        streams_.push_back(std::make_unique<fake::Client>(port, std::chrono::minutes(20)));
        const Turn turn = turn_of(Cli::claude, "held-" + std::to_string(i));
        ASSERT_TRUE(streams_.back()->send(turn.method, turn.target, turn.headers, turn.body));
        ASSERT_EQ(streams_.back()->read_head().status, 200U) << i;
        ASSERT_NE(streams_.back()->read_until("content_block_delta"), "") << i;
    }
}

void HeldStreams::expect_whole(fake::Server& upstream)
{
    upstream.release();
    std::size_t cut = 0;
    for (auto& each : streams_) {
        const fake::Response rest = each->read_rest();
        const bool whole = rest.complete && rest.body.find("message_stop") != std::string::npos;
        cut += whole ? 0U : 1U;
    }
    EXPECT_EQ(cut, 0U) << "of " << streams_.size() << " streams";
    streams_.clear();
}

} // namespace tests
