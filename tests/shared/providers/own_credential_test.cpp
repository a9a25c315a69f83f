#include "shared/providers/own_credential.hpp"
#include "shared/users/credential.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace {

using shared::CredentialKind;
using shared::own_credential;

class OwnCredential : public testing::Test {
protected:
    /// What each provider finds: "claude:oauth"; empty if none does.
    std::string found(const std::string& fields, const std::string& target = "/v1/x")
    {
        const std::string text = "POST " + target + " HTTP/1.1\r\nHost: x\r\n" + fields + "\r\n";
        shared::http::RequestHead head;
        EXPECT_EQ(shared::http::parse_request(text, head), shared::http::ParseStatus::complete);
        std::string all;
        for (const auto& provider : registry_.all()) {
            const auto own = own_credential(*provider, head);
            if (!own) continue;
            all.append(provider->name())
                .append(own->kind == CredentialKind::oauth ? ":oauth" : ":api_key");
        }
        return all;
    }

    shared::ProviderRegistry registry_;
};

TEST_F(OwnCredential, IsKnownByItsShapeWhereverItStands)
{
    EXPECT_EQ(found("Authorization: Bearer sk-ant-oat01-abc\r\n"), "claude:oauth");
    EXPECT_EQ(found("X-Api-Key: sk-ant-api03-abc\r\n"), "claude:api_key");
    EXPECT_EQ(found("authorization: bearer  sk-proj-abc\r\n"), "codex:api_key");
    EXPECT_EQ(found("Authorization: Bearer ya29.abc\r\n"), "gemini:oauth");
    EXPECT_EQ(found("x-goog-api-key: AIzaSyAbc\r\n"), "gemini:api_key");
    EXPECT_EQ(found("", "/v1beta/models?key=AIzaSyAbc"), "gemini:api_key");
}

TEST_F(OwnCredential, WhatThePoolHandsOutAndSignInsAreNone)
{
    for (const char* prefix :
         {"sk-pool-", "sk-ant-oat01-pool-", "ya29.pool-", "AIzaSy-pool-", "eyJhbGciOi", "poolrt_"})
        EXPECT_EQ(found("Authorization: Bearer " + std::string(prefix) + "ab12.1.abc.def\r\n"), "");
    EXPECT_EQ(found("Authorization: Basic sk-abc\r\n"), "");
    EXPECT_EQ(found("Authorization: Bearer local-pool\r\n"), "");
    EXPECT_EQ(found(""), "");
    // The pool's in one place and the client's in another: the client's.
    EXPECT_EQ(
        found("Authorization: Bearer sk-pool-ab12.1.a.b\r\nX-Api-Key: sk-ant-api03-x\r\n"),
        "claude:api_key");
}

} // namespace
