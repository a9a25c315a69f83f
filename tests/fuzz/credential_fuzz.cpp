/// Any text as a credential file of every provider, and as a token. What is accepted must be fit for a request head, and
/// no problem or warning may quote the file.
#include "shared/providers/jwt.hpp"
#include "shared/providers/provider.hpp"
#include "tests/fuzz/fuzz.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace {

/// Long enough that it cannot stand in a message by chance.
constexpr std::size_t kSecretBytesMin = 24;

bool fits_head(std::string_view value)
{
    return std::all_of(value.begin(), value.end(), [](char c) { return c > 0x20 && c < 0x7F; });
}

void check_silence(std::string_view message, std::string_view secret)
{
    FUZZ_CHECK(secret.size() < kSecretBytesMin || message.find(secret) == std::string_view::npos);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    static const shared::ProviderRegistry registry;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    // The fuzzer reads our own words and makes them its input: they are there whatever the input is.
    const std::string masked(size, '~');
    for (const auto& provider : registry.all()) {
        const auto read = provider->parse_credential(text);
        if (!read) {
            FUZZ_CHECK(!read.error().what.empty());
            const auto of_masked = provider->parse_credential(masked);
            if (of_masked || of_masked.error().text().find(text) == std::string::npos)
                check_silence(read.error().text(), text);
            continue;
        }
        FUZZ_CHECK(read->kind != shared::CredentialKind::none);
        const std::string_view token = read->access_token.reveal();
        FUZZ_CHECK(fits_head(token) && fits_head(read->account_id));
        for (const std::string& warning : read->warnings) {
            check_silence(warning, token);
            check_silence(warning, read->refresh_token.reveal());
        }
    }
    if (const auto claims = shared::providers::JwtClaims::read(text)) {
        (void)claims->expires_at();
        (void)claims->text({"https://api.openai.com/auth", "chatgpt_account_id"});
    } else {
        const auto of_masked = shared::providers::JwtClaims::read(masked);
        if (of_masked || of_masked.error().text().find(text) == std::string::npos)
            check_silence(claims.error().text(), text);
    }
    return 0;
}
