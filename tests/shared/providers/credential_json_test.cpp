#include "shared/providers/credential_json.hpp"

#include <gtest/gtest.h>

#include <string>

namespace shared::providers {
namespace {

std::string problem_of(std::string_view text)
{
    const auto loaded = CredentialReader::load(text);
    return loaded ? std::string() : loaded.error().text();
}

TEST(CredentialJson, NamesWhatIsWrong)
{
    EXPECT_NE(problem_of("").find("is empty"), std::string::npos);
    EXPECT_NE(problem_of(" \n\t").find("is empty"), std::string::npos);
    EXPECT_NE(problem_of(R"({"a":"b)").find("in the middle"), std::string::npos);
    EXPECT_NE(problem_of(R"({"a":1,)").find("in the middle"), std::string::npos);
    EXPECT_NE(problem_of("{\n  \"a\" 1}").find("line 2, column 7"), std::string::npos);
    EXPECT_NE(problem_of("[1]").find("not array"), std::string::npos);
    EXPECT_NE(problem_of("\"x\"").find("not string"), std::string::npos);
    EXPECT_NE(problem_of("{\"a\":1e999}").find("JSON"), std::string::npos);
    EXPECT_NE(problem_of("{\"a\":\"\xff\xfe\"}").find("is not JSON"), std::string::npos);
    EXPECT_EQ(problem_of("\xEF\xBB\xBF{}"), "");
}

TEST(CredentialJson, NeverQuotesTheText)
{
    for (const char* text :
         {R"({"api_key": "sk-hidden"x})", R"({"api_key": sk-hidden})", R"({"api_key":"sk-hidden)"})
        EXPECT_EQ(problem_of(text).find("hidden"), std::string::npos) << problem_of(text);
}

TEST(CredentialJson, DepthHasALimit)
{
    const auto nested = [](std::size_t depth) {
        return R"({"a":)" + std::string(depth - 1, '[') + std::string(depth - 1, ']') + "}";
    };
    EXPECT_EQ(problem_of(nested(kCredentialDepthMax)), "");
    EXPECT_NE(problem_of(nested(kCredentialDepthMax + 1)).find("levels deep"), std::string::npos);
    EXPECT_NE(problem_of(std::string(500'000, '[')).find("levels deep"), std::string::npos);
    // Brackets inside strings are no nesting.
    EXPECT_EQ(problem_of(R"({"a":"\")" + std::string(200, '[') + "\"}"), "");
}

TEST(CredentialJson, SizeHasALimit)
{
    std::string text = "{}" + std::string(kCredentialTextBytesMax - 2, ' ');
    EXPECT_EQ(problem_of(text), "");
    text += ' ';
    EXPECT_NE(problem_of(text).find("bytes"), std::string::npos);
}

TEST(CredentialReader, TypedLookups)
{
    auto reader = CredentialReader::load(
        R"({"t":{"a":" tok\n","n":null},"ms":1763805600000,"s":"1763805600000","d":true})");
    ASSERT_TRUE(reader);
    EXPECT_EQ(reader->token("t.a").reveal(), "tok");
    EXPECT_EQ(reader->warnings().size(), 1U);
    EXPECT_TRUE(reader->token("t.n").empty());
    EXPECT_FALSE(reader->has("t.n"));
    EXPECT_TRUE(reader->text("t.none").empty());
    EXPECT_EQ(reader->time_ms("ms").value, 1'763'805'600'000);
    EXPECT_EQ(reader->time_ms("s").value, 1'763'805'600'000);
    EXPECT_TRUE(reader->flag("d"));
    EXPECT_FALSE(reader->flag("absent"));
    EXPECT_FALSE(reader->problem());
}

TEST(CredentialReader, WrongTypesAreNamed)
{
    const auto problem = [](const char* text, auto&& use) {
        auto reader = CredentialReader::load(text);
        use(*reader);
        return reader->problem() ? reader->problem()->text() : std::string();
    };
    EXPECT_NE(
        problem(R"({"k":5})", [](CredentialReader& r) { (void)r.token("k"); })
            .find("'k' should be a string, not number"),
        std::string::npos);
    EXPECT_NE(
        problem(R"({"k":[]})", [](CredentialReader& r) { (void)r.text("k"); }).find("not array"),
        std::string::npos);
    EXPECT_NE(
        problem(R"({"k":{}})", [](CredentialReader& r) { (void)r.time_ms("k"); })
            .find("not object"),
        std::string::npos);
    EXPECT_NE(
        problem(R"({"k":"yes"})", [](CredentialReader& r) { (void)r.flag("k"); })
            .find("true or false"),
        std::string::npos);
    EXPECT_NE(
        problem(R"({"k":5})", [](CredentialReader& r) { r.expect_object("k"); })
            .find("should be an object"),
        std::string::npos);
}

TEST(CredentialReader, TokensMustFitAHeader)
{
    const auto refused = [](const std::string& text) {
        auto reader = CredentialReader::load(text);
        return reader && reader->token("k").empty() && reader->problem().has_value();
    };
    EXPECT_TRUE(refused(R"({"k":"a\r\nX-Injected: 1"})"));
    EXPECT_TRUE(refused(R"({"k":"a b"})"));
    EXPECT_TRUE(refused(R"({"k":"\u00e9"})"));
    EXPECT_TRUE(refused(R"({"k":")" + std::string(kCredentialTokenBytesMax + 1, 'a') + "\"}"));
    EXPECT_FALSE(refused(R"({"k":")" + std::string(kCredentialTokenBytesMax, 'a') + "\"}"));
}

} // namespace
} // namespace shared::providers
