#include "supervisor/given_credentials.hpp"
#include "tests/supervisor/usage_fixture.hpp"
#include "tests/support/temp_dir.hpp"

#include <gtest/gtest.h>

#include <sys/stat.h>

namespace supervisor::test {
namespace {

class GivenCredentials : public ::testing::Test {
protected:
    GivenCredentials()
    {
        std::filesystem::create_directory(given);
        std::filesystem::create_directory(pool);
    }

    std::size_t import() const { return *import_credentials(given, pool, record); }

    tests::TempDir folder;
    std::filesystem::path given = folder.path() / "given";
    std::filesystem::path pool = folder.path() / "pool";
    std::filesystem::path record = folder.path() / "imported";
};

TEST_F(GivenCredentials, SecretsComeByTheNameOfTheSettingOrOfItsVariable)
{
    write_file(given / "admin_token", "from a file\n");
    write_file(given / "POOL_JWT_SECRET", "another");
    write_file(given / "workers", "7");
    shared::Environment environment;
    add_given_secrets(given, environment);
    EXPECT_EQ(environment.at("ADMIN_TOKEN"), "from a file");
    EXPECT_EQ(environment.at("POOL_JWT_SECRET"), "another");
    EXPECT_EQ(environment.size(), 2U) << "only secrets";
}

TEST_F(GivenCredentials, TheEnvironmentBeatsAFile)
{
    write_file(given / "admin_token", "from a file");
    shared::Environment environment{{"ADMIN_TOKEN", "set"}};
    add_given_secrets(given, environment);
    EXPECT_EQ(environment.at("ADMIN_TOKEN"), "set");
}

TEST_F(GivenCredentials, NoFolderIsNoFault)
{
    shared::Environment environment;
    EXPECT_EQ(credentials_folder(environment), "");
    add_given_secrets({}, environment);
    EXPECT_TRUE(environment.empty());
    EXPECT_EQ(*import_credentials({}, pool, record), 0U);
}

TEST_F(GivenCredentials, AnAccountIsImportedOnce)
{
    write_file(given / "me.json", "the first token");
    write_file(given / "admin_token", "no account");
    EXPECT_EQ(import(), 1U);
    EXPECT_EQ(file_bytes(pool / "me.json"), "the first token");

    struct stat status {};

    ASSERT_EQ(stat((pool / "me.json").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777U, 0600U);
    EXPECT_FALSE(std::filesystem::exists(pool / "admin_token"));

    // The pool has renewed it: an old source must not come back over it.
    write_file(pool / "me.json", "a renewed token");
    EXPECT_EQ(import(), 0U);
    EXPECT_EQ(file_bytes(pool / "me.json"), "a renewed token");
    // Also if its owner removed the account.
    std::filesystem::remove(pool / "me.json");
    EXPECT_EQ(import(), 0U);

    write_file(given / "me.json", "a new login");
    EXPECT_EQ(import(), 1U);
    EXPECT_EQ(file_bytes(pool / "me.json"), "a new login");
}

TEST_F(GivenCredentials, WhatCannotBeCopiedIsNamed)
{
    write_file(given / "me.json", "token");
    std::filesystem::remove(pool);
    const auto imported = import_credentials(given, pool, record);
    ASSERT_FALSE(imported);
    EXPECT_NE(imported.error().text().find("me.json"), std::string::npos);
    EXPECT_FALSE(std::filesystem::exists(record)) << "it is tried again";
}

} // namespace
} // namespace supervisor::test
