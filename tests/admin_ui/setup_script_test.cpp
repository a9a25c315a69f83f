#include "admin_ui/setup_script.hpp"
#include "shared/base/read_file.hpp"
#include "shared/providers/provider.hpp"
#include "shared/users/credential.hpp"
#include "tests/support/temp_dir.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>

#include <sys/stat.h>

namespace {

using namespace admin_ui;
using nlohmann::ordered_json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

namespace fs = std::filesystem;

const shared::CredentialKey kKey{shared::Secret("a secret of more than thirty-two characters")};

/// A home folder, a pool that answers one file, and a PATH with nothing but what a bare machine has.
class SetupScriptTest : public testing::Test {
protected:
    void SetUp() override
    {
        fs::create_directory(home_);
        fs::create_directory(bin_);
        for (const char* tool :
             {"bash",  "sh",  "awk", "sed",  "cat",  "cp",    "mkdir", "rm", "rmdir", "mktemp",
              "touch", "cmp", "cut", "grep", "tail", "uname", "env",   "ls", "chmod", "mv"})
            link(tool);
        // The pool: answers what the test put into `answer`, once.
        folder_.write(
            "bin/curl",
            "#!/bin/sh\nwhile [ $# -gt 2 ]; do [ \"$1\" = -o ] && out=$2; shift; done\n"
            "[ -e '" +
                answer_.string() + "' ] || exit 22\ncat '" + answer_.string() +
                "' >\"$out\"\nprintf '%s\\n' \"$2\" >>'" + asked_.string() + "'\n",
            0755);
    }

    void link(const std::string& tool)
    {
        for (const char* folder : {"/usr/bin/", "/bin/"}) {
            const fs::path there = folder + tool;
            if (!fs::exists(there)) continue;
            std::error_code ignored;
            fs::create_symlink(there, bin_ / tool, ignored);
            return;
        }
    }

    /// Gives the scripts what edits JSON. A pyenv shim would look for its own home.
    bool with(const std::string& tool)
    {
        link(tool);
        return fs::exists(bin_ / tool);
    }

    shared::ClientSetup setup(const std::string& cli, bool local = false, unsigned generation = 1)
    {
        shared::ClientSetupFacts facts;
        facts.base_url = "http://pool.test:8989";
        facts.user = "00ff00ff00ff00ff";
        facts.generation = generation;
        facts.now = {1'763'800'000'000};
        facts.local = local;
        return registry_.find(cli)->client_setup(facts, kKey);
    }

    std::string script(const std::string& cli, bool local = false, unsigned generation = 1)
    {
        const shared::ClientSetup made = setup(cli, local, generation);
        const bool document = made.files.front().kind == shared::ClientFile::Kind::document;
        folder_.write("answer", document ? made.document : shell_variables(made));
        ScriptFacts facts;
        facts.cli = cli;
        facts.title = cli;
        facts.base_url = "http://pool.test:8989";
        facts.config_path = "/config/" + cli + "/0123456789abcdef";
        return bash_script(facts, made);
    }

    /// Runs it with bash as `curl … | bash` does; its exit status and what it printed.
    std::pair<int, std::string> run(const std::string& text, const std::string& arguments = "")
    {
        folder_.write("script", text);
        return command(
            "bash -s -- " + arguments + " <'" + (folder_.path() / "script").string() + "'");
    }

    std::pair<int, std::string> command(const std::string& line)
    {
        const std::string whole = "env -i PATH='" + bin_.string() + "' HOME='" + home_.string() +
                                  "' SHELL=/bin/bash TMPDIR='" + folder_.path().string() + "' " +
                                  variables_ + " bash -c \"" + line + "\" 2>&1";
        FILE* const pipe = ::popen(whole.c_str(), "r");
        std::string out;
        std::array<char, 4096> bytes{};
        while (const std::size_t got = std::fread(bytes.data(), 1, bytes.size(), pipe))
            out.append(bytes.data(), got);
        const int status = ::pclose(pipe);
        return {WEXITSTATUS(status), out};
    }

    std::pair<int, std::string> undo(const std::string& cli = "")
    {
        return command("bash '" + (home_ / ".codex-pool-setup/undo.sh").string() + "' " + cli);
    }

    void put(const fs::path& name, std::string_view text, ::mode_t mode = 0644)
    {
        folder_.write("home" / name, text, mode);
    }

    std::string get(const fs::path& name)
    {
        const auto text = shared::read_file(home_ / name, 1U << 20U, "file");
        return text.has_value() && !text->missing ? text->bytes : "(absent)";
    }

    /// Every file and folder with its bytes, rights and time.
    std::map<std::string, std::string> picture()
    {
        std::map<std::string, std::string> all;
        for (const auto& entry : fs::recursive_directory_iterator(home_)) {
            const std::string name = fs::relative(entry.path(), home_);

            struct stat status {};

            ::lstat(entry.path().c_str(), &status);
            std::string& seen = all[name];
            seen = std::to_string(status.st_mode) + ' ';
            if (entry.is_symlink())
                seen += fs::read_symlink(entry.path()).string();
            else if (entry.is_regular_file())
                seen += std::to_string(status.st_mtim.tv_sec) + ' ' + get(name);
        }
        return all;
    }

    tests::TempDir folder_;
    fs::path home_ = folder_.path() / "home";
    fs::path bin_ = folder_.path() / "bin";
    fs::path answer_ = folder_.path() / "answer";
    fs::path asked_ = folder_.path() / "asked";
    std::string variables_;
    shared::ProviderRegistry registry_;
};

constexpr std::string_view kUsersToml = R"(# mine
model = "gpt-5.5"          # a comment with [brackets]
model_provider = "other"
notify = [
  ["a"],
  ["model_provider = \"no\""]
]
text = """
[model_providers.codex-pool]
chatgpt_base_url = "inside a text"
"""

[model_providers.other]
base_url = 'https://other.example/v1'
[model_providers."codex-pool"]
base_url = "http://old"
[model_providers.codex-pool.http_headers]
"X-A" = "b"

[profiles.x]
model_provider = "kept"
)";

TEST_F(SetupScriptTest, FromABareHomeAndBack)
{
    for (const char* cli : {"codex", "claude", "gemini"}) {
        const auto before = picture();
        const auto [status, said] = run(script(cli));
        ASSERT_EQ(status, 0) << said;
        EXPECT_THAT(said, AllOf(HasSubstr("Try it:"), HasSubstr("undo.sh " + std::string(cli))));
        EXPECT_NE(picture(), before);
        const auto [undone, words] = undo();
        EXPECT_EQ(undone, 0) << words;
        EXPECT_EQ(picture(), before) << words;
    }
}

TEST_F(SetupScriptTest, CodexGetsItsFiles)
{
    ASSERT_EQ(run(script("codex")).first, 0);
    EXPECT_EQ(get(".codex/auth.json"), setup("codex").document);
    EXPECT_THAT(
        get(".codex/config.toml"),
        AllOf(
            HasSubstr("\nmodel_provider = \"codex-pool\"\n"),
            HasSubstr("\nchatgpt_base_url = \"http://pool.test:8989/backend-api\"\n"),
            HasSubstr("\n[model_providers.codex-pool]\nname = "),
            HasSubstr("\nbase_url = \"http://pool.test:8989/v1\"\n"),
            HasSubstr("\nrequires_openai_auth = true\n")));
    EXPECT_THAT(
        get(".codex-pool-setup/env.sh"),
        HasSubstr("CODEX_REFRESH_TOKEN_URL_OVERRIDE='http://pool.test:8989/oauth/token'"));

    struct stat status {};

    ASSERT_EQ(::stat((home_ / ".codex/auth.json").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777U, 0600U);
}

TEST_F(SetupScriptTest, OtherSettingsInTomlStay)
{
    put(".codex/config.toml", kUsersToml);
    put(".codex/auth.json", "{\"mine\":1}", 0600);
    const auto before = picture();
    const auto [status, said] = run(script("codex"));
    ASSERT_EQ(status, 0) << said;
    const std::string toml = get(".codex/config.toml");
    EXPECT_THAT(
        toml,
        AllOf(
            HasSubstr("\n#codex-pool-was# model_provider = \"other\"\n"),
            HasSubstr("\n#codex-pool-was# [model_providers.\"codex-pool\"]\n"),
            HasSubstr("\n#codex-pool-was# \"X-A\" = \"b\"\n"),
            HasSubstr("\nmodel = \"gpt-5.5\"          # a comment with [brackets]\n"),
            HasSubstr(
                "\n[model_providers.codex-pool]\nchatgpt_base_url = \"inside a text\"\n\"\"\"\n"),
            HasSubstr("\n  [\"model_provider = \\\"no\\\"\"]\n"),
            HasSubstr("\n[profiles.x]\nmodel_provider = \"kept\"\n")));
    EXPECT_TRUE(toml.find("model_provider = \"codex-pool\"") < toml.find("# mine"));
    EXPECT_EQ(undo("codex").first, 0);
    EXPECT_EQ(picture(), before);
}

TEST_F(SetupScriptTest, TomlThatIsNotUnderstoodIsLeftAlone)
{
    for (const char* text :
         {"a = \"\"\"\nopen",
          "a = [1,\n",
          "[table\n",
          "no statement\n",
          "a = \"b\n",
          "model_providers = { other = { base_url = \"x\" } }\n",
          "[[model_providers]]\nname = \"x\"\n",
          "\xEF\xBB\xBFmodel = \"x\"\n"}) {
        put(".codex/config.toml", text);
        const auto before = picture();
        const auto [status, said] = run(script("codex"));
        EXPECT_NE(status, 0) << text;
        EXPECT_THAT(said, HasSubstr("is not edited")) << text;
        EXPECT_EQ(picture(), before) << said;
    }
}

TEST_F(SetupScriptTest, TwiceIsOnce)
{
    put(".codex/config.toml", kUsersToml);
    put(".bashrc", "alias ll='ls -l'"); // no newline at its end
    const auto before = picture();
    for (const char* cli : {"codex", "claude", "gemini"})
        ASSERT_EQ(run(script(cli)).first, 0);
    const std::string toml = get(".codex/config.toml");
    const std::string profile = get(".bashrc");
    const std::string variables = get(".codex-pool-setup/env.sh");
    for (const char* cli : {"codex", "claude", "gemini"})
        ASSERT_EQ(run(script(cli)).first, 0);
    EXPECT_EQ(get(".codex/config.toml"), toml);
    EXPECT_EQ(get(".bashrc"), profile);
    EXPECT_EQ(get(".codex-pool-setup/env.sh"), variables);
    EXPECT_EQ(undo("gemini").first, 0);
    EXPECT_THAT(get(".codex-pool-setup/env.sh"), Not(HasSubstr("GOOGLE")));
    EXPECT_THAT(get(".bashrc"), HasSubstr("codex-pool"));
    EXPECT_EQ(undo("codex").first, 0);
    EXPECT_EQ(undo("claude").first, 0);
    EXPECT_EQ(picture(), before);
}

TEST_F(SetupScriptTest, JsonIsEditedWithWhateverIsThere)
{
    const std::string settings = R"json({
    "zeta": 1, "permissions": {"allow": ["Bash(ls)"]},
    "env": {"MINE": "1", "ANTHROPIC_BASE_URL": "https://own.example"}, "alpha": 1.50, "text": "ü\u0000"
})json";
    for (const char* tool : {"python3", "node"})
{
    fs::remove(bin_ / "python3");
    fs::remove(bin_ / "node");
    if (!with(tool)) continue;
    put(".claude/settings.json", settings);
    put(".claude.json", R"({"numStartups":7})", 0600);
    const auto before = picture();
    const auto [status, said] = run(script("claude"));
    ASSERT_EQ(status, 0) << said;
    const auto edited = ordered_json::parse(get(".claude/settings.json"));
    EXPECT_EQ(edited.at("zeta"), 1) << tool;
    EXPECT_EQ(edited.at("permissions"), ordered_json::parse(settings).at("permissions"));
    EXPECT_EQ(edited.at("text"), ordered_json::parse(settings).at("text"));
    EXPECT_EQ(edited.at("env").at("MINE"), "1");
    EXPECT_EQ(edited.at("env").at("ANTHROPIC_BASE_URL"), "http://pool.test:8989");
    EXPECT_EQ(edited.at("env").at("CLAUDE_CODE_OAUTH_TOKEN"), setup("claude").api.key);
    EXPECT_EQ(edited.begin().key(), "zeta");
    const auto state = ordered_json::parse(get(".claude.json"));
    EXPECT_EQ(state, ordered_json::parse(R"({"numStartups":7,"hasCompletedOnboarding":true})"));
    EXPECT_EQ(undo("claude").first, 0);
    EXPECT_EQ(picture(), before) << tool;
}
}

TEST_F(SetupScriptTest, WithoutAToolForJsonItSaysWhatIsLeftToDo)
{
    put(".claude/settings.json", "{\"a\":1}");
    const auto before = picture();
    const auto [status, said] = run(script("claude"));
    ASSERT_EQ(status, 0) << said;
    EXPECT_EQ(get(".claude/settings.json"), "{\"a\":1}");
    EXPECT_THAT(said, AllOf(HasSubstr("NOT changed"), HasSubstr("env.CLAUDE_CODE_OAUTH_TOKEN")));
    EXPECT_THAT(get(".codex-pool-setup/env.sh"), HasSubstr("export CLAUDE_CODE_OAUTH_TOKEN='sk-"));
    EXPECT_THAT(get(".codex-pool-setup/env.sh"), HasSubstr("unset ANTHROPIC_API_KEY\n"));
    EXPECT_EQ(undo().first, 0);
    EXPECT_EQ(picture(), before);
}

TEST_F(SetupScriptTest, JsonThatWouldLoseSomethingIsLeftAlone)
{
    for (const char* text :
         {"{\"a\":1, // why\n\"b\":2}", "[1]", "{\"env\":\"text\"}", "{\"a\":1,\"a\":2}", "{"}) {
        if (!with("python3")) GTEST_SKIP();
        put(".claude/settings.json", text);
        ASSERT_EQ(run(script("claude")).first, 0);
        EXPECT_EQ(get(".claude/settings.json"), text);
        EXPECT_EQ(undo().first, 0);
        EXPECT_EQ(get(".claude/settings.json"), text);
    }
}

TEST_F(SetupScriptTest, WhatWasChangedSinceIsKept)
{
    if (!with("python3")) GTEST_SKIP();
    put(".codex/config.toml", "model_provider = \"other\"\nmodel = \"a\"\n");
    put(".claude/settings.json", R"({"env":{"ANTHROPIC_BASE_URL":"own"}})");
    put(".bashrc", "alias a=b\n");
    ASSERT_EQ(run(script("codex")).first, 0);
    ASSERT_EQ(run(script("claude")).first, 0);
    put(".codex/config.toml",
        get(".codex/config.toml") + "[projects.\"/x\"]\ntrust_level = \"trusted\"\n");
    auto settings = ordered_json::parse(get(".claude/settings.json"));
    settings["theme"] = "dark";
    put(".claude/settings.json", settings.dump());
    put(".bashrc", get(".bashrc") + "alias c=d\n");
    put(".codex/auth.json", "{\"signed\":\"in again\"}");
    const auto [status, said] = undo();
    ASSERT_EQ(status, 0) << said;
    EXPECT_EQ(
        get(".codex/config.toml"),
        "model_provider = \"other\"\nmodel = \"a\"\n[projects.\"/x\"]\ntrust_level = "
        "\"trusted\"\n");
    EXPECT_EQ(
        ordered_json::parse(get(".claude/settings.json")),
        ordered_json::parse(R"({"env":{"ANTHROPIC_BASE_URL":"own"},"theme":"dark"})"));
    EXPECT_EQ(get(".bashrc"), "alias a=b\nalias c=d\n");
    EXPECT_EQ(get(".codex/auth.json"), "{\"signed\":\"in again\"}");
    EXPECT_FALSE(fs::exists(home_ / ".codex-pool-setup"));
}

TEST_F(SetupScriptTest, ARewrittenCredentialIsStillThePools)
{
    put(".codex/auth.json", "{\"mine\":1}", 0600);
    const auto before = picture();
    ASSERT_EQ(run(script("codex")).first, 0);
    put(".codex/auth.json", "{\"renewed\": \"" + setup("codex").files[0].mark + "\"}", 0600);
    ASSERT_EQ(undo().first, 0);
    EXPECT_EQ(picture(), before);
}

TEST_F(SetupScriptTest, AUsedLinkChangesNothing)
{
    const std::string text = script("codex");
    ASSERT_EQ(run(text).first, 0);
    const auto before = picture();
    fs::remove(answer_);
    const auto [status, said] = run(text);
    EXPECT_NE(status, 0);
    EXPECT_THAT(said, HasSubstr("Nothing was changed"));
    EXPECT_EQ(picture(), before);
}

TEST_F(SetupScriptTest, AnAnswerThatWouldRunSomethingIsRefused)
{
    const std::string text = script("gemini");
    for (const char* evil :
         {"export A='b'; touch \"$HOME/bad\"\n",
          "touch $HOME/bad\n",
          "export A='$(touch bad)'\n",
          "export A='b'\nexport PATH=x\n",
          "<html>error</html>"}) {
        folder_.write("answer", evil);
        const auto [status, said] = run(text);
        EXPECT_NE(status, 0) << evil;
        EXPECT_THAT(said, HasSubstr("Nothing was changed")) << evil;
        EXPECT_TRUE(picture().empty());
    }
}

TEST_F(SetupScriptTest, LinksStayLinksAndFoldersMayBeElsewhere)
{
    put("dotfiles/bashrc", "alias a=b\n");
    put("elsewhere/config.toml", "model = \"a\"\n");
    fs::create_symlink("dotfiles/bashrc", home_ / ".bashrc");
    variables_ = "CODEX_HOME='" + (home_ / "elsewhere").string() + "'";
    const auto before = picture();
    ASSERT_EQ(run(script("codex")).first, 0);
    EXPECT_TRUE(fs::is_symlink(home_ / ".bashrc"));
    EXPECT_THAT(get("dotfiles/bashrc"), HasSubstr("codex-pool"));
    EXPECT_THAT(get("elsewhere/config.toml"), HasSubstr("codex-pool"));
    EXPECT_FALSE(fs::exists(home_ / ".codex"));
    EXPECT_EQ(undo().first, 0);
    EXPECT_EQ(picture(), before);
}

TEST_F(SetupScriptTest, LocalModeKeepsASignIn)
{
    put(".codex/auth.json", "{\"mine\":1}", 0600);
    const auto [status, said] = run(script("codex", true));
    ASSERT_EQ(status, 0) << said;
    EXPECT_EQ(get(".codex/auth.json"), "{\"mine\":1}");
    EXPECT_THAT(said, HasSubstr("your own sign-in will do"));
}

TEST_F(SetupScriptTest, FishHasItsOwnFile)
{
    fs::create_directories(home_ / ".config/fish");
    const auto before = picture();
    ASSERT_EQ(run(script("gemini")).first, 0);
    EXPECT_THAT(
        get(".config/fish/conf.d/codex-pool.fish"),
        AllOf(
            HasSubstr("\nset -gx GOOGLE_GENAI_USE_GCA 'true'\n"),
            HasSubstr("\nset -gx GOOGLE_CLOUD_ACCESS_TOKEN 'ya29.pool-")));
    EXPECT_EQ(undo().first, 0);
    EXPECT_EQ(picture(), before);
}

TEST_F(SetupScriptTest, AnUnknownArgumentDoesNothing)
{
    EXPECT_EQ(run(script("codex"), "remove").first, 2);
    EXPECT_TRUE(picture().empty());
}

TEST(SetupQuoting, NothingBreaksOut)
{
    EXPECT_EQ(bash_quoted("a'b$(c)`d`\n"), "'a'\\''b$(c)`d`\n'");
    EXPECT_EQ(powershell_quoted("a'b$(c)`d`"), "'a''b$(c)`d`'");
    EXPECT_EQ(powershell_quoted("a\u2019b"), "'a\u2019\u2019b'");
}

TEST(SetupQuoting, ScriptsHoldNoSecretAndQuoteEverything)
{
    const shared::ProviderRegistry registry;
    shared::ClientSetupFacts who;
    who.base_url = "http://pool.test";
    who.user = "00ff00ff00ff00ff";
    for (const auto& provider : registry.all()) {
        shared::ClientSetup setup = provider->client_setup(who, kKey);
        setup.notes.emplace_back("don't $(touch bad)");
        ScriptFacts facts;
        facts.cli = provider->name();
        facts.title = "it's $(touch bad)";
        facts.base_url = "http://pool.test";
        facts.config_path = "/config/x/y";
        const std::string bash = bash_script(facts, setup);
        EXPECT_THAT(bash, HasSubstr("pool_title='it'\\''s $(touch bad)'\n"));
        EXPECT_THAT(bash, Not(HasSubstr(setup.api.key)));
        const std::string powershell = powershell_script(facts, setup);
        EXPECT_THAT(powershell, HasSubstr("$PoolTitle = 'it''s $(touch bad)'\n"));
        EXPECT_THAT(powershell, HasSubstr("'don''t $(touch bad)'"));
        EXPECT_THAT(powershell, Not(HasSubstr(setup.api.key)));
    }
    EXPECT_THAT(powershell_undo_script(), HasSubstr("$PoolUndo = $true\n"));
}

} // namespace
