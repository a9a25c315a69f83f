#include "supervisor/signing_key.hpp"
#include "tests/support/temp_dir.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include <sys/stat.h>

namespace supervisor {
namespace {

class SigningKeyTest : public testing::Test {
protected:
    tests::TempDir dir_;
    std::filesystem::path file_ = dir_.path() / "jwt_secret";

    void write(const std::string& text) { std::ofstream(file_) << text; }

    std::string text() const
    {
        std::ifstream in(file_);
        return {std::istreambuf_iterator<char>(in), {}};
    }
};

TEST_F(SigningKeyTest, IsMadeOnceAndKept)
{
    const auto made = signing_key(dir_.path());
    ASSERT_TRUE(made.has_value());
    EXPECT_EQ(made->reveal().size(), 64U);

    struct stat status {};

    ASSERT_EQ(stat(file_.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777U, 0600U);
    const auto again = signing_key(dir_.path());
    ASSERT_TRUE(again.has_value());
    EXPECT_TRUE(again->same_as(*made));
}

TEST_F(SigningKeyTest, AnOwnersKeyIsTakenAsItIs)
{
    write(std::string(40, 'k') + "\n");
    const auto key = signing_key(dir_.path());
    ASSERT_TRUE(key.has_value());
    EXPECT_EQ(key->reveal(), std::string(40, 'k'));
}

TEST_F(SigningKeyTest, AShortOneIsRefusedAndLeftAlone)
{
    for (const char* bad : {"", "short", "\n\n"}) {
        write(bad);
        const auto key = signing_key(dir_.path());
        ASSERT_FALSE(key.has_value()) << bad;
        EXPECT_NE(key.error().where.find("jwt_secret"), std::string::npos);
        EXPECT_EQ(text(), bad);
    }
}

TEST_F(SigningKeyTest, AFolderThatCannotBeWrittenIsNamed)
{
    const auto key = signing_key(dir_.path() / "missing");
    ASSERT_FALSE(key.has_value());
    EXPECT_NE(key.error().text().find("missing"), std::string::npos);
}

} // namespace
} // namespace supervisor
