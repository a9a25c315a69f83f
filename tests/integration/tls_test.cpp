/// Upstreams behind TLS: verified against the given store, and refused where the certificate is not theirs.
#include "shared/fake_providers/tls.hpp"
#include "tests/integration/harness.hpp"

#include <nlohmann/json.hpp>

#include <csignal>
#include <cstdlib>
#include <fstream>

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

/// The pool itself behind https.
class ServedByTls : public PoolTest {
protected:
    void SetUp() override
    {
        write_certificate();
        set("tls_cert = \"cert.pem\"");
        set("tls_key = \"key.pem\"");
        set("workers = 2");
        add(fake::Vendor::claude, fake::Kind::oauth, "claude_1");
        add(fake::Vendor::codex, fake::Kind::oauth, "codex_1");
    }

    void write_certificate() const
    {
        const fake::TestCertificate made = fake::make_test_certificate();
        std::ofstream(folder() / "cert.pem") << made.certificate;
        std::ofstream(folder() / "key.pem") << made.key;
    }

    void start_tls()
    {
        Process& process = launch();
        const auto line = process.wait_line("listening on https://");
        ASSERT_TRUE(line);
        tls_port_ = static_cast<std::uint16_t>(
            std::strtoul(line->c_str() + line->rfind(':') + 1, nullptr, 10));
        ASSERT_TRUE(process.wait_line("ready: 2 workers"));
    }

    [[nodiscard]] fake::Client secure() const { return fake::Client::over_tls(tls_port_); }

    std::uint16_t tls_port_ = 0;
};

TEST_F(ServedByTls, TurnsOnOneConnectionSmallAndLarge)
{
    start_tls();
    fake::Client client = secure();
    ASSERT_TRUE(client.connected());
    for (std::size_t i = 0; i < 20; ++i) {
        const Cli cli = i % 2 == 0 ? Cli::claude : Cli::codex;
        const std::size_t size = i % 5 == 0 ? 3U << 20U : i * 1000;
        const fake::Response response = make(client, turn_of(cli, "c", i, size));
        EXPECT_EQ(response.status, 200U) << response.body;
        EXPECT_TRUE(response.complete);
        EXPECT_NE(response.body.find(end_mark(cli)), std::string::npos);
    }
}

TEST_F(ServedByTls, SeveralRequestsInOneRecordAreAllAnswered)
{
    start_tls();
    fake::Client client = secure();
    const std::string one = fake::Client::format("GET", "/healthz", {}, {}, tls_port_);
    ASSERT_TRUE(client.wire().write(one + one + one));
    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(client.read_head().status, 200U);
        EXPECT_TRUE(client.read_rest().complete);
    }
}

TEST_F(ServedByTls, PlainHttpIsToldSo)
{
    start_tls();
    fake::Client plain(tls_port_);
    const fake::Response response = plain.request("GET", "/healthz");
    EXPECT_EQ(response.status, 400U);
    EXPECT_NE(response.body.find("https"), std::string::npos) << response.body;
}

TEST_F(ServedByTls, ANewCertificateHoldsAfterAReload)
{
    start_tls();
    fake::Client open = secure();
    EXPECT_EQ(open.request("GET", "/healthz").status, 200U);
    write_certificate();
    const std::size_t from = pool().line_count();
    pool().signal(SIGHUP);
    ASSERT_TRUE(pool().wait_line("settings=\"the certificate\"", from));
    EXPECT_TRUE(eventually([&] { return secure().request("GET", "/healthz").status == 200U; }));
    std::ofstream(folder() / "key.pem") << "no key";
    const std::size_t then = pool().line_count();
    pool().signal(SIGHUP);
    ASSERT_TRUE(pool().wait_line("event=reload_refused", then));
    EXPECT_EQ(secure().request("GET", "/healthz").status, 200U) << "the last good one serves";
}

TEST_F(ServedByTls, AFileThatIsNoCertificateIsNamedAtStart)
{
    std::ofstream(folder() / "cert.pem") << "no certificate";
    Process& process = launch();
    EXPECT_TRUE(process.wait_line("cert.pem"));
    expect_exit_code(1);
    EXPECT_EQ(process.wait_exit(), 1);
}

} // namespace
} // namespace tests
