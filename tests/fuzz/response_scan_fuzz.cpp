/// Any bytes as the answer of every vendor, cut anywhere: what is learned must not depend on the cuts, and must make
/// sense. Choices: content type, cuts.
#include "shared/providers/provider.hpp"
#include "tests/fuzz/fuzz.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace {

constexpr shared::UnixMillis kNow{1'795'000'000'000};

void check_sense(const shared::ResponseFacts& facts)
{
    const shared::Usage& usage = facts.usage;
    FUZZ_CHECK(usage.cached_input.value >= 0 && usage.cache_creation.value >= 0);
    FUZZ_CHECK(usage.input.value >= 0 && usage.output.value >= 0 && usage.reasoning.value >= 0);
    FUZZ_CHECK(usage.billable().value >= 0);
    FUZZ_CHECK(facts.quota.count <= facts.quota.windows.size());
    for (std::size_t i = 0; i < facts.quota.count; ++i)
        FUZZ_CHECK(facts.quota.windows[i].seconds != 0);
}

void check_same(const shared::ResponseFacts& a, const shared::ResponseFacts& b)
{
    FUZZ_CHECK(a.usage == b.usage && a.has_usage == b.has_usage);
    FUZZ_CHECK(a.generated == b.generated && a.terminal == b.terminal);
    FUZZ_CHECK(a.failure.has_value() == b.failure.has_value());
    FUZZ_CHECK(a.quota.count == b.quota.count);
    FUZZ_CHECK(a.model.view() == b.model.view() && a.response_id.view() == b.response_id.view());
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    static const shared::ProviderRegistry registry;
    constexpr std::array<std::string_view, 4> kTypes{
        "text/event-stream", "application/json", "", "text/html"};
    fuzz::Input input(data, size);
    const std::string_view type = kTypes[input.choice() % kTypes.size()];
    const std::uint8_t cuts = input.choice();
    const std::string_view body = input.rest();
    for (const auto& provider : registry.all()) {
        shared::ResponseScanner whole(*provider, type);
        whole.feed(body, kNow);
        whole.finish(kNow);
        shared::ResponseScanner cut(*provider, type);
        fuzz::in_pieces(body, cuts, [&cut](std::string_view piece) { cut.feed(piece, kNow); });
        cut.finish(kNow);
        check_sense(whole.facts());
        check_same(whole.facts(), cut.facts());

        shared::http::ResponseHead error;
        for (error.status = 400; error.status < 430; ++error.status)
            (void)provider->classify(error, body, kNow);
        (void)provider->inspect_message(body);
    }
    return 0;
}
