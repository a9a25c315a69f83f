/// Pool users at a worker: their credentials, their limits, and what upstreams see of it.
#include "shared/users/credential.hpp"
#include "tests/worker/worker_fixture.hpp"

#include <gtest/gtest.h>

namespace worker_test {
namespace {

constexpr std::string_view kMessages =
    R"({"model":"claude-x","messages":[{"role":"user","content":"hi"}]})";
constexpr std::string_view kAnswer =
    R"({"type":"message","model":"claude-x","usage":{"input_tokens":70,"output_tokens":30}})";

class UsersTest : public WorkerTest {
protected:
    UsersTest()
    {
        config_.shared_mode = true;
        config_.jwt_secret = shared::Secret(std::string(40, 'k'));
        config_.admin_token = shared::Secret("owners-token");
    }

    shared::UserSlot publish(const shared::UserLimits& limits = {}, std::uint32_t generation = 1)
    {
        shared::UserPublication user;
        user.id = "ab12";
        user.generation = generation;
        user.limits = limits;
        const auto slot = shared::publish_user(segment_, user);
        shared::publish_users_done(segment_);
        return *slot;
    }

    std::string bearer(std::uint32_t generation = 1) const
    {
        const shared::CredentialKey key(config_.jwt_secret);
        return "Authorization: Bearer " +
               key.issue("sk-ant-oat01-pool-", "ab12", generation, shared::now_unix()) + "\r\n";
    }

    std::string turn(std::string_view fields)
    {
        return ask(post("/v1/messages", kMessages, std::string(fields) + "Connection: close\r\n"));
    }
};

TEST_F(UsersTest, AUserIsServedAndTheUpstreamSeesNothingOfIt)
{
    std::string seen;
    Upstream upstream(answering([&](const std::string& request) {
        seen = request;
        return ok(kAnswer);
    }));
    set_upstream("claude", upstream.port());
    add_account("claude:a", shared::ProviderId::claude);
    const shared::UserSlot user = publish();
    start();
    EXPECT_EQ(turn(bearer()).substr(0, 12), "HTTP/1.1 200");
    EXPECT_EQ(seen.find("pool-"), std::string::npos) << seen;
    EXPECT_NE(seen.find("token-of-claude:a"), std::string::npos);
    const shared::UsageEntry record = next_record();
    EXPECT_EQ(record.user.view(), "ab12");
    EXPECT_EQ(record.pool_user, user);
    const auto usage = shared::read_user(segment_, user, shared::now_unix()).usage;
    EXPECT_EQ(usage.day_tokens, 100U);
    EXPECT_EQ(shared::user_in_flight(segment_, user), 0U);
}

TEST_F(UsersTest, StrangersAndTheRevokedReachNoUpstream)
{
    Upstream upstream(answering([](const std::string&) { return ok(kAnswer); }));
    set_upstream("claude", upstream.port());
    add_account("claude:a", shared::ProviderId::claude);
    publish({}, 2);
    start();
    EXPECT_EQ(turn("").substr(0, 12), "HTTP/1.1 401");
    EXPECT_EQ(turn("Authorization: Bearer sk-ant-oat01-foreign\r\n").substr(0, 12), "HTTP/1.1 401");
    EXPECT_EQ(turn("Authorization: Bearer owners-token\r\n").substr(0, 12), "HTTP/1.1 401");
    EXPECT_EQ(turn(bearer(1)).substr(0, 12), "HTTP/1.1 403");
    EXPECT_EQ(turn(bearer(2)).substr(0, 12), "HTTP/1.1 200");
    EXPECT_EQ(upstream.connections(), 1);
}

TEST_F(UsersTest, ALimitIsNamedWithUseAndEndAndCostsNoUpstreamCall)
{
    Upstream upstream(answering([](const std::string&) { return ok(kAnswer); }));
    set_upstream("claude", upstream.port());
    add_account("claude:a", shared::ProviderId::claude);
    shared::UserLimits limits;
    limits.tokens_per_day = 100;
    publish(limits);
    start();
    EXPECT_EQ(turn(bearer()).substr(0, 12), "HTTP/1.1 200");
    EXPECT_EQ(next_record().status, 200);
    const std::string refused = turn(bearer());
    EXPECT_EQ(refused.substr(0, 12), "HTTP/1.1 429") << refused;
    EXPECT_NE(
        refused.find("You have used 100 of the 100 tokens per day this pool allows you"),
        std::string::npos)
        << refused;
    EXPECT_NE(refused.find("\r\nRetry-After: "), std::string::npos) << refused;
    EXPECT_EQ(upstream.connections(), 1);
    const shared::UsageEntry record = next_record();
    EXPECT_EQ(record.status, 429);
    EXPECT_EQ(record.outcome, shared::RequestOutcome::refused);
}

TEST_F(UsersTest, ConcurrencyCountsWhatRuns)
{
    std::promise<void> arrived;
    std::promise<void> go_on;
    Upstream upstream([&](Peer& peer, int) {
        static_cast<void>(peer.message());
        arrived.set_value();
        go_on.get_future().wait();
        peer.send(ok(kAnswer));
    });
    set_upstream("claude", upstream.port());
    add_account("claude:a", shared::ProviderId::claude);
    shared::UserLimits limits;
    limits.concurrency = 1;
    const shared::UserSlot user = publish(limits);
    start();
    Peer first = connect();
    first.send(post("/v1/messages", kMessages, bearer()));
    arrived.get_future().wait();
    EXPECT_EQ(shared::user_in_flight(segment_, user), 1U);
    const std::string refused = turn(bearer());
    EXPECT_EQ(refused.substr(0, 12), "HTTP/1.1 429");
    EXPECT_NE(refused.find("1 of the 1 requests running"), std::string::npos) << refused;
    go_on.set_value();
    EXPECT_EQ(first.message().substr(0, 12), "HTTP/1.1 200");
    for (int i = 0; i < 2; ++i)
        static_cast<void>(next_record());
    EXPECT_EQ(shared::user_in_flight(segment_, user), 0U);
}

TEST_F(UsersTest, AModelOrProviderThatIsNotAllowedIsSaid)
{
    add_account("claude:a", shared::ProviderId::claude);
    shared::UserLimits limits;
    limits.models = "claude-y*";
    publish(limits);
    start();
    EXPECT_NE(turn(bearer()).find("does not allow you this model"), std::string::npos);
    limits.models = {};
    limits.providers = 1U << static_cast<unsigned>(shared::ProviderId::codex);
    publish(limits);
    EXPECT_NE(turn(bearer()).find("does not allow you this provider"), std::string::npos);
}

} // namespace
} // namespace worker_test
