/// The worker's own limits: running requests, idle upstream connections.
#include "tests/worker/worker_fixture.hpp"
#include "worker/upstream_pool.hpp"

#include <array>

#include <sys/resource.h>
#include <sys/socket.h>

namespace worker_test {
namespace {

using worker::UpstreamPool;

class RunningRequests : public WorkerTest {};

TEST_F(RunningRequests, OneTooManyIsRefusedAndGoesOnWhenOneEnds)
{
    Upstream upstream(answering([](const std::string&) { return ok("fine"); }));
    set_upstream("codex", upstream.port());
    add_account("codex:a");
    start();
    std::vector<shared::RunningRequest> running;
    on_loop([&] {
        while (auto row = shared::RunningRequest::begin(segment_, slot_, {}))
            running.push_back(std::move(*row));
    });
    EXPECT_EQ(running.size(), shared::kRequestRows);

    Peer peer = connect();
    peer.send(post("/v1/responses", "{}"));
    const std::string refused = peer.message();
    EXPECT_EQ(Peer::status(refused), 503) << refused;
    EXPECT_NE(refused.find("as many requests as it can"), std::string::npos) << refused;
    EXPECT_EQ(upstream.connections(), 0);

    on_loop([&] { running.pop_back(); });
    peer.send(post("/v1/responses", "{}"));
    EXPECT_EQ(Peer::status(peer.message()), 200);
    on_loop([&] { running.clear(); });
}

/// Kept connections with their far ends.
class IdleConnections : public testing::Test {
protected:
    IdleConnections()
    {
        // More than users' usual 1,024.
        rlimit files{};
        ::getrlimit(RLIMIT_NOFILE, &files);
        files.rlim_cur = files.rlim_max;
        ::setrlimit(RLIMIT_NOFILE, &files);
    }

    /// Gives one to the pool and returns its far end.
    int give(const shared::http::BaseUrl& origin, std::int64_t now_ms)
    {
        std::array<int, 2> ends{};
        EXPECT_EQ(
            ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()), 0);
        pool_.give(origin, std::make_unique<shared::net::Stream>(loop_, ends[0]), now_ms);
        far_.emplace_back(ends[1]);
        return ends[1];
    }

    static bool closed(int far)
    {
        char byte = 0;
        return ::recv(far, &byte, 1, MSG_DONTWAIT) == 0;
    }

    shared::net::Loop loop_{1};
    UpstreamPool pool_;
    std::array<shared::http::BaseUrl, 8> origins_{};
    std::vector<Peer> far_;
};

TEST_F(IdleConnections, TheOldestOfAnOriginGivesWay)
{
    const int first = give(origins_[0], 1);
    for (std::size_t i = 1; i < UpstreamPool::kIdlePerOriginMax; ++i)
        give(origins_[0], 1);
    EXPECT_FALSE(closed(first));
    const int last = give(origins_[0], 2);
    EXPECT_EQ(pool_.idle(), UpstreamPool::kIdlePerOriginMax);
    EXPECT_TRUE(closed(first));
    EXPECT_FALSE(closed(last));
}

TEST_F(IdleConnections, BeyondTheTotalNoneIsKept)
{
    static_assert(UpstreamPool::kIdleTotalMax < 8 * UpstreamPool::kIdlePerOriginMax);
    for (std::size_t i = 0; i < UpstreamPool::kIdleTotalMax; ++i)
        give(origins_[i / UpstreamPool::kIdlePerOriginMax], 1);
    const int late = give(origins_[7], 2);
    EXPECT_EQ(pool_.idle(), UpstreamPool::kIdleTotalMax);
    EXPECT_TRUE(closed(late));
}

TEST_F(IdleConnections, AreClosedAfterTheirTime)
{
    const int old = give(origins_[0], 1000);
    const int fresh = give(origins_[0], 1001);
    pool_.expire(1000 + UpstreamPool::kIdleMsMax);
    EXPECT_TRUE(closed(old));
    EXPECT_FALSE(closed(fresh));
    EXPECT_EQ(pool_.idle(), 1U);
}

TEST_F(IdleConnections, OneThatWasClosedMeanwhileIsPassedOver)
{
    const int kept = give(origins_[0], 1);
    static_cast<void>(give(origins_[0], 1));
    far_.back().close();
    const auto asked = pool_.take(origins_[0], 2, false);
    ASSERT_NE(asked, nullptr);
    EXPECT_EQ(pool_.idle(), 0U);
    EXPECT_FALSE(closed(kept));

    static_cast<void>(give(origins_[0], 3));
    far_.back().close();
    EXPECT_EQ(pool_.take(origins_[0], 3, true), nullptr) << "must be asked even in the same tick";
}

} // namespace
} // namespace worker_test
