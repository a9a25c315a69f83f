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

Refusal local(std::vector<shared::http::Field> fields, bool loopback_peer = true)
{
    return authenticate({}, Access::user, request(std::move(fields)), loopback_peer).refusal;
}

TEST(AuthenticateLocal, ServesThisMachine)
{
    EXPECT_EQ(local({{"Host", "127.0.0.1:8989"}}), Refusal::none);
    EXPECT_EQ(local({{"Host", "localhost:8989"}}), Refusal::none);
    EXPECT_EQ(local({{"Host", "[::1]:8989"}}), Refusal::none);
    EXPECT_EQ(
        local({{"Host", "localhost:8989"}, {"Origin", "http://localhost:8989"}}), Refusal::none)
        << "the pool's own page";
}

TEST(AuthenticateLocal, RefusesOtherPeersHostsAndPages)
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

AccessPolicy shared_policy()
{
    AccessPolicy policy;
    policy.shared_mode = true;
    policy.admin_password = Secret("p:w");
    policy.admin_token = Secret("tok");
    return policy;
}

Refusal owner(std::vector<shared::http::Field> fields)
{
    return authenticate(shared_policy(), Access::owner, request(std::move(fields)), true).refusal;
}

TEST(AuthenticateShared, TheOwnerHasThreeWaysIn)
{
    EXPECT_EQ(owner({{"Authorization", "Basic YWRtaW46cDp3"}}), Refusal::none); // admin:p:w
    EXPECT_EQ(owner({{"Authorization", "Bearer tok"}}), Refusal::none);
    EXPECT_EQ(owner({{"X-Admin-Token", "tok"}}), Refusal::none);
}

TEST(AuthenticateShared, NobodyElseIsTheOwnerNotEvenFromLoopback)
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

TEST(AuthenticateShared, AnUnsetSecretLetsNobodyIn)
{
    AccessPolicy policy;
    policy.shared_mode = true;
    for (const char* value : {"Basic YWRtaW46", "Bearer ", "Bearer x"}) { // admin:<empty>
        const auto head = request({{"Authorization", value}});
        EXPECT_EQ(authenticate(policy, Access::owner, head, true).refusal, Refusal::unauthorized);
    }
}

TEST(AuthenticateShared, AForeignPageCannotUseTheOwnersBrowser)
{
    EXPECT_EQ(
        owner(
            {{"Host", "pool.lan"},
             {"Authorization", "Basic YWRtaW46cDp3"},
             {"Origin", "https://evil.example"}}),
        Refusal::forbidden);
}

TEST(AuthenticateShared, UsersComeLaterUntilThenNobodyIsServed)
{
    for (const char* value : {"Bearer anything", "Bearer tok", "Basic YWRtaW46cDp3"}) {
        const auto head = request({{"Authorization", value}});
        EXPECT_EQ(
            authenticate(shared_policy(), Access::user, head, true).refusal, Refusal::unauthorized);
    }
    EXPECT_EQ(
        authenticate(shared_policy(), Access::open, request({}), false).refusal, Refusal::none);
}

TEST(OwnRoutes, EverythingBelowAdminIsTheOwnersAndStaysHere)
{
    for (const char* path :
         {"/status", "/metrics", "/admin", "/admin/", "/admin/accounts", "/admin/x/y"}) {
        const auto route = own_route(path);
        ASSERT_TRUE(route) << path;
        EXPECT_EQ(route->access, Access::owner) << path;
    }
    for (const char* path : {"/", "/healthz", "/favicon.ico"}) {
        EXPECT_EQ(own_route(path)->access, Access::open) << path;
    }
    for (const char* path : {"/administrator", "/v1/responses", "/healthzz", "/statuses"}) {
        EXPECT_FALSE(own_route(path)) << path;
    }
}

} // namespace
} // namespace worker
