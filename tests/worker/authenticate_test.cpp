#include "shared/segment/segment.hpp"
#include "worker/authenticate.hpp"
#include "worker/own_routes.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace worker {
namespace {

using shared::Access;
using shared::Secret;
using shared::http::RequestHead;

RequestHead request(std::vector<shared::http::Field> fields)
{
    RequestHead head;
    head.method = "POST";
    head.fields.list = std::move(fields);
    return head;
}

constexpr shared::UnixMillis kNow{1'800'000'000'000};

/// A segment with one pool user, "ab12" of generation 2.
class AuthenticateTest : public testing::Test {
protected:
    AuthenticateTest() { publish(shared::UserState::active); }

    void publish(shared::UserState state, std::uint32_t generation = 2)
    {
        shared::UserPublication user;
        user.id = "ab12";
        user.generation = generation;
        user.state = state;
        static_cast<void>(shared::publish_user(segment_, user));
        shared::publish_users_done(segment_);
    }

    static AccessPolicy shared_policy()
    {
        AccessPolicy policy;
        policy.shared_mode = true;
        policy.admin_password = Secret("p:w");
        policy.admin_token = Secret("tok");
        policy.user_key = Secret("a key of at least thirty-two characters");
        return policy;
    }

    AccessDecision
    ask(const AccessPolicy& policy,
        Access needed,
        std::vector<shared::http::Field> fields,
        bool own_route = true,
        const char* peer = "127.0.0.1")
    {
        Authenticator authenticator(policy, segment_);
        Approach approach;
        approach.needed = needed;
        approach.own_route = own_route;
        approach.client = shared::IpAddress::parse(peer);
        approach.peer_is_loopback = approach.client.is_loopback();
        approach.now = now_;
        return authenticator.decide(approach, request(std::move(fields)));
    }

    Refusal local(std::vector<shared::http::Field> fields, bool loopback_peer = true)
    {
        const char* peer = loopback_peer ? "127.0.0.1" : "192.0.2.1";
        return ask({}, Access::user, std::move(fields), false, peer).refusal;
    }

    Refusal owner(std::vector<shared::http::Field> fields)
    {
        // Each from an address of its own: wrong tries are another test's business.
        const std::string peer = "192.0.2." + std::to_string(++peers_);
        return ask(shared_policy(), Access::owner, std::move(fields), true, peer.c_str()).refusal;
    }

    /// A vendor's route, as a CLI calls it.
    AccessDecision call(std::vector<shared::http::Field> fields)
    {
        return ask(shared_policy(), Access::user, std::move(fields), false, "192.0.2.1");
    }

    std::string credential(std::string_view prefix, std::uint32_t generation = 2) const
    {
        const shared::CredentialKey key(shared_policy().user_key);
        return key.issue(prefix, "ab12", generation, kNow);
    }

    shared::UnixMillis now_ = kNow;
    shared::SegmentMapping mapping_ = *shared::SegmentMapping::create(kNow);
    shared::Segment& segment_ = *mapping_;
    int peers_ = 0;
};

TEST_F(AuthenticateTest, LocalServesThisMachine)
{
    EXPECT_EQ(local({{"Host", "127.0.0.1:8989"}}), Refusal::none);
    EXPECT_EQ(local({{"Host", "localhost:8989"}}), Refusal::none);
    EXPECT_EQ(local({{"Host", "[::1]:8989"}}), Refusal::none);
    EXPECT_EQ(
        local({{"Host", "localhost:8989"}, {"Origin", "http://localhost:8989"}}), Refusal::none)
        << "the pool's own page";
}

TEST_F(AuthenticateTest, LocalRefusesOtherPeersHostsAndPages)
{
    EXPECT_EQ(local({{"Host", "127.0.0.1:8989"}}, false), Refusal::forbidden);
    for (const char* host :
         {"evil.example",
          "127.0.0.1.evil.example",
          "localhost.evil.example",
          "192.168.1.4:8989",
          "127.1",
          "[::2]",
          "[::1].evil",
          "",
          "127.0.0.1@evil.example"}) {
        EXPECT_EQ(local({{"Host", host}}), Refusal::forbidden) << host;
    }
    for (const char* origin :
         {"https://evil.example",
          "null",
          "http://localhost:3000",
          "http://127.0.0.1:8989.evil.example",
          "file://",
          "chrome-extension://x"}) {
        EXPECT_EQ(local({{"Host", "127.0.0.1:8989"}, {"Origin", origin}}), Refusal::forbidden)
            << origin;
    }
    EXPECT_EQ(
        local({{"Host", "127.0.0.1:8989"}, {"Sec-Fetch-Site", "cross-site"}}), Refusal::forbidden);
}

TEST_F(AuthenticateTest, SharedTheOwnerHasThreeWaysIn)
{
    EXPECT_EQ(owner({{"Authorization", "Basic YWRtaW46cDp3"}}), Refusal::none); // admin:p:w
    EXPECT_EQ(owner({{"Authorization", "Bearer tok"}}), Refusal::none);
    EXPECT_EQ(owner({{"X-Admin-Token", "tok"}}), Refusal::none);
}

TEST_F(AuthenticateTest, SharedNobodyElseIsTheOwnerNotEvenFromLoopback)
{
    EXPECT_EQ(owner({}), Refusal::unauthorized);
    EXPECT_EQ(owner({{"Authorization", "Basic YWRtaW46d3Jvbmc="}}), Refusal::unauthorized);
    EXPECT_EQ(owner({{"Authorization", "Basic cm9vdDpwOnc="}}), Refusal::unauthorized); // root:p:w
    EXPECT_EQ(owner({{"Authorization", "Basic !!"}}), Refusal::unauthorized);
    EXPECT_EQ(owner({{"Authorization", "Bearer "}}), Refusal::unauthorized);
    EXPECT_EQ(owner({{"Authorization", "Bearer toK"}}), Refusal::unauthorized);
    EXPECT_EQ(owner({{"X-Admin-Token", ""}}), Refusal::unauthorized);
    EXPECT_EQ(owner({{"Authorization", "tok"}}), Refusal::unauthorized);
}

TEST_F(AuthenticateTest, SharedAnUnsetSecretLetsNobodyIn)
{
    AccessPolicy policy;
    policy.shared_mode = true;
    for (const char* value : {"Basic YWRtaW46", "Bearer ", "Bearer x"}) { // admin:<empty>
        EXPECT_EQ(
            ask(policy, Access::owner, {{"Authorization", value}}).refusal, Refusal::unauthorized);
    }
}

TEST_F(AuthenticateTest, SharedAForeignPageCannotUseTheOwnersBrowser)
{
    EXPECT_EQ(
        owner(
            {{"Host", "pool.lan"},
             {"Authorization", "Basic YWRtaW46cDp3"},
             {"Origin", "https://evil.example"}}),
        Refusal::forbidden);
}

TEST_F(AuthenticateTest, AUserIsKnownByEveryShapeOfItsCredential)
{
    const std::string claude = credential("sk-ant-oat01-pool-");
    for (const auto& fields : std::vector<std::vector<shared::http::Field>>{
             {{"Authorization", "Bearer "}},
             {{"X-Api-Key", ""}},
             {{"X-Goog-Api-Key", ""}},
         }) {
        const std::string value = std::string(fields[0].value) + claude;
        const AccessDecision decision = call({{fields[0].name, value}});
        EXPECT_EQ(decision.refusal, Refusal::none) << fields[0].name;
        EXPECT_EQ(decision.user.view(), "ab12");
        EXPECT_EQ(decision.role, Role::user);
        EXPECT_TRUE(decision.pool_user.is_set());
        EXPECT_EQ(decision.generation, 2U);
    }
}

TEST_F(AuthenticateTest, WhoeverIsNoUserIsNotServed)
{
    for (const char* value : {"Bearer anything", "Bearer tok", "Basic YWRtaW46cDp3", "Bearer "})
        EXPECT_EQ(call({{"Authorization", value}}).refusal, Refusal::unauthorized) << value;
    EXPECT_EQ(call({}).refusal, Refusal::unauthorized);
    const std::string refresh = "Bearer " + credential(shared::kRefreshPrefix);
    EXPECT_EQ(call({{"Authorization", refresh}}).refusal, Refusal::unauthorized);
    const std::string session = "Bearer " + credential(shared::kSessionPrefix);
    EXPECT_EQ(call({{"Authorization", session}}).refusal, Refusal::unauthorized);
}

TEST_F(AuthenticateTest, AGoodSignatureIsNotEnough)
{
    const std::string bearer = "Bearer " + credential("sk-ant-oat01-pool-");
    publish(shared::UserState::disabled);
    EXPECT_EQ(call({{"Authorization", bearer}}).refusal, Refusal::user_disabled);
    publish(shared::UserState::active, 3);
    EXPECT_EQ(call({{"Authorization", bearer}}).refusal, Refusal::user_disabled) << "rotated";
    publish(shared::UserState::deleted);
    EXPECT_EQ(call({{"Authorization", bearer}}).refusal, Refusal::user_disabled);
    const shared::CredentialKey key(shared_policy().user_key);
    const std::string unknown = "Bearer " + key.issue("sk-ant-oat01-pool-", "zz99", 1, kNow);
    EXPECT_EQ(call({{"Authorization", unknown}}).refusal, Refusal::user_disabled);
}

TEST_F(AuthenticateTest, BeforeUsersAreKnownNobodyIsCalledUnknown)
{
    segment_.users.version.store(0);
    const std::string bearer = "Bearer " + credential("sk-ant-oat01-pool-");
    EXPECT_EQ(call({{"Authorization", bearer}}).refusal, Refusal::starting);
}

TEST_F(AuthenticateTest, ACookieOpensPagesAndNothingElse)
{
    const std::string cookie =
        "theme=dark; codex_pool_session=" + credential(shared::kSessionPrefix) + "; x=y";
    const AccessDecision page = ask(shared_policy(), Access::user, {{"Cookie", cookie}});
    EXPECT_EQ(page.refusal, Refusal::none);
    EXPECT_TRUE(page.by_session);
    EXPECT_EQ(page.user.view(), "ab12");
    EXPECT_EQ(call({{"Cookie", cookie}}).refusal, Refusal::unauthorized) << "a vendor's route";
    EXPECT_EQ(owner({{"Cookie", cookie}}), Refusal::forbidden) << "a user is not the owner";
    publish(shared::UserState::active, 3);
    EXPECT_EQ(
        ask(shared_policy(), Access::user, {{"Cookie", cookie}}).refusal, Refusal::unauthorized)
        << "rotated keys end sessions";
}

TEST_F(AuthenticateTest, TheOwnersSessionEndsWithItsPassword)
{
    const shared::CredentialKey key(shared_policy().user_key);
    const auto generation = key.owner_generation(Secret("p:w"));
    const std::string session =
        key.issue(shared::kSessionPrefix, shared::kOwnerUser, generation, kNow);
    const std::string cookie = "codex_pool_session=" + session;
    EXPECT_EQ(owner({{"Cookie", cookie}}), Refusal::none);
    AccessPolicy changed = shared_policy();
    changed.admin_password = Secret("another");
    EXPECT_EQ(ask(changed, Access::owner, {{"Cookie", cookie}}).refusal, Refusal::unauthorized);
    changed.admin_password = Secret();
    EXPECT_EQ(ask(changed, Access::owner, {{"Cookie", cookie}}).refusal, Refusal::unauthorized);
}

TEST_F(AuthenticateTest, WrongTriesHaveToWaitAndARightOneToo)
{
    const auto from = [&](const char* peer, const char* password) {
        const shared::http::Field field{"X-Admin-Token", password};
        return ask(shared_policy(), Access::owner, {field}, true, peer);
    };
    for (int i = 0; i < 3; ++i)
        EXPECT_EQ(from("192.0.2.1", "wrong").refusal, Refusal::unauthorized);
    const AccessDecision held = from("192.0.2.1", "tok");
    EXPECT_EQ(held.refusal, Refusal::slow_down) << "or guessing would go on";
    EXPECT_EQ(held.retry_at, kNow.plus(std::chrono::seconds(1)));
    EXPECT_EQ(from("192.0.2.2", "tok").refusal, Refusal::none) << "others are not held up";
    now_ = now_.plus(std::chrono::seconds(1));
    EXPECT_EQ(from("192.0.2.1", "tok").refusal, Refusal::none);
}

TEST_F(AuthenticateTest, OpenRoutesKnowWhoIsThere)
{
    const auto open = [&](std::vector<shared::http::Field> fields) {
        return ask(shared_policy(), Access::open, std::move(fields), true, "192.0.2.1");
    };
    EXPECT_EQ(open({}).refusal, Refusal::none);
    EXPECT_EQ(open({}).role, Role::nobody);
    const std::string cookie = "codex_pool_session=" + credential(shared::kSessionPrefix);
    EXPECT_EQ(open({{"Cookie", cookie}}).role, Role::user);
    for (int i = 0; i < 20; ++i)
        EXPECT_EQ(open({{"Authorization", "Bearer foreign"}}).refusal, Refusal::none)
            << "no try at the owner's secret";
}

TEST(OwnRoutes, EverythingBelowAdminIsTheOwnersAndStaysHere)
{
    for (const char* path :
         {"/status/requests", "/metrics", "/admin", "/admin/", "/admin/accounts", "/admin/x/y"}) {
        const auto route = own_route(path);
        ASSERT_TRUE(route) << path;
        EXPECT_EQ(route->access, Access::owner) << path;
    }
    for (const char* path :
         {"/status", "/status/usage", "/api/pool/stats", "/api/pool/users/a/daily"})
        EXPECT_EQ(own_route(path)->access, Access::user) << path;
    for (const char* path : {"/", "/healthz", "/favicon.ico", "/api/openapi.json"}) {
        EXPECT_EQ(own_route(path)->access, Access::open) << path;
    }
    for (const char* path : {"/administrator", "/v1/responses", "/healthzz", "/statuses"}) {
        EXPECT_FALSE(own_route(path)) << path;
    }
}

} // namespace
} // namespace worker
