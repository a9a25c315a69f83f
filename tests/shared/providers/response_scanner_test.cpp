#include "shared/providers/provider.hpp"
#include "tests/shared/providers/messages.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

namespace shared {
namespace {

using testing::Response;

constexpr UnixMillis kNow{1'795'000'000'000};
constexpr const char* kEventStream = "text/event-stream";

/// Everything a scan can tell, as text, so that two scans can be compared and shown.
std::string told(const ResponseFacts& facts)
{
    std::string out = "input " + std::to_string(facts.usage.input.value);
    out += " cached " + std::to_string(facts.usage.cached_input.value);
    out += " created " + std::to_string(facts.usage.cache_creation.value);
    out += " output " + std::to_string(facts.usage.output.value);
    out += " reasoning " + std::to_string(facts.usage.reasoning.value);
    out += facts.has_usage ? " usage" : "";
    out += facts.generated ? " generated" : "";
    out += facts.terminal ? " terminal" : "";
    out += " model " + std::string(facts.model.view());
    out += " id " + std::string(facts.response_id.view());
    if (facts.failure)
        out += " failure " + std::to_string(static_cast<int>(facts.failure->outcome)) + " " +
               std::string(facts.failure->reason.view());
    for (std::size_t i = 0; i < facts.quota.count; ++i)
        out += " window " + std::to_string(facts.quota.windows[i].seconds) + " " +
               std::to_string(facts.quota.windows[i].used.basis_points);
    return out;
}

std::string scan(
    const Provider& provider,
    std::string_view content_type,
    const std::vector<std::string_view>& pieces)
{
    ResponseScanner scanner(provider, content_type);
    for (const std::string_view piece : pieces)
        scanner.feed(piece, kNow);
    scanner.finish(kNow);
    return told(scanner.facts());
}

class ResponseScannerTest : public ::testing::Test {
protected:
    ProviderRegistry registry;
    const Provider& codex = registry.get(ProviderId::codex);
};

/// The property the whole accounting rests on, over every recorded answer of every vendor.
TEST_F(ResponseScannerTest, SplitsMakeNoDifference)
{
    const std::filesystem::path folder = CODEX_POOL_SOURCE_DIR "/tests/shared/providers/recordings";
    int recordings = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
        if (entry.path().extension() != ".http") continue;
        const std::string vendor = entry.path().parent_path().filename();
        const Provider* provider = registry.find(vendor);
        ASSERT_NE(provider, nullptr) << entry.path();
        const Response response =
            Response::recorded(vendor + "/" + entry.path().filename().string());
        const std::string_view type = response.head().fields.find("content-type");
        const std::string_view body = response.body();
        const std::string whole = scan(*provider, type, {body});
        for (std::size_t cut = 0; cut <= body.size(); ++cut)
            ASSERT_EQ(scan(*provider, type, {body.substr(0, cut), body.substr(cut)}), whole)
                << entry.path() << " cut at " << cut;
        std::vector<std::string_view> bytes;
        for (std::size_t i = 0; i < body.size(); ++i)
            bytes.push_back(body.substr(i, 1));
        EXPECT_EQ(scan(*provider, type, bytes), whole) << entry.path();
        ++recordings;
    }
    EXPECT_GT(recordings, 8);
}

TEST_F(ResponseScannerTest, FramingFollowsTheContentType)
{
    EXPECT_TRUE(ResponseScanner(codex, "Text/Event-Stream; charset=utf-8").is_event_stream());
    EXPECT_FALSE(ResponseScanner(codex, "application/json").is_event_stream());
    EXPECT_FALSE(ResponseScanner(codex, "text/html").is_event_stream());

    // Without a Content-Type the CLI takes whatever comes; so does the scanner.
    constexpr std::string_view kEvent =
        "\r\ndata: "
        "{\"type\":\"response.completed\",\"response\":{\"usage\":{\"input_tokens\":3}}}\n\n";
    ResponseScanner events(codex, "");
    events.feed("\r\n", kNow);
    events.feed(kEvent, kNow);
    EXPECT_TRUE(events.is_event_stream());
    EXPECT_EQ(events.facts().usage.input.value, 3);
    ResponseScanner document(codex, "");
    document.feed(R"( {"object":"response","usage":{"input_tokens":4}})", kNow);
    EXPECT_FALSE(document.is_event_stream());
    EXPECT_EQ(document.facts().usage.input.value, 4);
}

TEST_F(ResponseScannerTest, JunkIsPassedOver)
{
    const std::string told_of_junk = scan(
        codex,
        kEventStream,
        {": comment\nid: 1\nretry: 5\n\ndata: {broken\n\ndata: [DONE]\n\ndata:\n\nnonsense\n\n"
         "data: {\"type\":\"response.completed\",\"response\":{\"usage\":\n\n"
         "event: x\ndata: {\"type\":\"response.completed\",\ndata: "
         "\"response\":{\"usage\":{\"input_tokens\":9,\"output_tokens\":1}}}\n\n"});
    EXPECT_EQ(
        told_of_junk,
        "input 9 cached 0 created 0 output 1 reasoning 0 usage generated terminal model  id ");
    EXPECT_EQ(scan(codex, "text/html", {"<html>", "</html>"}), told(ResponseFacts{}));
    EXPECT_EQ(scan(codex, "application/json", {""}), told(ResponseFacts{}));
}

TEST_F(ResponseScannerTest, HugeEventsLoseNothing)
{
    std::string event =
        "data: {\"type\":\"response.completed\",\"response\":{\"output\":[{\"text\":\"";
    event.append(8U << 20U, 'x');
    event += "\"}],\"usage\":{\"input_tokens\":5,\"output_tokens\":6}}}\n\n";
    ResponseScanner scanner(codex, kEventStream);
    for (std::size_t at = 0; at < event.size(); at += 65'536)
        scanner.feed(std::string_view(event).substr(at, 65'536), kNow);
    EXPECT_EQ(scanner.facts().usage.input.value, 5);
    EXPECT_EQ(scanner.facts().usage.output.value, 6);
    EXPECT_TRUE(scanner.facts().terminal);
}

TEST_F(ResponseScannerTest, AnEventCutShortCountsButEndsNothing)
{
    ResponseScanner scanner(codex, kEventStream);
    scanner.feed("data: {\"type\":\"response.created\",\"response\":{\"id\":\"r1\"}}\n\n", kNow);
    scanner.feed(
        "data: {\"type\":\"response.completed\",\"response\":{\"usage\":{\"input_tokens\":5,",
        kNow);
    EXPECT_FALSE(scanner.facts().has_usage);
    scanner.finish(kNow);
    EXPECT_EQ(scanner.facts().usage.input.value, 5);
    EXPECT_FALSE(scanner.facts().terminal);
    EXPECT_FALSE(scanner.facts().generated);
}

TEST_F(ResponseScannerTest, ArraysOfChunksAreOneDocument)
{
    const Provider& gemini = registry.get(ProviderId::gemini);
    const std::string told_of_array = scan(
        gemini,
        "application/json; charset=UTF-8",
        {R"([{"candidates":[{"content":{"parts":[{"text":"a"}]}}],"usageMetadata":{"promptTokenCount":4,"candidatesTokenCount":1}},)"
         "\n"
         R"({"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":4,"candidatesTokenCount":3},"modelVersion":"m"}])"});
    EXPECT_NE(told_of_array.find("input 4 "), std::string::npos) << told_of_array;
    EXPECT_NE(told_of_array.find("output 3 "), std::string::npos) << told_of_array;
    EXPECT_NE(told_of_array.find(" usage"), std::string::npos) << told_of_array;
}

TEST_F(ResponseScannerTest, StaysSmall)
{
    // The picker's memory is only held while an event is open; what remains is this.
    EXPECT_LE(sizeof(ResponseScanner), 768U);
}

} // namespace
} // namespace shared
