/// The program on disk takes over from the running one: nothing is cut, nothing lost, nothing moved.
#include "tests/integration/harness.hpp"
#include "tests/integration/steady_load.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>

#include <signal.h>

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
        std::filesystem::remove(beside); // it stays where both are links to one file
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

    void open_streams(std::size_t count) { streams_.open(upstream(), port(), count); }

    void expect_whole_streams() { streams_.expect_whole(upstream()); }

    [[nodiscard]] std::int64_t rows() const
    {
        return database_number("SELECT COUNT(*) FROM requests WHERE path LIKE '/v1/%'");
    }

    /// One row a request, however many processes wrote them.
    void expect_rows(std::int64_t sent)
    {
        EXPECT_TRUE(eventually([&] { return rows() == sent; })) << rows() << " of " << sent;
        EXPECT_EQ(
            database_number("SELECT COUNT(DISTINCT request_id) FROM requests"),
            database_number("SELECT COUNT(*) FROM requests"));
    }

    HeldStreams streams_;
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
    const auto sent = static_cast<std::int64_t>(load.answered() + streams_.count());
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

// ---- a program whose segment has another layout -----------------------------------------------------------

TEST_F(Upgrade, AnotherLayoutTakesOverUnderLoad)
{
    start();
    const pid_t pid = pool().pid();
    const bool full = std::getenv("CODEX_POOL_FULL_LOAD") != nullptr;
    open_streams(full ? 200 : 8);
    SteadyLoad load(port(), full ? 500 : 50, full ? 16 : 4);
    ASSERT_TRUE(load.wait_answers(50)) << load.summary();
    upgrade_to(CODEX_POOL_NEXT_LAYOUT_BINARY, kNow, kNext);
    EXPECT_EQ(pool().pid(), pid);
    ASSERT_TRUE(load.wait_answers(30)) << load.summary() << said_by("supervisor");
    EXPECT_EQ(processes("drainer").size(), 1U);
    EXPECT_EQ(processes("refresher").size(), 1U);
    // And back, while the first drainer is still there; then within one layout, which takes both over.
    upgrade_to(CODEX_POOL_BINARY, kNext, kNow);
    ASSERT_TRUE(load.wait_answers(30)) << load.summary() << said_by("supervisor");
    upgrade_to(CODEX_POOL_NEXT_BINARY, kNow, kNext);
    ASSERT_TRUE(load.wait_answers(30)) << load.summary() << said_by("supervisor");
    load.stop();
    std::cerr << load.summary() << "\n";
    EXPECT_EQ(load.failed(), 0U) << load.summary() << said_by("supervisor");
    const auto sent = static_cast<std::int64_t>(load.answered() + streams_.count());
    expect_whole_streams();
    expect_rows(sent);
    EXPECT_EQ(upstream().ledger().moves(), std::vector<std::string>());
    expect_usage_settles();
    expect_idle();
    EXPECT_TRUE(eventually([&] {
        return processes("drainer").empty() && processes("worker").size() == 2 &&
               processes("admin").size() == 1;
    })) << said_by("supervisor");
    EXPECT_EQ(stop(), 0);
    EXPECT_TRUE(processes("child").empty());
}

TEST_F(Upgrade, CooldownsAreCarriedToAnotherLayout)
{
    fake::Behaviour limited = fake::answers(
        429, R"({"error":{"type":"rate_limit_error","message":"slow"}})", {{"Retry-After", "1800"}});
    limited.times = 1;
    limited.path = "/v1/messages";
    upstream().script(limited);
    start();
    const auto cooling = [this] {
        std::map<std::string, std::string> found;
        for (const auto& each : get_json("/admin/accounts")) {
            if (each["state"] != "cooling") continue;
            for (const char* key : {"reason", "until", "since", "source"})
                found[each["id"].get<std::string>() + "/" + key] = each[key].dump();
        }
        return found;
    };
    fake::Client client = this->client();
    EXPECT_EQ(make(client, turn_of(Cli::claude, "a")).status, 200U) << "the other account answers";
    const auto before = cooling();
    EXPECT_EQ(before.size(), 4U);
    upgrade_to(CODEX_POOL_NEXT_LAYOUT_BINARY, kNow, kNext);
    // The old admin child leaves when it has answered.
    EXPECT_TRUE(eventually([&] { return processes("admin").size() == 1; }));
    EXPECT_EQ(cooling(), before);
    expect_usage_settles();
}

TEST_F(Upgrade, ABrokenBuildOfAnotherLayoutIsRolledBack)
{
    start();
    const auto workers = pool().children("worker");
    const auto admin = pool().children("admin");
    open_streams(4);
    SteadyLoad load(port(), 50, 4);
    ASSERT_TRUE(load.wait_answers(20)) << load.summary();
    install(CODEX_POOL_BROKEN_LAYOUT_BINARY);
    for (int i = 0; i < 2; ++i) {
        const auto [code, said] = upgrade();
        EXPECT_EQ(code, 1);
        EXPECT_NE(said.find("version 99.9.9 does not come up"), std::string::npos) << said;
        EXPECT_EQ(pool().children("worker"), workers);
        EXPECT_EQ(pool().children("admin"), admin);
        EXPECT_TRUE(eventually([&] {
            return processes("refresher").size() == 1 && processes("drainer").empty();
        }));
        ASSERT_TRUE(load.wait_answers(20)) << load.summary() << said_by("supervisor");
    }
    // And a better one is welcome.
    upgrade_to(CODEX_POOL_NEXT_LAYOUT_BINARY, kNow, kNext);
    ASSERT_TRUE(load.wait_answers(20)) << load.summary();
    load.stop();
    EXPECT_EQ(load.failed(), 0U) << load.summary() << said_by("supervisor");
    const auto sent = static_cast<std::int64_t>(load.answered() + streams_.count());
    expect_whole_streams();
    expect_rows(sent);
    EXPECT_EQ(upstream().ledger().moves(), std::vector<std::string>());
    expect_usage_settles();
}

/// No service manager starts it again: what runs is finished and counted all the same.
TEST_F(Upgrade, KilledInTheMiddleOfItNothingIsLost)
{
    std::int64_t sent = 0;
    for (const char* build : {CODEX_POOL_NEXT_LAYOUT_BINARY, CODEX_POOL_NEXT_BINARY}) {
        install(CODEX_POOL_BINARY);
        start();
        open_streams(4);
        fake::Client client = this->client();
        EXPECT_EQ(make(client, turn_of(Cli::codex, "c")).status, 200U);
        sent += 5;
        install(build);
        pool().signal(SIGUSR2);
        ASSERT_TRUE(pool().wait_line("event=taking_over"));
        pool().signal(SIGKILL);
        ASSERT_EQ(pool().wait_exit(), 128 + SIGKILL);
        expect_whole_streams();
        EXPECT_TRUE(eventually([&] { return processes("child").empty(); }));
        expect_rows(sent);
    }
    start();
    expect_usage_settles();
}

TEST_F(Upgrade, ADrainerThatDiesIsStartedAgain)
{
    start();
    open_streams(4);
    upgrade_to(CODEX_POOL_NEXT_LAYOUT_BINARY, kNow, kNext);
    const auto first = processes("drainer");
    ASSERT_EQ(first.size(), 1U);
    ASSERT_EQ(::kill(first[0], SIGKILL), 0);
    EXPECT_TRUE(eventually(
        [&] { return processes("drainer").size() == 1 && processes("drainer") != first; }));
    expect_whole_streams();
    expect_rows(4);
    EXPECT_TRUE(eventually([&] { return processes("drainer").empty(); }));
    expect_usage_settles();
}

TEST_F(Upgrade, AStopEndsWorkersOfAnotherLayout)
{
    set("shutdown_grace_seconds = 1");
    start();
    open_streams(2);
    upgrade_to(CODEX_POOL_NEXT_LAYOUT_BINARY, kNow, kNext);
    EXPECT_EQ(stop(), 0);
    EXPECT_TRUE(processes("child").empty());
    expect_rows(2);
    streams_.drop();
}

} // namespace
} // namespace tests
