/// An account with a proxy_url of its own: its requests go that way and no other.
#include "tests/support/tiny_socks5_server.hpp"
#include "tests/worker/worker_fixture.hpp"

#include <fmt/format.h>

namespace worker_test {
namespace {

class AccountProxy : public WorkerTest {
protected:
    void set_proxy(shared::AccountSlot account, const std::string& url)
    {
        segment_.accounts[account.value].with_lock(
            [&](shared::AccountRecord& record) { record.identity.proxy_url.assign(url); });
        segment_.roster_version.fetch_add(1);
    }

    void only(shared::AccountSlot account)
    {
        for (std::uint16_t i = 0; i < segment_.account_slots.load(); ++i) {
            segment_.accounts[i].with_lock([&](shared::AccountRecord& record) {
                record.routing.state = i == account.value ? shared::AccountState::ready
                                                          : shared::AccountState::disabled;
            });
        }
    }

    int served()
    {
        const int status = Peer::status(ask(post("/v1/responses", "{}")));
        static_cast<void>(next_record());
        return status;
    }
};

TEST_F(AccountProxy, EachAccountGoesItsOwnWayAndKeptConnectionsAreNotMixed)
{
    Upstream upstream(answering([](const std::string&) { return ok("fine"); }));
    set_upstream("codex", upstream.port());
    const tests::TinySocks5Server one(upstream.port());
    const tests::TinySocks5Server two(upstream.port(), "me", "p@ss");
    const auto a = add_account("codex:a");
    const auto b = add_account("codex:b");
    const auto direct = add_account("codex:direct");
    set_proxy(a, fmt::format("socks5://127.0.0.1:{}", one.port()));
    set_proxy(b, fmt::format("socks5://me:p%40ss@127.0.0.1:{}", two.port()));
    start();
    for (int round = 0; round < 2; ++round) {
        for (const auto account : {a, b, direct}) {
            only(account);
            EXPECT_EQ(served(), 200) << account.value;
        }
    }
    // The second round found each account's connection kept.
    EXPECT_EQ(one.asked().size(), 1U);
    EXPECT_EQ(two.asked().size(), 1U);
    EXPECT_EQ(one.asked().at(0), fmt::format("127.0.0.1:{}", upstream.port()));
    EXPECT_EQ(upstream.connections(), 3);
}

TEST_F(AccountProxy, WhatCannotBeUsedIsNotGoneAround)
{
    Upstream upstream(answering([](const std::string&) { return ok("fine"); }));
    set_upstream("codex", upstream.port());
    const auto account = add_account("codex:a");
    set_proxy(account, "socks9://nowhere");
    start();
    EXPECT_EQ(served(), 502);
    EXPECT_EQ(upstream.connections(), 0);

    // A proxy that refuses is a network fault: the next account serves.
    const tests::TinySocks5Server refusing(upstream.port(), "", "", 2);
    set_proxy(account, fmt::format("socks5://127.0.0.1:{}", refusing.port()));
    EXPECT_EQ(served(), 502);
    EXPECT_EQ(refusing.asked().size(), 1U);
    EXPECT_EQ(upstream.connections(), 0);
    EXPECT_GT(shared::penalty_now(routing(account), shared::now_unix()), 0U);
    add_account("codex:b");
    EXPECT_EQ(served(), 200);
}

} // namespace
} // namespace worker_test
