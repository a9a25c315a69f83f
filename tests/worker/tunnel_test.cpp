#include "shared/base/clock.hpp"
#include "shared/http/websocket.hpp"
#include "shared/segment/account_table.hpp"
#include "shared/segment/segment.hpp"
#include "shared/segment/worker_slots.hpp"
#include "worker/tunnel.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace worker {
namespace {

using namespace shared;
using http::encode_frame;
using http::encode_masked_frame;
using http::Opcode;

constexpr std::array<std::uint8_t, 4> kMask{1, 2, 3, 4};
constexpr std::string_view kCreate =
    R"({"type":"response.create","model":"gpt-5.5","prompt_cache_key":"conv-1","input":[]})";
constexpr std::string_view kCompleted =
    R"({"type":"response.completed","response":{"id":"r1","model":"gpt-5.5","usage":{"input_tokens":10,)"
    R"("input_tokens_details":{"cached_tokens":4},"output_tokens":5,"output_tokens_details":{"reasoning_tokens":2}}}})";
constexpr std::string_view kUsageLimit =
    R"({"type":"error","status":429,"error":{"type":"usage_limit_reached","message":"used up","resets_in_seconds":600}})";

std::string from_client(std::string_view text)
{
    return encode_masked_frame(Opcode::text, text, kMask);
}

std::string from_upstream(std::string_view text)
{
    return encode_frame(Opcode::text, text);
}

class TunnelTest : public testing::Test {
protected:
    TunnelTest()
    {
        add_account(0);
        config_.websocket_heartbeat_seconds = 15;
        int client[2];
        int upstream[2];
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, client);
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, upstream);
        client_end_ = client[0];
        upstream_end_ = upstream[0];
        client_ = std::make_unique<net::Stream>(loop_, client[1]);
        upstream_ = std::make_unique<net::Stream>(loop_, upstream[1]);
    }

    ~TunnelTest() override
    {
        close_client();
        close_upstream();
        settle();
    }

    void add_account(std::uint16_t slot)
    {
        segment_.account_slots.store(slot + 1U);
        segment_.accounts[slot].with_lock([](AccountRecord& record) {
            record.routing = {};
            record.routing.state = AccountState::ready;
            record.routing.provider = static_cast<std::uint8_t>(provider_id());
            record.routing.kind = static_cast<std::uint8_t>(CredentialKind::oauth);
        });
    }

    static ProviderId provider_id() { return ProviderId::codex; }

    void start()
    {
        TunnelStart start;
        start.provider = &registry_.get(provider_id());
        start.legs = {{CredentialKind::oauth, {provider_id(), 0}, "/responses", true}};
        start.first.user = "local";
        start.first.provider = static_cast<std::uint8_t>(provider_id());
        start.first.account = {0};
        start.pool_user = pool_user_;
        start.generation = 1;
        run(std::move(start));
        settle();
    }

    /// From here on it is this user's connection; keys of generation 1.
    void publish(const UserLimits& limits, std::uint32_t generation = 1)
    {
        UserPublication user;
        user.id = "ab12";
        user.generation = generation;
        user.limits = limits;
        pool_user_ = *publish_user(segment_, user);
    }

    net::Detached run(TunnelStart start)
    {
        co_await run_tunnel(state_, *client_, *upstream_, std::move(start));
        done_ = true;
        client_.reset();
        upstream_.reset();
    }

    /// Runs everything that can run now.
    void settle()
    {
        loop_.restart();
        while (loop_.poll() > 0) {
        }
    }

    void tick(std::int64_t seconds)
    {
        for (std::int64_t i = 0; i < seconds; ++i)
            state_.deadlines.tick(now_ms_ += 1000);
        settle();
    }

    void send(int fd, std::string_view bytes)
    {
        while (!bytes.empty()) {
            const ssize_t n = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (n > 0) bytes.remove_prefix(static_cast<std::size_t>(n));
            settle();
        }
    }

    std::string received(int fd)
    {
        settle();
        std::string all;
        char buffer[65536];
        for (ssize_t n = 0; (n = recv(fd, buffer, sizeof(buffer), 0)) > 0;) {
            all.append(buffer, static_cast<std::size_t>(n));
            settle();
        }
        return all;
    }

    void close_client()
    {
        if (client_end_ >= 0) close(client_end_);
        client_end_ = -1;
    }

    void close_upstream()
    {
        if (upstream_end_ >= 0) close(upstream_end_);
        upstream_end_ = -1;
    }

    std::vector<UsageEntry> rows()
    {
        std::vector<UsageEntry> all;
        drain_ring(segment_.usage[slot_], kUsageRingEntries, [&](const UsageEntry& e) {
            all.push_back(e);
        });
        return all;
    }

    net::Loop loop_{1};
    ProviderRegistry registry_;
    Config config_;
    net::ProxySettings proxy_;
    SegmentMapping mapping_ = *SegmentMapping::create(now_unix());
    Segment& segment_ = *mapping_;
    std::uint16_t slot_ = *claim_slot(segment_, 1);
    WorkerState state_{
        loop_, config_, registry_, segment_, slot_, nullptr, proxy_, std::chrono::seconds(1)};
    std::unique_ptr<net::Stream> client_;
    std::unique_ptr<net::Stream> upstream_;
    int client_end_ = -1;
    int upstream_end_ = -1;
    bool done_ = false;
    UserSlot pool_user_;
    std::int64_t now_ms_ = now_monotonic_us() / 1000;
};

TEST_F(TunnelTest, FramesPassUnchangedBothWaysHoweverSplit)
{
    start();
    const std::string up = from_client(kCreate) + encode_masked_frame(Opcode::ping, "p", kMask) +
                           encode_masked_frame(Opcode::binary, std::string(200'000, 'b'), kMask);
    const std::string down = from_upstream(R"({"type":"response.created"})") +
                             encode_frame(Opcode::pong, "p") +
                             from_upstream(std::string(300'000, 'x')) + from_upstream(kCompleted);
    std::string got;
    for (std::size_t at = 0; at < up.size(); at += 7777) {
        send(upstream_end_ >= 0 ? client_end_ : -1, std::string_view(up).substr(at, 7777));
        got += received(upstream_end_);
    }
    EXPECT_EQ(got, up);
    got.clear();
    for (std::size_t at = 0; at < 40; ++at) {
        send(upstream_end_, std::string_view(down).substr(at, 1));
        got += received(client_end_);
    }
    for (std::size_t at = 40; at < down.size(); at += 9999) {
        send(upstream_end_, std::string_view(down).substr(at, 9999));
        got += received(client_end_);
    }
    EXPECT_EQ(got, down);
    const auto all = rows();
    ASSERT_EQ(all.size(), 1U);
    EXPECT_EQ(all[0].output, 5) << "junk in between does not end the turn";
}

TEST_F(TunnelTest, EveryTurnIsARowWithItsUsage)
{
    start();
    for (int turn = 0; turn < 2; ++turn) {
        send(client_end_, from_client(kCreate));
        EXPECT_EQ(in_flight(segment_, {0}), 1U);
        send(upstream_end_, from_upstream(kCompleted));
        EXPECT_EQ(in_flight(segment_, {0}), 0U) << "between turns the account is free";
    }
    const auto all = rows();
    ASSERT_EQ(all.size(), 2U);
    EXPECT_EQ(all[1].input, 10);
    EXPECT_EQ(all[1].cached_input, 4);
    EXPECT_EQ(all[1].output, 5);
    EXPECT_EQ(all[1].reasoning, 2);
    EXPECT_EQ(all[1].model.view(), "gpt-5.5");
    EXPECT_EQ(all[1].outcome, RequestOutcome::completed);
    const auto key = pin_key("local", static_cast<std::uint8_t>(provider_id()), "conv-1");
    EXPECT_EQ(find_pin(segment_, key, now_unix(), std::chrono::hours(1))->value, 0);
}

TEST_F(TunnelTest, ATurnBeyondItsUsersLimitReachesNoUpstream)
{
    UserLimits limits;
    limits.tokens_per_day = 10;
    publish(limits);
    start();
    send(client_end_, from_client(kCreate));
    EXPECT_EQ(received(upstream_end_), from_client(kCreate));
    EXPECT_EQ(user_in_flight(segment_, pool_user_), 1U);
    send(upstream_end_, from_upstream(kCompleted));
    EXPECT_EQ(user_in_flight(segment_, pool_user_), 0U);
    EXPECT_EQ(received(client_end_), from_upstream(kCompleted));

    const std::string second = from_client(kCreate);
    send(client_end_, second.substr(0, 3));
    send(client_end_, second.substr(3));
    EXPECT_EQ(received(upstream_end_), "");
    const std::string said = received(client_end_);
    EXPECT_NE(said.find("11 of the 10 tokens per day"), std::string::npos) << said;
    EXPECT_FALSE(done_) << "the connection stays";
    EXPECT_EQ(user_in_flight(segment_, pool_user_), 0U);

    limits.tokens_per_day = 1000;
    publish(limits);
    send(client_end_, from_client(kCreate));
    EXPECT_EQ(received(upstream_end_), from_client(kCreate)) << "the owner has lifted the limit";
}

TEST_F(TunnelTest, AMessageThatStartsNoTurnIsNotCounted)
{
    publish({});
    start();
    send(client_end_, from_client(R"({"type":"response.cancel"})"));
    EXPECT_EQ(user_in_flight(segment_, pool_user_), 0U);
    EXPECT_EQ(received(upstream_end_), from_client(R"({"type":"response.cancel"})"));
}

TEST_F(TunnelTest, AModelThatTheUserMayNotUseReachesNoUpstream)
{
    UserLimits limits;
    limits.models = "gpt-4*";
    publish(limits);
    start();
    const std::string message = from_client(kCreate);
    send(client_end_, message.substr(0, 40)); // the model is named in the rest
    EXPECT_EQ(received(upstream_end_), "");
    send(client_end_, message.substr(40));
    EXPECT_EQ(received(upstream_end_), "");
    const std::string said = received(client_end_);
    EXPECT_NE(said.find("does not allow you this model"), std::string::npos) << said;
    EXPECT_FALSE(done_) << "the connection stays";
    EXPECT_EQ(user_in_flight(segment_, pool_user_), 0U);
    EXPECT_TRUE(rows().empty());

    // One that is allowed goes out as it came, once it is whole.
    std::string allowed(kCreate);
    allowed.replace(allowed.find("gpt-5.5"), 7, "gpt-4.1");
    const std::string good = from_client(allowed);
    send(client_end_, good.substr(0, 30));
    EXPECT_EQ(received(upstream_end_), "");
    send(client_end_, good.substr(30));
    EXPECT_EQ(received(upstream_end_), good);
}

TEST_F(TunnelTest, AMessageThatIsTooLongToNameItsModelEndsTheConnection)
{
    config_.max_replay_bytes = 1000;
    UserLimits limits;
    limits.models = "gpt-4*";
    publish(limits);
    start();
    const std::string message =
        from_client(R"({"input":")" + std::string(2000, 'x') + R"(","model":"gpt-5.5"})");
    send(client_end_, message.substr(0, 900));
    EXPECT_FALSE(done_);
    send(client_end_, message.substr(900));
    EXPECT_TRUE(done_);
    EXPECT_LT(received(upstream_end_).size(), 100U) << "a close frame at most";
    EXPECT_NE(received(client_end_).find("too long to be looked into"), std::string::npos);
}

TEST_F(TunnelTest, ARevokedUserLosesTheConnectionWithinASecond)
{
    publish({});
    start();
    send(client_end_, from_client(kCreate));
    static_cast<void>(received(upstream_end_));
    publish({}, 2);
    tick(1);
    const std::string expected = encode_frame(
        Opcode::close, http::close_payload(1008, "this pool user may not call any more"));
    EXPECT_EQ(received(client_end_), expected);
    EXPECT_TRUE(done_);
    const auto all = rows();
    ASSERT_EQ(all.size(), 1U);
    EXPECT_EQ(all[0].outcome, RequestOutcome::refused);
}

TEST_F(TunnelTest, ATurnWhoseBeginningCouldNotBeReadIsCountedAllTheSame)
{
    config_.max_replay_bytes = 10;
    start();
    send(client_end_, from_client(kCreate));
    send(upstream_end_, from_upstream(kCompleted));
    const auto all = rows();
    ASSERT_EQ(all.size(), 1U);
    EXPECT_EQ(all[0].output, 5);
}

TEST_F(TunnelTest, ARateLimitBecomesStartOverWhileAnotherAccountCanServe)
{
    add_account(1);
    start();
    send(client_end_, from_client(kCreate));
    send(upstream_end_, from_upstream(kUsageLimit));
    const std::string got = received(client_end_);
    EXPECT_NE(got.find("previous_response_not_found"), std::string::npos);
    EXPECT_EQ(got.find("usage_limit_reached"), std::string::npos);
    EXPECT_TRUE(done_) << "the client's next connection goes to the other account";
    const auto condition_now = segment_.accounts[0].with_lock(
        [](AccountRecord& record) { return condition(record.routing, now_unix()); });
    EXPECT_EQ(condition_now, AccountCondition::exhausted);
    EXPECT_EQ(in_flight(segment_, {0}), 0U);
}

TEST_F(TunnelTest, WhenNobodyCanServeThePoolsOwnErrorIsSaid)
{
    start();
    send(client_end_, from_client(kCreate));
    send(upstream_end_, from_upstream(kUsageLimit));
    const std::string got = received(client_end_);
    EXPECT_NE(got.find("usage_limit_reached"), std::string::npos);
    EXPECT_EQ(got.find("previous_response_not_found"), std::string::npos);
    EXPECT_FALSE(done_);
}

TEST_F(TunnelTest, CloseFramesPassAndEndIt)
{
    start();
    const std::string bye = encode_frame(Opcode::close, http::close_payload(1013, "later"));
    send(upstream_end_, bye);
    close_upstream();
    EXPECT_EQ(received(client_end_), bye);
    EXPECT_TRUE(done_);
}

TEST_F(TunnelTest, AnUpstreamThatBreaksOffInATurnIsToldAs1011AfterItAs1000)
{
    start();
    send(client_end_, from_client(kCreate));
    close_upstream();
    const std::string got = received(client_end_);
    ASSERT_GE(got.size(), 4U);
    EXPECT_EQ(got.substr(2, 2), http::close_payload(1011, ""));
    const auto all = rows();
    ASSERT_EQ(all.size(), 1U);
    EXPECT_EQ(all[0].outcome, RequestOutcome::upstream_cut);
}

TEST_F(TunnelTest, AClientThatLeavesCostsNobodyAPenalty)
{
    start();
    send(client_end_, from_client(kCreate));
    close_client();
    settle();
    EXPECT_TRUE(done_);
    const auto all = rows();
    ASSERT_EQ(all.size(), 1U);
    EXPECT_EQ(all[0].outcome, RequestOutcome::client_gone);
    const auto penalty = segment_.accounts[0].with_lock(
        [](AccountRecord& record) { return record.routing.penalty_milli; });
    EXPECT_EQ(penalty, 0U);
}

TEST_F(TunnelTest, AnIdleConnectionIsClosedWith1012OnDrainARunningTurnFinishesFirst)
{
    start();
    send(client_end_, from_client(kCreate));
    state_.draining = true;
    tick(2);
    EXPECT_FALSE(done_);
    send(upstream_end_, from_upstream(kCompleted));
    tick(2);
    EXPECT_TRUE(done_);
    const std::string got = received(client_end_);
    EXPECT_NE(got.find(http::close_payload(1012, "")), std::string::npos);
}

TEST_F(TunnelTest, AMalformedFrameEndsItWith1002)
{
    start();
    send(client_end_, "\x83\x80mask");
    const std::string got = received(client_end_);
    ASSERT_GE(got.size(), 4U);
    EXPECT_EQ(got.substr(2, 2), http::close_payload(1002, ""));
    EXPECT_TRUE(done_);
}

TEST_F(TunnelTest, AMessageOverTheLimitEndsItWith1009)
{
    config_.websocket_read_limit_bytes = 1000;
    start();
    send(client_end_, from_client(std::string(1001, 'x')));
    const std::string got = received(client_end_);
    ASSERT_GE(got.size(), 4U);
    EXPECT_EQ(got.substr(2, 2), http::close_payload(1009, ""));
}

} // namespace
} // namespace worker
