/// Uploaded credential files against a real pool folder and segment.
#include "refresher/account_intake.hpp"
#include "shared/base/base64.hpp"
#include "shared/base/read_file.hpp"
#include "shared/segment/account_table.hpp"
#include "shared/segment/segment.hpp"
#include "tests/support/temp_dir.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <filesystem>
#include <fstream>
#include <string>

#include <sys/stat.h>

namespace {

using nlohmann::json;
using refresher::AccountIntake;
using shared::UploadAnswer;
using shared::UploadEnd;

constexpr shared::UnixMillis kNow{1'763'800'000'000};
constexpr std::int64_t kHour = 3'600'000;

std::string claude_file(const std::string& access, std::int64_t expires_at)
{
    const json file{
        {"claudeAiOauth",
         {{"accessToken", access}, {"refreshToken", access + "-r"}, {"expiresAt", expires_at}}}};
    return file.dump();
}

std::string gemini_file(const std::string& email, const std::string& access, std::int64_t expires)
{
    const json file{
        {"access_token", access},
        {"refresh_token", "1//" + access},
        {"expiry_date", expires},
        {"email", email}};
    return file.dump();
}

class IntakeTest : public testing::Test {
protected:
    IntakeTest() { load(); }

    void load() { report_ = roster_.apply(shared::load_pool(registry_, folder_.path()), kNow); }

    UploadAnswer
    take(const std::string& file, const std::string& provider = "", const std::string& name = "")
    {
        return take({{provider, name, owner_}, shared::Secret(file)});
    }

    UploadAnswer take(const shared::Upload& upload)
    {
        const UploadAnswer answer = intake_.take(upload, kNow);
        if (answer.end == UploadEnd::added || answer.end == UploadEnd::replaced) load();
        return answer;
    }

    [[nodiscard]] std::string in_file(const std::string& name) const
    {
        const auto text = shared::read_file(folder_.path() / name, 1U << 20U, "file");
        return text.has_value() ? text->bytes : "";
    }

    void put(const std::string& name, const std::string& text) const
    {
        std::ofstream(folder_.path() / name, std::ios::binary | std::ios::trunc) << text;
    }

    [[nodiscard]] std::size_t files() const
    {
        const std::filesystem::directory_iterator all(folder_.path());
        return static_cast<std::size_t>(std::distance(begin(all), end(all)));
    }

    shared::AccountRecord record(const std::string& id)
    {
        const auto slot = shared::find_account(*segment_, id);
        return segment_->accounts[slot->value].with_lock(
            [](const shared::AccountRecord& kept) { return kept; });
    }

    tests::TempDir folder_;
    std::filesystem::path path_{folder_.path()};
    shared::ProviderRegistry registry_;
    shared::SegmentMapping segment_{std::move(*shared::SegmentMapping::create(kNow))};
    refresher::Roster roster_{*segment_};
    AccountIntake intake_{registry_, path_, *segment_, roster_};
    refresher::RosterReport report_;
    std::string owner_;
};

TEST_F(IntakeTest, EveryKindOfFileBecomesAnAccountThatServes)
{
    const UploadAnswer claude = take(claude_file("sk-ant-oat01-a", kNow.value + kHour));
    EXPECT_EQ(claude.end, UploadEnd::added) << claude.sentence;
    EXPECT_EQ(claude.account, "claude:account");
    const UploadAnswer gemini =
        take(gemini_file("Ann.B@example.com", "ya29.a", kNow.value + kHour));
    EXPECT_EQ(gemini.account, "gemini:ann.b") << gemini.sentence;
    const UploadAnswer codex = take(R"({"OPENAI_API_KEY": "sk-platform"})");
    EXPECT_EQ(codex.account, "codex:key") << codex.sentence;
    const UploadAnswer key = take(R"({"api_key": "AIza-1"})", "gemini", "home");
    EXPECT_EQ(key.account, "gemini:home") << key.sentence;
    EXPECT_EQ(report_.in_service, 4U);
    EXPECT_EQ(report_.broken, 0U);
    struct stat status = {};
    ASSERT_EQ(::stat((path_ / "gemini_home.json").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777U, 0600U);
    EXPECT_EQ(in_file("claude_account.json"), claude_file("sk-ant-oat01-a", kNow.value + kHour));
}

TEST_F(IntakeTest, WhatIsNoCredentialFileIsRefusedByName)
{
    const std::string nested(100'000, '[');
    const std::string whole = claude_file("sk-ant-oat01-a", kNow.value + kHour);
    const std::vector<std::pair<std::string, std::string>> cases{
        {"", "empty"},
        {" \n\t", "empty"},
        {std::string("PK\x03\x04rest", 8), "zip archive"},
        {"\x1F\x8B\x08 gzip", "compressed"},
        {"<!doctype html><html>", "web page"},
        {std::string("{\0}", 3), "no text file"},
        {nested, "nested"},
        {whole.substr(0, whole.size() / 2), "ends in the middle"},
        {"[]", "object"},
        {R"({"hello": "world"})", "any provider"},
        {R"({"api_key": "sk-ant-1"})", "may be one of"},
        {claude_file("sk-ant-oat01-a", kNow.value - 1)
             .replace(
                 claude_file("sk-ant-oat01-a", kNow.value - 1).find("sk-ant-oat01-a-r"), 16, ""),
         "ended"}};
    for (const auto& [file, word] : cases) {
        const UploadAnswer answer = take(file);
        EXPECT_EQ(answer.end, UploadEnd::invalid) << word;
        EXPECT_NE(answer.sentence.find(word), std::string::npos) << word << ": " << answer.sentence;
        EXPECT_EQ(answer.sentence.find("sk-ant"), std::string::npos) << answer.sentence;
    }
    EXPECT_EQ(files(), 0U);
}

TEST_F(IntakeTest, AnotherProvidersFileIsNamed)
{
    const UploadAnswer answer = take(claude_file("sk-ant-oat01-a", kNow.value + kHour), "codex");
    EXPECT_EQ(answer.end, UploadEnd::invalid);
    EXPECT_NE(answer.sentence.find("one of Claude"), std::string::npos) << answer.sentence;
    EXPECT_EQ(take("{}", "nobody").end, UploadEnd::invalid);
}

TEST_F(IntakeTest, ANameCannotLeaveTheFolderNorTheProvider)
{
    for (const char* name :
         {"../x", "/etc/x", ".hidden", "-rf", "a/b", "a b", "a\nb", "claude_x", "\xC3\xA4"}) {
        const UploadAnswer answer = take(R"({"OPENAI_API_KEY": "sk-1"})", "codex", name);
        EXPECT_EQ(answer.end, UploadEnd::invalid) << name;
        EXPECT_NE(answer.sentence.find("the name"), std::string::npos) << answer.sentence;
    }
    EXPECT_EQ(
        take(R"({"OPENAI_API_KEY": "sk-1"})", "codex", std::string(65, 'a')).end,
        UploadEnd::invalid);
    EXPECT_EQ(files(), 0U);
}

TEST_F(IntakeTest, OnlyANewerLoginTakesTheOldOnesPlace)
{
    const std::int64_t end = kNow.value + kHour;
    ASSERT_EQ(take(gemini_file("ann@example.com", "ya29.a", end)).end, UploadEnd::added);
    // The owner's options of the file before stay.
    json old = json::parse(in_file("gemini_ann.json"));
    old["codex_pool"] = {{"priority", 7}};
    put("gemini_ann.json", old.dump());
    load();

    EXPECT_EQ(take(gemini_file("ann@example.com", "ya29.a", end)).end, UploadEnd::unchanged);
    put("gemini_other.json", gemini_file("bob@example.com", "ya29.z", end));
    load();
    const UploadAnswer taken =
        take(gemini_file("eve@example.com", "ya29.e", end), "gemini", "other");
    EXPECT_EQ(taken.end, UploadEnd::conflict) << taken.sentence;

    json same_refresh = json::parse(gemini_file("ann@example.com", "ya29.b", end + kHour));
    same_refresh["refresh_token"] = "1//ya29.a";
    const UploadAnswer newer = take(same_refresh.dump());
    EXPECT_EQ(newer.end, UploadEnd::replaced) << newer.sentence;
    EXPECT_EQ(newer.account, "gemini:ann");
    const json kept = json::parse(in_file("gemini_ann.json"));
    EXPECT_EQ(kept.at("access_token"), "ya29.b");
    EXPECT_EQ(kept.at("codex_pool").at("priority"), 7);
    EXPECT_EQ(json::parse(in_file(".gemini_ann.json.replaced")), old);

    same_refresh["access_token"] = "ya29.c";
    same_refresh["expiry_date"] = end;
    EXPECT_EQ(take(same_refresh.dump()).end, UploadEnd::unchanged);
    EXPECT_EQ(json::parse(in_file("gemini_ann.json")), kept);
}

TEST_F(IntakeTest, ADeadLoginAndABrokenFileGiveWay)
{
    const std::int64_t end = kNow.value + kHour;
    ASSERT_EQ(take(claude_file("sk-ant-oat01-a", end), "", "me").end, UploadEnd::added);
    // Nothing in the file says whose it is; an older one under its name is not taken.
    EXPECT_EQ(take(claude_file("sk-ant-oat01-b", end - 1), "", "me").end, UploadEnd::unchanged);
    roster_.set_needs_login("claude:me", "invalid_grant", "sign in", kNow);
    EXPECT_EQ(take(claude_file("sk-ant-oat01-b", end - 1), "", "me").end, UploadEnd::replaced);
    EXPECT_EQ(record("claude:me").routing.state, shared::AccountState::ready);

    put("claude_bad.json", "{");
    load();
    EXPECT_EQ(report_.broken, 1U);
    EXPECT_EQ(take(claude_file("sk-ant-oat01-c", end), "", "bad").end, UploadEnd::replaced);
    EXPECT_EQ(in_file(".claude_bad.json.replaced"), "{");
    EXPECT_EQ(report_.broken, 0U);
}

TEST_F(IntakeTest, AContributedAccountIsItsUsersAndNothingElseIsTakenFromTheFile)
{
    const std::int64_t end = kNow.value + kHour;
    ASSERT_EQ(take(gemini_file("pool@example.com", "ya29.p", end)).end, UploadEnd::added);
    owner_ = "user-1";
    json file = json::parse(gemini_file("ann@example.com", "ya29.a", end));
    file["codex_pool"] = {{"priority", 1000}, {"owner", "user-2"}, {"proxy_url", "http://evil"}};
    ASSERT_EQ(take(file.dump()).end, UploadEnd::added);
    const shared::AccountRecord added = record("gemini:ann");
    EXPECT_EQ(added.identity.owner.view(), "user-1");
    EXPECT_EQ(added.routing.priority, 0);
    EXPECT_TRUE(added.identity.proxy_url.empty());

    // Another's account is neither replaced nor named.
    const UploadAnswer foreign = take(gemini_file("pool@example.com", "ya29.p", end + kHour));
    EXPECT_EQ(foreign.end, UploadEnd::conflict);
    EXPECT_EQ(foreign.sentence.find("gemini:"), std::string::npos) << foreign.sentence;
    const UploadAnswer named = take(gemini_file("", "ya29.q", end + kHour), "gemini", "pool");
    EXPECT_EQ(named.end, UploadEnd::conflict) << named.sentence;

    for (std::size_t i = 1; i < refresher::kContributedMax; ++i) {
        const std::string key = R"({"api_key": "AIza-)" + std::to_string(i) + "\"}";
        ASSERT_EQ(take(key, "gemini").end, UploadEnd::added) << i;
    }
    EXPECT_EQ(take(R"({"api_key": "AIza-more"})", "gemini").end, UploadEnd::conflict);
}

TEST_F(IntakeTest, AFolderThatCannotBeWrittenIsSaid)
{
    path_ = folder_.path() / "gone";
    const UploadAnswer answer = take(R"({"OPENAI_API_KEY": "sk-1"})");
    EXPECT_EQ(answer.end, UploadEnd::failed);
    EXPECT_NE(answer.sentence.find("gone"), std::string::npos) << answer.sentence;
}

} // namespace
