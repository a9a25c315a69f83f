/// Upstreams behind TLS: verified against the given store, and refused where the certificate is not theirs.
#include "shared/fake_providers/tls.hpp"
#include "tests/integration/harness.hpp"

#include <nlohmann/json.hpp>

namespace tests {
namespace {

class Tls : public PoolTest {
protected:
    void SetUp() override
    {
        fake::ServerOptions options;
        options.tls = true;
        use_upstream(options);
        fake::write_test_authority(folder() / "authority.pem");
        add(fake::Vendor::codex, fake::Kind::oauth, "codex_1");
        add(fake::Vendor::claude, fake::Kind::oauth, "claude_1");
        add(fake::Vendor::gemini, fake::Kind::oauth, "gemini_1");
    }
};

TEST_F(Tls, TurnsOfAllClis)
{
    set_environment("SSL_CERT_FILE", (folder() / "authority.pem").string());
    set("workers = 1");
    start();
    fake::Client client = this->client();
    for (std::size_t i = 0; i < 6; ++i) {
        for (const Cli cli : {Cli::codex, Cli::claude, Cli::gemini}) {
            const fake::Response response = make(client, turn_of(cli, "c", i));
            EXPECT_EQ(response.status, 200U) << response.body;
            EXPECT_TRUE(response.complete);
        }
    }
    EXPECT_LT(upstream().accepted(), 12U) << "connections are kept";
    const fake::Response large = make(client, turn_of(Cli::claude, "large", 1, 3U << 20U));
    EXPECT_EQ(large.status, 200U);
    expect_usage_settles();
    expect_idle();
}

TEST_F(Tls, AnUnknownAuthorityIsRefused)
{
    set("first_byte_timeout_seconds = 5");
    Process& process = launch();
    ASSERT_TRUE(process.wait_line("listening on http://"));
    const std::string line = *process.wait_line("listening on http://");
    const auto own =
        static_cast<std::uint16_t>(std::strtoul(line.c_str() + line.rfind(':') + 1, nullptr, 10));
    fake::Client client(own);
    const fake::Response response = make(client, turn_of(Cli::claude, "c"));
    EXPECT_GE(response.status, 500U) << response.body;
    EXPECT_EQ(upstream().ledger().exchanges().size(), 0U);
}

} // namespace
} // namespace tests
