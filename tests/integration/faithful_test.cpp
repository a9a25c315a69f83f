/// Bodies are the same bytes on both sides of the pool, whatever their coding and framing; heads lose exactly what
/// must not pass.
#include "shared/fake_providers/coding.hpp"
#include "tests/integration/harness.hpp"

#include <nlohmann/json.hpp>

namespace tests {
namespace {

class Faithful : public PoolTest {
protected:
    void SetUp() override
    {
        add(fake::Vendor::codex, fake::Kind::oauth, "codex_1");
        add(fake::Vendor::claude, fake::Kind::oauth, "claude_1");
        add(fake::Vendor::gemini, fake::Kind::oauth, "gemini_1");
        start();
    }

    /// Makes the turn and compares both bodies' hashes with what the upstream received and sent.
    void expect_identical(const Turn& turn)
    {
        fake::Client client = this->client();
        const fake::Response response = make(client, turn);
        ASSERT_EQ(response.status, 200U) << response.body;
        EXPECT_TRUE(response.complete);
        ASSERT_TRUE(upstream().ledger().wait([](const auto& all) { return all.back().complete; }));
        const fake::Exchange seen = upstream().ledger().turns().back();
        std::string sent = turn.body;
        if (const std::string* framing = fake::find_header(turn.headers, "transfer-encoding");
            framing != nullptr)
            return;
        EXPECT_EQ(seen.request_sha256, fake::sha256_hex(sent));
        EXPECT_EQ(seen.response_sha256, fake::sha256_hex(response.body));
        EXPECT_EQ(seen.response_bytes, response.body.size());
    }
};

TEST_F(Faithful, StreamsAndDocumentsOfAllClis)
{
    for (const Cli cli : {Cli::codex, Cli::claude, Cli::gemini}) {
        expect_identical(turn_of(cli, "streamed"));
        expect_identical(unstreamed(cli, "whole"));
        expect_identical(turn_of(cli, "large", 1, 2U << 20U));
        expect_identical(turn_of(cli, ""));
    }
    expect_usage_settles();
}

TEST_F(Faithful, CompressedAnswers)
{
    for (const char* coding : {"gzip", "br", "zstd"}) {
        upstream().clear_script();
        fake::Behaviour compressed;
        compressed.coding = coding;
        upstream().script(compressed);
        for (const Cli cli : {Cli::codex, Cli::claude, Cli::gemini}) {
            Turn turn = turn_of(cli, std::string("c-") + coding);
            turn.headers.emplace_back("Accept-Encoding", "gzip, deflate, br, zstd");
            expect_identical(turn);
            expect_identical(unstreamed(cli, std::string("d-") + coding));
        }
    }
    expect_usage_settles();
}

TEST_F(Faithful, CompressedRequests)
{
    for (const char* coding : {"gzip", "br", "zstd"}) {
        for (const Cli cli : {Cli::codex, Cli::claude}) {
            Turn turn = turn_of(cli, std::string("r-") + coding, 1, 300000);
            // Only the body tells the conversation.
            std::erase_if(turn.headers, [](const auto& each) {
                return each.first == "session-id" || each.first == "X-Claude-Code-Session-Id";
            });
            turn.body = fake::encode_all(coding, turn.body);
            turn.headers.emplace_back("Content-Encoding", coding);
            if (std::string(coding) != "br")
                expect_identical(turn); // the fake itself does not decode br
        }
    }
    expect_usage_settles();
}

TEST_F(Faithful, FramingsOfAnswers)
{
    fake::Behaviour unframed;
    unframed.unframed = true;
    unframed.times = 1;
    fake::Behaviour trailers;
    trailers.trailers = true;
    trailers.times = 1;
    fake::Behaviour dripped;
    dripped.write_bytes = 7;
    dripped.times = 1;
    for (const fake::Behaviour& each : {unframed, trailers, dripped}) {
        for (const Cli cli : {Cli::codex, Cli::claude, Cli::gemini}) {
            upstream().script(each);
            expect_identical(turn_of(cli, "framing"));
        }
    }
    expect_usage_settles();
}

TEST_F(Faithful, ChunkedRequests)
{
    fake::Client client = this->client();
    Turn turn = turn_of(Cli::claude, "chunked");
    std::string head = fake::Client::format(
        "POST",
        turn.target,
        [&] {
            fake::Headers headers = turn.headers;
            headers.emplace_back("Transfer-Encoding", "chunked");
            return headers;
        }(),
        "",
        port());
    ASSERT_TRUE(client.wire().write(head));
    for (std::size_t at = 0; at < turn.body.size(); at += 50) {
        const std::string piece = turn.body.substr(at, 50);
        char size[16];
        (void)std::snprintf(size, sizeof size, "%zx;ext=1\r\n", piece.size());
        ASSERT_TRUE(client.wire().write(size + piece + "\r\n"));
    }
    ASSERT_TRUE(client.wire().write("0\r\nX-Trailer: 1\r\n\r\n"));
    ASSERT_EQ(client.read_head().status, 200U);
    EXPECT_TRUE(client.read_rest().complete);
    EXPECT_EQ(upstream().ledger().turns().back().request_sha256, fake::sha256_hex(turn.body));
    expect_usage_settles();
}

TEST_F(Faithful, HeadsLoseWhatMustNotPass)
{
    fake::Client client = this->client();
    Turn turn = turn_of(Cli::claude, "heads");
    turn.headers.emplace_back("X-Forwarded-For", "1.2.3.4");
    turn.headers.emplace_back("CF-Connecting-IP", "1.2.3.4");
    turn.headers.emplace_back("Via", "1.1 elsewhere");
    turn.headers.emplace_back("Cookie", "a=b");
    turn.headers.emplace_back("Connection", "keep-alive, X-One-Hop");
    turn.headers.emplace_back("X-One-Hop", "mine");
    turn.headers.emplace_back("X-Stainless-Lang", "js");
    const fake::Response response = make(client, turn);
    EXPECT_EQ(response.status, 200U);
    EXPECT_EQ(response.value("set-cookie"), "");
    EXPECT_EQ(response.value("x-one-hop"), "");
    EXPECT_EQ(response.value("keep-alive"), "");
    EXPECT_NE(response.value("x-request-id"), "");
    EXPECT_EQ(response.value("x-upstream-request-id").substr(0, 9), "upstream-");
    EXPECT_NE(response.value("server-timing"), "");
    const fake::Exchange seen = upstream().ledger().turns().back();
    EXPECT_NE(fake::find_header(seen.headers, "x-stainless-lang"), nullptr);
    const std::string* betas = fake::find_header(seen.headers, "anthropic-beta");
    ASSERT_NE(betas, nullptr);
    EXPECT_NE(betas->find("claude-code-20250219"), std::string::npos);
    EXPECT_NE(betas->find("oauth-2025-04-20"), std::string::npos);
}

TEST_F(Faithful, TheTurnStateOfCodexPassesBothWays)
{
    fake::Client client = this->client();
    Turn turn = turn_of(Cli::codex, "state");
    const std::string state = make(client, turn).value("x-codex-turn-state");
    ASSERT_NE(state, "");
    turn.headers.emplace_back("x-codex-turn-state", state);
    EXPECT_EQ(make(client, turn).status, 200U);
    const fake::Exchange seen = upstream().ledger().turns().back();
    const std::string* passed = fake::find_header(seen.headers, "x-codex-turn-state");
    ASSERT_NE(passed, nullptr);
    EXPECT_EQ(*passed, state);
}

class FaithfulProject : public PoolTest {};

TEST_F(FaithfulProject, OnlyTheValueOfProjectIsReplaced)
{
    add(fake::Vendor::gemini, fake::Kind::oauth, "gemini_2");
    const fake::Account elsewhere =
        fake::make_account(fake::Vendor::gemini, fake::Kind::oauth, "gemini_1");
    const fake::Account here = add(fake::Vendor::gemini, fake::Kind::oauth, "gemini_1");
    start();
    // Both accounts exist, so both projects are the pool's; whoever serves gets its own.
    for (std::size_t i = 0; i < 6; ++i) {
        fake::Client client = this->client();
        const Turn turn = turn_of(Cli::gemini, "p" + std::to_string(i));
        EXPECT_EQ(make(client, turn).status, 200U);
        const fake::Exchange seen = upstream().ledger().turns().back();
        const fake::Account account =
            fake::make_account(fake::Vendor::gemini, fake::Kind::oauth, seen.account);
        std::string expected = turn.body;
        const std::size_t at = expected.find(elsewhere.project);
        ASSERT_NE(at, std::string::npos);
        expected.replace(at, elsewhere.project.size(), account.project);
        EXPECT_EQ(seen.request_sha256, fake::sha256_hex(expected));
    }
    EXPECT_EQ(here.project, elsewhere.project);
    // A project that is nobody's passes unchanged, and the upstream refuses it.
    Turn foreign = turn_of(Cli::gemini, "foreign");
    const std::size_t at = foreign.body.find(elsewhere.project);
    foreign.body.replace(at, elsewhere.project.size(), "somebody-elses");
    fake::Client client = this->client();
    EXPECT_NE(make(client, foreign).status, 200U);
    EXPECT_EQ(upstream().ledger().turns().back().request_sha256, fake::sha256_hex(foreign.body));
}

TEST_F(FaithfulProject, AnAccountWithoutATierIsOnboarded)
{
    fake::Account account = fake::make_account(fake::Vendor::gemini, fake::Kind::oauth, "gemini_1");
    account.needs_onboarding = true;
    add(fake::Vendor::gemini, fake::Kind::oauth, "gemini_1");
    upstream().remove_account("gemini_1");
    upstream().add_account(account);
    start();
    fake::Client client = this->client();
    EXPECT_EQ(make(client, turn_of(Cli::gemini, "c")).status, 200U);
}

} // namespace
} // namespace tests
