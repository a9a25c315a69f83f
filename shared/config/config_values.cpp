#include "shared/config/config_values.hpp"

#include "shared/base/ip_address.hpp"
#include "shared/base/read_file.hpp"
#include "shared/http/webhook_url.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <utility>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>

namespace shared {

namespace {

constexpr std::size_t kTextBytesMax = 4096;

/// A value as far as a message may repeat it.
std::string quoted(std::string_view text)
{
    constexpr std::size_t kShownMax = 60;
    const bool cut = text.size() > kShownMax;
    return fmt::format("\"{}{}\"", printable(text.substr(0, kShownMax)), cut ? "…" : "");
}

std::optional<std::uint64_t> parse_unsigned(std::string_view text)
{
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

std::string bounds(const Setting& setting)
{
    return fmt::format("between {} and {}", setting.min, setting.max);
}

/// http(s)://authority[/path] with nothing in it that means something to a shell or in HTML.
std::optional<Problem> check_url(std::string_view url, bool with_user_info)
{
    const Problem bad{
        {},
        "this is no http:// or https:// address",
        with_user_info ? "write it as http://host:port"
                       : "write it as https://host or https://host/path"};
    std::string_view rest = url;
    if (rest.starts_with("https://"))
        rest.remove_prefix(8);
    else if (rest.starts_with("http://"))
        rest.remove_prefix(7);
    else
        return bad;
    if (with_user_info) {
        rest = rest.substr(rest.rfind('@') + 1);
        if (rest.ends_with('/')) rest.remove_suffix(1);
        if (rest.find('/') != std::string_view::npos) return bad;
    }
    constexpr std::string_view kAllowed =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_~:[]/%";
    if (rest.find_first_not_of(kAllowed) != std::string_view::npos) return bad;
    std::string_view authority = rest.substr(0, rest.find('/'));
    std::string_view port;
    const std::size_t colon = authority.rfind(':');
    if (colon != std::string_view::npos && authority.find(']', colon) == std::string_view::npos) {
        port = authority.substr(colon + 1);
        const auto number = parse_unsigned(port);
        if (!number || *number == 0 || *number > 65535) return bad;
        authority = authority.substr(0, colon);
    }
    if (authority.empty()) return bad;
    return std::nullopt;
}

/// What UserLimits::models holds (shared/segment/user_table.hpp).
constexpr std::size_t kUserListBytesMax = 240;

std::optional<Problem> check_webhook_format(std::string_view text)
{
    constexpr std::array<std::string_view, 5> kFormats{
        "json", "ntfy", "slack", "discord", "telegram"};
    if (std::find(kFormats.begin(), kFormats.end(), text) != kFormats.end()) return std::nullopt;
    return Problem{
        {},
        quoted(text) + " is no format of a webhook",
        "use json, ntfy, slack, discord or telegram"};
}

std::optional<Problem> check_log_format(std::string_view text)
{
    if (text == "auto" || text == "text" || text == "json") return std::nullopt;
    return Problem{{}, quoted(text) + " is no form of a log", "use auto, text or json"};
}

std::optional<Problem> check_networks(std::string_view list)
{
    while (!list.empty()) {
        const std::size_t comma = std::min(list.find(','), list.size());
        std::string_view item = list.substr(0, comma);
        list.remove_prefix(std::min(comma + 1, list.size()));
        while (item.starts_with(' '))
            item.remove_prefix(1);
        while (item.ends_with(' '))
            item.remove_suffix(1);
        if (!IpNetwork::parse(item))
            return Problem{
                {},
                quoted(item) + " is neither an IP address nor a network",
                "write 192.0.2.1, 10.0.0.0/8 or fd00::/8, with commas between them"};
    }
    return std::nullopt;
}

std::optional<Problem> check_text(const Setting& setting, std::string_view text)
{
    if (text.size() > kTextBytesMax)
        return Problem{
            {}, fmt::format("the text is longer than {} bytes", kTextBytesMax), "shorten it"};
    const auto control = [](char c) { return static_cast<unsigned char>(c) < 0x20U || c == 0x7F; };
    if (!is_utf8(text) || std::any_of(text.begin(), text.end(), control))
        return Problem{
            {}, "the text has control characters or is no UTF-8", "write plain text on one line"};
    if (text.empty() || setting.rule == TextRule::any) return std::nullopt;
    if (setting.rule == TextRule::user_list) {
        if (text.size() <= kUserListBytesMax) return std::nullopt;
        return Problem{
            {},
            "the list has more than " + std::to_string(kUserListBytesMax) + " characters",
            "use * at the end of a name for any rest"};
    }
    if (setting.rule == TextRule::webhook_format) return check_webhook_format(text);
    if (setting.rule == TextRule::log_format) return check_log_format(text);
    if (setting.rule == TextRule::webhook_url) {
        const auto url = http::parse_webhook_url(text);
        return url ? std::nullopt : std::optional(url.error());
    }
    if (setting.rule == TextRule::networks) return check_networks(text);
    return check_url(text, setting.rule == TextRule::proxy_url);
}

/// A path that need not be there: its default is none.
bool may_be_empty(const Setting& setting) noexcept
{
    return setting.default_text == "\"\"";
}

Result<std::filesystem::path>
absolute_path(std::string_view text, const std::filesystem::path& folder)
{
    if (text.empty())
        return Problem{{}, "the path is empty", "name a file or folder, or remove the setting"};
    if (text == "~" || text.starts_with("~/"))
        return Problem{{}, "the path begins with ~, which is not expanded", "write the whole path"};
    std::filesystem::path path = (folder / std::filesystem::path(text)).lexically_normal();
    if (!path.has_filename() && path.has_relative_path()) path = path.parent_path();
    return {boost::system::in_place_value, std::move(path)};
}

/// The Problem of a setting: puts place and name around what is wrong with the value.
Problem at(const ValueOrigin& origin, std::string_view name, Problem problem)
{
    problem.where = origin.where;
    if (origin.in_file) problem.what = fmt::format("{}: {}", name, problem.what);
    return problem;
}

/// Stores a number into whichever member the setting has; `value` is within bounds.
struct NumberSetter {
    Config& config;
    std::uint64_t value;

    bool operator()(std::uint32_t Config::*field) const
    {
        config.*field = static_cast<std::uint32_t>(value);
        return true;
    }

    bool operator()(std::uint64_t Config::*field) const
    {
        config.*field = value;
        return true;
    }

    template <class Other>
    bool operator()(Other /*field*/) const
    {
        return false;
    }
};

/// Stores a checked text into whichever member the setting has.
struct TextSetter {
    Config& config;
    std::string_view text;
    const std::filesystem::path& folder;
    const Setting& setting;

    std::optional<Problem> operator()(std::string Config::*field) const
    {
        std::string_view value = text;
        if (setting.rule == TextRule::public_url)
            while (value.ends_with('/'))
                value.remove_suffix(1);
        config.*field = std::string(value);
        return std::nullopt;
    }

    std::optional<Problem> operator()(Secret Config::*field) const
    {
        config.*field = Secret(std::string(text));
        return std::nullopt;
    }

    std::optional<Problem> operator()(std::filesystem::path Config::*field) const
    {
        if (text.empty() && may_be_empty(setting)) {
            (config.*field).clear();
            return std::nullopt;
        }
        auto path = absolute_path(text, folder);
        if (!path) return path.error();
        config.*field = std::move(*path);
        return std::nullopt;
    }

    std::optional<Problem> operator()(ListenAddress Config::*field) const
    {
        auto address = parse_listen_address(text);
        if (!address) return address.error();
        config.*field = std::move(*address);
        return std::nullopt;
    }

    std::optional<Problem> operator()(Strategy Config::*field) const
    {
        auto strategy = strategy_of(text);
        if (!strategy) return strategy.error();
        config.*field = *strategy;
        return std::nullopt;
    }

    template <class Other>
    std::optional<Problem> operator()(Other /*field*/) const
    {
        return Problem{{}, "it must be " + expected_kind(setting), {}};
    }
};

bool is_number(const Setting& setting) noexcept
{
    return std::holds_alternative<std::uint32_t Config::*>(setting.field) ||
           std::holds_alternative<std::uint64_t Config::*>(setting.field);
}

} // namespace

std::string expected_kind(const Setting& setting)
{
    if (is_number(setting))
        return fmt::format("a whole number of {} {}", setting.unit, bounds(setting));
    if (std::holds_alternative<bool Config::*>(setting.field)) return "true or false";
    if (std::holds_alternative<std::filesystem::path Config::*>(setting.field))
        return "a path in quotes";
    if (std::holds_alternative<ListenAddress Config::*>(setting.field))
        return "an address in quotes, like \"127.0.0.1:8989\"";
    if (std::holds_alternative<Strategy Config::*>(setting.field))
        return "the name of a strategy in quotes, like \"balanced\"";
    return "a text in quotes";
}

bool takes_string(const Setting& setting) noexcept
{
    return !is_number(setting) && !std::holds_alternative<bool Config::*>(setting.field);
}

std::optional<Problem>
ConfigValues::set_text(const Setting& setting, std::string_view text, const ValueOrigin& origin)
{
    if (is_number(setting)) {
        const auto number = parse_unsigned(text);
        constexpr auto kMax = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
        if (!number || *number > kMax)
            return at(
                origin,
                setting.key,
                {{}, quoted(text) + " is not " + expected_kind(setting), "use digits only"});
        return set_number(setting, static_cast<std::int64_t>(*number), origin);
    }
    if (std::holds_alternative<bool Config::*>(setting.field)) {
        const bool yes = text == "1" || text == "true";
        if (!yes && text != "0" && text != "false")
            return at(
                origin,
                setting.key,
                {{}, quoted(text) + " is neither yes nor no", "use 1, true, 0 or false"});
        return set_flag(setting, yes, origin);
    }
    auto problem = check_text(setting, text);
    if (!problem)
        problem = std::visit(TextSetter{config_, text, origin.folder, setting}, setting.field);
    if (problem) return at(origin, setting.key, std::move(*problem));
    remember(setting.key, origin);
    return std::nullopt;
}

std::optional<Problem>
ConfigValues::set_number(const Setting& setting, std::int64_t number, const ValueOrigin& origin)
{
    if (number < 0 || static_cast<std::uint64_t>(number) < setting.min ||
        static_cast<std::uint64_t>(number) > setting.max)
        return at(
            origin,
            setting.key,
            {{}, fmt::format("{} is out of range", number), "use " + expected_kind(setting)});
    const NumberSetter setter{config_, static_cast<std::uint64_t>(number)};
    if (!std::visit(setter, setting.field))
        return at(origin, setting.key, {{}, "it must be " + expected_kind(setting), {}});
    remember(setting.key, origin);
    return std::nullopt;
}

std::optional<Problem>
ConfigValues::set_flag(const Setting& setting, bool value, const ValueOrigin& origin)
{
    const auto* field = std::get_if<bool Config::*>(&setting.field);
    if (field == nullptr)
        return at(origin, setting.key, {{}, "it must be " + expected_kind(setting), {}});
    config_.** field = value;
    remember(setting.key, origin);
    return std::nullopt;
}

std::optional<Problem> ConfigValues::set_upstream(
    const UpstreamSpec& spec, std::string_view url, const ValueOrigin& origin)
{
    auto base = http::parse_base_url(url);
    if (!base) return at(origin, "upstream." + std::string(spec.key), base.error());
    config_.upstreams.insert_or_assign(std::string(spec.key), std::move(*base));
    remember("upstream." + std::string(spec.key), origin);
    return std::nullopt;
}

std::optional<Problem> ConfigValues::set_strategy(
    const Provider& provider, std::string_view name, const ValueOrigin& origin)
{
    const std::string key = "strategies." + std::string(provider.name());
    auto strategy = strategy_of(name);
    if (!strategy) return at(origin, key, strategy.error());
    config_.strategies.insert_or_assign(std::string(provider.name()), *strategy);
    remember(key, origin);
    return std::nullopt;
}

std::string ConfigValues::where(std::string_view key) const
{
    const auto found = origins_.find(key);
    return found == origins_.end() ? std::string() : found->second;
}

void ConfigValues::remember(std::string_view key, const ValueOrigin& origin)
{
    origins_.insert_or_assign(std::string(key), origin.where);
}

Result<Strategy> strategy_of(std::string_view name)
{
    if (const auto strategy = parse_strategy(name)) return *strategy;
    std::string known;
    for (const Strategy strategy : kStrategies)
        known += (known.empty() ? "" : ", ") + std::string(to_string(strategy));
    return Problem{{}, quoted(name) + " is no strategy", "use one of " + known};
}

Result<ListenAddress> parse_listen_address(std::string_view text)
{
    const std::size_t colon = text.rfind(':');
    const std::string remedy = "write host:port, like 127.0.0.1:8989 or [::1]:8989";
    if (colon == std::string_view::npos)
        return Problem{{}, quoted(text) + " is no address with a port", remedy};
    std::string_view host = text.substr(0, colon);
    const auto port = parse_unsigned(text.substr(colon + 1));
    if (!port || *port > 65535)
        return Problem{{}, quoted(text) + " has no port between 0 and 65535", remedy};

    ListenAddress address;
    address.port = static_cast<std::uint16_t>(*port);
    const bool bracketed = host.starts_with('[') && host.ends_with(']');
    if (bracketed) host = host.substr(1, host.size() - 2);
    address.host = host.empty() && !bracketed ? "0.0.0.0" : std::string(host);

    std::array<unsigned char, sizeof(in6_addr)> bytes{};
    const bool numeric =
        address.host.find('\0') == std::string::npos &&
        ::inet_pton(bracketed ? AF_INET6 : AF_INET, address.host.c_str(), bytes.data()) == 1;
    if (numeric || (!bracketed && address.host == "localhost")) return address;
    return Problem{{}, quoted(text) + " is no numeric address", remedy};
}

} // namespace shared
