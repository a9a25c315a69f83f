/// Conversations stay where they are while the pool is reloaded, workers and the refresher are killed.
#include "tests/integration/harness.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <set>

#include <signal.h>
#include <sys/resource.h>

namespace tests {
namespace {

constexpr std::size_t kConversations = 30;

class Survival : public PoolTest {
protected:
    void add_six()
    {
        for (const char* number : {"1", "2"}) {
            add(fake::Vendor::codex, fake::Kind::oauth, std::string("codex_") + number);
            add(fake::Vendor::claude, fake::Kind::oauth, std::string("claude_") + number);
            add(fake::Vendor::gemini, fake::Kind::oauth, std::string("gemini_") + number);
        }
    }

    static Cli cli_of(std::size_t conversation) { return static_cast<Cli>(conversation % 3); }

    static std::string id_of(std::size_t conversation)
    {
        return "conversation-" + std::to_string(conversation);
    }

    /// The first turns, all at the same time, so that they spread over the accounts.
    void first_turns()
    {
        fake::Behaviour waits = fake::does(fake::Fault::hang_before_head);
        waits.times = kConversations;
        upstream().script(waits);
        std::vector<fake::Client> clients;
        for (std::size_t i = 0; i < kConversations; ++i) {
            clients.push_back(client());
            const Turn turn = turn_of(cli_of(i), id_of(i));
            ASSERT_TRUE(clients[i].send(turn.method, turn.target, turn.headers, turn.body));
        }
        ASSERT_TRUE(upstream().ledger().wait([](const auto& all) {
            return std::count_if(all.begin(), all.end(), [](const auto& each) {
                       return each.generates && !each.request_sha256.empty();
                   }) == static_cast<std::ptrdiff_t>(kConversations);
        }));
        upstream().release();
        for (fake::Client& each : clients) {
            EXPECT_EQ(each.read_head().status, 200U);
            EXPECT_TRUE(each.read_rest().complete);
        }
        upstream().clear_script();
    }

    /// One turn of every conversation; returns how many were not answered with a whole 200.
    std::size_t turn_of_all(std::size_t number)
    {
        std::size_t failed = 0;
        for (std::size_t i = 0; i < kConversations; ++i) {
            fake::Client client = this->client();
            const fake::Response response = make(client, turn_of(cli_of(i), id_of(i), number));
            if (response.status != 200 || !response.complete) ++failed;
        }
        return failed;
    }

    [[nodiscard]] pid_t replaced(std::string_view role, pid_t before)
    {
        pid_t now = 0;
        (void)eventually([&] {
            for (const pid_t each : pool().children(role)) {
                if (each == before) return false;
                now = each;
            }
            return now != 0;
        });
        return now;
    }
};

TEST_F(Survival, ThirtyConversationsKeepTheirAccounts)
{
    fake::ServerOptions options;
    options.strict_affinity = true;
    use_upstream(options);
    add_six();
    start();
    first_turns();
    const auto before = upstream().ledger().conversations();
    ASSERT_EQ(before.size(), kConversations);
    std::set<std::string> used;
    for (const auto& [id, account] : before)
        used.insert(account);
    EXPECT_EQ(used.size(), 6U) << "the accounts of one provider share its conversations";

    const std::size_t line = pool().line_count();
    pool().signal(SIGHUP);
    ASSERT_TRUE(pool().wait_line("event=reloaded", line));
    EXPECT_EQ(turn_of_all(2), 0U);

    for (const pid_t worker : pool().children("worker")) {
        ASSERT_EQ(::kill(worker, SIGKILL), 0);
        ASSERT_TRUE(eventually([&] { return ::kill(worker, 0) != 0; }));
    }
    EXPECT_EQ(turn_of_all(3), 0U);

    const std::vector<pid_t> refresher = pool().children("refresher");
    ASSERT_EQ(refresher.size(), 1U);
    ASSERT_EQ(::kill(refresher[0], SIGKILL), 0);
    EXPECT_EQ(turn_of_all(4), 0U);
    EXPECT_NE(replaced("refresher", refresher[0]), 0);
    EXPECT_EQ(turn_of_all(5), 0U);

    EXPECT_EQ(upstream().ledger().conversations(), before);
    EXPECT_EQ(upstream().ledger().moves(), std::vector<std::string>());
    expect_usage_settles();
    expect_idle();
}

TEST_F(Survival, AKilledWorkerLeavesTheOthersAndItsUsage)
{
    add_six();
    start();
    fake::Behaviour gated;
    gated.gate_after = 5; // the cost of the input and the first output are out by then
    gated.path = "/v1/messages";
    upstream().script(gated);
    // Streams that stand still in both workers, then one worker dies.
    std::vector<fake::Client> streams;
    for (std::size_t i = 0; i < 16; ++i) {
        streams.push_back(client());
        const Turn turn = turn_of(Cli::claude, "held-" + std::to_string(i));
        ASSERT_TRUE(streams.back().send(turn.method, turn.target, turn.headers, turn.body));
        ASSERT_EQ(streams.back().read_head().status, 200U);
        ASSERT_NE(streams.back().read_until("content_block_delta"), "");
    }
    ASSERT_TRUE(upstream().ledger().wait([](const auto& all) {
        std::size_t told = 0;
        for (const fake::Exchange& each : all)
            told += each.generates && each.said != fake::Tokens{} ? 1U : 0U;
        return told == 16;
    }));
    const std::vector<pid_t> workers = pool().children("worker");
    ASSERT_EQ(workers.size(), 2U);
    const auto killed = std::chrono::steady_clock::now();
    ASSERT_EQ(::kill(workers[0], SIGKILL), 0);
    // New requests are answered at once, on either worker's slot, and within a second on the dead one's.
    for (std::size_t i = 0; i < 8; ++i)
        EXPECT_EQ(get("/healthz").status, 200U);
    EXPECT_LT(std::chrono::steady_clock::now() - killed, std::chrono::seconds(1));
    upstream().release();
    std::size_t whole = 0;
    for (fake::Client& each : streams)
        whole += each.read_rest().complete ? 1U : 0U;
    EXPECT_GT(whole, 0U) << "streams of the other worker go on";
    EXPECT_LT(whole, 16U) << "the killed worker had some";
    expect_idle();
    EXPECT_TRUE(eventually([&] {
        return database_number("SELECT COUNT(*) FROM requests WHERE outcome = 'worker_killed'") ==
               static_cast<std::int64_t>(16 - whole);
    }));
    // What the killed worker had seen was counted: each cut stream had told the cost of its input.
    EXPECT_EQ(
        database_number(
            "SELECT COUNT(*) FROM requests WHERE outcome = 'worker_killed' AND input_tokens = 0"),
        0);
}

TEST_F(Survival, APinSurvivesARestart)
{
    add(fake::Vendor::codex, fake::Kind::oauth, "codex_1");
    add(fake::Vendor::codex, fake::Kind::oauth, "codex_2");
    start();
    for (std::size_t i = 0; i < 8; ++i) {
        fake::Client client = this->client();
        EXPECT_EQ(make(client, turn_of(Cli::codex, id_of(i))).status, 200U);
    }
    const auto before = upstream().ledger().conversations();
    EXPECT_EQ(stop(), 0);
    start();
    for (std::size_t i = 0; i < 8; ++i) {
        fake::Client client = this->client();
        EXPECT_EQ(make(client, turn_of(Cli::codex, id_of(i), 2)).status, 200U);
    }
    EXPECT_EQ(upstream().ledger().conversations(), before);
    EXPECT_EQ(upstream().ledger().moves(), std::vector<std::string>());
}

/// A disk that is full: no file of the supervisor can grow, from one moment to another.
TEST_F(Survival, AFullDiskStopsNoRequestAndLosesNoUsage)
{
    add_six();
    start();
    EXPECT_EQ(turn_of_all(0), 0U);
    expect_usage_settles();
    rlimit before{};
    ASSERT_EQ(::prlimit(pool().pid(), RLIMIT_FSIZE, nullptr, &before), 0);
    const rlimit none{.rlim_cur = 0, .rlim_max = before.rlim_max};
    ASSERT_EQ(::prlimit(pool().pid(), RLIMIT_FSIZE, &none, nullptr), 0);
    EXPECT_EQ(turn_of_all(1), 0U);
    ASSERT_TRUE(pool().wait_line("event=usage_database_refuses"));
    EXPECT_EQ(turn_of_all(2), 0U) << "requests go on";
    const std::int64_t written = database_number("SELECT COUNT(*) FROM requests");
    EXPECT_LT(written, static_cast<std::int64_t>(3 * kConversations));
    // The owner makes room.
    ASSERT_EQ(::prlimit(pool().pid(), RLIMIT_FSIZE, &before, nullptr), 0);
    ASSERT_TRUE(pool().wait_line("event=usage_database_works_again"));
    expect_usage_settles();
    EXPECT_EQ(
        database_number("SELECT COUNT(*) FROM requests WHERE outcome = 'completed'"),
        static_cast<std::int64_t>(3 * kConversations));
}

TEST_F(Survival, ACoolDownSurvivesARestart)
{
    add(fake::Vendor::claude, fake::Kind::oauth, "claude_1");
    set_environment("PROXY_QUEUE_TIMEOUT_SECONDS", "0");
    start();
    fake::Behaviour limited = fake::answers(
        429, R"({"error":{"type":"rate_limit_error","message":"slow"}})", {{"Retry-After", "1800"}});
    limited.times = 1;
    upstream().script(limited);
    fake::Client before = client();
    EXPECT_EQ(make(before, turn_of(Cli::claude, "a")).status, 429U);
    const nlohmann::json known = get_json("/admin/accounts").at(0);
    EXPECT_EQ(known["state"], "cooling") << known.dump(2);
    EXPECT_EQ(stop(), 0);
    start();
    ASSERT_TRUE(pool().wait_line("event=evidence_restored accounts=1"));
    const nlohmann::json again = get_json("/admin/accounts").at(0);
    for (const char* key : {"state", "reason", "until", "since", "source"})
        EXPECT_EQ(again[key], known[key]) << key;
    fake::Client after = client();
    EXPECT_EQ(make(after, turn_of(Cli::claude, "a")).status, 429U);
}

TEST_F(Survival, ReloadTakesAccountsInAndOut)
{
    add(fake::Vendor::codex, fake::Kind::oauth, "codex_1");
    start();
    fake::Client client = this->client();
    EXPECT_EQ(make(client, turn_of(Cli::codex, "a")).status, 200U);
    // The first one goes, a second one comes, and a broken file is only named.
    const fake::Account second =
        fake::make_account(fake::Vendor::codex, fake::Kind::oauth, "codex_2");
    upstream().add_account(second);
    fake::write_credential(second, pool_folder());
    std::filesystem::remove(pool_folder() / "codex_1.json");
    std::size_t line = pool().line_count();
    const fake::Response reload = client.request("POST", "/admin/reload");
    EXPECT_EQ(reload.status, 200U) << reload.body;
    ASSERT_TRUE(pool().wait_line("event=reloaded", line));
    EXPECT_EQ(make(client, turn_of(Cli::codex, "b")).status, 200U);
    EXPECT_EQ(account_of("b"), "codex_2");
    // A conversation whose account is gone moves, because that one cannot serve at all.
    EXPECT_EQ(make(client, turn_of(Cli::codex, "a", 2)).status, 200U);
    EXPECT_EQ(account_of("a"), "codex_2");
    // A file that breaks leaves its last good account in service.
    std::ofstream(pool_folder() / "codex_2.json") << "{\"tokens\":";
    line = pool().line_count();
    pool().signal(SIGHUP);
    ASSERT_TRUE(pool().wait_line("event=credential_file_broken", line));
    EXPECT_NE(pool().wait_line("codex_2.json", line), std::nullopt);
    ASSERT_TRUE(pool().wait_line("event=reloaded", line));
    EXPECT_EQ(make(client, turn_of(Cli::codex, "b", 3)).status, 200U);
    const fake::Response status = get("/status?format=json");
    EXPECT_NE(status.body.find("codex_2.json"), std::string::npos) << status.body;
}

} // namespace
} // namespace tests
