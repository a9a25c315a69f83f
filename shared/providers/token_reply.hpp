/// What the token endpoints of all vendors have in common (RFC 6749, 5.1, 5.2 and 6), and the careful change of a
/// credential file. Private to the providers' refresh files.
///
/// Nothing an endpoint says is believed further than its type and its plausible range: HTML, an error under a 200,
/// an empty token and a lifetime of minus one second have all been seen in the wild.
#pragma once

#include "shared/providers/provider.hpp"

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace shared::providers {

/// A lifetime beyond this is no lifetime: when the token expires is then unknown.
inline constexpr std::int64_t kTokenLifetimeSecondsMax = 366LL * 24 * 3600;

/// What the answer means at every vendor. `expires_at` follows from `expires_in`, a number or its digits.
[[nodiscard]] RefreshOutcome read_token_reply(const CallReply& reply, UnixMillis now);

/// The text of a credential file with single members replaced; all others stay as and where they are.
class CredentialFile {
public:
    /// The same Problems as CredentialReader::load().
    [[nodiscard]] static Result<CredentialFile> load(std::string_view text);

    CredentialFile(CredentialFile&& other) noexcept;
    CredentialFile& operator=(CredentialFile&& other) noexcept;
    CredentialFile(const CredentialFile&) = delete;
    CredentialFile& operator=(const CredentialFile&) = delete;
    ~CredentialFile();

    /// A member that is there and not null, found by its dotted path.
    [[nodiscard]] bool has(std::string_view path) const;
    /// These make the objects above the member where they are missing.
    void set(std::string_view path, std::string_view value);
    /// Milliseconds since 1970; null if `time` is unset.
    void set_time(std::string_view path, UnixMillis time);
    /// The words of a blank-separated list, as an array.
    void set_words(std::string_view path, std::string_view words);
    /// Indented by two, with a newline at its end.
    [[nodiscard]] Secret text() const;

private:
    CredentialFile();
    [[nodiscard]] nlohmann::ordered_json& member(std::string_view path);

    std::unique_ptr<nlohmann::ordered_json> document_;
};

} // namespace shared::providers
