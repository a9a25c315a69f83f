#include "shared/providers/account_options.hpp"

#include "shared/base/name_list.hpp"
#include "shared/providers/credential_json.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cmath>

namespace shared {
namespace {

using nlohmann::json;

// What the segment holds for each (segment/layout.hpp).
constexpr std::size_t kModelsBytesMax = 240;
constexpr std::size_t kProxyBytesMax = 240;
constexpr std::size_t kOwnerBytesMax = 40;

/// Reads members one after the other; the first fault is kept.
class OptionReader {
public:
    explicit OptionReader(const json& object) : object_(object) {}

    /// The member, or null if it is absent, null or of no use.
    const json* find(const char* key)
    {
        known_.emplace_back(key);
        const auto found = object_.find(key);
        return found == object_.end() || found->is_null() ? nullptr : &*found;
    }

    void flag(const char* key, std::optional<bool>& out)
    {
        const json* value = find(key);
        if (value == nullptr) return;
        if (value->is_boolean()) {
            out = value->get<bool>();
        } else {
            fail(key, "should be true or false");
        }
    }

    template <class T>
    void whole(const char* key, std::int64_t least, std::int64_t most, std::optional<T>& out)
    {
        const json* value = find(key);
        if (value == nullptr) return;
        const bool fits = value->is_number_integer() && in_range(*value, least, most);
        if (fits) {
            out = static_cast<T>(value->get<std::int64_t>());
        } else {
            fail(
                key,
                "should be a whole number from " + std::to_string(least) + " to " +
                    std::to_string(most));
        }
    }

    void weight(const char* key, std::optional<std::uint16_t>& out)
    {
        const json* value = find(key);
        if (value == nullptr) return;
        const double number = value->is_number() ? value->get<double>() : 0;
        if (std::isfinite(number) && number >= 0.01 && number <= 100) {
            out = static_cast<std::uint16_t>(std::lround(number * 100));
        } else {
            fail(key, "should be a number from 0.01 to 100 (1 is as others)");
        }
    }

    void word(const char* key, std::size_t bytes_max, std::optional<std::string>& out)
    {
        const json* value = find(key);
        if (value == nullptr) return;
        if (is_printable(*value, bytes_max)) {
            out = value->get<std::string>();
        } else {
            fail(key, "should be a text of at most " + std::to_string(bytes_max) + " bytes");
        }
    }

    void names(const json& from, const char* key, std::optional<std::string>& out)
    {
        const std::string path = std::string("models.") + key;
        const auto found = from.find(key);
        if (found == from.end() || found->is_null()) return;
        std::string list;
        bool good = found->is_array();
        for (const json& name : good ? *found : json::array()) {
            good = good && is_printable(name, kModelsBytesMax) &&
                   !name.get_ref<const std::string&>().empty() &&
                   name.get_ref<const std::string&>().find(',') == std::string::npos;
            if (!good) break;
            if (!list.empty()) list += ',';
            list += name.get_ref<const std::string&>();
        }
        if (!good) return fail(path, "should be a list of model names, `*` at an end for any rest");
        if (list.size() > kModelsBytesMax) {
            return fail(
                path, "is longer than " + std::to_string(kModelsBytesMax) + " bytes altogether");
        }
        out = std::move(list);
    }

    void fail(std::string_view key, std::string what)
    {
        if (problem_) return;
        problem_ = Problem{
            "'codex_pool." + std::string(key) + "'",
            std::move(what),
            "see \"Options of an account\" in the README"};
    }

    [[nodiscard]] const std::optional<Problem>& problem() const { return problem_; }

    [[nodiscard]] std::vector<std::string> unknown() const
    {
        std::vector<std::string> out;
        for (const auto& [key, value] : object_.items()) {
            if (std::find(known_.begin(), known_.end(), key) == known_.end()) out.push_back(key);
        }
        return out;
    }

private:
    static bool in_range(const json& value, std::int64_t least, std::int64_t most)
    {
        if (value.is_number_unsigned() &&
            value.get<std::uint64_t>() > static_cast<std::uint64_t>(most))
            return false;
        const auto number = value.get<std::int64_t>();
        return number >= least && number <= most;
    }

    static bool is_printable(const json& value, std::size_t bytes_max)
    {
        const auto* text = value.get_ptr<const std::string*>();
        return text != nullptr && text->size() <= bytes_max &&
               std::none_of(text->begin(), text->end(), [](char c) {
                   return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
               });
    }

    const json& object_;
    std::vector<std::string> known_;
    std::optional<Problem> problem_;
};

bool is_proxy_url(std::string_view url)
{
    if (url.empty()) return true;
    const std::size_t scheme = url.find("://");
    if (scheme == std::string_view::npos || scheme + 3 >= url.size()) return false;
    constexpr std::array<std::string_view, 3> kSchemes{"http", "socks5", "socks5h"};
    const bool known =
        std::find(kSchemes.begin(), kSchemes.end(), url.substr(0, scheme)) != kSchemes.end();
    return known && url.find_first_of(" \"<>") == std::string_view::npos;
}

template <class T>
void take(std::optional<T>& out, const std::optional<T>& first)
{
    if (first) out = first;
}

} // namespace

AccountOptions merged(const AccountOptions& first, const AccountOptions& second)
{
    AccountOptions out = second;
    take(out.disabled, first.disabled);
    take(out.paused, first.paused);
    take(out.priority, first.priority);
    take(out.weight_percent, first.weight_percent);
    take(out.max_concurrency, first.max_concurrency);
    take(out.reserve_percent, first.reserve_percent);
    take(out.models_allowed, first.models_allowed);
    take(out.models_denied, first.models_denied);
    take(out.proxy_url, first.proxy_url);
    take(out.owner, first.owner);
    return out;
}

namespace providers {

Result<ParsedOptions> parse_account_options(const json& object)
{
    if (!object.is_object())
        return Problem{
            "'codex_pool'", "should be an object", "see \"Options of an account\" in the README"};
    OptionReader reader(object);
    ParsedOptions out;
    AccountOptions& options = out.options;
    reader.flag("disabled", options.disabled);
    reader.flag("paused", options.paused);
    reader.whole("priority", -1000, 1000, options.priority);
    reader.weight("weight", options.weight_percent);
    reader.whole("max_concurrency", 0, 10'000, options.max_concurrency);
    reader.whole("reserve_percent", 0, 100, options.reserve_percent);
    reader.word("owner", kOwnerBytesMax, options.owner);
    reader.word("proxy_url", kProxyBytesMax, options.proxy_url);
    if (options.proxy_url && !is_proxy_url(*options.proxy_url))
        reader.fail("proxy_url", "should begin with http:// or socks5://");
    if (const json* models = reader.find("models"); models != nullptr) {
        if (models->is_object()) {
            reader.names(*models, "allow", options.models_allowed);
            reader.names(*models, "deny", options.models_denied);
        } else {
            reader.fail("models", "should be an object with 'allow', 'deny' or both");
        }
    }
    if (reader.problem()) return *reader.problem();
    out.unknown = reader.unknown();
    return out;
}

} // namespace providers

Result<AccountOptions> parse_options_text(std::string_view text)
{
    const json object = json::parse(text, nullptr, false);
    if (object.is_discarded())
        return Problem{"", "the options are not JSON", "send an object such as {\"priority\": 1}"};
    Result<providers::ParsedOptions> parsed = providers::parse_account_options(object);
    if (!parsed.has_value()) return parsed.error();
    if (!parsed->unknown.empty())
        return Problem{
            "",
            "there is an unknown option",
            "known are disabled, paused, priority, weight, max_concurrency, reserve_percent, models, "
            "proxy_url and owner"};
    return parsed->options;
}

bool serves_model(
    std::string_view allowed, std::string_view denied, std::string_view model) noexcept
{
    if (model.empty()) return true;
    if (list_names(denied, model)) return false;
    return allowed.empty() || list_names(allowed, model);
}

bool is_owned_by(std::string_view owner, std::string_view user) noexcept
{
    if (owner.empty()) return user == "local" || user == "owner";
    return owner == user;
}

} // namespace shared
