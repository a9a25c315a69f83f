#include "admin_ui/user_limits.hpp"

#include "shared/base/name_list.hpp"
#include "shared/base/read_file.hpp"
#include "shared/base/time_text.hpp"
#include "shared/providers/reset_time.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>
#include <limits>

namespace admin_ui {
namespace {

struct NumberField {
    std::string_view name;
    std::optional<std::uint64_t> OwnLimits::*field;
    std::uint64_t max;
};

constexpr std::uint64_t kTokensMax = 1'000'000'000'000'000;

constexpr std::array<NumberField, 5> kNumbers{
    {{"requests_per_minute", &OwnLimits::requests_per_minute, 1'000'000},
     {"tokens_per_day", &OwnLimits::tokens_per_day, kTokensMax},
     {"tokens_per_week", &OwnLimits::tokens_per_week, kTokensMax},
     {"share_percent", &OwnLimits::share_percent, 100},
     {"concurrency", &OwnLimits::concurrency, 65'535}}};

struct ListField {
    std::string_view name;
    std::optional<std::string> OwnLimits::*field;
};

constexpr std::array<ListField, 2> kLists{
    {{"models", &OwnLimits::models}, {"providers", &OwnLimits::providers}}};

/// What UserLimits::models holds.
constexpr std::size_t kListBytesMax = decltype(shared::UserLimits::models){}.bytes.size();

std::string set_number(OwnLimits& limits, const NumberField& field, std::string_view text)
{
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    const bool whole = error == std::errc() && end == text.data() + text.size();
    if (!whole || value > field.max)
        return std::string(field.name) + " must be a number from 0 to " +
               std::to_string(field.max) + "; 0 = no limit";
    limits.*field.field = value;
    return {};
}

std::string set_list(OwnLimits& limits, const ListField& field, std::string_view text)
{
    const std::string name(field.name);
    if (text.size() > kListBytesMax)
        return name + " has at most " + std::to_string(kListBytesMax) + " characters";
    if (shared::printable(text) != text) return name + " has characters that are none";
    limits.*field.field = std::string(text);
    return {};
}

std::string set_end(OwnLimits& limits, std::string_view text)
{
    constexpr std::size_t kDateBytes = 10;
    std::string whole(text);
    if (whole.size() == kDateBytes) whole += "T00:00:00Z";
    const auto at = shared::providers::parse_rfc3339(whole);
    if (!at || at->value <= 0)
        return "expires_at must be a date like 2026-12-31, or a time like 2026-12-31T18:00:00Z";
    limits.expires_at = *at;
    return {};
}

/// A value of the file or a request as set_limit() takes it.
std::optional<std::string> text_of(const nlohmann::ordered_json& value)
{
    if (value.is_null()) return std::string();
    if (value.is_number_unsigned()) return std::to_string(value.get<std::uint64_t>());
    if (value.is_string()) return value.get<std::string>();
    if (!value.is_array()) return std::nullopt;
    std::string list;
    for (const auto& item : value) {
        if (!item.is_string()) return std::nullopt;
        if (!list.empty()) list += ',';
        list += item.get<std::string>();
    }
    return list.empty() ? "*" : list;
}

/// "*" says that everything is allowed, which UserLimits says with an empty list.
std::string allowed(const std::optional<std::string>& own, const std::string& common)
{
    const std::string& list = own ? *own : common;
    return list == "*" ? std::string() : list;
}

} // namespace

std::string set_limit(OwnLimits& limits, std::string_view name, std::string_view text)
{
    for (const NumberField& field : kNumbers) {
        if (field.name != name) continue;
        if (!text.empty()) return set_number(limits, field, text);
        (limits.*field.field).reset();
        return {};
    }
    for (const ListField& field : kLists) {
        if (field.name != name) continue;
        if (!text.empty()) return set_list(limits, field, text);
        (limits.*field.field).reset();
        return {};
    }
    if (name != "expires_at") return "there is no limit of this name";
    if (!text.empty()) return set_end(limits, text);
    limits.expires_at = {};
    return {};
}

std::string limit_text(const OwnLimits& limits, std::string_view name)
{
    for (const NumberField& field : kNumbers)
        if (field.name == name && limits.*field.field)
            return std::to_string(*(limits.*field.field));
    for (const ListField& field : kLists)
        if (field.name == name && limits.*field.field) return *(limits.*field.field);
    return name == "expires_at" ? shared::iso_time(limits.expires_at) : std::string();
}

std::string read_limits(const nlohmann::ordered_json& object, OwnLimits& limits)
{
    if (!object.is_object()) return "limits must be an object";
    for (const std::string_view name : kLimitNames) {
        const auto found = object.find(std::string(name));
        if (found == object.end()) continue;
        const auto text = text_of(*found);
        if (!text) return std::string(name) + " must be a whole number or a text";
        if (std::string wrong = set_limit(limits, name, *text); !wrong.empty()) return wrong;
    }
    return {};
}

void write_limits(const OwnLimits& limits, nlohmann::ordered_json& object)
{
    for (const NumberField& field : kNumbers) {
        const auto& value = limits.*field.field;
        if (value)
            object[std::string(field.name)] = *value;
        else
            object.erase(std::string(field.name));
    }
    for (const std::string_view name : {"models", "providers", "expires_at"}) {
        const std::string text = limit_text(limits, name);
        if (text.empty())
            object.erase(std::string(name));
        else
            object[std::string(name)] = text;
    }
}

std::uint32_t provider_bits(std::string_view names, const shared::ProviderRegistry& registry)
{
    std::uint32_t bits = 0;
    for (const auto& provider : registry.all())
        if (shared::list_names(names, provider->name()))
            bits |= 1U << static_cast<unsigned>(provider->id());
    return bits;
}

shared::UserLimits effective_limits(
    const CommonLimits& common, const OwnLimits& own, const shared::ProviderRegistry& registry)
{
    shared::UserLimits limits;
    limits.tokens_per_day = own.tokens_per_day.value_or(common.tokens_per_day);
    limits.tokens_per_week = own.tokens_per_week.value_or(common.tokens_per_week);
    limits.requests_per_minute =
        static_cast<std::uint32_t>(own.requests_per_minute.value_or(common.requests_per_minute));
    limits.concurrency = static_cast<std::uint16_t>(own.concurrency.value_or(common.concurrency));
    limits.share_percent =
        static_cast<std::uint8_t>(own.share_percent.value_or(common.share_percent));
    limits.expires_at = own.expires_at;
    limits.models.assign(allowed(own.models, common.models));
    const std::string providers = allowed(own.providers, common.providers);
    if (!providers.empty()) {
        // A list that names no provider of this version allows none, instead of all.
        constexpr std::uint32_t kNoProvider = 1;
        limits.providers = provider_bits(providers, registry) | kNoProvider;
    }
    return limits;
}

} // namespace admin_ui
