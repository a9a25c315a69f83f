/// allow_passthrough: a client's own vendor key goes out as it is, past the accounts, for those who may.
#include "tests/integration/harness.hpp"

#include <nlohmann/json.hpp>

#include <array>
#include <string>
#include <utility>
#include <vector>

namespace tests {
namespace {

using nlohmann::json;

class Passthrough : public PoolTest {
protected:
    Passthrough()
    {
        add_one_of_each();
        for (const auto& [vendor, name] :
             {std::pair{fake::Vendor::codex, "codex_own"},
              std::pair{fake::Vendor::claude, "claude_own"},
              std::pair{fake::Vendor::gemini, "gemini_own"}}) {
            const fake::Account own = fake::make_account(vendor, fake::Kind::api_key, name);
            upstream().add_account(own);
            keys_.push_back(own.token);
        }
    }

    void share()
    {
        set("friend_code = \"the friend code\"");
        set("[pool_users]\nadmin_password = \"the password\"");
    }

    [[nodiscard]] std::string join() const
    {
        fake::Client connection = client();
        const fake::Response made = connection.request(
            "POST",
            "/api/friend/claim",
            {{"Content-Type", "application/json"}},
            R"({"friend_code":"the friend code"})");
        EXPECT_EQ(made.status, 200U) << made.body;
        return json::parse(made.body).at("claude_api_key");
    }

    /// A turn with a key in the vendor's own place, and perhaps the pool's beside it.
    fake::Response turn(Cli cli, const std::string& key, const std::string& beside = "") const
    {
        Turn made = turn_of(cli, "c");
        std::erase_if(made.headers, [](const auto& header) {
            return header.first == "Authorization" || header.first == "X-Api-Key";
        });
        if (cli == Cli::codex) made.headers.emplace_back("Authorization", "Bearer " + key);
        if (cli == Cli::codex) made.headers.emplace_back("OpenAI-Organization", "org-own");
        if (cli == Cli::claude) made.headers.emplace_back("X-Api-Key", key);
        if (cli == Cli::gemini) {
            made.target = "/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse";
            made.headers.emplace_back("x-goog-api-key", key);
        }
        if (!beside.empty()) made.headers.emplace_back("X-Codex-Pool-Key", beside);
        fake::Client connection = client();
        return tests::make(connection, made);
    }

    /// Whom the vendor served last.
    [[nodiscard]] fake::Exchange last()
    {
        const auto all = upstream().ledger().turns();
        return all.empty() ? fake::Exchange() : all.back();
    }

    std::vector<std::string> keys_; ///< by Cli
};

TEST_F(Passthrough, IsOffUnlessTheOwnerSaysSo)
{
    start();
    EXPECT_EQ(turn(Cli::claude, keys_[1]).status, 200U);
    EXPECT_NE(last().account, "claude_own");
}

TEST_F(Passthrough, AKeyOfTheClientsOwnGoesPastTheAccounts)
{
    set("allow_passthrough = true");
    start();
    const std::array names{"codex_own", "claude_own", "gemini_own"};
    for (const Cli cli : {Cli::codex, Cli::claude, Cli::gemini}) {
        const auto number = static_cast<std::size_t>(cli);
        const fake::Response answer = turn(cli, keys_[number]);
        EXPECT_EQ(answer.status, 200U) << answer.body;
        EXPECT_NE(answer.body.find(end_mark(cli)), std::string::npos);
        EXPECT_EQ(last().account, names[number]);
    }
    // What is no vendor's key is served by an account, as ever.
    EXPECT_EQ(turn(Cli::claude, "local-pool").status, 200U);
    EXPECT_NE(last().account, "claude_own");
    EXPECT_TRUE(eventually([this] {
        return database_number("SELECT count(*) FROM requests WHERE account = '' AND status = 200 "
                               "AND input_tokens > 0") == 3;
    }));
    allow_violations(); // the vendor meets a key that it does not know
    // A refusal is the client's own, word by word, and no account is blamed.
    const fake::Response refused = turn(Cli::claude, "sk-ant-api03-unknown");
    EXPECT_EQ(refused.status, 401U);
    EXPECT_NE(refused.body.find("authentication_error"), std::string::npos) << refused.body;
    for (const json& account : get_json("/admin/accounts")) {
        EXPECT_EQ(account.at("state"), "ready") << account;
        if (account.at("id") != "claude:1" && account.at("id") != "claude:key") {
            EXPECT_EQ(account.at("totals").at("request_count"), 0) << account;
        }
    }
    EXPECT_EQ(stop(), 0);
    for (const std::string& key : keys_)
        EXPECT_EQ(pool().log().find(key), std::string::npos);
}

TEST_F(Passthrough, InASharedPoolOnlyForAFriendWhoSaysWhoTheyAre)
{
    set("allow_passthrough = true");
    share();
    start();
    const std::string friends = join();
    const std::size_t before = upstream().ledger().turns().size();
    EXPECT_EQ(turn(Cli::claude, keys_[1]).status, 401U); // nobody
    EXPECT_EQ(turn(Cli::claude, keys_[1], "sk-pool-forged").status, 401U);
    EXPECT_EQ(turn(Cli::claude, keys_[1], keys_[1]).status, 401U);
    EXPECT_EQ(upstream().ledger().turns().size(), before);
    EXPECT_EQ(turn(Cli::claude, keys_[1], friends).status, 200U);
    const fake::Exchange seen = last();
    EXPECT_EQ(seen.account, "claude_own");
    for (const auto& [name, value] : seen.headers)
        EXPECT_EQ(value.find("pool"), std::string::npos) << name << ": " << value;
    EXPECT_EQ(turn(Cli::codex, keys_[0], friends).status, 200U);
    bool organisation = false;
    for (const auto& [name, value] : last().headers)
        organisation = organisation || value == "org-own";
    EXPECT_TRUE(organisation);
    // Without a key of their own they are served by the pool.
    EXPECT_EQ(turn(Cli::claude, friends).status, 200U);
    EXPECT_NE(last().account, "claude_own");
    EXPECT_EQ(turn(Cli::claude, "local-pool", friends).status, 200U);
    EXPECT_NE(last().account, "claude_own");
}

} // namespace
} // namespace tests
