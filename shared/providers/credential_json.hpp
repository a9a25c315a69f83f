/// Reads the JSON of a credential file without trusting it: size, nesting and types are checked, and what is
/// wrong is said without ever quoting the text (it is full of secrets).
///
/// Used by each provider's parse_credential(). Typical use:
///   auto loaded = CredentialReader::load(text);
///   if (!loaded) return loaded.error();
///   CredentialReader& reader = *loaded;
///   credential.access_token = reader.token("tokens.access_token");
///   if (reader.problem()) return *reader.problem();
#pragma once

#include "shared/base/result.hpp"
#include "shared/base/secret.hpp"
#include "shared/base/units.hpp"
#include "shared/providers/account_options.hpp"

#include <nlohmann/json_fwd.hpp>

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace shared::providers {

/// A real credential file has a few kilobytes.
inline constexpr std::size_t kCredentialTextBytesMax = 1024 * 1024;
/// Levels of objects and arrays; real files have three or four.
inline constexpr std::size_t kCredentialDepthMax = 64;
/// What the segment holds for one token (segment/layout.hpp, kTokenBytesMax).
inline constexpr std::size_t kCredentialTokenBytesMax = 8192;

/// The file's object, with typed look-ups by dotted path. An absent or null member is empty; one of the wrong type
/// is remembered in problem(), the first one only.
class CredentialReader {
public:
    /// Problems: empty, too large, nested too deeply, cut short, no JSON (with line and column), no object.
    [[nodiscard]] static Result<CredentialReader> load(std::string_view text);

    CredentialReader(CredentialReader&& other) noexcept;
    CredentialReader& operator=(CredentialReader&& other) noexcept;
    CredentialReader(const CredentialReader&) = delete;
    CredentialReader& operator=(const CredentialReader&) = delete;
    ~CredentialReader();

    /// A member that is there and not null.
    [[nodiscard]] bool has(std::string_view path) const;
    /// A string for people and look-ups (plan, e-mail, ids). Control characters are a problem.
    [[nodiscard]] std::string text(std::string_view path);
    /// A string that will stand in a header: white space around it is cut with a warning; anything but
    /// printable ASCII, or more than kCredentialTokenBytesMax, is a problem.
    [[nodiscard]] Secret token(std::string_view path);
    /// Milliseconds since 1970, as a number or a string of digits; RFC 3339 too.
    [[nodiscard]] UnixMillis time_ms(std::string_view path);
    /// A list of strings, or one string, as blank-separated words; what else is in the list is passed over.
    [[nodiscard]] std::string words(std::string_view path);
    /// true or false; absent is false.
    [[nodiscard]] bool flag(std::string_view path);
    /// The object "codex_pool": what the owner says about the account. Unknown keys in it are warnings.
    [[nodiscard]] AccountOptions options();
    /// Reports a member that should be an object and is not; absent is fine.
    void expect_object(std::string_view path);

    [[nodiscard]] const std::optional<Problem>& problem() const noexcept { return problem_; }

    [[nodiscard]] std::vector<std::string>& warnings() noexcept { return warnings_; }

private:
    CredentialReader();
    [[nodiscard]] const nlohmann::json* find(std::string_view path) const;
    void wrong_type(std::string_view path, std::string_view expected, const nlohmann::json& found);

    std::unique_ptr<nlohmann::json> document_;
    std::optional<Problem> problem_;
    std::vector<std::string> warnings_;
};

/// Options, and the keys that mean nothing among them.
struct ParsedOptions {
    AccountOptions options;
    std::vector<std::string> unknown;
};

/// Reads the object "codex_pool". The Problem's `where` is the key, `what` never quotes a value.
[[nodiscard]] Result<ParsedOptions> parse_account_options(const nlohmann::json& object);

/// ASCII lower case.
[[nodiscard]] std::string to_lower(std::string_view text);

} // namespace shared::providers
