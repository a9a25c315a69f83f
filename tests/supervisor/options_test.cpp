#include "supervisor/options.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace supervisor {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Command = Options::Command;

struct Parsed {
    Options options;
    std::string out;
    std::string err;
};

Parsed parse(std::vector<const char*> arguments)
{
    arguments.insert(arguments.begin(), "codex-pool");
    ::testing::internal::CaptureStdout();
    ::testing::internal::CaptureStderr();
    Parsed parsed;
    parsed.options = parse_options(static_cast<int>(arguments.size()), arguments.data());
    parsed.out = ::testing::internal::GetCapturedStdout();
    parsed.err = ::testing::internal::GetCapturedStderr();
    return parsed;
}

TEST(Options, Commands)
{
    const std::vector<std::pair<std::vector<const char*>, Command>> cases{
        {{}, Command::run},
        {{"run"}, Command::run},
        {{"check"}, Command::check},
        {{"demo"}, Command::demo},
        {{"simulate"}, Command::simulate},
        {{"version"}, Command::version},
        {{"--version"}, Command::version},
        {{"-V"}, Command::version}};
    for (const auto& [arguments, command] : cases) {
        const Parsed parsed = parse(arguments);
        EXPECT_EQ(parsed.options.command, command);
        EXPECT_EQ(parsed.out + parsed.err, "");
    }
}

TEST(Options, JsonOfCommandsThatAskNobody)
{
    EXPECT_TRUE(parse({"simulate", "--json"}).options.simulate.json);
    EXPECT_FALSE(parse({"simulate"}).options.simulate.json);
    for (const char* command : {"version", "check", "doctor"})
        EXPECT_TRUE(parse({command, "--json"}).options.json) << command;
}

TEST(Options, OwnersCommands)
{
    using Kind = ControlCommand::Kind;
    const auto control = [](const std::vector<const char*>& arguments) {
        const Parsed parsed = parse(arguments);
        EXPECT_EQ(parsed.options.command, Command::control) << parsed.err;
        return parsed.options.control;
    };
    EXPECT_EQ(control({"why", "0123"}).kind, Kind::why);
    EXPECT_EQ(control({"why", "0123"}).subject, "0123");
    EXPECT_TRUE(control({"why", "--json", "0123"}).json);
    EXPECT_EQ(control({"events"}).kind, Kind::events);
    EXPECT_FALSE(control({"events"}).follow);
    EXPECT_TRUE(control({"events", "-f"}).follow);
    EXPECT_EQ(control({"accounts"}).kind, Kind::accounts);
    const auto usage = control({"usage", "--group", "model", "--last", "30d", "--json"});
    EXPECT_EQ(usage.kind, Kind::usage);
    EXPECT_EQ(usage.query.at("group"), "model");
    EXPECT_EQ(usage.query.at("last"), "30d");
    EXPECT_TRUE(usage.json);
    const auto requests = control({"requests", "--status", "failed"});
    EXPECT_EQ(requests.kind, Kind::requests);
    EXPECT_EQ(requests.query.at("status"), "failed");
    for (const char* action : {"enable", "disable", "clear", "refresh", "test"}) {
        const ControlCommand command = control({"accounts", action, "codex:a b", "--json"});
        EXPECT_EQ(command.kind, Kind::account_action);
        EXPECT_EQ(command.action, action);
        EXPECT_EQ(command.subject, "codex:a b");
        EXPECT_TRUE(command.json);
    }
    EXPECT_EQ(control({"users"}).kind, Kind::users);
    EXPECT_EQ(control({"users", "list", "--json"}).action, "list");
    for (const char* action : {"show", "disable", "enable", "rotate", "invite", "delete"}) {
        const ControlCommand command = control({"users", action, "00ff"});
        EXPECT_EQ(command.kind, Kind::users);
        EXPECT_EQ(command.action, action);
        EXPECT_EQ(command.subject, "00ff");
    }
    const ControlCommand limits =
        control({"users", "limits", "00ff", "--tokens-per-day", "5", "--models", "default"});
    EXPECT_EQ(limits.action, "limits");
    ASSERT_EQ(limits.fields.size(), 2U);
    EXPECT_EQ(limits.fields[0].first, "tokens_per_day");
    EXPECT_EQ(limits.fields[0].second, "5");
    EXPECT_EQ(control({"users", "add", "--email", "a@b"}).fields[0].first, "email");
    const Parsed flagged = parse({"why", "0123", "--config", "c.toml"});
    EXPECT_EQ(flagged.options.flags.config_path, "c.toml");
    for (const std::vector<const char*>& wrong : std::vector<std::vector<const char*>>{
             {"why"},
             {"accounts", "enable"},
             {"accounts", "destroy", "x"},
             {"events", "x"},
             {"users", "show"},
             {"users", "limits", "x", "--colour", "1"}}) {
        const Parsed parsed = parse(wrong);
        EXPECT_EQ(parsed.options.command, Command::help_or_error);
        EXPECT_EQ(parsed.options.exit_code, 1);
    }
}

TEST(Options, WhatToSimulate)
{
    const SimulateOptions standard = parse({"simulate"}).options.simulate;
    EXPECT_EQ(standard.last, "7d");
    EXPECT_FALSE(standard.trace || standard.scenario);
    const Parsed parsed = parse(
        {"simulate",
         "--strategy",
         "balanced,fill_first",
         "--trace",
         "t.csv",
         "--seed",
         "9",
         "--accounts=4",
         "--load",
         "95.5",
         "--week-tokens",
         "1000000",
         "--db-path",
         "d"});
    const SimulateOptions& simulate = parsed.options.simulate;
    EXPECT_EQ(parsed.err, "");
    EXPECT_EQ(simulate.strategies, "balanced,fill_first");
    EXPECT_EQ(simulate.trace, "t.csv");
    EXPECT_EQ(simulate.seed, 9U);
    EXPECT_EQ(simulate.accounts, 4U);
    EXPECT_EQ(simulate.load_percent, 95.5);
    EXPECT_EQ(simulate.week_tokens, 1'000'000U);
    EXPECT_EQ(parsed.options.flags.db_path, "d");
}

TEST(Options, FlagsBeforeAndAfterTheCommand)
{
    for (const std::vector<const char*>& arguments : std::vector<std::vector<const char*>>{
             {"--config",
              "c.toml",
              "--listen=:1",
              "--pool-dir",
              "p",
              "--db-path",
              "d",
              "--workers",
              "3",
              "--debug"},
             {"run",
              "-c",
              "c.toml",
              "-l",
              ":1",
              "--pool-dir=p",
              "--db-path=d",
              "--workers=3",
              "--debug"},
             {"--config=c.toml",
              "-listen",
              ":1",
              "run",
              "--pool-dir",
              "p",
              "--db-path",
              "d",
              "--workers",
              "3",
              "--debug"}}) {
        const Parsed parsed = parse(arguments);
        ASSERT_EQ(parsed.options.command, Command::run) << parsed.err;
        EXPECT_EQ(parsed.options.flags.config_path, "c.toml");
        EXPECT_EQ(parsed.options.flags.listen, ":1");
        EXPECT_EQ(parsed.options.flags.pool_dir, "p");
        EXPECT_EQ(parsed.options.flags.db_path, "d");
        EXPECT_EQ(parsed.options.flags.workers, 3U);
        EXPECT_EQ(parsed.options.flags.debug, true);
    }
}

TEST(Options, WhatIsNotGivenStaysUnset)
{
    const Options options = parse({"check"}).options;
    EXPECT_FALSE(options.flags.config_path || options.flags.listen || options.flags.pool_dir);
    EXPECT_FALSE(options.flags.db_path || options.flags.workers || options.flags.debug);
    EXPECT_EQ(parse({"--no-debug"}).options.flags.debug, false);
    EXPECT_EQ(parse({"--workers", "0"}).options.flags.workers, 0U);
}

TEST(Options, Help)
{
    for (const char* flag : {"--help", "-h"}) {
        const Parsed parsed = parse({flag});
        EXPECT_EQ(parsed.options.command, Command::help_or_error);
        EXPECT_EQ(parsed.options.exit_code, 0);
        EXPECT_EQ(parsed.err, "");
        for (const char* word :
             {"run", "check", "demo", "version", "--listen", "--config", "--workers"})
            EXPECT_THAT(parsed.out, HasSubstr(word));
        EXPECT_THAT(parsed.out, Not(HasSubstr("child")));
    }
}

TEST(Options, Mistakes)
{
    for (const std::vector<const char*>& arguments : std::vector<std::vector<const char*>>{
             {"--lisen", ":1"},
             {"start"},
             {"--listen"},
             {"--workers", "two"},
             {"--workers", "-1"},
             {"--workers", "4294967296"},
             {"run", "check"},
             {"run", "extra"},
             {"demo", "--pool-dir", "pool"},
             {"--config", "c", "demo"},
             {"demo", "--workers", "2"},
             {"demo", "--debug"}}) {
        const Parsed parsed = parse(arguments);
        EXPECT_EQ(parsed.options.command, Command::help_or_error) << arguments.front();
        EXPECT_EQ(parsed.options.exit_code, 1);
        EXPECT_NE(parsed.err, "");
        EXPECT_EQ(parsed.out, "");
    }
}

TEST(Options, Child)
{
    const Parsed parsed = parse(
        {"child",
         "--role",
         "worker",
         "--slot",
         "7",
         "--generation",
         "4000000000",
         "--listener",
         "2"});
    ASSERT_EQ(parsed.options.command, Command::child) << parsed.err;
    EXPECT_EQ(parsed.options.role, "worker");
    EXPECT_EQ(parsed.options.child.slot, 7);
    EXPECT_EQ(parsed.options.child.generation, 4000000000U);
    EXPECT_EQ(parsed.options.child.listener, 2);

    for (const std::vector<const char*>& arguments : std::vector<std::vector<const char*>>{
             {"child"},
             {"child", "--role", "king", "--slot", "7", "--generation", "1", "--listener", "2"},
             {"child",
              "--role",
              "worker",
              "--slot",
              "70000",
              "--generation",
              "1",
              "--listener",
              "2"},
             {"child", "--role", "worker", "--slot", "7", "--generation", "1"}}) {
        const Parsed wrong = parse(arguments);
        EXPECT_EQ(wrong.options.command, Command::help_or_error);
        EXPECT_EQ(wrong.options.exit_code, shared::kExitFatal);
    }
}

} // namespace
} // namespace supervisor
