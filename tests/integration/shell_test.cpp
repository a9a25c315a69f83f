/// `codex-pool status` and `codex-pool top` against the running pool, on a real terminal.
#include "tests/integration/harness.hpp"
#include "tests/support/pty_process.hpp"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include <csignal>
#include <string>
#include <vector>

namespace tests {
namespace {

using Json = nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::string_view kEnter = "\x1b[?1049h";
constexpr std::string_view kLeave = "\x1b[?25h\x1b[?1049l";

class Shell : public PoolTest {
protected:
    struct Ran {
        std::optional<int> code;
        std::string text;
    };

    Ran run(const std::vector<std::string>& arguments) const
    {
        Process command(arguments, {}, folder());
        Ran ran;
        ran.code = command.wait_exit();
        (void)command.wait_line("(never said)"); // until all it said is read
        ran.text = command.log();
        return ran;
    }

    [[nodiscard]] PtyProcess on_terminal(
        std::vector<std::string> arguments,
        unsigned short rows = 24,
        unsigned short columns = 100) const
    {
        arguments.insert(arguments.begin(), CODEX_POOL_BINARY);
        return PtyProcess(arguments, {{"TERM", "xterm"}}, folder(), rows, columns);
    }

    /// Two Codex accounts, and one stream that stays open until the upstream is released.
    void start_with_a_stream()
    {
        add(fake::Vendor::codex, fake::Kind::oauth, "one");
        add(fake::Vendor::codex, fake::Kind::oauth, "two");
        fake::Behaviour gated;
        gated.gate_after = 3;
        upstream().script(gated);
        start();
        const Turn turn = turn_of(Cli::codex, "c");
        ASSERT_TRUE(
            stream_.emplace(client()).send(turn.method, turn.target, turn.headers, turn.body));
        ASSERT_EQ(stream_->read_head().status, 200U);
    }

    void end_stream()
    {
        upstream().release();
        (void)stream_->read_until(end_mark(Cli::codex));
        stream_.reset();
    }

    [[nodiscard]] std::string state_of(const std::string& id) const
    {
        for (const Json& account : get_json("/admin/accounts"))
            if (account["id"] == id) return account["state"];
        return "(absent)";
    }

    std::optional<fake::Client> stream_;
};

TEST_F(Shell, TheVersionInWordsAndAsJson)
{
    EXPECT_EQ(run({"version"}).text, "codex-pool " CODEX_POOL_VERSION_NOW "\n");
    const Ran ran = run({"version", "--json"});
    EXPECT_EQ(ran.code, 0);
    EXPECT_EQ(Json::parse(ran.text), Json({{"version", CODEX_POOL_VERSION_NOW}}));
}

TEST_F(Shell, StatusIsOneScreenAndHasColoursOnlyOnATerminal)
{
    start_with_a_stream();
    const Ran plain = run({"status"});
    EXPECT_EQ(plain.code, 0);
    EXPECT_THAT(plain.text, HasSubstr("All 2 accounts can serve."));
    EXPECT_THAT(plain.text, HasSubstr("codex:one"));
    EXPECT_THAT(plain.text, HasSubstr("1 running"));
    EXPECT_THAT(plain.text, Not(HasSubstr("\x1b")));

    PtyProcess coloured = on_terminal({"status"});
    EXPECT_EQ(coloured.wait(), 0);
    EXPECT_THAT(coloured.drawn(), HasSubstr("\x1b[32m"));
    PtyProcess without(
        {CODEX_POOL_BINARY, "status"}, {{"TERM", "xterm"}, {"NO_COLOR", "1"}}, folder());
    EXPECT_EQ(without.wait(), 0);
    EXPECT_THAT(without.drawn(), HasSubstr("codex:one"));
    EXPECT_THAT(without.drawn(), Not(HasSubstr("\x1b")));

    const Json json = Json::parse(run({"status", "--json"}).text, nullptr, false);
    ASSERT_TRUE(json.is_object());
    EXPECT_EQ(json["accounts"].size(), 2U);
    EXPECT_EQ(json["running"][0]["user"], "local");
    end_stream();
}

TEST_F(Shell, WithoutAPoolCommandsSaySoAndEndWith3)
{
    write_config();
    for (const char* command : {"status", "top"}) {
        const Ran ran = run({command});
        EXPECT_EQ(ran.code, 3) << command;
        EXPECT_THAT(ran.text, HasSubstr("the pool is not running there"));
        PtyProcess there = on_terminal({command});
        EXPECT_TRUE(there.sees("not running there"));
        EXPECT_EQ(WEXITSTATUS(there.wait().value_or(-1)), 3);
        EXPECT_THAT(there.drawn(), Not(HasSubstr(kEnter))) << "said where it can be read";
    }
    expect_exit_code(std::nullopt);
}

TEST_F(Shell, TopNeedsATerminal)
{
    add(fake::Vendor::codex, fake::Kind::oauth, "one");
    start();
    const Ran ran = run({"top"});
    EXPECT_EQ(ran.code, 1);
    EXPECT_THAT(ran.text, HasSubstr("this is no terminal"));
}

TEST_F(Shell, TopPausesAnAccountByKeysAndLeavesTheTerminalAsItWas)
{
    start_with_a_stream();
    PtyProcess top = on_terminal({"top"});
    ASSERT_TRUE(top.sees("codex:two")) << top.drawn();
    EXPECT_TRUE(top.sees("1 running"));
    EXPECT_TRUE(top.keys_come_one_by_one());

    top.type("\x1b[Bp"); // the second one
    ASSERT_TRUE(top.sees("Pause codex:two"));
    top.type("n");
    EXPECT_EQ(state_of("codex:two"), "ready");
    top.forget();
    top.type("p");
    ASSERT_TRUE(top.sees("Pause codex:two"));
    top.type("y");
    ASSERT_TRUE(top.sees("codex:two is disabled")) << top.drawn();
    EXPECT_EQ(state_of("codex:two"), "disabled");
    top.type("p");
    ASSERT_TRUE(top.sees("codex:two is ready")) << top.drawn();

    top.type("s");
    EXPECT_TRUE(top.sees("most output first"));
    top.forget();
    top.resize(10, 40);
    EXPECT_TRUE(top.sees("codex:one"));
    top.forget();
    top.resize(3, 20);
    EXPECT_TRUE(top.sees("too small"));
    top.type("q");
    EXPECT_EQ(top.wait(), 0);
    EXPECT_TRUE(top.sees(kLeave)) << top.drawn();
    EXPECT_TRUE(top.terminal_is_as_before());
    end_stream();
}

TEST_F(Shell, WhateverEndsTopItPutsTheTerminalBack)
{
    add(fake::Vendor::codex, fake::Kind::oauth, "one");
    start();
    for (const int signal : {SIGTERM, SIGHUP, SIGQUIT, SIGINT, SIGSEGV, SIGABRT}) {
        PtyProcess top = on_terminal({"top"});
        ASSERT_TRUE(top.sees("codex:one"));
        top.signal(signal);
        const int status = top.wait().value_or(-1);
        if (signal == SIGINT)
            EXPECT_EQ(status, 0);
        else
            EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == signal)
                << signal << ' ' << status;
        EXPECT_TRUE(top.sees(kLeave)) << signal << top.drawn();
        EXPECT_TRUE(top.terminal_is_as_before()) << signal;
    }
    PtyProcess top = on_terminal({"top"});
    ASSERT_TRUE(top.sees("codex:one"));
    top.type("\x1a"); // Ctrl-Z
    ASSERT_TRUE(top.wait_stopped());
    EXPECT_TRUE(top.sees(kLeave)) << top.drawn();
    top.forget();
    top.signal(SIGCONT);
    EXPECT_TRUE(top.sees(kEnter)) << "it goes on where it was";
    EXPECT_TRUE(top.sees("codex:one"));
    top.type("q");
    EXPECT_EQ(top.wait(), 0);
}

TEST_F(Shell, TopShowsThePoolWhileNoWorkerCan)
{
    start_with_a_stream();
    const std::vector<pid_t> workers = pool().children("worker");
    ASSERT_FALSE(workers.empty());
    for (const pid_t worker : workers)
        ::kill(worker, SIGSTOP);
    PtyProcess top = on_terminal({"top"});
    EXPECT_TRUE(top.sees("codex:one"));
    EXPECT_TRUE(top.sees("1 running"));
    EXPECT_TRUE(top.sees("silent"));
    for (const pid_t worker : workers)
        ::kill(worker, SIGCONT);
    top.type("q");
    EXPECT_EQ(top.wait(), 0);
    end_stream();
}

TEST_F(Shell, WhoeverHasToWaitIsToldSo)
{
    add(fake::Vendor::codex, fake::Kind::oauth, "one");
    start();
    const std::vector<pid_t> admin = pool().children("admin");
    ASSERT_EQ(admin.size(), 1U);
    ::kill(admin[0], SIGSTOP);
    PtyProcess command = on_terminal({"accounts"});
    EXPECT_TRUE(command.sees("waiting for the pool, 1 s"));
    ::kill(admin[0], SIGCONT);
    EXPECT_EQ(command.wait(), 0);
    EXPECT_TRUE(command.sees("codex:one"));
}

TEST_F(Shell, TopOutlivesThePoolItShows)
{
    add(fake::Vendor::codex, fake::Kind::oauth, "one");
    start();
    PtyProcess top = on_terminal({"top"});
    ASSERT_TRUE(top.sees("codex:one"));
    EXPECT_EQ(stop(), 0);
    EXPECT_TRUE(top.sees("not running there")) << top.drawn();
    top.type("q");
    EXPECT_EQ(top.wait(), 0);
    EXPECT_TRUE(top.terminal_is_as_before());
}

TEST_F(Shell, ABackupOfARunningPoolBringsItBack)
{
    add(fake::Vendor::codex, fake::Kind::oauth, "one");
    add(fake::Vendor::claude, fake::Kind::oauth, "claude_two");
    start();
    fake::Client client = this->client();
    ASSERT_EQ(make(client, turn_of(Cli::codex, "c")).status, 200U);
    ASSERT_TRUE(eventually([&] { return database_number("SELECT count(*) FROM requests") == 1; }));
    const Ran made = run({"backup", "pool.backup"});
    ASSERT_EQ(made.code, 0) << made.text;
    const Ran refused = run({"restore", "pool.backup"});
    EXPECT_EQ(refused.code, 1);
    EXPECT_THAT(
        refused.text, HasSubstr("(pid " + std::to_string(pool().pid()) + ") works in this folder"));

    ASSERT_EQ(make(client, turn_of(Cli::codex, "c", 1)).status, 200U);
    EXPECT_EQ(stop(), 0);
    EXPECT_EQ(database_number("SELECT count(*) FROM requests"), 2);
    std::filesystem::remove_all(pool_folder());
    const Ran restored = run({"restore", "pool.backup"});
    ASSERT_EQ(restored.code, 0) << restored.text;
    EXPECT_EQ(database_number("SELECT count(*) FROM requests"), 1);
    start();
    fake::Client again = this->client();
    EXPECT_EQ(make(again, turn_of(Cli::codex, "c", 1)).status, 200U);
}

TEST_F(Shell, DoctorKnowsTheRunningPoolAndTellsNobodyWhoseItIs)
{
    add(fake::Vendor::codex, fake::Kind::oauth, "verysecretname");
    start();
    allow_violations(); // it knocks without a credential
    const std::string listen = "127.0.0.1:" + std::to_string(port());
    const Ran plain = run({"doctor", "--listen", listen});
    EXPECT_EQ(plain.code, 0) << plain.text;
    EXPECT_THAT(plain.text, HasSubstr("codex:verysecretname is ready"));
    EXPECT_THAT(plain.text, HasSubstr("the pool answers on " + listen));
    const Ran shared = run({"doctor", "--share", "--listen", listen});
    EXPECT_EQ(shared.code, 0);
    EXPECT_THAT(shared.text, HasSubstr("codex:account-1 is ready"));
    EXPECT_THAT(shared.text, Not(HasSubstr("verysecretname")));
    EXPECT_THAT(shared.text, Not(HasSubstr(folder().string())));
    const Json json =
        Json::parse(run({"doctor", "--json", "--listen", listen}).text, nullptr, false);
    EXPECT_EQ(json["ok"], true);
}

TEST_F(Shell, TheLogCanBeJson)
{
    add(fake::Vendor::codex, fake::Kind::oauth, "one");
    set("log_format = \"json\"");
    start();
    fake::Client client = this->client();
    ASSERT_EQ(make(client, turn_of(Cli::codex, "c")).status, 200U);
    const auto line = pool().wait_line("\"outcome\":\"completed\"");
    ASSERT_TRUE(line);
    const Json json = Json::parse(*line, nullptr, false);
    ASSERT_TRUE(json.is_object()) << *line;
    EXPECT_EQ(json["level"], "info");
    EXPECT_EQ(json["account"], "codex:one");
    EXPECT_EQ(json["status"], 200);
    EXPECT_EQ(json["user"], "local");
    EXPECT_THAT(json["role"].get<std::string>(), HasSubstr("worker-"));
}

} // namespace
} // namespace tests
