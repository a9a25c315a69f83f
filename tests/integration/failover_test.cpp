/// Failures of one account are invisible while another can serve; when none can, each CLI hears it in its dialect.
#include "tests/integration/harness.hpp"

#include <nlohmann/json.hpp>

#include <ostream>
#include <tuple>

namespace tests {
namespace {

using Json = nlohmann::json;

enum class Failure {
    unauthorized,
    forbidden,
    limit_with_reset,
    limit_without_reset,
    internal,
    unavailable,
    overloaded,
    challenge,
    hang,
    reset_on_head,
    reset_before_head,
    close_before_head,
    bad_head,
    in_band,
};

constexpr const char* kNames[] = {
    "Unauthorized",
    "Forbidden",
    "LimitWithReset",
    "LimitWithoutReset",
    "Internal",
    "Unavailable",
    "Overloaded",
    "Challenge",
    "Hang",
    "ResetOnHead",
    "ResetBeforeHead",
    "CloseBeforeHead",
    "BadHead",
    "InBand"};

fake::Vendor vendor_of(Cli cli)
{
    return static_cast<fake::Vendor>(static_cast<int>(cli));
}

std::string name_of(Cli cli)
{
    constexpr const char* kCliNames[] = {"codex", "claude", "gemini"};
    return kCliNames[static_cast<int>(cli)];
}

std::string in_band_error(Cli cli)
{
    switch (cli) {
    case Cli::codex:
        return R"({"type":"response.failed","response":{"id":"r","status":"failed","error":{"code":"rate_limit_exceeded","message":"slow down"}}})";
    case Cli::claude:
        return R"({"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}})";
    case Cli::gemini:
        return R"({"error":{"code":503,"message":"The model is overloaded.","status":"UNAVAILABLE"}})";
    }
    return "";
}

fake::Behaviour behaviour_of(Failure failure, Cli cli)
{
    switch (failure) {
    case Failure::unauthorized:
        return fake::answers(401, R"({"error":{"message":"bad token"}})");
    case Failure::forbidden:
        return fake::answers(403, R"({"error":{"message":"not allowed"}})");
    case Failure::limit_with_reset:
        return fake::exhausted(vendor_of(cli), 3600);
    case Failure::limit_without_reset:
        return fake::exhausted(vendor_of(cli), 0);
    case Failure::internal:
        return fake::answers(500, "oops");
    case Failure::unavailable:
        return fake::answers(503, "busy");
    case Failure::overloaded:
        return fake::answers(529, R"({"type":"error","error":{"type":"overloaded_error"}})");
    case Failure::challenge:
        return fake::challenge();
    case Failure::hang:
        return fake::does(fake::Fault::hang_before_head);
    case Failure::reset_on_head:
        return fake::does(fake::Fault::reset_on_head);
    case Failure::reset_before_head:
        return fake::does(fake::Fault::reset_before_head);
    case Failure::close_before_head:
        return fake::does(fake::Fault::close_before_head);
    case Failure::bad_head:
        return fake::does(fake::Fault::bad_head);
    case Failure::in_band: {
        fake::Behaviour out = fake::does(fake::Fault::in_band_error);
        out.body = in_band_error(cli);
        return out;
    }
    }
    return {};
}

class OneFails : public PoolTest, public ::testing::WithParamInterface<std::tuple<Cli, Failure>> {};

TEST_P(OneFails, IsInvisible)
{
    const auto [cli, failure] = GetParam();
    set("first_byte_timeout_seconds = 1");
    add(vendor_of(cli), fake::Kind::oauth, name_of(cli) + "_1");
    add(vendor_of(cli), fake::Kind::oauth, name_of(cli) + "_2");
    start();
    // Whichever account comes first fails once.
    fake::Behaviour bad = behaviour_of(failure, cli);
    bad.times = 1;
    upstream().script(bad);
    fake::Client client = this->client();
    const fake::Response response = make(client, turn_of(cli, "conversation"));
    EXPECT_EQ(response.status, 200U) << response.body;
    EXPECT_TRUE(response.complete);
    EXPECT_NE(response.body.find(end_mark(cli)), std::string::npos) << response.body;
    EXPECT_EQ(response.body.find("error"), std::string::npos) << response.body;
    const std::vector<fake::Exchange> turns = upstream().ledger().turns();
    ASSERT_GE(turns.size(), 2U);
    EXPECT_NE(turns.front().account, turns.back().account) << "each account at most once";
    // The conversation stays with the one that served it.
    EXPECT_EQ(make(client, turn_of(cli, "conversation", 2)).status, 200U);
    EXPECT_EQ(upstream().ledger().moves(), std::vector<std::string>());
    expect_usage_settles();
    expect_idle();
}

INSTANTIATE_TEST_SUITE_P(
    All,
    OneFails,
    ::testing::Combine(
        ::testing::Values(Cli::codex, Cli::claude, Cli::gemini),
        ::testing::Values(
            Failure::unauthorized,
            Failure::forbidden,
            Failure::limit_with_reset,
            Failure::limit_without_reset,
            Failure::internal,
            Failure::unavailable,
            Failure::overloaded,
            Failure::challenge,
            Failure::hang,
            Failure::reset_on_head,
            Failure::reset_before_head,
            Failure::close_before_head,
            Failure::bad_head,
            Failure::in_band)),
    [](const auto& each) {
        return name_of(std::get<0>(each.param)) + kNames[static_cast<int>(std::get<1>(each.param))];
    });

class NobodyServes : public PoolTest, public ::testing::WithParamInterface<Cli> {
protected:
    static std::string message_of(const fake::Response& response, Cli cli)
    {
        const Json body = Json::parse(response.body, nullptr, false);
        if (!body.is_object() || !body.contains("error") || !body["error"].is_object()) return {};
        const Json& error = body["error"];
        if (cli == Cli::claude && body.value("type", "") != "error") return {};
        if (cli == Cli::gemini && (!error.contains("code") || !error.contains("status"))) return {};
        if (cli == Cli::codex && !error.contains("type")) return {};
        return error.value("message", "");
    }
};

TEST_P(NobodyServes, BecauseAllAreUsedUp)
{
    const Cli cli = GetParam();
    add(vendor_of(cli), fake::Kind::oauth, name_of(cli) + "_1");
    add(vendor_of(cli), fake::Kind::oauth, name_of(cli) + "_2");
    start();
    fake::Behaviour late = fake::exhausted(vendor_of(cli), 7200);
    late.times = 1;
    upstream().script(late);
    upstream().script(fake::exhausted(vendor_of(cli), 3600));
    fake::Client client = this->client();
    for (int round = 0; round < 2; ++round) {
        const fake::Response response = make(client, turn_of(cli, "conversation"));
        EXPECT_EQ(response.status, 429U) << response.body;
        EXPECT_NE(message_of(response, cli), "") << response.body;
        const long wait = std::strtol(response.value("retry-after").c_str(), nullptr, 10);
        EXPECT_GT(wait, 3500) << "the earliest known reset";
        EXPECT_LE(wait, 3600);
        EXPECT_EQ(response.body.find(name_of(cli) + "_"), std::string::npos) << "no account names";
    }
    EXPECT_EQ(upstream().ledger().turns().size(), 2U) << "the second round asks nobody";
    expect_idle();
}

TEST_P(NobodyServes, BecauseThereIsNoAccount)
{
    const Cli cli = GetParam();
    const Cli other = cli == Cli::codex ? Cli::claude : Cli::codex;
    add(vendor_of(other), fake::Kind::oauth, name_of(other) + "_1");
    start();
    fake::Client client = this->client();
    const fake::Response response = make(client, turn_of(cli, "conversation"));
    EXPECT_EQ(response.status, 503U) << response.body;
    EXPECT_NE(message_of(response, cli), "") << response.body;
}

TEST_P(NobodyServes, BecauseAllFail)
{
    const Cli cli = GetParam();
    add(vendor_of(cli), fake::Kind::oauth, name_of(cli) + "_1");
    add(vendor_of(cli), fake::Kind::oauth, name_of(cli) + "_2");
    start();
    upstream().script(fake::answers(500, "oops"));
    fake::Client client = this->client();
    const fake::Response response = make(client, turn_of(cli, "conversation"));
    EXPECT_GE(response.status, 500U) << response.body;
    EXPECT_NE(message_of(response, cli), "") << response.body;
    EXPECT_EQ(response.body.find("oops"), std::string::npos);
    // A transient fault benches nobody: the next request is served at once.
    upstream().clear_script();
    EXPECT_EQ(make(client, turn_of(cli, "conversation")).status, 200U);
    expect_idle();
}

INSTANTIATE_TEST_SUITE_P(
    All,
    NobodyServes,
    ::testing::Values(Cli::codex, Cli::claude, Cli::gemini),
    [](const auto& each) { return name_of(each.param); });

class Failover : public PoolTest {};

TEST_F(Failover, WhatEveryAccountRefusesIsTheRequestsFaultAndBenchesNobody)
{
    add(fake::Vendor::claude, fake::Kind::oauth, "claude_1");
    add(fake::Vendor::claude, fake::Kind::oauth, "claude_2");
    start();
    upstream().script(fake::answers(403, R"({"error":{"message":"not with this project"}})"));
    fake::Client client = this->client();
    const fake::Response response = make(client, turn_of(Cli::claude, "conversation"));
    EXPECT_EQ(response.status, 403U);
    EXPECT_NE(response.body.find("not with this project"), std::string::npos)
        << "the vendor's own words";
    EXPECT_EQ(upstream().ledger().turns().size(), 2U) << "every account was asked";
    upstream().clear_script();
    EXPECT_EQ(make(client, turn_of(Cli::claude, "conversation")).status, 200U);
    expect_idle();
}

TEST_F(Failover, AnAbortingClientCostsNobodyAPenalty)
{
    add(fake::Vendor::claude, fake::Kind::oauth, "claude_1");
    start();
    fake::Behaviour gated;
    gated.gate_after = 3;
    gated.times = 1;
    upstream().script(gated);
    {
        fake::Client client = this->client();
        const Turn turn = turn_of(Cli::claude, "conversation");
        ASSERT_TRUE(client.send(turn.method, turn.target, turn.headers, turn.body));
        ASSERT_EQ(client.read_head().status, 200U);
        ASSERT_NE(client.read_until("message_start"), "");
        client.wire().reset();
    }
    // The upstream sees the abort: its connection ends although nothing was released.
    EXPECT_TRUE(eventually([&] { return upstream().open_connections() == 0; }));
    expect_idle();
    const Json accounts = get_json("/admin/accounts");
    ASSERT_EQ(accounts.size(), 1U) << accounts.dump();
    EXPECT_EQ(accounts[0].value("penalty", -1.0), 0.0) << accounts.dump();
    expect_usage_settles();
    EXPECT_EQ(database_number("SELECT COUNT(*) FROM requests WHERE outcome LIKE 'client%'"), 1);
}

TEST_F(Failover, A400IsTheClientsOwnBusiness)
{
    add(fake::Vendor::claude, fake::Kind::oauth, "claude_1");
    add(fake::Vendor::claude, fake::Kind::oauth, "claude_2");
    start();
    const std::string body =
        R"({"type":"error","error":{"type":"invalid_request_error","message":"no"}})";
    upstream().script(fake::answers(400, body, {{"Content-Type", "application/json"}}));
    fake::Client client = this->client();
    const fake::Response response = make(client, turn_of(Cli::claude, "conversation"));
    EXPECT_EQ(response.status, 400U);
    EXPECT_EQ(response.body, body);
    EXPECT_EQ(upstream().ledger().turns().size(), 1U);
}

TEST_F(Failover, AKeptConnectionThatTheUpstreamClosedIsReplaced)
{
    add(fake::Vendor::claude, fake::Kind::oauth, "claude_1");
    set("workers = 1");
    start();
    fake::Client client = this->client();
    for (std::size_t i = 0; i < 5; ++i) {
        EXPECT_EQ(make(client, turn_of(Cli::claude, "c", i)).status, 200U);
        upstream().close_idle();
    }
    // And one that closes a kept connection as the request leaves: the same account again, on a new connection.
    EXPECT_EQ(make(client, turn_of(Cli::claude, "c", 8)).status, 200U);
    fake::Behaviour close = fake::does(fake::Fault::close_before_head);
    close.times = 1;
    upstream().script(close);
    EXPECT_EQ(make(client, turn_of(Cli::claude, "c", 9)).status, 200U);
    expect_idle();
}

} // namespace
} // namespace tests
