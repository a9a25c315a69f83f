#include "supervisor/usage_sums.hpp"

#include <algorithm>
#include <cstddef>
#include <string_view>
#include <utility>

namespace supervisor {
namespace {

constexpr std::int64_t kHourMillis = 3'600'000;

/// Length of the valid UTF-8 sequence at the beginning of `text`; 0 if there is none.
std::size_t utf8_length(std::string_view text) noexcept
{
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned char first = byte(0);
    const std::size_t length = first < 0x80                     ? 1
                               : first >= 0xC2 && first <= 0xDF ? 2
                               : first >= 0xE0 && first <= 0xEF ? 3
                               : first >= 0xF0 && first <= 0xF4 ? 4
                                                                : 0;
    if (length == 0 || length > text.size()) return 0;
    for (std::size_t i = 1; i < length; ++i) {
        if ((byte(i) & 0xC0U) != 0x80U) return 0;
    }
    if (length < 2) return length;
    const unsigned char second = byte(1);
    const bool overlong = (first == 0xE0 && second < 0xA0) || (first == 0xF0 && second < 0x90);
    const bool beyond = (first == 0xED && second > 0x9F) || (first == 0xF4 && second > 0x8F);
    return overlong || beyond ? 0 : length;
}

template <std::size_t N>
void make_printable(shared::FixedString<N>& text) noexcept
{
    text.size = static_cast<std::uint16_t>(text.view().size());
    for (std::size_t i = 0; i < text.size;) {
        const auto first = static_cast<unsigned char>(text.bytes[i]);
        if (first >= 0x20 && first < 0x7F) {
            ++i;
            continue;
        }
        const std::size_t length = utf8_length(text.view().substr(i));
        if (length == 0 || first < 0x20 || first == 0x7F) text.bytes[i] = '?';
        i += std::max<std::size_t>(length, 1);
    }
}

} // namespace

void UsageSums::add(const shared::UsageEntry& entry) noexcept
{
    requests += 1;
    failed_requests += is_failure(entry) ? 1 : 0;
    input += entry.input;
    cached_input += entry.cached_input;
    cache_creation += entry.cache_creation;
    output += entry.output;
    reasoning += entry.reasoning;
    duration_ms += entry.duration_ms;
    last_used_ms = std::max(last_used_ms, entry.finished_at.value);
}

void UsageSums::add(const UsageSums& other) noexcept
{
    requests += other.requests;
    failed_requests += other.failed_requests;
    input += other.input;
    cached_input += other.cached_input;
    cache_creation += other.cache_creation;
    output += other.output;
    reasoning += other.reasoning;
    duration_ms += other.duration_ms;
    last_used_ms = std::max(last_used_ms, other.last_used_ms);
}

bool is_failure(const shared::UsageEntry& entry) noexcept
{
    using enum shared::RequestOutcome;
    return entry.status >= 400 || entry.outcome == upstream_cut || entry.outcome == refused ||
           entry.outcome == worker_killed;
}

void sanitize(shared::UsageEntry& entry, shared::UnixMillis now) noexcept
{
    for (std::int64_t* tokens :
         {&entry.input,
          &entry.cached_input,
          &entry.cache_creation,
          &entry.output,
          &entry.reasoning}) {
        *tokens = std::clamp<std::int64_t>(*tokens, 0, kTokensPerRequestMax);
    }
    if (entry.started_at.value <= 0 || entry.started_at > now) entry.started_at = now;
    if (entry.finished_at < entry.started_at || entry.finished_at > now) entry.finished_at = now;
    make_printable(entry.user);
    make_printable(entry.model);
    make_printable(entry.upstream_request_id);
    make_printable(entry.path);
}

UsageKeyView::UsageKeyView(const shared::UsageEntry& entry, std::string_view account_id) noexcept
    : hour_ms(entry.finished_at.value / kHourMillis * kHourMillis),
      user(entry.user.view()),
      account(account_id),
      model(entry.model.view())
{}

void add_usage(UsageSumsByKey& sums, const shared::UsageEntry& entry, std::string_view account)
{
    const UsageKeyView key(entry, account);
    auto place = sums.find(key);
    if (place == sums.end()) {
        UsageKey owned{
            key.hour_ms, std::string(key.user), std::string(key.account), std::string(key.model)};
        place = sums.emplace(std::move(owned), UsageSums{}).first;
    }
    place->second.add(entry);
}

} // namespace supervisor
