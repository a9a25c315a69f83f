/// The owner's commands against the running pool: why, events, accounts; and events over HTTP.
#include "tests/integration/harness.hpp"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <csignal>
#include <regex>
#include <string>
#include <thread>
#include <vector>

#include <sys/stat.h>

namespace tests {
namespace {

using Json = nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

class Why : public PoolTest {
protected:
    struct Ran {
        std::optional<int> code;
        std::string text;
    };

    /// Runs `codex-pool …` where the pool's config.toml is, as its owner would.
    Ran run(const std::vector<std::string>& arguments) const
    {
        Process command(arguments, {}, folder());
        Ran ran;
        ran.code = command.wait_exit();
        (void)command.wait_line("(never said)"); // until all it said is read
        ran.text = command.log();
        return ran;
    }

    /// What `why` says, with its lines joined: where they break depends on lengths.
    std::string why(const std::string& id) const
    {
        const Ran ran = run({"why", id});
        EXPECT_EQ(ran.code, 0) << ran.text;
        EXPECT_LE(std::count(ran.text.begin(), ran.text.end(), '\n'), 24);
        return std::regex_replace(ran.text, std::regex("\\s+"), " ");
    }

    /// Makes a turn and returns its request id.
    std::string ask(const Turn& turn, unsigned status = 200)
    {
        fake::Client client = this->client();
        const fake::Response response = make(client, turn);
        EXPECT_EQ(response.status, status) << response.body;
        return response.value("x-request-id");
    }
};

TEST_F(Why, TellsWhichAccountServedAndTheOthers)
{
    add(fake::Vendor::codex, fake::Kind::oauth, "codex_1");
    add(fake::Vendor::codex, fake::Kind::oauth, "codex_2");
    start();
    const std::string id = ask(turn_of(Cli::codex, "c"));
    const std::string text = why(id);
    EXPECT_THAT(text, HasSubstr("Request " + id + " by local"));
    EXPECT_THAT(text, HasSubstr("answered 200 at the first try"));
    EXPECT_THAT(text, HasSubstr("balanced, score "));
    const std::string served = account_of("c");
    EXPECT_THAT(text, HasSubstr("1. codex:" + served));
    // The conversation's next turn goes where the first one went.
    const std::string next = why(ask(turn_of(Cli::codex, "c", 1)));
    EXPECT_THAT(next, HasSubstr("codex:" + served + ", which the conversation belongs to"));
    EXPECT_THAT(next, HasSubstr("could serve, but the conversation belongs to another account"));

    const Ran ran = run({"why", "--json", id});
    const Json json = Json::parse(ran.text, nullptr, false);
    ASSERT_TRUE(json.is_object()) << ran.text;
    EXPECT_EQ(json["outcome"], "completed");
    EXPECT_EQ(json["provider"], "codex");
    EXPECT_EQ(json["candidates"].size(), 2U);
    EXPECT_EQ(json["attempts"][0]["status"], 200);
}

TEST_F(Why, TellsOfEachTryAndWhatFollowed)
{
    add(fake::Vendor::claude, fake::Kind::oauth, "claude_1");
    add(fake::Vendor::claude, fake::Kind::oauth, "claude_2");
    start();
    fake::Behaviour used_up = fake::exhausted(fake::Vendor::claude, 3600);
    used_up.times = 1;
    upstream().script(used_up);
    const std::string text = why(ask(turn_of(Cli::claude, "c")));
    EXPECT_THAT(text, HasSubstr("1. claude:"));
    EXPECT_THAT(text, HasSubstr(": 429 after "));
    EXPECT_THAT(text, HasSubstr("; rests until "));
    EXPECT_THAT(text, HasSubstr(", as told"));
    EXPECT_THAT(text, HasSubstr("2. claude:"));
    EXPECT_THAT(text, HasSubstr("answered 200 at try 2"));
}

TEST_F(Why, TellsOfARefusalAndOfWhatStandsInTheWay)
{
    add(fake::Vendor::claude, fake::Kind::oauth, "claude_1");
    start();
    upstream().script(fake::exhausted(fake::Vendor::claude, 7200));
    const std::string first = why(ask(turn_of(Cli::claude, "c"), 429));
    EXPECT_THAT(first, HasSubstr("Refused with 429"));
    EXPECT_THAT(first, HasSubstr("the client was told to come back at "));
    const std::string second = why(ask(turn_of(Cli::claude, "c", 1), 429));
    EXPECT_THAT(second, HasSubstr("none of 1 account could serve"));
    EXPECT_THAT(second, HasSubstr("claude:1: "));
    EXPECT_THAT(second, Not(HasSubstr("Tries")));
}

TEST_F(Why, StillTellsOfAKilledWorkersRequests)
{
    add(fake::Vendor::claude, fake::Kind::oauth, "claude_1");
    set("workers = 1");
    start();
    upstream().script(fake::does(fake::Fault::hang_before_head));
    fake::Client client = this->client();
    const Turn turn = turn_of(Cli::claude, "c");
    ASSERT_TRUE(client.send(turn.method, turn.target, turn.headers, turn.body));
    ASSERT_TRUE(eventually([&] { return get_json("/healthz").value("inflight", 0) == 1; }));
    const std::vector<pid_t> workers = pool().children("worker");
    ASSERT_EQ(workers.size(), 1U);
    ASSERT_EQ(::kill(workers[0], SIGKILL), 0);
    std::string id;
    ASSERT_TRUE(eventually([&] {
        for (const Json& row : get_json("/admin/requests"))
            if (row["outcome"] == "worker_killed") id = row["request_id"];
        return !id.empty();
    }));
    const std::string text = why(id);
    EXPECT_THAT(text, HasSubstr("Its worker process died in the middle"));
    EXPECT_THAT(text, HasSubstr("no answer until its worker died"));
    upstream().release();
}

TEST_F(Why, SaysNoToWhatItDoesNotKnow)
{
    add(fake::Vendor::claude, fake::Kind::oauth, "claude_1");
    EXPECT_EQ(run({"why", "0123456789abcdef"}).code, 3) << "no pool runs there";
    start();
    const Ran unknown = run({"why", "0123456789abcdef"});
    EXPECT_EQ(unknown.code, 1);
    EXPECT_THAT(unknown.text, HasSubstr("No request with this id is known"));
    EXPECT_EQ(run({"why", "../x"}).code, 1);
    EXPECT_EQ(run({"accounts", "disable", "claude:nobody"}).code, 1);
    const Ran accounts = run({"accounts"});
    EXPECT_EQ(accounts.code, 0);
    EXPECT_THAT(accounts.text, HasSubstr("claude:1  ready"));

    struct stat status {};

    ASSERT_EQ(::stat((folder() / "data/control.sock").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777U, 0600U);
    EXPECT_EQ(stop(), 0);
    EXPECT_FALSE(std::filesystem::exists(folder() / "data/control.sock"));
    EXPECT_EQ(run({"why", "0123456789abcdef"}).code, 3);
}

TEST_F(Why, ThePageLinksToIt)
{
    add(fake::Vendor::claude, fake::Kind::oauth, "claude_1");
    start();
    const std::string id = ask(turn_of(Cli::claude, "c"));
    ASSERT_TRUE(eventually([&] {
        return get("/status/requests", {{"Accept", "text/html"}})
                   .body.find("/status/why?id=" + id) != std::string::npos;
    }));
    const fake::Response page = get("/status/why?id=" + id, {{"Accept", "text/html"}});
    EXPECT_EQ(page.status, 200U);
    EXPECT_THAT(page.body, HasSubstr("claude:1"));
}

class Events : public Why {
protected:
    /// Uses up the only account, so that the pool is empty.
    void empty_the_pool()
    {
        upstream().script(fake::exhausted(fake::Vendor::claude, 7200));
        (void)ask(turn_of(Cli::claude, "c"), 429);
    }
};

TEST_F(Events, ReachTheLogTheCommandAndTheStream)
{
    add(fake::Vendor::claude, fake::Kind::oauth, "claude_1");
    start();
    Process follower({"events", "-f"}, {}, folder());
    fake::Client stream = client();
    ASSERT_TRUE(stream.send("GET", "/admin/events"));
    EXPECT_EQ(stream.read_head().value("content-type"), "text/event-stream");
    empty_the_pool();
    EXPECT_TRUE(pool().wait_line("event=pool_empty provider=claude account=- until="));
    EXPECT_TRUE(follower.wait_line("error pool_empty: No account of claude can serve"));
    const std::string seen = stream.read_until("event: pool_empty\n");
    EXPECT_THAT(seen, HasSubstr("event: pool_empty\n"));
    const Ran listed = run({"events", "--json"});
    EXPECT_EQ(listed.code, 0);
    const std::size_t line_end = listed.text.find('\n');
    const Json first = Json::parse(listed.text.substr(0, line_end), nullptr, false);
    EXPECT_EQ(first["event"], "pool_empty") << listed.text;

    // Whoever comes back with the last id gets only what is new; a replaced refresher repeats nothing.
    const std::vector<pid_t> refreshers = pool().children("refresher");
    ASSERT_EQ(refreshers.size(), 1U);
    const std::size_t from = pool().line_count();
    ASSERT_EQ(::kill(refreshers[0], SIGKILL), 0);
    ASSERT_TRUE(pool().wait_line("event=pool_loaded", from));
    EXPECT_EQ(run({"events"}).text, run({"events"}).text);
    const std::string again = run({"events"}).text;
    EXPECT_EQ(again.find("pool_empty"), again.rfind("pool_empty")) << again;

    // An open stream does not keep the pool from ending.
    pool().signal(SIGTERM);
    EXPECT_EQ(pool().wait_exit(), 0);
    EXPECT_THAT(pool().log(), Not(HasSubstr("shutdown_grace_seconds is over")));
    EXPECT_TRUE(follower.wait_exit().has_value());
}

TEST_F(Events, ReachTheWebhook)
{
    add(fake::Vendor::claude, fake::Kind::oauth, "claude_1");
    // Nobody listens there; what is posted to whom is the refresher's test.
    set("[notify]\nwebhook_url = \"http://127.0.0.1:1/topsecret\"\nwebhook_format = \"slack\"");
    start();
    empty_the_pool();
    EXPECT_TRUE(pool().wait_line("event=webhook_failed about=pool_empty"));
    EXPECT_EQ(stop(), 0);
    EXPECT_THAT(pool().log(), Not(HasSubstr("topsecret")));
}

} // namespace
} // namespace tests
