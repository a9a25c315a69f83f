/// Every state reached and left through real traffic, with its reason, its end and where that is known from; and the
/// owner's actions, from the HTTP request to the process that carries them out.
#include "tests/integration/harness.hpp"
#include "tests/support/tiny_socks5_server.hpp"

#include <nlohmann/json.hpp>

#include <ctime>
#include <fstream>

#include <signal.h>

namespace tests {
namespace {

using Json = nlohmann::json;

class States : public PoolTest {
protected:
    /// What an account answers is to be seen at once, not after a wait for its return.
    States() { set_environment("PROXY_QUEUE_TIMEOUT_SECONDS", "0"); }

    [[nodiscard]] Json account(const std::string& id) const
    {
        for (const Json& each : get_json("/admin/accounts"))
            if (each.value("id", "") == id) return each;
        return Json::object();
    }

    [[nodiscard]] std::string state(const std::string& id) const
    {
        return account(id).value("state", "?");
    }

    /// "state/reason/source".
    [[nodiscard]] std::string status(const std::string& id) const
    {
        const Json row = account(id);
        return row.value("state", "?") + "/" + row.value("reason", "?") + "/" +
               row.value("source", "?");
    }

    bool becomes(const std::string& id, const std::string& expected)
    {
        return eventually([&] { return status(id) == expected; });
    }

    fake::Response post(const std::string& target, const std::string& body = "") const
    {
        fake::Client one = client();
        return one.request("POST", target, {{"Accept", "application/json"}}, body);
    }

    Json act(const std::string& id, const std::string& action, const std::string& body = "") const
    {
        const fake::Response response = post("/admin/accounts/" + id + "/" + action, body);
        Json told = Json::parse(response.body, nullptr, false);
        told["http"] = response.status;
        return told;
    }

    /// Seconds from now to a time in JSON; -1 if there is none.
    static long seconds_until(const Json& time)
    {
        if (!time.is_string()) return -1;
        std::tm utc{};
        if (::strptime(time.get<std::string>().c_str(), "%Y-%m-%dT%H:%M:%SZ", &utc) == nullptr)
            return -1;
        return static_cast<long>(::timegm(&utc) - std::time(nullptr));
    }

    unsigned turn(Cli cli, const std::string& conversation = "c")
    {
        fake::Client one = client();
        return make(one, turn_of(cli, conversation)).status;
    }

    void script_once(fake::Behaviour behaviour)
    {
        behaviour.times = 1;
        upstream().script(behaviour);
    }

    static fake::Quota quota(double short_used, double long_used)
    {
        fake::Quota quota;
        quota.short_used = short_used;
        quota.long_used = long_used;
        quota.step = 0;
        quota.short_resets = std::time(nullptr) + 7200;
        quota.long_resets = std::time(nullptr) + 86400;
        return quota;
    }
};

TEST_F(States, ReadyIsWhatAFileIsAfterItsFirstLook)
{
    add(fake::Vendor::claude, fake::Kind::oauth, "claude_1");
    start();
    const Json row = account("claude:1");
    EXPECT_EQ(status("claude:1"), "ready//file");
    EXPECT_EQ(row["severity"], "good");
    EXPECT_LE(std::abs(seconds_until(row["since"])), 60);
    EXPECT_TRUE(row["until"].is_null());
}

TEST_F(States, APollFillsTheWindowsOfAnIdleAccount)
{
    add(fake::Vendor::codex, fake::Kind::oauth, "one");
    add(fake::Vendor::claude, fake::Kind::oauth, "claude_1");
    upstream().set_quota("one", quota(42, 13));
    upstream().set_quota("claude_1", quota(7, 99));
    start();
    for (const auto& [id, used] : std::map<std::string, std::pair<double, double>>{
             {"codex:one", {0.42, 0.13}}, {"claude:1", {0.07, 0.99}}}) {
        EXPECT_TRUE(eventually([&, each = id] {
            return account(each)["usage"].value("Source", "") == "poll";
        })) << account(id).dump(2);
        const Json usage = account(id)["usage"];
        EXPECT_NEAR(usage.value("PrimaryUsed", -1.0), used.first, 0.0001) << usage.dump();
        EXPECT_NEAR(usage.value("SecondaryUsed", -1.0), used.second, 0.0001);
        EXPECT_NEAR(static_cast<double>(seconds_until(usage["PrimaryResetAt"])), 7200, 60);
        EXPECT_NEAR(static_cast<double>(seconds_until(usage["SecondaryResetAt"])), 86400, 60);
    }
}

TEST_F(States, ExhaustedByAPollAndReadyByTheNext)
{
    set("usage_refresh_seconds = 1");
    add(fake::Vendor::codex, fake::Kind::oauth, "one");
    upstream().set_quota("one", quota(100, 13));
    start();
    ASSERT_TRUE(becomes("codex:one", "exhausted/short_window_used_up/poll")) << status("codex:one");
    const Json row = account("codex:one");
    EXPECT_NEAR(static_cast<double>(seconds_until(row["until"])), 7200, 60);
    EXPECT_LE(std::abs(seconds_until(row["since"])), 60);
    EXPECT_EQ(row["severity"], "passing");
    EXPECT_EQ(turn(Cli::codex), 429U) << "it is not asked";
    EXPECT_TRUE(upstream().ledger().turns().empty());
    upstream().set_quota("one", quota(1, 13)); // the vendor reset it early
    ASSERT_TRUE(eventually([&] { return state("codex:one") == "ready"; })) << status("codex:one");
    EXPECT_EQ(turn(Cli::codex), 200U);
    upstream().set_quota("one", quota(1, 100));
    ASSERT_TRUE(becomes("codex:one", "exhausted/long_window_used_up/poll")) << status("codex:one");
}

TEST_F(States, ExhaustedByTheHeadersOfAServedAnswer)
{
    add(fake::Vendor::claude, fake::Kind::oauth, "claude_1");
    start();
    upstream().set_quota("claude_1", quota(100, 20));
    EXPECT_EQ(turn(Cli::claude), 200U);
    EXPECT_TRUE(becomes("claude:1", "exhausted/short_window_used_up/header"))
        << account("claude:1").dump(2);
    EXPECT_NEAR(static_cast<double>(seconds_until(account("claude:1")["until"])), 7200, 60);
    EXPECT_EQ(turn(Cli::claude), 429U);
}

TEST_F(States, AUsedUpErrorIsExhaustionUntilAPollKnowsBetter)
{
    add(fake::Vendor::codex, fake::Kind::oauth, "one");
    start();
    ASSERT_TRUE(
        eventually([&] { return account("codex:one")["usage"].value("Source", "") == "poll"; }));
    script_once(fake::exhausted(fake::Vendor::codex, 3600));
    EXPECT_EQ(turn(Cli::codex), 429U);
    EXPECT_EQ(status("codex:one"), "exhausted/usage_limit_reached/error_answer");
    EXPECT_NEAR(static_cast<double>(seconds_until(account("codex:one")["until"])), 3600, 60);
    // The owner's clear forgets it.
    EXPECT_EQ(act("codex:one", "clear")["status"], "done");
    EXPECT_EQ(status("codex:one"), "ready//owner");
    EXPECT_EQ(turn(Cli::codex), 200U);
}

TEST_F(States, AStaleUsedUpErrorIsEndedByAPoll)
{
    set("usage_refresh_seconds = 1");
    add(fake::Vendor::codex, fake::Kind::oauth, "one");
    upstream().set_quota("one", quota(3, 3));
    start();
    script_once(fake::exhausted(fake::Vendor::codex, 3600));
    EXPECT_EQ(turn(Cli::codex), 429U);
    EXPECT_TRUE(becomes("codex:one", "ready//poll")) << status("codex:one");
}

TEST_F(States, CoolingEndsWhenItsTimeIsOverWithoutAnythingRunning)
{
    add(fake::Vendor::claude, fake::Kind::oauth, "claude_1");
    start();
    const std::string body =
        R"({"type":"error","error":{"type":"rate_limit_error","message":"slow down"}})";
    script_once(fake::answers(429, body, {{"Retry-After", "2"}}));
    EXPECT_EQ(turn(Cli::claude), 429U);
    const Json row = account("claude:1");
    EXPECT_EQ(status("claude:1"), "cooling/rate_limit/error_answer") << row.dump(2);
    EXPECT_GE(seconds_until(row["until"]), 0);
    EXPECT_LE(seconds_until(row["until"]), 3);
    ASSERT_TRUE(eventually([&] { return state("claude:1") == "ready"; }));
    EXPECT_EQ(account("claude:1")["since"], row["until"]) << "ready since the limit ended";
    EXPECT_EQ(turn(Cli::claude), 200U);
}

TEST_F(States, CoolingWithoutAKnownEndIsTriedAgain)
{
    add(fake::Vendor::claude, fake::Kind::oauth, "claude_1");
    start();
    script_once(fake::exhausted(fake::Vendor::claude, 0));
    EXPECT_EQ(turn(Cli::claude), 429U);
    ASSERT_TRUE(eventually([&] { return state("claude:1") == "ready"; })) << status("claude:1");
    EXPECT_EQ(turn(Cli::claude), 200U);
}

TEST_F(States, FailingByARefusalAndReadyByATest)
{
    add(fake::Vendor::claude, fake::Kind::api_key, "claude_1");
    add(fake::Vendor::claude, fake::Kind::api_key, "claude_2");
    start();
    script_once(fake::answers(403, R"({"error":{"message":"no"}})"));
    EXPECT_EQ(turn(Cli::claude), 200U) << "the other one serves";
    std::string id = "claude:1";
    if (state(id) == "ready") id = "claude:2";
    ASSERT_TRUE(becomes(id, "failing/http_403/error_answer")) << account(id).dump(2);
    const long wait = seconds_until(account(id)["until"]);
    EXPECT_GT(wait, 30);
    EXPECT_LE(wait, 61);
    const Json told = act(id, "test");
    EXPECT_EQ(told["status"], "done") << told.dump(2);
    EXPECT_EQ(told["upstream_status"], 200);
    EXPECT_EQ(told["state"], "ready");
    EXPECT_EQ(state(id), "ready");
}

TEST_F(States, FailingByARefusedKeyAndReadyByANewOne)
{
    const fake::Account one = add(fake::Vendor::claude, fake::Kind::api_key, "claude_1");
    add(fake::Vendor::claude, fake::Kind::api_key, "claude_2");
    start();
    // Both are asked until the first was refused and the other served.
    upstream().remove_account(one.name);
    allow_violations(); // an unknown credential reaches the vendor
    for (int i = 0; i < 4; ++i)
        EXPECT_EQ(turn(Cli::claude, "c" + std::to_string(i)), 200U);
    ASSERT_TRUE(becomes("claude:1", "failing/http_401/error_answer")) << status("claude:1");
    fake::Account mended = one;
    mended.token += "-new";
    upstream().add_account(mended);
    fake::write_credential(mended, pool_folder());
    EXPECT_EQ(post("/admin/reload").status, 200U);
    EXPECT_EQ(state("claude:1"), "ready");
}

TEST_F(States, DisabledByItsOwnerForGood)
{
    add(fake::Vendor::claude, fake::Kind::oauth, "claude_1");
    start();
    const Json told = act("claude:1", "disable");
    EXPECT_EQ(told["http"], 200) << told.dump(2);
    EXPECT_EQ(told["state"], "disabled");
    EXPECT_EQ(status("claude:1"), "disabled/disabled_by_owner/owner");
    EXPECT_TRUE(account("claude:1")["until"].is_null());
    EXPECT_EQ(turn(Cli::claude), 503U);
    EXPECT_EQ(post("/admin/reload").status, 200U);
    EXPECT_EQ(state("claude:1"), "disabled") << "a reload does not undo it";
    // Nor does another process, or another supervisor.
    for (const pid_t pid : pool().children("refresher"))
        ASSERT_EQ(::kill(pid, SIGKILL), 0);
    EXPECT_TRUE(eventually([&] { return post("/admin/reload").status == 200; }));
    EXPECT_EQ(state("claude:1"), "disabled");
    EXPECT_EQ(stop(), 0);
    expect_disabled();
    start();
    EXPECT_EQ(status("claude:1"), "disabled/disabled_by_owner/owner");
    EXPECT_EQ(act("claude:1", "enable")["state"], "ready");
    EXPECT_EQ(status("claude:1"), "ready//owner");
    EXPECT_EQ(turn(Cli::claude), 200U);
}

TEST_F(States, DisabledInItsFileUntilTheOwnerSaysOtherwise)
{
    const fake::Account one = add(fake::Vendor::claude, fake::Kind::oauth, "claude_1");
    Json file = Json::parse(fake::credential_json(one));
    file["codex_pool"] = {{"disabled", true}, {"priority", 4}};
    std::ofstream(pool_folder() / "claude_1.json") << file.dump();
    expect_disabled();
    start();
    EXPECT_EQ(status("claude:1"), "disabled/disabled_in_file/file");
    EXPECT_EQ(account("claude:1")["options"]["priority"], 4);
    EXPECT_EQ(act("claude:1", "enable")["state"], "ready");
    EXPECT_EQ(post("/admin/reload").status, 200U);
    EXPECT_EQ(state("claude:1"), "ready");
}

TEST_F(States, BusyWhileItsRequestsAreAsManyAsItMayHave)
{
    add(fake::Vendor::claude, fake::Kind::oauth, "claude_1");
    start();
    EXPECT_EQ(act("claude:1", "options", R"({"max_concurrency":1,"weight":2.5})")["http"], 200);
    const Json options = account("claude:1")["options"];
    EXPECT_EQ(options["max_concurrency"], 1);
    EXPECT_EQ(options["weight"], 2.5);
    EXPECT_EQ(state("claude:1"), "ready");
    fake::Behaviour gated;
    gated.gate_after = 4;
    script_once(gated);
    fake::Client stream = client();
    const Turn turn = turn_of(Cli::claude, "long");
    ASSERT_TRUE(stream.send(turn.method, turn.target, turn.headers, turn.body));
    ASSERT_EQ(stream.read_head().status, 200U);
    ASSERT_TRUE(becomes("claude:1", "busy/max_concurrency_reached/pool")) << status("claude:1");
    EXPECT_TRUE(account("claude:1")["until"].is_null()) << "never an invented time";
    upstream().release();
    EXPECT_TRUE(stream.read_rest().complete);
    EXPECT_TRUE(eventually([&] { return state("claude:1") == "ready"; }));
    EXPECT_EQ(act("claude:1", "options", R"({"max_concurrency":null})")["http"], 200);
    EXPECT_EQ(account("claude:1")["options"]["max_concurrency"], 0);
}

TEST_F(States, NeedsLoginByADeadRefreshTokenAndReadyByANewSignIn)
{
    const std::map<std::string, fake::Account> accounts{
        {"codex:one", add(fake::Vendor::codex, fake::Kind::oauth, "one")},
        {"claude:1", add(fake::Vendor::claude, fake::Kind::oauth, "claude_1")},
        {"gemini:1", add(fake::Vendor::gemini, fake::Kind::oauth, "gemini_1")}};
    start();
    for (const auto& [id, old] : accounts) {
        // Somebody signed in anew elsewhere: the refresh token in the file is dead from then on.
        const fake::Account fresh = fake::with_tokens(old, "signed-in-elsewhere", 3600);
        upstream().tokens().sign_in(fresh);
        const Json told = act(id, "refresh");
        EXPECT_EQ(told["state"], "needs_login") << told.dump(2);
        const Json row = account(id);
        EXPECT_EQ(row["state"], "needs_login") << row.dump(2);
        EXPECT_EQ(row["source"], "refresh") << row.dump(2);
        EXPECT_FALSE(row["reason"].get<std::string>().empty());
        EXPECT_TRUE(row["until"].is_null()) << "nothing ends it but the owner";
        EXPECT_EQ(upstream().tokens().uses_of_token(old.refresh_token), 1U);
        EXPECT_TRUE(pool().wait_line("event=needs_login account=" + id)) << "the owner is told";
        EXPECT_TRUE(std::filesystem::exists(pool_folder() / (old.name + ".json")));

        upstream().add_account(fresh);
        fake::write_credential(fresh, pool_folder());
        EXPECT_EQ(post("/admin/reload").status, 200U);
        EXPECT_TRUE(eventually([&] { return state(id) == "ready"; })) << account(id).dump(2);
    }
    for (const Cli cli : {Cli::codex, Cli::claude, Cli::gemini})
        EXPECT_EQ(turn(cli, "after"), 200U);
}

TEST_F(States, AnAccountsProxyCarriesItsRefreshesAndPollsToo)
{
    const tests::TinySocks5Server proxy(upstream().port());
    const fake::Account one = add(fake::Vendor::claude, fake::Kind::oauth, "claude_1");
    Json file = Json::parse(fake::credential_json(one));
    file["codex_pool"] = {{"proxy_url", "socks5://127.0.0.1:" + std::to_string(proxy.port())}};
    std::ofstream(pool_folder() / "claude_1.json") << file.dump();
    upstream().set_quota("claude_1", quota(7, 9));
    start();
    EXPECT_TRUE(
        eventually([&] { return account("claude:1")["usage"].value("Source", "") == "poll"; }));
    const std::size_t renewals = upstream().tokens().renewals();
    EXPECT_EQ(act("claude:1", "refresh")["state"], "ready");
    EXPECT_EQ(upstream().tokens().renewals(), renewals + 1);
    EXPECT_EQ(turn(Cli::claude), 200U);
    // Whatever reached the upstream came through the proxy.
    EXPECT_GE(proxy.asked().size(), 2U);
    EXPECT_EQ(proxy.asked().size(), upstream().accepted());
}

TEST_F(States, ActionsSayWhatIsWrongWithThem)
{
    add(fake::Vendor::claude, fake::Kind::oauth, "claude_1");
    start();
    EXPECT_EQ(act("claude:none", "test")["http"], 404);
    EXPECT_EQ(act("claude:1", "explode")["http"], 404);
    EXPECT_EQ(get("/admin/accounts/claude:1/disable").status, 405U);
    const Json told = act("claude:1", "options", R"({"weight":"heavy"})");
    EXPECT_EQ(told["http"], 400);
    EXPECT_NE(told.value("error", "").find("codex_pool.weight"), std::string::npos) << told.dump();
    fake::Client foreign = client();
    EXPECT_EQ(
        foreign
            .request(
                "POST", "/admin/accounts/claude:1/disable", {{"Origin", "https://evil.example"}})
            .status,
        403U);
    EXPECT_EQ(state("claude:1"), "ready");
}

TEST_F(States, AnActionWhoseProcessDiesIsAnsweredAllTheSame)
{
    add(fake::Vendor::claude, fake::Kind::oauth, "claude_1");
    start();
    fake::Behaviour hang = fake::does(fake::Fault::hang_before_head);
    script_once(hang);
    fake::Client asking = client();
    ASSERT_TRUE(
        asking.send("POST", "/admin/accounts/claude:1/test", {{"Accept", "application/json"}}));
    ASSERT_TRUE(upstream().ledger().wait([](const auto& all) {
        return std::any_of(
            all.begin(), all.end(), [](const fake::Exchange& each) { return each.generates; });
    }));
    for (const pid_t pid : pool().children("refresher"))
        ASSERT_EQ(::kill(pid, SIGKILL), 0);
    EXPECT_EQ(asking.read_head().status, 503U);
    EXPECT_TRUE(eventually([&] { return act("claude:1", "clear")["http"] == 200; }));
}

TEST_F(States, ReloadsFromThePageAndFromSignalsAreNotMixedUp)
{
    add(fake::Vendor::claude, fake::Kind::oauth, "claude_1");
    start();
    std::ofstream(pool_folder() / "claude_broken.json") << "{";
    for (int i = 0; i < 5; ++i) {
        pool().signal(SIGHUP);
        const fake::Response response = post("/admin/reload");
        EXPECT_EQ(response.status, 200U);
        EXPECT_EQ(Json::parse(response.body)["broken_files"], 1) << response.body;
    }
}

TEST_F(States, TheMetricNamesEveryState)
{
    add(fake::Vendor::claude, fake::Kind::oauth, "claude_1");
    start();
    const std::string metrics = get("/metrics").body;
    for (const char* name :
         {"ready", "busy", "cooling", "exhausted", "failing", "needs_login", "disabled"}) {
        EXPECT_NE(
            metrics.find(
                std::string(R"(codexpool_account_condition{account="claude:1",condition=")") +
                name + "\"}"),
            std::string::npos)
            << name;
    }
}

} // namespace
} // namespace tests
