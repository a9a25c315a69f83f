/// Credential files: replaced whole or not at all, and who wins where two have written.
#include "refresher/token_file.hpp"
#include "refresher/token_store.hpp"
#include "tests/support/as_nobody.hpp"
#include "tests/support/temp_dir.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include <sys/stat.h>
#include <unistd.h>

namespace {

using refresher::FileReplacement;
using refresher::JournalEntry;
using refresher::merge_of;
using refresher::TokenMerge;
using shared::Credential;
using shared::RenewedTokens;
using shared::Secret;
using shared::UnixMillis;

std::string read(const std::filesystem::path& file)
{
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

std::size_t files_in(const std::filesystem::path& folder)
{
    std::size_t count = 0;
    for ([[maybe_unused]] const auto& each : std::filesystem::directory_iterator(folder))
        ++count;
    return count;
}

TEST(FileReplacement, TakesTheFilesPlacePrivately)
{
    const tests::TempDir folder;
    const auto file = folder.write("a.json", "old, and longer than what follows", 0644);
    {
        auto replacement = FileReplacement::prepare(file, 100'000);
        ASSERT_TRUE(replacement.has_value());
        EXPECT_EQ(read(file), "old, and longer than what follows");
        ASSERT_TRUE(replacement->commit("new").has_value());
    }
    EXPECT_EQ(read(file), "new");
    struct stat status = {};
    ASSERT_EQ(::stat(file.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777U, 0600U);
    EXPECT_EQ(files_in(folder.path()), 1U);
}

TEST(FileReplacement, AnAbandonedOneLeavesNothing)
{
    const tests::TempDir folder;
    const auto file = folder.write("a.json", "old");
    (void)FileReplacement::prepare(file, 1000);
    EXPECT_EQ(read(file), "old");
    EXPECT_EQ(files_in(folder.path()), 1U);
    // What a killed predecessor left is no obstacle.
    folder.write(".a.json.codex-pool-new", "half");
    auto replacement = FileReplacement::prepare(file, 1000);
    ASSERT_TRUE(replacement.has_value());
    ASSERT_TRUE(replacement->commit("new").has_value());
    EXPECT_EQ(read(file), "new");
    EXPECT_EQ(files_in(folder.path()), 1U);
}

TEST(FileReplacement, ALinkStaysALink)
{
    const tests::TempDir folder;
    const auto target = folder.write("cli/auth.json", "old");
    const auto link = folder.path() / "a.json";
    std::filesystem::create_symlink(target, link);
    auto replacement = FileReplacement::prepare(link, 1000);
    ASSERT_TRUE(replacement.has_value());
    ASSERT_TRUE(replacement->commit("new").has_value());
    EXPECT_TRUE(std::filesystem::is_symlink(link));
    EXPECT_EQ(read(target), "new");
}

TEST(FileReplacement, KeepsTheOwner)
{
    if (::geteuid() != 0) GTEST_SKIP() << "only root may give files away";
    const tests::TempDir folder;
    const auto file = folder.write("a.json", "old");
    ASSERT_EQ(::chown(file.c_str(), 65534, 65534), 0);
    auto replacement = FileReplacement::prepare(file, 1000);
    ASSERT_TRUE(replacement.has_value());
    ASSERT_TRUE(replacement->commit("new").has_value());
    struct stat status = {};
    ASSERT_EQ(::stat(file.c_str(), &status), 0);
    EXPECT_EQ(status.st_uid, 65534U);
    EXPECT_EQ(status.st_gid, 65534U);
}

TEST(FileReplacement, SaysBeforehandThatItCannotWrite)
{
    const tests::TempDir folder;
    const auto file = folder.write("a.json", "old", 0644);
    EXPECT_FALSE(FileReplacement::prepare(folder.path() / "none.json", 10).has_value());
    ::chmod(folder.path().c_str(), 0555); // for whoever is not root anyway
    {
        const tests::AsNobody nobody;
        const auto replacement = FileReplacement::prepare(file, 1000);
        ASSERT_FALSE(replacement.has_value());
        EXPECT_NE(replacement.error().text().find(folder.path().string()), std::string::npos);
    }
    ::chmod(folder.path().c_str(), 0755);
}

// ---- who wins -----------------------------------------------------------------------------------------

constexpr UnixMillis kOld{1'000'000'000'000};

JournalEntry sent()
{
    JournalEntry entry;
    entry.sent = shared::sha256("refresh-0");
    entry.old_access = shared::sha256("access-0");
    entry.old_expires_at = kOld;
    entry.vendor_id = "acct";
    return entry;
}

RenewedTokens ours(const std::string& refresh = "refresh-1")
{
    RenewedTokens tokens;
    tokens.access_token = Secret("access-1");
    tokens.refresh_token = Secret(refresh);
    tokens.expires_at = kOld.plus(std::chrono::hours(1));
    return tokens;
}

Credential
file(const std::string& access, const std::string& refresh, std::int64_t expires_in_s = 0)
{
    Credential credential;
    credential.kind = shared::CredentialKind::oauth;
    credential.access_token = Secret(access);
    credential.refresh_token = Secret(refresh);
    credential.account_id = "acct";
    credential.expires_at = kOld.plus(std::chrono::seconds(expires_in_s));
    return credential;
}

TEST(TokenMerge, OursGoIntoTheFileThatWasSent)
{
    EXPECT_EQ(merge_of(file("access-0", "refresh-0"), sent(), ours()), TokenMerge::write);
    EXPECT_EQ(merge_of(file("access-0", "refresh-0"), sent(), ours("")), TokenMerge::write);
}

TEST(TokenMerge, TwiceIsOnce)
{
    EXPECT_EQ(merge_of(file("access-1", "refresh-1", 3600), sent(), ours()), TokenMerge::written);
    EXPECT_EQ(merge_of(file("access-1", "refresh-0", 3600), sent(), ours("")), TokenMerge::written);
    RenewedTokens alone = ours();
    alone.access_token = {};
    EXPECT_EQ(merge_of(file("access-0", "refresh-1"), sent(), alone), TokenMerge::written);
}

TEST(TokenMerge, ALaterRotationInTheFileWins)
{
    EXPECT_EQ(merge_of(file("access-9", "refresh-9", 1), sent(), ours()), TokenMerge::drop);
    EXPECT_EQ(merge_of(file("access-9", "refresh-9", 99'999), sent(), ours()), TokenMerge::drop);
    // Where refresh tokens do not rotate, the later access token tells.
    EXPECT_EQ(merge_of(file("access-9", "refresh-0", 7200), sent(), ours("")), TokenMerge::drop);
    EXPECT_EQ(merge_of(file("access-9", "refresh-0", 60), sent(), ours("")), TokenMerge::write);
}

TEST(TokenMerge, ABackupOfTheSameAccountLoses)
{
    EXPECT_EQ(merge_of(file("access-b", "refresh-b", -60), sent(), ours()), TokenMerge::write);
}

TEST(TokenMerge, WhatMayBeSomebodyElsesIsNeverOverwritten)
{
    Credential other = file("access-b", "refresh-b", -60);
    other.account_id = "another";
    EXPECT_EQ(merge_of(other, sent(), ours()), TokenMerge::drop);
    other.account_id.clear();
    EXPECT_EQ(merge_of(other, sent(), ours()), TokenMerge::drop);
    Credential timeless = file("access-b", "refresh-b");
    timeless.expires_at = {};
    EXPECT_EQ(merge_of(timeless, sent(), ours()), TokenMerge::drop);
    Credential key = file("access-b", "");
    key.kind = shared::CredentialKind::api_key;
    EXPECT_EQ(merge_of(key, sent(), ours()), TokenMerge::drop);
}

} // namespace
