#include "shared/simulation/trace.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace shared::simulation {
namespace {

using testing::HasSubstr;

const ProviderRegistry& registry()
{
    static const ProviderRegistry all;
    return all;
}

Trace good(std::string_view text)
{
    auto trace = parse_trace(text, "t.csv", registry(), ProviderId::codex);
    EXPECT_TRUE(trace) << trace.error().text();
    return trace ? *trace : Trace();
}

std::string problem(std::string_view text)
{
    const auto trace = parse_trace(text, "t.csv", registry(), ProviderId::none);
    return trace ? std::string() : trace.error().text();
}

TEST(Trace, CsvWithColumnsInAnyOrder)
{
    const Trace trace =
        good("user,time,provider,conversation,model,input,cached_input,output,duration_ms\n"
             "ann,2026-05-14T12:30:00Z,claude,c1,opus,1000,900,50,1500\r\n"
             "\"b,o\"\"b\",1778761799000,codex,,gpt-5,10,0,5,\n");
    ASSERT_EQ(trace.requests.size(), 2U);
    EXPECT_EQ(trace.users, (std::vector<std::string>{"ann", "b,o\"b"}));
    const TraceRequest& first = trace.requests[0];
    EXPECT_EQ(first.at.value, 1'778'761'799'000) << "sorted by time";
    EXPECT_EQ(first.user, 1U);
    EXPECT_EQ(first.conversation, 0U);
    EXPECT_EQ(first.duration_ms, TraceRequest::kDurationMs);
    const TraceRequest& second = trace.requests[1];
    EXPECT_EQ(second.at.value, 1'778'761'800'000);
    EXPECT_EQ(second.provider, ProviderId::claude);
    EXPECT_NE(second.conversation, 0U);
    EXPECT_EQ(second.input, 1000);
    EXPECT_EQ(second.cached_input, 900);
    EXPECT_EQ(second.output, 50);
    EXPECT_EQ(second.duration_ms, 1500U);
}

TEST(Trace, JsonLinesAndTokensAsOneNumber)
{
    const Trace trace = good("{\"time\":\"2026-05-14T12:30:00.250Z\",\"user\":\"a\",\"tokens\":123,"
                             "\"conversation\":\"x\"}\n"
                             "{\"time\":1778761801000,\"tokens\":\"7\",\"output\":null}\n");
    ASSERT_EQ(trace.requests.size(), 2U);
    EXPECT_EQ(trace.requests[0].at.value, 1'778'761'800'250);
    EXPECT_EQ(trace.requests[0].input, 123);
    EXPECT_EQ(trace.requests[1].input, 7);
    EXPECT_EQ(trace.requests[1].output, 0);
    EXPECT_EQ(trace.users, (std::vector<std::string>{"a", "local"}));
}

TEST(Trace, MistakesNameTheirLine)
{
    EXPECT_THAT(problem("a,b\n1,2\n"), HasSubstr("t.csv:1: names no column \"time\""));
    EXPECT_THAT(problem("time,tokens\n5,1\n"), HasSubstr("t.csv:2: names no provider"));
    EXPECT_THAT(problem("time,provider\n5\n"), HasSubstr("t.csv:2: has 1 values"));
    EXPECT_THAT(problem("time,provider\nnoon,codex\n"), HasSubstr("t.csv:2: has no usable time"));
    EXPECT_THAT(problem("time,provider\n-5,codex\n"), HasSubstr("no usable time"));
    EXPECT_THAT(problem("time,provider,tokens\n5,codex,many\n"), HasSubstr("tokens is no whole"));
    EXPECT_THAT(problem("time,provider\n5,acme\n"), HasSubstr("unknown provider"));
    EXPECT_THAT(problem("{\"time\":5\n"), HasSubstr("t.csv:1: is no JSON object"));
    EXPECT_TRUE(good("").requests.empty());
}

TEST(Trace, ConversationsAreGuessedFromPausesWhereNobodyNamesThem)
{
    Trace trace = good("time,user,model\n0,a,m\n60000,a,m\n60000,b,m\n700000,a,m\n700000,a,n\n");
    derive_conversations(trace);
    EXPECT_TRUE(trace.conversations_guessed);
    EXPECT_EQ(trace.requests[0].conversation, trace.requests[1].conversation);
    EXPECT_NE(trace.requests[0].conversation, trace.requests[2].conversation) << "another user";
    EXPECT_NE(trace.requests[1].conversation, trace.requests[3].conversation) << "a pause";
    EXPECT_NE(trace.requests[3].conversation, trace.requests[4].conversation) << "another model";

    Trace named = good("time,conversation\n0,x\n1,\n");
    derive_conversations(named);
    EXPECT_FALSE(named.conversations_guessed);
    EXPECT_EQ(named.requests[1].conversation, 0U);
}

} // namespace
} // namespace shared::simulation
