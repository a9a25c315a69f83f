/// Requests that wait for an account: busy, soon back, their conversation's own, its token.
#include "tests/worker/worker_fixture.hpp"

#include <optional>
#include <vector>

namespace worker_test {
namespace {

constexpr std::string_view kTurn = R"({"model":"gpt-5","prompt_cache_key":"conv-1"})";
constexpr std::string_view kOther = R"({"model":"gpt-5","prompt_cache_key":"conv-2"})";

class WaitTest : public WorkerTest {
protected:
    WaitTest()
        : upstream_(answering([this](const std::string& request) {
              const std::lock_guard lock(mutex_);
              seen_.push_back(Peer::field(request, "authorization"));
              return ok(R"({"id":"r"})");
          }))
    {
        set_upstream("codex", upstream_.port());
    }

    ~WaitTest() override { stop(); }

    shared::AccountSlot add_capped(std::string_view id, std::uint16_t cap)
    {
        const shared::AccountSlot slot = add_account(id);
        change(slot, [cap](shared::AccountRouting& routing) { routing.max_concurrency = cap; });
        return slot;
    }

    void change(shared::AccountSlot slot, const std::function<void(shared::AccountRouting&)>& f)
    {
        segment_.accounts[slot.value].with_lock(
            [&](shared::AccountRecord& record) { f(record.routing); });
    }

    /// A request of another worker that runs on this account.
    void occupy(shared::AccountSlot account)
    {
        if (!other_slot_) other_slot_ = shared::claim_slot(segment_, 1);
        auto row = shared::RunningRequest::begin(segment_, *other_slot_, shared::UsageEntry());
        row->assign(account);
        elsewhere_.push_back(std::move(*row));
    }

    void end_elsewhere()
    {
        for (auto& row : elsewhere_)
            row.finish(shared::RequestOutcome::completed, shared::now_unix());
        elsewhere_.clear();
    }

    [[nodiscard]] bool queue_becomes(std::uint32_t waiting) const
    {
        for (int i = 0; i < 2000; ++i) {
            if (shared::waiting_requests(segment_) == waiting) return true;
            std::this_thread::sleep_for(5ms);
        }
        return false;
    }

    /// A whole turn: what it taught is learnt when this returns.
    shared::UsageEntry served(std::string_view turn)
    {
        EXPECT_EQ(Peer::status(ask(post("/v1/responses", turn))), 200);
        return next_record();
    }

    [[nodiscard]] std::vector<std::string> seen()
    {
        const std::lock_guard lock(mutex_);
        return seen_;
    }

    std::mutex mutex_;
    std::vector<std::string> seen_;
    Upstream upstream_;
    std::optional<std::uint16_t> other_slot_;
    std::vector<shared::RunningRequest> elsewhere_;
};

TEST_F(WaitTest, ARequestWaitsForABusyAccountAndSaysHowLong)
{
    const auto account = add_capped("codex:a", 1);
    start();
    occupy(account);
    Peer client = connect();
    client.send(post("/v1/responses", kTurn));
    ASSERT_TRUE(queue_becomes(1));
    EXPECT_FALSE(client.hears_within(50ms)) << "nothing is sent while it waits";
    EXPECT_TRUE(seen().empty());
    end_elsewhere();
    const std::string answer = client.message();
    EXPECT_EQ(Peer::status(answer), 200);
    const shared::UsageEntry entry = next_record();
    EXPECT_GE(entry.queued_ms, 50U);
    EXPECT_LT(entry.own_us, entry.queued_ms * 1000) << "waiting is not the pool's own work";
    EXPECT_EQ(shared::waiting_requests(segment_), 0U);
    EXPECT_EQ(in_flight(account), 0U);
}

TEST_F(WaitTest, AFullAccountIsPassedOverWhileAnotherHasRoom)
{
    const auto full = add_capped("codex:a", 1);
    add_capped("codex:b", 1);
    start();
    occupy(full);
    EXPECT_EQ(Peer::status(ask(post("/v1/responses", kTurn))), 200);
    EXPECT_EQ(seen(), std::vector<std::string>{"Bearer token-of-codex:b"});
}

TEST_F(WaitTest, ItsOwnRequestsFreePlacesToo)
{
    const auto account = add_capped("codex:a", 1);
    start();
    std::vector<Peer> clients;
    occupy(account);
    for (int i = 0; i < 10; ++i) {
        clients.push_back(connect());
        clients.back().send(post("/v1/responses", kTurn));
    }
    ASSERT_TRUE(queue_becomes(10));
    end_elsewhere();
    for (Peer& client : clients)
        EXPECT_EQ(Peer::status(client.message()), 200);
    for (std::size_t i = 0; i < clients.size(); ++i)
        EXPECT_EQ(next_record().account, account);
    EXPECT_EQ(in_flight(account), 0U);
}

TEST_F(WaitTest, WhoWaitsTooLongIsToldThatThePoolIsBusy)
{
    config_.queue_timeout_seconds = 1;
    const auto account = add_capped("codex:a", 1);
    start();
    occupy(account);
    const std::string answer = ask(post("/v1/responses", kTurn));
    EXPECT_EQ(Peer::status(answer), 503);
    EXPECT_NE(Peer::body(answer).find("busy"), std::string::npos) << answer;
    EXPECT_EQ(next_record().outcome, shared::RequestOutcome::refused);
    EXPECT_EQ(shared::waiting_requests(segment_), 0U);
    EXPECT_EQ(in_flight(account), 1U) << "the other worker's";
}

TEST_F(WaitTest, WithoutAQueueItIsToldAtOnce)
{
    config_.queue_timeout_seconds = 0;
    const auto account = add_capped("codex:a", 1);
    start();
    occupy(account);
    EXPECT_EQ(Peer::status(ask(post("/v1/responses", kTurn))), 503);
}

TEST_F(WaitTest, ACoolDownThatEndsSoonIsWaitedForAndALongOneIsNot)
{
    const auto account = add_account("codex:a");
    start();
    change(account, [](shared::AccountRouting& routing) {
        routing.cooling_until = shared::now_unix().plus(300ms);
        routing.cooling_end_known = true;
    });
    EXPECT_GT(served(kTurn).queued_ms, 0U);
    change(account, [](shared::AccountRouting& routing) {
        routing.cooling_until = shared::now_unix().plus(3600s);
        routing.cooling_end_known = true;
    });
    const std::string answer = ask(post("/v1/responses", kTurn));
    EXPECT_EQ(Peer::status(answer), 429);
    EXPECT_NE(Peer::field(answer, "retry-after"), "");
    EXPECT_EQ(next_record().queued_ms, 0U);
}

TEST_F(WaitTest, AnAccountThatAsksForASecondIsAskedAgainAfterIt)
{
    std::atomic<int> asked{0};
    Upstream upstream(answering([&](const std::string&) {
        return ++asked == 1
                   ? status_answer(
                         429,
                         R"({"error":{"type":"rate_limit_exceeded","message":"slow down"}})",
                         "Retry-After: 1\r\n")
                   : ok(R"({"id":"r"})");
    }));
    set_upstream("codex", upstream.port());
    add_account("codex:a");
    start();
    EXPECT_EQ(Peer::status(ask(post("/v1/responses", kTurn))), 200);
    EXPECT_EQ(next_record().attempts, 2);
}

TEST_F(WaitTest, AClientThatLeavesLeavesTheQueue)
{
    const auto account = add_capped("codex:a", 1);
    start();
    occupy(account);
    Peer client = connect();
    client.send(post("/v1/responses", kTurn));
    ASSERT_TRUE(queue_becomes(1));
    client.reset();
    EXPECT_TRUE(queue_becomes(0));
    EXPECT_EQ(next_record().outcome, shared::RequestOutcome::client_gone);
    EXPECT_TRUE(seen().empty());
}

TEST_F(WaitTest, WhatSpendsNothingDoesNotWait)
{
    const auto account = add_capped("codex:a", 1);
    start();
    occupy(account);
    EXPECT_EQ(Peer::status(ask(get("/v1/models?client_version=1"))), 200);
    EXPECT_EQ(seen().size(), 1U);
}

TEST_F(WaitTest, AConversationWaitsForItsOwnAccount)
{
    const auto own = add_capped("codex:a", 1);
    start();
    static_cast<void>(served(kTurn));
    add_capped("codex:b", 1);
    occupy(own);
    Peer client = connect();
    client.send(post("/v1/responses", kTurn));
    ASSERT_TRUE(queue_becomes(1));
    EXPECT_EQ(Peer::status(ask(post("/v1/responses", kOther))), 200) << "others need not wait";
    end_elsewhere();
    EXPECT_EQ(Peer::status(client.message()), 200);
    EXPECT_EQ(
        seen(),
        (std::vector<std::string>{
            "Bearer token-of-codex:a", "Bearer token-of-codex:b", "Bearer token-of-codex:a"}));
    EXPECT_EQ(segment_.pin_moves.away[own.value].load(), 0U);
}

TEST_F(WaitTest, AConversationMovesWhenItsAccountIsNotBackInTime)
{
    config_.max_wait_for_pinned_seconds = 1;
    const auto own = add_capped("codex:a", 1);
    start();
    static_cast<void>(served(kTurn));
    const auto other = add_capped("codex:b", 1);
    occupy(own);
    static_cast<void>(served(kTurn));
    EXPECT_EQ(seen().back(), "Bearer token-of-codex:b");
    EXPECT_EQ(segment_.pin_moves.away[own.value].load(), 1U);
    EXPECT_EQ(segment_.pin_moves.here[other.value].load(), 1U);
    EXPECT_EQ(segment_.workers[slot_].counters.pins_moved.load(), 1U);
    // From here on it lives there.
    end_elsewhere();
    static_cast<void>(served(kTurn));
    EXPECT_EQ(seen().back(), "Bearer token-of-codex:b");
}

TEST_F(WaitTest, AConversationMovesAtOnceFromABackOffOfOurOwn)
{
    const auto own = add_account("codex:a");
    start();
    static_cast<void>(served(kTurn));
    add_account("codex:b");
    change(own, [](shared::AccountRouting& routing) {
        routing.cooling_until = shared::now_unix().plus(2s);
        routing.cooling_end_known = false;
    });
    static_cast<void>(served(kTurn));
    EXPECT_EQ(seen().back(), "Bearer token-of-codex:b");
}

TEST_F(WaitTest, AConversationMovesAtOnceFromAnAccountThatIsGoneForLong)
{
    const auto own = add_account("codex:a");
    start();
    static_cast<void>(served(kTurn));
    add_account("codex:b");
    change(own, [](shared::AccountRouting& routing) {
        routing.cooling_until = shared::now_unix().plus(3600s);
        routing.cooling_end_known = true;
    });
    EXPECT_EQ(served(kTurn).queued_ms, 0U);
    EXPECT_EQ(seen().back(), "Bearer token-of-codex:b");
}

TEST_F(WaitTest, ATokenAboutToEndIsNotSentIfItsSuccessorIsOnItsWay)
{
    const auto account = add_account("codex:a");
    change(account, [](shared::AccountRouting& routing) {
        routing.expires_at = shared::now_unix().plus(5s);
    });
    segment_.refreshing_until[account.value].store(shared::now_unix().plus(10s).value);
    start();
    Peer client = connect();
    client.send(post("/v1/responses", kTurn));
    EXPECT_FALSE(client.hears_within(100ms));
    EXPECT_TRUE(seen().empty());
    ASSERT_TRUE(shared::store_token(segment_, account, "fresh"));
    EXPECT_EQ(Peer::status(client.message()), 200);
    EXPECT_EQ(seen(), std::vector<std::string>{"Bearer fresh"});
}

TEST_F(WaitTest, NobodyWaitsForARefreshThatDoesNotCome)
{
    const auto account = add_account("codex:a");
    change(account, [](shared::AccountRouting& routing) {
        routing.expires_at = shared::now_unix().plus(5s);
    });
    start();
    // None is in flight: what there is goes upstream.
    EXPECT_EQ(served(kTurn).queued_ms, 0U);
    // One is, and is over without a token.
    segment_.refreshing_until[account.value].store(shared::now_unix().plus(300ms).value);
    EXPECT_GT(served(kTurn).queued_ms, 0U);
    // A token with time left is sent whatever is under way.
    change(account, [](shared::AccountRouting& routing) {
        routing.expires_at = shared::now_unix().plus(600s);
    });
    segment_.refreshing_until[account.value].store(shared::now_unix().plus(10s).value);
    EXPECT_EQ(served(kTurn).queued_ms, 0U);
}

TEST_F(WaitTest, WhoWaitsWhenTheWorkerStopsIsTold)
{
    const auto account = add_capped("codex:a", 1);
    start();
    occupy(account);
    Peer client = connect();
    client.send(post("/v1/responses", kTurn));
    ASSERT_TRUE(queue_becomes(1));
    stop();
    EXPECT_EQ(Peer::status(client.message()), 503);
    EXPECT_EQ(shared::waiting_requests(segment_), 0U);
}

} // namespace
} // namespace worker_test
