#include "shared/http/json_picker.hpp"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

namespace shared::http {
namespace {

using Paths = std::vector<std::string_view>;

JsonPaths compile(const Paths& paths)
{
    return JsonPaths(std::span<const std::string_view>(paths));
}

/// Everything observable, as text, so that two runs can be compared.
std::string describe(const JsonPicker& picker)
{
    static constexpr std::array<const char*, 7> kKinds = {
        "absent", "string", "number", "boolean", "null", "object", "array"};
    std::string out = picker.malformed()   ? "malformed"
                      : picker.complete()  ? "complete"
                      : picker.satisfied() ? "satisfied"
                                           : "incomplete";
    for (const PickedValue& value : picker.values()) {
        out += std::string("|") + kKinds[static_cast<std::size_t>(value.kind)];
        if (value.kind == JsonKind::absent) continue;
        out += value.truncated ? "~" : "";
        out += "(" + value.text + ")@" + std::to_string(value.offset) + "+" +
               std::to_string(value.length);
    }
    return out;
}

/// The result of reading `json`; checks that it is the same for every split in two, for single bytes, and
/// for a picker used before.
std::string pick(const Paths& list, std::string_view json, JsonMatch match = JsonMatch::last)
{
    const JsonPaths paths = compile(list);
    JsonPicker whole(paths, match);
    whole.feed(json);
    std::string expected = describe(whole);
    JsonPicker reused(paths, match);
    for (std::size_t split = 0; split <= json.size(); ++split) {
        reused.reset();
        reused.feed(json.substr(0, split));
        reused.feed(json.substr(split));
        EXPECT_EQ(describe(reused), expected) << "split at " << split << " of " << json;
    }
    reused.reset();
    for (const char c : json)
        reused.feed({&c, 1});
    EXPECT_EQ(describe(reused), expected) << "byte by byte: " << json;
    return expected;
}

TEST(JsonPicker, FindsMembersByPath)
{
    EXPECT_EQ(
        pick(
            {"model", "a.b", "stream"},
            R"({"model":"gpt-5","x":{"b":1},"a":{"b":-1.5e3},"stream":true})"),
        "complete|string(gpt-5)@9+7|number(-1.5e3)@38+6|boolean(true)@55+4");
}

TEST(JsonPicker, WhiteSpaceAndEmptyContainersAreNoMatter)
{
    EXPECT_EQ(
        pick(
            {"a.b", "c"},
            " \r\n{ \"a\" :\t{ } , \"x\" : [ ] , \"a\" : { \"b\" : null } ,\"c\":[]} "),
        "complete|null()@43+4|array()@55+2");
}

TEST(JsonPicker, TheLastMatchWins)
{
    EXPECT_EQ(pick({"a"}, R"({"a":1,"b":{"a":2},"a":"three"})"), "complete|string(three)@23+7");
    EXPECT_EQ(pick({"a"}, R"({"a":"one","a":{"b":[1]}})"), "complete|object()@15+9");
    EXPECT_EQ(pick({"a"}, R"({"a":{"b":[1]},"a":7})"), "complete|number(7)@19+1");
}

TEST(JsonPicker, TheFirstMatchWinsIfAskedAndReadingStops)
{
    EXPECT_EQ(pick({"a"}, R"({"a":1,"a":2})", JsonMatch::first), "satisfied|number(1)@5+1");
    EXPECT_EQ(
        pick({"a", "b"}, R"({"a":1,"a":2,"b":"x"} ] this is never read)", JsonMatch::first),
        "satisfied|number(1)@5+1|string(x)@17+3");
    EXPECT_EQ(
        pick({"a", "b"}, R"({"a":1,"a":2})", JsonMatch::first), "complete|number(1)@5+1|absent");
    // A container counts once it has ended, and nothing in it takes its place.
    EXPECT_EQ(pick({"a"}, R"({"a":[[1],2],"a":3})", JsonMatch::first), "satisfied|array()@5+7");
}

TEST(JsonPicker, ArraysAreTransparent)
{
    EXPECT_EQ(
        pick({"u.t"}, R"([{"u":{"t":1}},[[{"u":[{"t":2},{"x":3}]}]]])"), "complete|number(2)@28+1");
    EXPECT_EQ(pick({"a"}, R"({"a":["x",["y"]]})"), "complete|string(y)@11+3");
    EXPECT_EQ(pick({"a"}, R"({"a":["x",[]]})"), "complete|array()@10+2");
}

TEST(JsonPicker, BracketsAskForElementsOnly)
{
    const std::string_view json = R"({"messages":[{"role":"user"},{"role":"assistant"}]})";
    EXPECT_EQ(pick({"messages[]"}, json, JsonMatch::first), "satisfied|object()@13+15");
    EXPECT_EQ(pick({"messages[]"}, json), "complete|object()@29+20");
    EXPECT_EQ(pick({"messages[]"}, R"({"messages":"x"})"), "complete|absent");
    EXPECT_EQ(pick({"[]"}, "[1,2]", JsonMatch::first), "satisfied|number(1)@1+1");
    EXPECT_EQ(
        pick({"messages[].role", "messages"}, json, JsonMatch::first),
        "satisfied|string(user)@21+6|array()@12+38");
}

TEST(JsonPicker, TheEmptyPathIsTheOutermostValue)
{
    EXPECT_EQ(pick({""}, R"( {"a":[]} x)"), "complete|object()@1+8");
    EXPECT_EQ(pick({""}, "12 "), "complete|number(12)@0+2");
    EXPECT_EQ(pick({""}, R"("s")"), "complete|string(s)@0+3");
}

TEST(JsonPicker, OnePathTwiceIsReportedTwice)
{
    EXPECT_EQ(pick({"a", "a"}, R"({"a":"x"})"), "complete|string(x)@5+3|string(x)@5+3");
}

TEST(JsonPicker, UnescapesValues)
{
    EXPECT_EQ(
        pick({"a"}, R"({"a":"\"\\\/\b\f\n\r\t\u0041\u00e9\u20AC\ud83d\ude00."})"),
        "complete|string(\"\\/\b\f\n\r\tA\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80.)@5+49");
}

TEST(JsonPicker, HalfASurrogatePairBecomesTheReplacementCharacter)
{
    const std::string mark = "\xEF\xBF\xBD";
    EXPECT_EQ(pick({"a"}, R"({"a":"\ud83d"})"), "complete|string(" + mark + ")@5+8");
    EXPECT_EQ(pick({"a"}, R"({"a":"\ud83dx"})"), "complete|string(" + mark + "x)@5+9");
    EXPECT_EQ(pick({"a"}, R"({"a":"\ude00\n"})"), "complete|string(" + mark + "\n)@5+10");
    EXPECT_EQ(
        pick({"a"}, R"({"a":"\ud83d\ud83d\ude00"})"),
        "complete|string(" + mark + "\xF0\x9F\x98\x80)@5+20");
    EXPECT_EQ(pick({"a"}, R"({"a":"\ud83d\u0041"})"), "complete|string(" + mark + "A)@5+14");
}

TEST(JsonPicker, NamesWithEscapesMatch)
{
    EXPECT_EQ(pick({"model"}, R"({"m\u006fdel":"x"})"), "complete|string(x)@14+3");
    EXPECT_EQ(pick({"a\"\xF0\x9F\x98\x80"}, R"({"a\"\uD83D\uDE00":1})"), "complete|number(1)@19+1");
    // Not a prefix, not a longer one, not one that only looks alike.
    EXPECT_EQ(
        pick({"model"}, R"({"mode":1,"models":2,"Model":3,"\u006dode":4})"), "complete|absent");
}

TEST(JsonPicker, StringsThatLookLikeStructureAreNone)
{
    EXPECT_EQ(
        pick({"b"}, R"({"a":"\",\"b\":1}","x":["}\\",{"\\\"]":"{["}],"b":2})"),
        "complete|number(2)@50+1");
    EXPECT_EQ(pick({"b"}, R"({"a":"\\","b":2})"), "complete|number(2)@14+1");
}

TEST(JsonPicker, LongSkippedPartsOfEveryLengthAndAlignment)
{
    for (std::size_t length = 0; length < 200; ++length) {
        const std::string filler(length, 'x');
        const std::string json = R"({"s":")" + filler + R"(\\\"","o":{"k":[")" + filler +
                                 R"(\\",{"y":")" + std::string(length % 7, '\\') +
                                 std::string(length % 7, '\\') + R"(}"}]},"m":1})";
        const JsonPaths paths = compile({"m"});
        JsonPicker picker(paths);
        picker.feed(json);
        ASSERT_EQ(describe(picker), "complete|number(1)@" + std::to_string(json.size() - 2) + "+1")
            << json;
    }
}

TEST(JsonPicker, RunsOfBackslashesAcrossBlocks)
{
    for (std::size_t run = 0; run < 140; ++run) {
        // An even run leaves the quote alone, an odd one escapes it.
        const std::string json = R"({"o":{"k":")" + std::string(run, '\\') +
                                 (run % 2 == 0 ? R"("},"m":1})" : R"("}"},"m":1})");
        EXPECT_EQ(
            pick({"m"}, json), "complete|number(1)@" + std::to_string(json.size() - 2) + "+1");
    }
}

TEST(JsonPicker, ValuesAreCutAtTheLimitBetweenCharacters)
{
    constexpr std::size_t kMax = JsonPicker::kValueBytesMax;
    const JsonPaths paths = compile({"a"});
    for (const std::size_t length : {kMax - 1, kMax, kMax + 1, kMax + 100}) {
        JsonPicker picker(paths);
        picker.feed(R"({"a":")" + std::string(length, 'x') + R"("})");
        EXPECT_EQ(picker[0].text.size(), std::min(length, kMax));
        EXPECT_EQ(picker[0].truncated, length > kMax);
        EXPECT_EQ(picker[0].length, length + 2);
    }
    for (const std::string euro : {"\xE2\x82\xAC", "\\u20ac"}) {
        JsonPicker picker(paths);
        picker.feed(R"({"a":")" + std::string(kMax - 2, 'x') + euro + R"(yy"})");
        EXPECT_TRUE(picker[0].truncated);
        EXPECT_EQ(picker[0].text, std::string(kMax - 2, 'x'));
    }
}

TEST(JsonPicker, ResetForgetsEverythingButTheMemoryOfSmallValues)
{
    const JsonPaths paths = compile({"a"});
    JsonPicker picker(paths);
    picker.feed(R"({"a":"\ud8)");
    picker.reset();
    EXPECT_EQ(describe(picker), "incomplete|absent");
    picker.feed(R"({"a":")" + std::string(4000, 'x') + R"("})");
    picker.reset();
    EXPECT_LT(picker[0].text.capacity(), 1000U);
    EXPECT_EQ(picker[0].text, "");
    picker.feed(R"({"a":3})");
    EXPECT_EQ(describe(picker), "complete|number(3)@5+1");
}

std::string nested(std::size_t depth, std::string_view inside)
{
    return std::string(depth, '[') + std::string(inside) + std::string(depth, ']');
}

TEST(JsonPicker, DepthIsBounded)
{
    constexpr std::size_t kMax = JsonPicker::kDepthMax;
    const JsonPaths walked = compile({"[]"});
    const JsonPaths skipped = compile({"a"});
    const JsonPaths nothing = compile({});
    for (const JsonPaths* paths : {&walked, &skipped, &nothing}) {
        JsonPicker picker(*paths);
        picker.feed(nested(kMax, "1"));
        EXPECT_TRUE(picker.complete());
        picker.reset();
        picker.feed(nested(kMax + 1, "1"));
        EXPECT_TRUE(picker.malformed());
        picker.reset();
        picker.feed(R"({"x":)" + nested(kMax, "1"));
        EXPECT_TRUE(picker.malformed());
        picker.reset();
        picker.feed(R"({"x":)" + nested(kMax - 1, "1") + "}");
        EXPECT_TRUE(picker.complete());
    }
}

TEST(JsonPicker, DepthIsBoundedAtEverySplitOfASkippedPart)
{
    constexpr std::size_t kMax = JsonPicker::kDepthMax;
    const JsonPaths paths = compile({"a"});
    std::string deep = R"({"x":)";
    for (std::size_t i = 0; i < kMax - 2; ++i)
        deep += "[";
    // Dips in and out of the limit, so that counting whole blocks is not enough.
    for (int i = 0; i < 40; ++i)
        deep += "[],";
    const std::string too_deep = deep + "[[]]";
    for (std::size_t split = 0; split < too_deep.size(); ++split) {
        JsonPicker picker(paths);
        picker.feed(std::string_view(too_deep).substr(0, split));
        picker.feed(std::string_view(too_deep).substr(split));
        ASSERT_TRUE(picker.malformed()) << split;
        picker.reset();
        picker.feed(std::string_view(deep).substr(0, std::min(split, deep.size())));
        picker.feed(std::string_view(deep).substr(std::min(split, deep.size())));
        ASSERT_FALSE(picker.malformed()) << split;
    }
}

TEST(JsonPicker, WhatIsNoJsonIsMalformed)
{
    for (const std::string_view json :
         {"hello",
          "<html>",
          "{a:1}",
          "{\"a\" 1}",
          "{\"a\":1,}",
          "{,\"a\":1}",
          "{\"a\":1 \"b\":2}",
          "{\"a\":}",
          "{\"a\":tru}",
          "{\"a\":1x}",
          "{\"a\":nulL}",
          "{\"a\":[1,]}",
          "{\"a\":[1}",
          "{\"a\":\"\\x\"}",
          "{\"a\":\"\\u12G4\"}",
          "{\"\\q\":1}",
          "]",
          "\x1f\x8b\x08"})
        EXPECT_TRUE(pick({"a"}, json).starts_with("malformed")) << json;
}

TEST(JsonPicker, WhatIsCutShortIsIncompleteAndKeepsWhatWasWhole)
{
    const std::string_view json = R"({"a":"x","b":[{"c":12}],"a":"yz"})";
    for (std::size_t length = 0; length < json.size(); ++length)
        EXPECT_TRUE(pick({"a", "b.c"}, json.substr(0, length)).starts_with("incomplete"));
    EXPECT_EQ(pick({"a", "b.c"}, json.substr(0, 31)), "incomplete|string(x)@5+3|number(12)@19+2");
    EXPECT_EQ(pick({"b"}, json.substr(0, 18)), "incomplete|object()@14+0");
}

TEST(JsonPicker, EmptyAndSatisfiedFromTheStart)
{
    EXPECT_EQ(pick({}, R"({"a":1})"), "complete");
    EXPECT_EQ(pick({"a"}, ""), "incomplete|absent");
}

TEST(JsonPaths, TooManyPathsAreAMistakeOfTheProgram)
{
    std::vector<std::string> names;
    for (std::size_t i = 0; i <= JsonPaths::kPathsMax; ++i)
        names.push_back("p" + std::to_string(i));
    Paths list(names.begin(), names.end());
    EXPECT_THROW(compile(list), std::length_error);
    list.pop_back();
    const JsonPaths paths = compile(list);
    EXPECT_EQ(paths.size(), JsonPaths::kPathsMax);
    JsonPicker picker(paths, JsonMatch::first);
    picker.feed(R"({"p63":true,"p0":null})");
    EXPECT_TRUE(picker[63].is_true());
    EXPECT_EQ(picker[0].kind, JsonKind::null);
}

PickedValue value_of(JsonKind kind, std::string text)
{
    PickedValue value;
    value.kind = kind;
    value.text = std::move(text);
    return value;
}

TEST(PickedValue, Integers)
{
    const auto integer = [](std::string text) {
        return value_of(JsonKind::number, std::move(text)).integer();
    };
    EXPECT_EQ(integer("0"), 0);
    EXPECT_EQ(integer("-12"), -12);
    EXPECT_EQ(integer("12.99"), 12);
    EXPECT_EQ(integer("-12.99"), -12);
    EXPECT_EQ(integer("1e3"), 1000);
    EXPECT_EQ(integer("9223372036854775807"), INT64_MAX);
    EXPECT_EQ(integer("-9223372036854775808"), INT64_MIN);
    EXPECT_EQ(integer("9223372036854775808"), std::nullopt);
    EXPECT_EQ(integer("1e300"), std::nullopt);
    EXPECT_EQ(integer("1e999"), std::nullopt);
    EXPECT_EQ(integer("1-2"), std::nullopt);
    EXPECT_EQ(integer("-"), std::nullopt);
    EXPECT_EQ(integer(""), std::nullopt);
}

TEST(PickedValue, OnlyNumbersAndStringsOfNumbersCount)
{
    EXPECT_EQ(value_of(JsonKind::string, "63.4").number(), 63.4);
    EXPECT_EQ(value_of(JsonKind::string, "7").integer(), 7);
    for (const char* text : {"inf", "nan", "-inf", " 1", "1 ", "+1", "0x10", "many", ""})
        EXPECT_EQ(value_of(JsonKind::string, text).number(), std::nullopt) << text;
    EXPECT_EQ(value_of(JsonKind::boolean, "true").number(), std::nullopt);
    EXPECT_TRUE(value_of(JsonKind::boolean, "true").is_true());
    EXPECT_FALSE(value_of(JsonKind::string, "true").is_true());
    EXPECT_FALSE(value_of(JsonKind::boolean, "false").is_true());
}

} // namespace
} // namespace shared::http
