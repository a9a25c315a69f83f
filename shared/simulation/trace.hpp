/// Who asked for what, when: the input of a simulation, from the usage database, a file or a generator.
#pragma once

#include "shared/base/result.hpp"
#include "shared/base/units.hpp"
#include "shared/providers/provider.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace shared::simulation {

/// One request, as far as picking cares. Tokens as in Usage: `input` includes `cached_input`.
struct TraceRequest {
    UnixMillis at;
    std::uint32_t user = 0; ///< index into Trace::users
    ProviderId provider = ProviderId::none;
    std::uint64_t conversation = 0; ///< equal numbers belong together; 0 = none
    std::uint32_t model = 0;        ///< index into Trace::models
    std::int64_t input = 0;
    std::int64_t cached_input = 0;
    std::int64_t output = 0;
    std::uint32_t duration_ms = kDurationMs;

    static constexpr std::uint32_t kDurationMs = 20'000; ///< where a trace does not say
};

struct Trace {
    std::vector<std::string> users;
    std::vector<std::string> models;
    std::vector<TraceRequest> requests; ///< by time
    /// No request named its conversation: derive_conversations() guessed.
    bool conversations_guessed = false;

    /// The index of a user, added if new.
    [[nodiscard]] std::uint32_t user(std::string_view name);
    /// The same of a model.
    [[nodiscard]] std::uint32_t model(std::string_view name);
};

/// A trace file is at most this long.
inline constexpr std::size_t kTraceBytesMax = std::size_t{512} << 20U;

/// CSV with a line of column names, or one JSON object per line. Columns or keys: `time` (ISO 8601 UTC, or milliseconds
/// since 1970), `user`, `provider`, `conversation`, `model`, then `tokens` or `input`, `cached_input`, `output`, and
/// `duration_ms`; all but time and tokens may be missing (provider: then the only one there is, by `fallback`). `name`
/// is for Problems, which name the line. Sorts by time.
[[nodiscard]] Result<Trace> parse_trace(
    std::string_view text,
    std::string_view name,
    const ProviderRegistry& registry,
    ProviderId fallback);

/// Where no request names its conversation: requests of one user, provider and model with less than ten minutes
/// between them are one.
void derive_conversations(Trace& trace);

/// The same text always gives the same number, on every machine; never 0.
[[nodiscard]] std::uint64_t name_number(std::string_view text) noexcept;

} // namespace shared::simulation
