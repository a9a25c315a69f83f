/// The shortest way through everything: one turn of each CLI, and the sums agree.
#include "tests/integration/harness.hpp"

namespace tests {
namespace {

using First = PoolTest;

TEST_F(First, OneTurnOfEachCli)
{
    add(fake::Vendor::codex, fake::Kind::oauth, "codex_1");
    add(fake::Vendor::claude, fake::Kind::oauth, "claude_1");
    add(fake::Vendor::gemini, fake::Kind::oauth, "gemini_1");
    start();
    for (const Cli cli : {Cli::codex, Cli::claude, Cli::gemini}) {
        fake::Client client = this->client();
        const fake::Response response = make(client, turn_of(cli, "conversation"));
        EXPECT_EQ(response.status, 200U) << response.body;
        EXPECT_TRUE(response.complete);
        EXPECT_NE(response.body.find(end_mark(cli)), std::string::npos) << response.body;
    }
    expect_usage_settles();
    expect_idle();
}

TEST_F(First, OneTurnWithoutStreaming)
{
    add_one_of_each();
    start();
    fake::Client client = this->client();
    for (const Cli cli : {Cli::codex, Cli::claude, Cli::gemini}) {
        const fake::Response response = make(client, unstreamed(cli, "conversation"));
        EXPECT_EQ(response.status, 200U) << response.body;
        EXPECT_NE(response.value("content-type").find("application/json"), std::string::npos);
    }
    expect_usage_settles();
    expect_idle();
}

} // namespace
} // namespace tests
