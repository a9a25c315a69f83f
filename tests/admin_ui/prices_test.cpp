#include "admin_ui/prices.hpp"
#include "tests/support/temp_dir.hpp"

#include <gtest/gtest.h>

namespace {

using namespace admin_ui;

TEST(Prices, TheBuiltInListIsWholeAndEveryPriceHasItsSourceAndDate)
{
    const PriceList list = PriceList::load({});
    EXPECT_EQ(list.problem(), "");
    EXPECT_EQ(list.where(), "built-in");
    EXPECT_FALSE(list.version().empty());
    EXPECT_GT(list.models().size(), 20U);
    for (const ModelPrice& price : list.models()) {
        EXPECT_TRUE(price.source.starts_with("https://")) << price.model;
        EXPECT_EQ(price.date.size(), 10U) << price.model;
        EXPECT_GT(price.output, price.input) << price.model;
        EXPECT_LE(price.cached_input, price.input) << price.model;
    }
}

TEST(Prices, TheLongestNameThatFitsCounts)
{
    const PriceList list = PriceList::load({});
    ASSERT_NE(list.find("gpt-5.4-mini-2026-03-01"), nullptr);
    EXPECT_EQ(list.find("gpt-5.4-mini-2026-03-01")->model, "gpt-5.4-mini*");
    EXPECT_EQ(list.find("gpt-5.4")->model, "gpt-5.4*");
    EXPECT_EQ(list.find("claude-opus-5-5-20260901")->model, "claude-opus-5-5*");
    EXPECT_EQ(list.find("claude-opus-5")->model, "claude-opus-5");
    EXPECT_EQ(list.find("gpt-5-codex-x"), nullptr) << "no guess";
    EXPECT_EQ(list.find(""), nullptr);
    EXPECT_FALSE(list.cost("unheard-of", {}).has_value());
}

TEST(Prices, TheOwnersFileTakesTheirPlace)
{
    const tests::TempDir folder;
    folder.write(
        "prices.json",
        R"({"version":"mine","currency":"EUR","models":[
            {"model":"m","input":2,"output":4,"source":"x","date":"y"}]})");
    const PriceList list = PriceList::load(folder.path() / "prices.json");
    EXPECT_EQ(list.problem(), "");
    EXPECT_EQ(list.currency(), "EUR");
    EXPECT_EQ(list.version(), "mine");
    TokenSums sums;
    sums.input = 1'000'000;
    sums.cached_input = 500'000;
    sums.output = 1'000'000;
    EXPECT_DOUBLE_EQ(*list.cost("m", sums), 6.0);
    EXPECT_EQ(PriceList::load(folder.path() / "none.json").where(), "built-in");
}

TEST(Prices, AFileThatCannotBeUsedIsNamedWithItsEntry)
{
    const tests::TempDir folder;
    const auto problem = [&](const std::string& text) {
        folder.write("prices.json", text);
        const PriceList list = PriceList::load(folder.path() / "prices.json");
        EXPECT_EQ(list.where(), "built-in") << text;
        EXPECT_FALSE(list.models().empty());
        return list.problem();
    };
    const std::string file = (folder.path() / "prices.json").string();
    EXPECT_EQ(
        problem("{"),
        file +
            ": is no price list: a JSON object with \"models\"; see etc/prices.json for the form");
    EXPECT_NE(problem(R"({"models":[7]})").find("entry 1 is no object"), std::string::npos);
    EXPECT_NE(
        problem(R"({"models":[{"model":"m","input":"2","output":1,"source":"s","date":"d"}]})")
            .find("entry 1 (m) has no \"input\" that is a price"),
        std::string::npos);
    EXPECT_NE(
        problem(R"({"models":[{"model":"m","input":2,"output":-1,"source":"s","date":"d"}]})")
            .find("\"output\""),
        std::string::npos);
    EXPECT_NE(
        problem(R"({"models":[{"model":"m","input":2,"output":1}]})").find("\"source\""),
        std::string::npos);
    EXPECT_NE(problem("\xff\xfe"), "");
}

TEST(Prices, AChangedFileIsReadAgain)
{
    const tests::TempDir folder;
    Prices prices(folder.path() / "prices.json");
    const std::string built_in = prices.current().where();
    const auto list = [](const std::string& price) {
        return R"({"models":[{"model":"m","input":)" + price +
               R"(,"output":1,"source":"s","date":"d"}]})";
    };
    folder.write("prices.json", list("2"));
    ASSERT_NE(prices.current().find("m"), nullptr);
    EXPECT_EQ(prices.current().find("m")->input, 2);
    folder.write("prices.json", list("31"));
    EXPECT_EQ(prices.current().find("m")->input, 31);
    folder.write("prices.json", "{");
    EXPECT_EQ(prices.current().where(), built_in);
    EXPECT_FALSE(prices.current().problem().empty());
    std::filesystem::remove(folder.path() / "prices.json");
    EXPECT_EQ(prices.current().problem(), "");
}

} // namespace
