/// Limits of pool users and fair sharing between them: the real tree, many clients at once.
#include "shared/base/clock.hpp"
#include "shared/users/credential.hpp"
#include "tests/integration/harness.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <thread>

namespace tests {
namespace {

using nlohmann::json;

class Limits : public PoolTest {
protected:
    static constexpr std::string_view kSecret = "the signing key of this test, long enough";

    Limits()
    {
        set_environment("POOL_JWT_SECRET", std::string(kSecret));
        set_environment("POOL_USERS_PATH", (folder() / "users.json").string());
    }

    void add_user(const std::string& id, const json& limits = json::object())
    {
        users_.push_back({{"id", id}, {"email", ""}, {"limits", limits}});
        std::ofstream(folder() / "users.json") << users_.dump();
    }

    /// Starts and waits until users are known.
    void start_shared()
    {
        start();
        ASSERT_TRUE(
            eventually([&] { return pool().wait_line("event=users_published").has_value(); }));
    }

    [[nodiscard]] static std::string bearer(const std::string& id)
    {
        const shared::CredentialKey key{shared::Secret(std::string(kSecret))};
        return "Bearer " + key.issue("sk-ant-oat01-pool-", id, 1, shared::now_unix());
    }

    [[nodiscard]] static Turn as(const std::string& id, Turn turn)
    {
        std::erase_if(turn.headers, [](const auto& header) {
            return header.first == "Authorization" || header.first == "x-api-key" ||
                   header.first == "X-Api-Key" || header.first == "authorization";
        });
        turn.headers.emplace_back("Authorization", bearer(id));
        return turn;
    }

    fake::Response turn(const std::string& id, const std::string& conversation) const
    {
        fake::Client requests = client();
        return make(requests, as(id, turn_of(Cli::claude, conversation)));
    }

    json users_ = json::array();
};

TEST_F(Limits, ConcurrencyHoldsExactlyOverFourWorkersAndSixtyFourClients)
{
    constexpr std::size_t kClients = 64;
    constexpr std::size_t kLimit = 10;
    set("workers = 4");
    add(fake::Vendor::claude, fake::Kind::api_key, "claude_1"); // one that nothing is asked about
    add_user("ab12", {{"concurrency", kLimit}});
    start_shared();
    fake::Behaviour gated;
    gated.gate_after = 4;
    upstream().script(gated);
    std::atomic<std::size_t> served{0};
    std::atomic<std::size_t> refused{0};
    std::atomic<std::size_t> complete{0};
    std::vector<std::thread> clients;
    for (std::size_t i = 0; i < kClients; ++i) {
        clients.emplace_back([&, i] {
            fake::Client requests = client();
            const Turn mine = as("ab12", turn_of(Cli::claude, "c" + std::to_string(i)));
            requests.send(mine.method, mine.target, mine.headers, mine.body);
            const fake::Response head = requests.read_head();
            if (head.status == 200) ++served;
            if (head.status == 429) ++refused;
            if (requests.read_rest().complete && head.status == 200) ++complete;
        });
    }
    EXPECT_TRUE(eventually([&] { return served + refused == kClients; }));
    EXPECT_EQ(served, kLimit);
    EXPECT_EQ(refused, kClients - kLimit);
    upstream().release();
    for (std::thread& each : clients)
        each.join();
    EXPECT_EQ(complete, kLimit);
    EXPECT_EQ(upstream().ledger().exchanges().size(), kLimit) << "a refusal costs no upstream call";
    EXPECT_EQ(turn("ab12", "after").status, 200U) << "what has ended counts no more";
}

TEST_F(Limits, TokensOfTheDaySurviveARestart)
{
    add(fake::Vendor::claude, fake::Kind::oauth, "claude_1");
    add_user("ab12", {{"tokens_per_day", 1}});
    add_user("cd34");
    start_shared();
    EXPECT_EQ(turn("ab12", "c").status, 200U) << "what it costs is known when it ends";
    const fake::Response refused = turn("ab12", "c");
    EXPECT_EQ(refused.status, 429U);
    EXPECT_NE(refused.body.find("tokens per day"), std::string::npos) << refused.body;
    EXPECT_EQ(turn("cd34", "d").status, 200U) << "others are not limited";
    EXPECT_EQ(stop(), 0);
    start_shared();
    EXPECT_EQ(turn("ab12", "c").status, 429U);
    EXPECT_EQ(turn("cd34", "d").status, 200U);
}

/// One user keeps 50 requests going on an account of two places; how many of them go before another user's one.
TEST_F(Limits, AFloodOfOneUserHoldsAnotherUpByAFewRequestsOnly)
{
    constexpr std::size_t kFlood = 50;
    constexpr int kOthers = 20;
    const fake::Account account = add(fake::Vendor::claude, fake::Kind::oauth, "claude_1");
    const auto file = pool_folder() / "claude_1.json";
    json credential = json::parse(std::ifstream(file));
    credential["codex_pool"] = {{"max_concurrency", 2}};
    std::ofstream(file) << credential.dump();
    add_user("f1", {});
    add_user("b2", {});
    start_shared();
    fake::Behaviour slow;
    slow.delay = std::chrono::milliseconds(15);
    upstream().script(slow);
    std::atomic<bool> over{false};
    std::atomic<std::size_t> flooded{0};
    std::atomic<std::size_t> failed{0};
    std::vector<std::thread> flood;
    for (std::size_t i = 0; i < kFlood; ++i) {
        flood.emplace_back([&, i] {
            for (std::size_t n = 0; !over; ++n) {
                const std::string id = "f" + std::to_string(i) + "-" + std::to_string(n);
                (turn("f1", id).status == 200 ? flooded : failed)++;
            }
        });
    }
    EXPECT_TRUE(eventually([&] { return flooded >= kFlood; }));
    std::vector<std::size_t> overtaken;
    for (int n = 0; n < kOthers; ++n) {
        const std::size_t before = flooded;
        EXPECT_EQ(turn("b2", "b" + std::to_string(n)).status, 200U);
        overtaken.push_back(flooded - before);
    }
    over = true;
    for (std::thread& each : flood)
        each.join();
    std::sort(overtaken.begin(), overtaken.end());
    // First come, first served would let all of them (48 that wait) go first, each time.
    EXPECT_LE(overtaken[kOthers / 2], 6U) << "in the middle";
    EXPECT_LE(overtaken.back(), kFlood / 2) << "at worst";
    EXPECT_EQ(failed, 0U);
}

} // namespace
} // namespace tests
