/// The program on disk takes over from the running one: nothing is cut, nothing lost, nothing moved.
#include "tests/integration/harness.hpp"
#include "tests/integration/steady_load.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <sstream>

namespace tests {
namespace {

constexpr const char* kNow = CODEX_POOL_VERSION_NOW;
constexpr const char* kNext = "99.0.0";

class Upgrade : public PoolTest {
protected:
    Upgrade()
    {
        for (const char* number : {"1", "2"}) {
            // API keys have no quota that a load could use up.
            add(fake::Vendor::codex, fake::Kind::api_key, std::string("codex_key") + number);
            add(fake::Vendor::claude, fake::Kind::oauth, std::string("claude_") + number);
        }
        set("max_attempts = 3");
        std::filesystem::create_directory(binary().parent_path());
        install(CODEX_POOL_BINARY);
        use_binary(binary());
    }

    [[nodiscard]] std::filesystem::path binary() const { return folder() / "bin" / "codex-pool"; }

    /// As a package does it: a new file in the place of the old one.
    void install(const std::filesystem::path& build) const
    {
        const std::filesystem::path beside = binary().string() + ".new";
        std::error_code error;
        std::filesystem::create_hard_link(build, beside, error);
        if (error) std::filesystem::copy_file(build, beside);
        std::filesystem::rename(beside, binary());
    }

    /// `codex-pool upgrade`: its exit code and what it printed.
    std::pair<int, std::string> upgrade() const
    {
        Process command({"upgrade"}, environment(), folder(), CODEX_POOL_BINARY);
        const int code = command.wait_exit(std::chrono::seconds(120)).value_or(-1);
        (void)command.wait_line("never printed", 0, std::chrono::milliseconds(1));
        return {code, command.log()};
    }

    void upgrade_to(const char* build, const char* from, const char* to)
    {
        const std::size_t line = pool().line_count();
        install(build);
        const auto [code, said] = upgrade();
        EXPECT_EQ(code, 0) << said;
        EXPECT_TRUE(
            pool().wait_line(std::string("event=upgraded from=") + from + " to=" + to, line));
    }

    /// Another value for a setting that workers take only at their start.
    void reload(int attempts)
    {
        std::ifstream in(folder() / "config.toml");
        std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
        const std::size_t at = text.find("max_attempts = ");
        text.replace(at, text.find('\n', at) - at, "max_attempts = " + std::to_string(attempts));
        std::ofstream(folder() / "config.toml") << text;
        fake::Client requests = client();
        const fake::Response answer = requests.request("POST", "/admin/reload");
        EXPECT_EQ(answer.status, 200U) << answer.body;
    }

    /// The log of one role.
    [[nodiscard]] std::string said_by(const std::string& role)
    {
        std::istringstream log(pool().log());
        std::string out;
        for (std::string line; std::getline(log, line);)
            if (line.find("role=" + role) != std::string::npos) out += "\n" + line;
        return out;
    }

    /// Claude streams that stand still in the middle until release().
    void open_streams(std::size_t count)
    {
        fake::Behaviour gated;
        gated.gate_after = 4;
        gated.path = "/v1/messages";
        upstream().script(gated);
        for (std::size_t i = 0; i < count; ++i) {
            streams_.push_back(std::make_unique<fake::Client>(port(), std::chrono::minutes(20)));
            const Turn turn = turn_of(Cli::claude, "held-" + std::to_string(i));
            ASSERT_TRUE(streams_.back()->send(turn.method, turn.target, turn.headers, turn.body));
            ASSERT_EQ(streams_.back()->read_head().status, 200U) << i;
            ASSERT_NE(streams_.back()->read_until("content_block_delta"), "") << i;
        }
    }

    void expect_whole_streams()
    {
        upstream().release();
        std::size_t cut = 0;
        for (auto& each : streams_) {
            const fake::Response rest = each->read_rest();
            const bool whole = rest.complete && rest.body.find("message_stop") != std::string::npos;
            cut += whole ? 0U : 1U;
        }
        EXPECT_EQ(cut, 0U) << "of " << streams_.size() << " streams";
        streams_.clear();
    }

    std::vector<std::unique_ptr<fake::Client>> streams_;
};

TEST_F(Upgrade, TheProgramOnDiskTakesOver)
{
    start();
    const auto before = pool().children("worker");
    const pid_t pid = pool().pid();
    const auto refresher = pool().children("refresher");
    open_streams(4);
    upgrade_to(CODEX_POOL_NEXT_BINARY, kNow, kNext);
    EXPECT_EQ(pool().pid(), pid);
    // The old workers finish their streams beside the new ones; the others are new.
    EXPECT_TRUE(eventually([&] {
        return pool().children("refresher").size() == 1 &&
               pool().children("refresher") != refresher;
    }));
    fake::Client client = this->client();
    EXPECT_EQ(make(client, turn_of(Cli::codex, "c")).status, 200U);
    EXPECT_GT(pool().children("worker").size(), 2U);
    expect_whole_streams();
    EXPECT_TRUE(eventually([&] {
        const auto now = pool().children("worker");
        return now.size() == 2 && std::none_of(now.begin(), now.end(), [&](pid_t each) {
                   return std::find(before.begin(), before.end(), each) != before.end();
               });
    }));
    EXPECT_TRUE(eventually([&] { return get("/status?format=json").status == 200; }));
    expect_usage_settles();
    expect_idle();
    EXPECT_EQ(stop(), 0) << "it still ends as asked";
}

TEST_F(Upgrade, ASignalDoesTheSame)
{
    start();
    install(CODEX_POOL_NEXT_BINARY);
    const std::size_t line = pool().line_count();
    pool().signal(SIGUSR2);
    EXPECT_TRUE(pool().wait_line("event=upgraded", line));
    fake::Client client = this->client();
    EXPECT_EQ(make(client, turn_of(Cli::codex, "c")).status, 200U);
    // Signals reach the new program as they did the old one.
    pool().signal(SIGHUP);
    EXPECT_TRUE(pool().wait_line("event=reload by=", line));
}

TEST_F(Upgrade, WorkersThatDoNotComeUpAreRolledBack)
{
    start();
    const auto workers = pool().children("worker");
    const auto refresher = pool().children("refresher");
    open_streams(4);
    install(CODEX_POOL_BROKEN_BINARY);
    const auto [code, said] = upgrade();
    EXPECT_EQ(code, 1);
    EXPECT_NE(said.find("version 99.9.9 does not come up"), std::string::npos) << said;
    EXPECT_NE(said.find("worker"), std::string::npos) << said;
    EXPECT_EQ(pool().children("worker"), workers);
    EXPECT_EQ(pool().children("refresher"), refresher);
    fake::Client client = this->client();
    EXPECT_EQ(make(client, turn_of(Cli::codex, "c")).status, 200U);
    // And a better one is welcome.
    upgrade_to(CODEX_POOL_NEXT_BINARY, kNow, kNext);
    expect_whole_streams();
    expect_usage_settles();
}

TEST_F(Upgrade, AProgramThatCannotTakeOverIsRefused)
{
    start();
    const auto workers = pool().children("worker");
    std::ofstream(binary().string() + ".new") << "not a program";
    std::filesystem::permissions(binary().string() + ".new", std::filesystem::perms::owner_all);
    std::filesystem::rename(binary().string() + ".new", binary());
    const auto [code, said] = upgrade();
    EXPECT_EQ(code, 1);
    EXPECT_NE(said.find("no codex-pool"), std::string::npos) << said;

    std::filesystem::remove(binary());
    EXPECT_EQ(upgrade().first, 1);
    EXPECT_EQ(pool().children("worker"), workers);
    EXPECT_EQ(get("/healthz").status, 200U);
}

TEST_F(Upgrade, AConfigurationThatTheNewProgramRefusesChangesNothing)
{
    start();
    const auto workers = pool().children("worker");
    install(CODEX_POOL_NEXT_BINARY);
    std::ofstream(folder() / "config.toml", std::ios::app) << "\n[nonsense]\na = 1\n";
    // The command would not read it either: the signal's outcome is in the log.
    const std::size_t line = pool().line_count();
    pool().signal(SIGUSR2);
    const auto refused = pool().wait_line("event=upgrade_refused", line);
    ASSERT_TRUE(refused);
    EXPECT_NE(refused->find("nonsense"), std::string::npos) << *refused;
    EXPECT_EQ(pool().children("worker"), workers);
    EXPECT_EQ(get("/healthz").status, 200U);
}

/// The numbers are small, so that it ends soon everywhere; CODEX_POOL_FULL_LOAD=1 makes them 200 streams, 500 requests a
/// second, 20 reloads, 10 upgrades and one rollback.
TEST_F(Upgrade, NothingIsCutUnderLoad)
{
    const bool full = std::getenv("CODEX_POOL_FULL_LOAD") != nullptr;
    const int reloads = full ? 20 : 2;
    const int upgrades = full ? 10 : 3;
    start();
    open_streams(full ? 200 : 12);
    SteadyLoad load(port(), full ? 500 : 50, full ? 16 : 4);
    ASSERT_TRUE(load.wait_answers(50)) << load.summary();
    bool is_now = true;
    for (int i = 0; i < std::max(reloads, upgrades); ++i) {
        if (i < upgrades) {
            upgrade_to(
                is_now ? CODEX_POOL_NEXT_BINARY : CODEX_POOL_BINARY,
                is_now ? kNow : kNext,
                is_now ? kNext : kNow);
            is_now = !is_now;
            ASSERT_TRUE(load.wait_answers(20)) << load.summary();
        }
        if (i == 1) {
            install(CODEX_POOL_BROKEN_BINARY);
            EXPECT_EQ(upgrade().first, 1);
        }
        if (i < reloads) {
            reload(4 + i);
            ASSERT_TRUE(load.wait_answers(20)) << load.summary() << said_by("supervisor");
        }
    }
    load.stop();
    std::cerr << load.summary() << "\n";
    EXPECT_EQ(load.failed(), 0U) << load.summary();
    const auto sent = static_cast<std::int64_t>(load.answered() + streams_.size());
    expect_whole_streams();
    EXPECT_TRUE(eventually([&] {
        return database_number("SELECT COUNT(*) FROM requests WHERE path LIKE '/v1/%'") == sent;
    })) << database_number("SELECT COUNT(*) FROM requests WHERE path LIKE '/v1/%'")
        << " rows of " << sent << " requests";
    EXPECT_EQ(upstream().ledger().moves(), std::vector<std::string>());
    expect_usage_settles();
    expect_idle();
    EXPECT_TRUE(eventually([&] { return pool().children("worker").size() == 2; }));
}

} // namespace
} // namespace tests
