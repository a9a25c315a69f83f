#include "shared/users/credential.hpp"
#include "tests/fuzz/fuzz.hpp"

#include <algorithm>
#include <string>

using namespace shared;

// A credential of the pool's own, changed by the input, or the input itself: nothing but what was issued is accepted.
// '0' compact, '1' session, '2' JWT; then bytes that are added to the credential's, from its end; '3' the input as it is.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    static const CredentialKey key{Secret(std::string(32, 'k'))};
    static const UnixMillis issued{1'767'571'200'000};
    static const std::string compact = key.issue("sk-ant-oat01-pool-", "ann", 3, issued);
    static const std::string session = key.issue(kSessionPrefix, "ann", 3, issued);
    static const std::string jwt = key.issue_jwt(
        R"({"pool_user":"ann","pool_generation":3,"iat":1767571200,"exp":1799107200})");
    static const bool works =
        key.verify(compact, issued) && key.verify(session, issued) && key.verify(jwt, issued);
    FUZZ_CHECK(works);

    fuzz::Input input(data, size);
    const unsigned kind = input.choice() % 4U;
    std::string text(input.rest());
    if (kind < 3) {
        std::string changed = kind == 0 ? compact : kind == 1 ? session : jwt;
        for (std::size_t i = 0; i < std::min(text.size(), changed.size()); ++i) {
            char& byte = changed[changed.size() - 1 - i];
            byte = static_cast<char>(byte + text[i] - '0');
        }
        text = changed;
    }
    const auto found = key.verify(text, issued);
    if (!found) return 0;
    FUZZ_CHECK(found->user.view() == "ann" && found->generation == 3);
    FUZZ_CHECK(found->issued_at == issued);
    FUZZ_CHECK((found->use == CredentialUse::session) == text.starts_with(kSessionPrefix));
    return 0;
}
