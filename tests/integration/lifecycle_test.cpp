/// Starting, stopping, and everything around the pool that can be wrong: ports, folders, disks, files.
#include "tests/integration/harness.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <fstream>

#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

namespace tests {
namespace {

class Lifecycle : public PoolTest {
protected:
    fake::Client open_stream(const std::string& id)
    {
        fake::Client client = this->client();
        const Turn turn = turn_of(Cli::claude, id);
        EXPECT_TRUE(client.send(turn.method, turn.target, turn.headers, turn.body));
        EXPECT_EQ(client.read_head().status, 200U);
        EXPECT_NE(client.read_until("content_block_delta"), "");
        return client;
    }

    void gate_streams()
    {
        fake::Behaviour gated;
        gated.gate_after = 4;
        upstream().script(gated);
    }
};

TEST_F(Lifecycle, StoppingLetsOpenRequestsFinish)
{
    add(fake::Vendor::claude, fake::Kind::oauth, "claude_1");
    start();
    gate_streams();
    std::vector<fake::Client> streams;
    for (std::size_t i = 0; i < 6; ++i)
        streams.push_back(open_stream("s" + std::to_string(i)));
    pool().signal(SIGTERM);
    // New connections are refused (or never answered) while the old streams go on.
    EXPECT_TRUE(eventually([&] { return get("/healthz").status != 200; }));
    upstream().release();
    for (fake::Client& each : streams) {
        const fake::Response rest = each.read_rest();
        EXPECT_TRUE(rest.complete);
        EXPECT_NE(rest.body.find("message_stop"), std::string::npos);
    }
    EXPECT_EQ(pool().wait_exit(), 0);
    EXPECT_EQ(database_totals(), upstream().ledger().totals());
    EXPECT_EQ(database_totals("requests"), upstream().ledger().totals());
}

TEST_F(Lifecycle, ASecondSignalEndsTheWaiting)
{
    add(fake::Vendor::claude, fake::Kind::oauth, "claude_1");
    start();
    gate_streams();
    fake::Client stream = open_stream("s");
    pool().signal(SIGTERM);
    EXPECT_TRUE(eventually([&] { return get("/healthz").status != 200; }));
    const auto begun = std::chrono::steady_clock::now();
    pool().signal(SIGTERM);
    EXPECT_EQ(pool().wait_exit(std::chrono::seconds(10)), 0);
    EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(8));
    // What the cut stream had cost so far was written.
    EXPECT_EQ(database_totals(), upstream().ledger().totals());
}

TEST_F(Lifecycle, TheGracePeriodEnds)
{
    add(fake::Vendor::claude, fake::Kind::oauth, "claude_1");
    set("shutdown_grace_seconds = 1");
    start();
    gate_streams();
    fake::Client stream = open_stream("s");
    EXPECT_EQ(stop(), 0);
}

TEST_F(Lifecycle, APortInUseIsNamed)
{
    const std::string own = std::to_string(upstream().port()); // the fake upstream has it
    set("listen_addr = \"127.0.0.1:" + own + "\"");
    Process& process = launch();
    EXPECT_EQ(process.wait_exit(), 1);
    EXPECT_TRUE(process.wait_line("in use")) << process.log(); // what it said is read after its end
    EXPECT_NE(process.log().find(own), std::string::npos) << process.log();
    expect_exit_code(1);
}

TEST_F(Lifecycle, NoChildOutlivesTheSupervisor)
{
    add(fake::Vendor::claude, fake::Kind::oauth, "claude_1");
    start();
    std::vector<pid_t> children = pool().children("child");
    ASSERT_GE(children.size(), 4U);
    pool().signal(SIGKILL);
    for (const pid_t each : children) {
        EXPECT_TRUE(eventually([&] {
            std::ifstream stat("/proc/" + std::to_string(each) + "/stat");
            std::string text;
            std::getline(stat, text);
            return text.empty() || text.find(") Z ") != std::string::npos;
        })) << each;
    }
    expect_exit_code(128 + SIGKILL);
}

TEST_F(Lifecycle, ChildrenThatDieAreReplaced)
{
    add(fake::Vendor::claude, fake::Kind::oauth, "claude_1");
    start();
    for (const char* role : {"worker", "refresher", "admin"}) {
        const pid_t before = pool().children(role).at(0);
        ASSERT_EQ(::kill(before, SIGKILL), 0);
        EXPECT_TRUE(eventually([&] {
            const std::vector<pid_t> now = pool().children(role);
            return now.size() == (role == std::string("worker") ? 2U : 1U) &&
                   std::find(now.begin(), now.end(), before) == now.end();
        })) << role;
        EXPECT_TRUE(eventually([&] { return get("/status?format=json").status == 200; })) << role;
    }
    fake::Client client = this->client();
    EXPECT_EQ(make(client, turn_of(Cli::claude, "c")).status, 200U);
}

TEST_F(Lifecycle, AStoppedWorkerIsKilledAndReplaced)
{
    add(fake::Vendor::claude, fake::Kind::oauth, "claude_1");
    set("worker_hang_seconds = 2");
    start();
    const std::vector<pid_t> workers = pool().children("worker");
    ASSERT_EQ(::kill(workers.at(0), SIGSTOP), 0);
    EXPECT_TRUE(eventually([&] {
        const std::vector<pid_t> now = pool().children("worker");
        return now.size() == 2 && std::find(now.begin(), now.end(), workers[0]) == now.end();
    }));
    for (std::size_t i = 0; i < 6; ++i)
        EXPECT_EQ(get("/healthz").status, 200U);
}

TEST_F(Lifecycle, PoolFoldersOfEveryWrongKind)
{
    const auto run = [&](const std::string& setting) {
        set(setting);
        Process& process = launch({"check"});
        const std::optional<int> code = process.wait_exit();
        EXPECT_EQ(code, 1) << setting << process.log();
        return process.log();
    };
    expect_exit_code(1);
    EXPECT_NE(run("pool_dir = \"missing\"").find("missing"), std::string::npos);
}

TEST_F(Lifecycle, APoolFolderThatIsAFile)
{
    std::ofstream(folder() / "afile") << "x";
    set("pool_dir = \"afile\"");
    Process& process = launch({"check"});
    EXPECT_EQ(process.wait_exit(), 1) << process.log();
    EXPECT_NE(process.log().find("afile"), std::string::npos) << process.log();
    expect_exit_code(1);
}

TEST_F(Lifecycle, BrokenCredentialFilesAreNamedAndDoNotStopTheOthers)
{
    add(fake::Vendor::claude, fake::Kind::oauth, "claude_1");
    std::ofstream(pool_folder() / "empty.json") << "";
    std::ofstream(pool_folder() / "truncated.json") << R"({"tokens":{"access_token":"eyJ)";
    std::ofstream(pool_folder() / "text.json") << "hello";
    std::ofstream(pool_folder() / "deep.json") << std::string(200000, '[');
    std::ofstream(pool_folder() / "jwt.json")
        << R"({"tokens":{"id_token":"no.jwt","access_token":"at","refresh_token":"r"}})";
    std::ofstream(pool_folder() / "huge.json") << std::string(100U << 20U, ' ');
    for (const char* name : {"empty", "truncated", "text", "deep", "jwt", "huge"})
        (void)::chmod((pool_folder() / (std::string(name) + ".json")).c_str(), 0600);
    Process& process = launch();
    const std::optional<std::string> line = process.wait_line("listening on http://");
    ASSERT_TRUE(line);
    for (const char* name : {"empty.json", "truncated.json", "text.json", "deep.json", "huge.json"})
        EXPECT_TRUE(process.wait_line(name)) << name;
    allow_violations(); // the one whose token nobody knows may be asked about
}

TEST_F(Lifecycle, AReadOnlyDataFolderIsNamedAtStart)
{
    const std::filesystem::path data = folder() / "data";
    std::filesystem::create_directory(data);
    // Permissions do not stop root, a read-only mount does.
    const bool mounted = ::mount("tmpfs", data.c_str(), "tmpfs", MS_RDONLY, "size=1m") == 0;
    if (!mounted && ::getuid() == 0) GTEST_SKIP() << "cannot mount a tmpfs here";
    if (!mounted) std::filesystem::permissions(data, std::filesystem::perms::owner_read);
    Process& process = launch();
    EXPECT_EQ(process.wait_exit(), 1);
    EXPECT_NE(process.log().find("data"), std::string::npos) << process.log();
    expect_exit_code(1);
    if (mounted)
        (void)::umount2(data.c_str(), MNT_DETACH);
    else
        std::filesystem::permissions(data, std::filesystem::perms::owner_all);
}

TEST_F(Lifecycle, AFullDiskStopsNoRequestAndLosesNoToken)
{
    if (::getuid() != 0) GTEST_SKIP() << "needs a small tmpfs, which only root may mount";
    std::filesystem::create_directory(folder() / "data");
    if (::mount("tmpfs", (folder() / "data").c_str(), "tmpfs", 0, "size=2m,mode=700") != 0)
        GTEST_SKIP() << "cannot mount a tmpfs here";
    add(fake::Vendor::claude, fake::Kind::oauth, "claude_1");
    start();
    fake::Client client = this->client();
    EXPECT_EQ(make(client, turn_of(Cli::claude, "before")).status, 200U);
    expect_usage_settles();
    {
        std::ofstream filler(folder() / "data" / "filler");
        const std::string block(4096, 'f');
        while (filler.write(block.data(), static_cast<std::streamsize>(block.size())).flush()) {
        }
    }
    const std::size_t line = pool().line_count();
    for (std::size_t i = 0; i < 40; ++i)
        EXPECT_EQ(make(client, turn_of(Cli::claude, "full-" + std::to_string(i))).status, 200U);
    EXPECT_TRUE(pool().wait_line("usage", line)) << "it says that usage cannot be written";
    std::filesystem::remove(folder() / "data" / "filler");
    expect_usage_settles();
    EXPECT_EQ(stop(), 0);
    (void)::umount2((folder() / "data").c_str(), MNT_DETACH);
}

TEST_F(Lifecycle, ADatabaseThatIsNoneIsLeftAlone)
{
    std::filesystem::create_directory(folder() / "data");
    const std::string junk =
        "this is not a database, but somebody may need it" + std::string(5000, '.');
    std::ofstream(folder() / "data" / "proxy.db") << junk;
    Process& process = launch();
    EXPECT_EQ(process.wait_exit(), 1);
    EXPECT_NE(process.log().find("proxy.db"), std::string::npos) << process.log();
    std::ifstream file(folder() / "data" / "proxy.db");
    EXPECT_EQ(
        std::string((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>()),
        junk);
    expect_exit_code(1);
}

TEST_F(Lifecycle, TheDemoAnswersAndLeavesNothingBehind)
{
    const std::filesystem::path temporary = folder() / "tmp";
    std::filesystem::create_directory(temporary);
    set_environment("TMPDIR", temporary.string());
    Process& process = launch({"demo", "--listen", "127.0.0.1:0"});
    const std::optional<std::string> line = process.wait_line("listening on http://");
    ASSERT_TRUE(line) << process.log();
    const auto port =
        static_cast<std::uint16_t>(std::strtoul(line->c_str() + line->rfind(':') + 1, nullptr, 10));
    ASSERT_TRUE(process.wait_line("curl")) << process.log();
    fake::Client client(port);
    EXPECT_EQ(client.request("GET", "/healthz").status, 200U);
    EXPECT_EQ(
        client.request("POST", "/v1/messages", {}, unstreamed(Cli::claude, "demo").body).status,
        200U);
    EXPECT_TRUE(eventually([&] {
        fake::Client one(port);
        return one.request("GET", "/status?format=json").body.find("gpt-demo") !=
                   std::string::npos ||
               one.request("GET", "/admin/accounts").body.find("gpt-demo") != std::string::npos;
    })) << "its own traffic shows";
    // All three providers are served, so no account of the demo is ever in trouble.
    EXPECT_TRUE(process.wait_line("model=gemini-demo account=gemini:dave status=200"))
        << process.log();
    EXPECT_NE(
        fake::Client(port).request("GET", "/healthz").body.find("\"healthy_accounts\":6"),
        std::string::npos);
    EXPECT_EQ(stop(), 0);
    EXPECT_TRUE(std::filesystem::is_empty(temporary)) << "its folder is gone";
    EXPECT_FALSE(std::filesystem::exists(folder() / "data"));
}

} // namespace
} // namespace tests
