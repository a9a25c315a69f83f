#include "supervisor/check.hpp"
#include "supervisor/data_directories.hpp"
#include "tests/support/as_nobody.hpp"
#include "tests/support/temp_dir.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <sstream>
#include <string>

#include <sys/stat.h>

namespace supervisor {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class CheckTest : public ::testing::Test {
protected:
    CheckTest()
    {
        inputs_.working_directory = dir_.path();
        inputs_.cores = 2;
        inputs_.now = {1785499200000}; // 2026-07-31 12:00 UTC
        std::filesystem::create_directory(dir_.path() / "pool");
    }

    int check()
    {
        std::ostringstream out;
        std::ostringstream err;
        const int code = run_check(registry_, inputs_, out, err);
        out_ = out.str();
        err_ = err.str();
        return code;
    }

    tests::TempDir dir_;
    shared::ProviderRegistry registry_;
    CheckInputs inputs_;
    std::string out_;
    std::string err_;
};

TEST_F(CheckTest, TellsWhatItFoundAndNoSecret)
{
    dir_.write("pool/claude_work.json", R"({"claudeAiOauth":{"accessToken":"sk-ant-oat01-hunter2",
        "refreshToken":"sk-ant-ort01-hunter2","expiresAt":1785758400000,"subscriptionType":"max"}})");
    dir_.write("pool/key.json", R"({"OPENAI_API_KEY":"sk-hunter2"})");
    dir_.write(
        "config.toml",
        "friend_code = \"hunter2\"\n[upstream]\nclaude = \"http://127.0.0.1:7/x\"\n");
    EXPECT_EQ(check(), 0) << err_;
    EXPECT_THAT(
        out_,
        AllOf(
            HasSubstr((dir_.path() / "config.toml").string()),
            HasSubstr("127.0.0.1:8989 (shared mode"),
            HasSubstr("upstream claude  http://127.0.0.1:7/x"),
            HasSubstr("2 accounts"),
            HasSubstr("claude:work\n    login, plan max"),
            HasSubstr("token expires 2026-08-03 12:00 UTC, in 3 days"),
            HasSubstr("codex:key\n    API key"),
            HasSubstr("to be created"),
            HasSubstr("\nok\n")));
    EXPECT_THAT(out_, Not(HasSubstr("upstream gemini")));
    EXPECT_THAT(out_ + err_, Not(HasSubstr("hunter2")));
    EXPECT_FALSE(std::filesystem::exists(dir_.path() / "data"));
}

TEST_F(CheckTest, ExpiredTokenIsNoError)
{
    dir_.write("pool/gemini_a.json", R"({"access_token":"ya29.a","expiry_date":1785495600000})");
    EXPECT_EQ(check(), 0) << err_;
    EXPECT_THAT(
        out_,
        AllOf(
            HasSubstr("token expired 2026-07-31 11:00 UTC, 60 minutes ago"),
            HasSubstr("cannot be refreshed")));
}

TEST_F(CheckTest, EveryProblemIsListed)
{
    dir_.write("pool/good.json", R"({"OPENAI_API_KEY":"sk-1"})");
    dir_.write("pool/empty.json", "");
    dir_.write("pool/claude_junk.json", "junk");
    EXPECT_EQ(check(), 1);
    EXPECT_THAT(
        err_, AllOf(HasSubstr("error: "), HasSubstr("empty.json"), HasSubstr("claude_junk.json")));
    EXPECT_THAT(
        out_, AllOf(HasSubstr("1 account\n"), HasSubstr("codex:good"), HasSubstr("2 problems")));
}

TEST_F(CheckTest, BrokenConfiguration)
{
    dir_.write("config.toml", "lisen_addr = \"x\"\nworkers = true\n");
    EXPECT_EQ(check(), 1);
    EXPECT_THAT(err_, AllOf(HasSubstr("config.toml:1:1"), HasSubstr("config.toml:2:11")));
    inputs_.flags.config_path = "none.toml";
    EXPECT_EQ(check(), 1);
    EXPECT_THAT(err_, HasSubstr("none.toml"));
}

TEST_F(CheckTest, PoolFolderMissing)
{
    std::filesystem::remove(dir_.path() / "pool");
    EXPECT_EQ(check(), 1);
    EXPECT_THAT(err_, AllOf(HasSubstr("does not exist"), HasSubstr("mkdir")));
}

TEST_F(CheckTest, WarningsAloneAreFine)
{
    dir_.write("pool/open.json", R"({"OPENAI_API_KEY":"sk-1"})", 0644);
    inputs_.environment = {{"PROXY_LOG_BODIES", "1"}};
    EXPECT_EQ(check(), 0);
    EXPECT_THAT(
        err_,
        AllOf(
            HasSubstr("chmod 600"),
            HasSubstr("warning: PROXY_LOG_BODIES"),
            Not(HasSubstr("error"))));
    std::filesystem::remove(dir_.path() / "pool/open.json");
    EXPECT_EQ(check(), 0);
    EXPECT_THAT(err_, HasSubstr("holds no credential files"));
}

TEST_F(CheckTest, NothingForgesTerminalOutput)
{
    dir_.write("pool/a.json", R"({"OPENAI_API_KEY":"sk-1","plan_type":"\u001b[2Jx"})");
    dir_.write("pool/b\x1b[2J.json", "{}");
    EXPECT_EQ(check(), 1);
    EXPECT_THAT(out_ + err_, Not(HasSubstr("\x1b")));
}

TEST_F(CheckTest, DataDirectoriesAreMadePrivate)
{
    shared::Config config;
    config.db_path = dir_.path() / "a/b/proxy.db";
    config.users_path = dir_.path() / "a/b/users.json";
    EXPECT_THAT(missing_data_directories(config), ElementsAre(dir_.path() / "a/b"));
    ASSERT_FALSE(create_data_directories(config).has_error());

    struct stat status {};

    for (const char* folder : {"a", "a/b"}) {
        ASSERT_EQ(::stat((dir_.path() / folder).c_str(), &status), 0);
        EXPECT_EQ(status.st_mode & 0777U, 0700U) << folder;
    }
    EXPECT_TRUE(missing_data_directories(config).empty());
    EXPECT_FALSE(create_data_directories(config).has_error());
    dir_.write("file", "");
    config.db_path = dir_.path() / "file/x/proxy.db";
    EXPECT_THAT(create_data_directories(config).error().text(), HasSubstr("file/x"));
    config.db_path = dir_.path() / "a/b/proxy.db";
    for (const char* folder : {"", "a", "a/b"})
        ::chmod((dir_.path() / folder).c_str(), 0555);
    const tests::AsNobody nobody;
    EXPECT_THAT(create_data_directories(config).error().text(), HasSubstr("cannot be written"));
}

TEST_F(CheckTest, TellsProgramsTheSame)
{
    dir_.write("pool/claude_work.json", R"({"claudeAiOauth":{"accessToken":"sk-ant-oat01-hunter2",
        "refreshToken":"sk-ant-ort01-hunter2","expiresAt":1785758400000,"subscriptionType":"max"}})");
    dir_.write("pool/broken.json", "{");
    inputs_.json = true;
    EXPECT_EQ(check(), 1);
    EXPECT_EQ(err_, "");
    EXPECT_THAT(out_, Not(HasSubstr("hunter2")));
    const auto json = nlohmann::json::parse(out_);
    EXPECT_EQ(json["ok"], false);
    EXPECT_EQ(json["settings"]["workers"], "2");
    EXPECT_EQ(json["accounts"][0]["id"], "claude:work");
    EXPECT_EQ(json["accounts"][0]["expires_at"], "2026-08-03T12:00:00Z");
    EXPECT_THAT(json["problems"][0]["where"].get<std::string>(), HasSubstr("broken.json"));
}

} // namespace
} // namespace supervisor
