/// The journal across deaths: whatever is cut off behind a whole record, the record counts.
#include "refresher/refresh_journal.hpp"
#include "tests/support/temp_dir.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>

#include <sys/stat.h>

namespace {

using refresher::JournalEntry;
using refresher::RefreshJournal;
using shared::UnixMillis;

constexpr UnixMillis kNow{1'000'000'000'000};

JournalEntry entry(const std::string& token)
{
    JournalEntry out;
    out.sent = shared::sha256(token);
    out.old_access = shared::sha256("access");
    out.old_expires_at = {kNow.value + 5};
    out.vendor_id = "acct";
    out.at = kNow;
    return out;
}

shared::CallReply reply(const std::string& body)
{
    return {200, {}, body};
}

class JournalTest : public testing::Test {
protected:
    RefreshJournal open() const { return std::move(*RefreshJournal::open(file_)); }

    std::string bytes() const
    {
        std::ifstream in(file_, std::ios::binary);
        return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    }

    void write(const std::string& text) const { std::ofstream(file_, std::ios::binary) << text; }

    tests::TempDir folder_;
    std::filesystem::path file_ = folder_.path() / "refresh-journal";
};

TEST_F(JournalTest, IsEmptyPrivateAndHeldByOneProcess)
{
    const RefreshJournal journal = open();
    EXPECT_TRUE(journal.entries().empty());
    struct stat status = {};
    ASSERT_EQ(::stat(file_.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777U, 0600U);
    EXPECT_FALSE(RefreshJournal::open(file_).has_value());
    EXPECT_FALSE(RefreshJournal::open(folder_.path() / "none" / "x").has_value());
}

TEST_F(JournalTest, AnIntentWithoutAnAnswerIsADeath)
{
    {
        RefreshJournal journal = open();
        ASSERT_TRUE(journal.intend("codex:a", entry("one")).has_value());
        EXPECT_TRUE(journal.find("codex:a")->sending);
        EXPECT_EQ(journal.find("codex:a")->deaths, 0U);
    }
    {
        RefreshJournal journal = open();
        const JournalEntry* found = journal.find("codex:a");
        ASSERT_NE(found, nullptr);
        EXPECT_EQ(found->deaths, 1U);
        EXPECT_TRUE(found->lost);
        EXPECT_FALSE(found->sending);
        EXPECT_EQ(found->sent, shared::sha256("one"));
        EXPECT_EQ(found->vendor_id, "acct");
        ASSERT_TRUE(journal.intend("codex:a", entry("one")).has_value());
    }
    EXPECT_EQ(open().find("codex:a")->deaths, 2U);
    EXPECT_EQ(open().find("codex:a")->deaths, 2U) << "reading is no death";
    {
        RefreshJournal journal = open();
        ASSERT_TRUE(journal.intend("codex:a", entry("two")).has_value());
    }
    EXPECT_EQ(open().find("codex:a")->deaths, 1U) << "another token begins anew";
}

TEST_F(JournalTest, AnAnswerSurvivesByteForByte)
{
    std::string body = "{\"access_token\":\"x\"}";
    body += std::string("\n\0\xFF", 3);
    {
        RefreshJournal journal = open();
        ASSERT_TRUE(journal.reserve().has_value());
        ASSERT_TRUE(journal.intend("codex:a", entry("one")).has_value());
        ASSERT_TRUE(journal.answered("codex:a", reply(body), {kNow.value + 9}).has_value());
    }
    const RefreshJournal journal = open();
    const JournalEntry* found = journal.find("codex:a");
    ASSERT_TRUE(found != nullptr && found->answer);
    EXPECT_EQ(found->answer->status, 200U);
    EXPECT_EQ(found->answer->body, body);
    EXPECT_EQ(found->at.value, kNow.value + 9);
    EXPECT_EQ(found->deaths, 0U);
    EXPECT_FALSE(found->lost);
}

TEST_F(JournalTest, WhateverIsCutOffTheWholeRecordsBeforeItCount)
{
    std::size_t whole = 0;
    {
        RefreshJournal journal = open();
        ASSERT_TRUE(journal.intend("codex:a", entry("one")).has_value());
        whole = journal.size_bytes();
        ASSERT_TRUE(journal.answered("codex:a", reply("body"), kNow).has_value());
    }
    const std::string all = bytes();
    for (std::size_t cut = whole; cut <= all.size(); ++cut) {
        write(all.substr(0, cut));
        RefreshJournal journal = open();
        const JournalEntry* found = journal.find("codex:a");
        ASSERT_NE(found, nullptr) << cut;
        EXPECT_EQ(found->answer.has_value(), cut == all.size()) << cut;
        // And it can be written on.
        ASSERT_TRUE(journal.answered("codex:a", reply("later"), kNow).has_value());
    }
    std::string torn = all;
    torn[whole + 40] = static_cast<char>(torn[whole + 40] ^ 1);
    write(torn);
    EXPECT_FALSE(open().find("codex:a")->answer);
    write("no journal at all");
    EXPECT_TRUE(open().entries().empty());
}

TEST_F(JournalTest, IsEmptyAgainWhenNothingIsUnfinished)
{
    RefreshJournal journal = open();
    ASSERT_TRUE(journal.intend("codex:a", entry("one")).has_value());
    ASSERT_TRUE(journal.intend("codex:b", entry("two")).has_value());
    journal.close("codex:a");
    EXPECT_NE(journal.size_bytes(), 0U);
    journal.close("codex:b");
    EXPECT_EQ(bytes().size(), 0U);
    journal.close("codex:b");
    journal.lost("codex:b");
    EXPECT_EQ(bytes().size(), 0U);
}

TEST_F(JournalTest, ALostAnswerIsNoDeathButIsRemembered)
{
    {
        RefreshJournal journal = open();
        ASSERT_TRUE(journal.intend("codex:a", entry("one")).has_value());
        journal.lost("codex:a");
    }
    {
        RefreshJournal journal = open();
        EXPECT_TRUE(journal.find("codex:a")->lost);
        EXPECT_EQ(journal.find("codex:a")->deaths, 0U);
        ASSERT_TRUE(journal.intend("codex:a", entry("one")).has_value());
        EXPECT_TRUE(journal.find("codex:a")->lost) << "of the same token";
        ASSERT_TRUE(journal.intend("codex:a", entry("two")).has_value());
        EXPECT_FALSE(journal.find("codex:a")->lost);
    }
}

TEST_F(JournalTest, DoesNotGrowWhileSomethingStaysUnfinished)
{
    {
        RefreshJournal journal = open();
        ASSERT_TRUE(journal.intend("codex:waits", entry("one")).has_value());
        ASSERT_TRUE(journal.answered("codex:waits", reply("kept"), kNow).has_value());
        ASSERT_TRUE(journal.intend("codex:sends", entry("two")).has_value());
        const std::string big(100'000, 'x');
        for (int i = 0; i < 30; ++i) {
            ASSERT_TRUE(journal.intend("codex:b", entry("three")).has_value());
            ASSERT_TRUE(journal.answered("codex:b", reply(big), kNow).has_value());
            journal.close("codex:b");
        }
        EXPECT_LT(journal.size_bytes(), refresher::kJournalBytesMax + 200'000);
    }
    EXPECT_LT(bytes().size(), refresher::kJournalBytesMax + 200'000);
    const RefreshJournal journal = open();
    ASSERT_TRUE(journal.find("codex:waits") != nullptr && journal.find("codex:waits")->answer);
    EXPECT_EQ(journal.find("codex:waits")->answer->body, "kept");
    EXPECT_EQ(journal.find("codex:sends")->deaths, 1U)
        << "it was being sent when the file was renewed";
    EXPECT_EQ(journal.find("codex:b"), nullptr);
}

} // namespace
