#include "shared/simulation/trace.hpp"

#include "shared/base/read_file.hpp"
#include "shared/base/trim.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <optional>
#include <tuple>

namespace shared::simulation {
namespace {

using nlohmann::json;

/// One line's values by name; what is missing is empty.
using Fields = std::map<std::string, std::string, std::less<>>;

/// Takes one value off a line of CSV; quotes keep commas, doubled quotes are one.
std::string next_value(std::string_view& line)
{
    std::string value;
    bool quoted = false;
    std::size_t i = 0;
    for (; i < line.size(); ++i) {
        const char c = line[i];
        if (c == '"') {
            const bool doubled = quoted && i + 1 < line.size() && line[i + 1] == '"';
            if (doubled)
                value += line[++i];
            else
                quoted = !quoted;
        } else if (c == ',' && !quoted) {
            break;
        } else {
            value += c;
        }
    }
    line.remove_prefix(std::min(i + 1, line.size()));
    return std::string(trimmed(value));
}

std::vector<std::string> values_of(std::string_view line)
{
    std::vector<std::string> values;
    const bool open_end = line.ends_with(',');
    while (!line.empty())
        values.push_back(next_value(line));
    if (open_end) values.emplace_back();
    return values;
}

/// The members of a line of JSON as text; nothing if it is no object.
std::optional<Fields> members_of(std::string_view line)
{
    const json parsed = json::parse(line, nullptr, false);
    if (!parsed.is_object()) return std::nullopt;
    Fields fields;
    for (const auto& [key, value] : parsed.items())
        fields[key] = value.is_string() ? value.get<std::string>() : value.dump();
    return fields;
}

std::optional<std::int64_t> whole_number(std::string_view text)
{
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || value < 0) return std::nullopt;
    return value;
}

/// Days since 1970 of a date of the Gregorian calendar.
std::int64_t days_of(std::int64_t year, std::int64_t month, std::int64_t day)
{
    year -= month <= 2 ? 1 : 0;
    const std::int64_t era = year / 400;
    const std::int64_t of_era = year - era * 400;
    const std::int64_t of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    return era * 146'097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719'468;
}

/// "2026-05-14T12:30:00Z", with fractions or without.
std::optional<UnixMillis> moment(std::string_view text)
{
    if (const auto millis = whole_number(text)) return UnixMillis{*millis};
    constexpr std::string_view kForm = "0000-00-00T00:00:00";
    if (text.size() < kForm.size()) return std::nullopt;
    for (std::size_t i = 0; i < kForm.size(); ++i) {
        const bool space = kForm[i] == 'T' && text[i] == ' ';
        const bool digit = kForm[i] == '0' && text[i] >= '0' && text[i] <= '9';
        if (!digit && !space && text[i] != kForm[i]) return std::nullopt;
    }
    const auto part = [&](std::size_t at, std::size_t size) {
        return *whole_number(text.substr(at, size));
    };
    const std::int64_t days = days_of(part(0, 4), part(5, 2), part(8, 2));
    const std::int64_t seconds =
        days * 86'400 + part(11, 2) * 3600 + part(14, 2) * 60 + part(17, 2);
    std::int64_t millis = 0;
    if (text.size() > kForm.size() + 1 && text[kForm.size()] == '.') {
        const std::string digits = std::string(text.substr(kForm.size() + 1, 3)) + "00";
        millis = whole_number(digits.substr(0, 3)).value_or(0);
    }
    return UnixMillis{seconds * 1000 + millis};
}

std::uint32_t index_of(std::vector<std::string>& names, std::string_view name)
{
    const auto found = std::find(names.begin(), names.end(), name);
    const auto index = static_cast<std::uint32_t>(found - names.begin());
    if (found == names.end()) names.emplace_back(name);
    return index;
}

/// One run of parse_trace.
class Parser {
public:
    Parser(std::string_view name, const ProviderRegistry& registry, ProviderId fallback)
        : name_(name), registry_(registry), fallback_(fallback)
    {}

    Result<Trace> parse(std::string_view text)
    {
        while (!text.empty() && !problem_) {
            const std::size_t end = std::min(text.find('\n'), text.size());
            const std::string_view line = trimmed(text.substr(0, end));
            text.remove_prefix(std::min(end + 1, text.size()));
            ++line_;
            if (!line.empty()) take(line);
        }
        if (problem_) return *problem_;
        std::stable_sort(
            trace_.requests.begin(),
            trace_.requests.end(),
            [](const TraceRequest& a, const TraceRequest& b) { return a.at < b.at; });
        return {boost::system::in_place_value, std::move(trace_)};
    }

private:
    void take(std::string_view line)
    {
        if (line.front() == '{') {
            const auto fields = members_of(line);
            if (!fields) return fail("is no JSON object", "one object on each line");
            return add(*fields);
        }
        if (columns_.empty()) {
            columns_ = values_of(line);
            if (std::find(columns_.begin(), columns_.end(), "time") == columns_.end())
                fail("names no column \"time\"", "begin with a line of column names");
            return;
        }
        std::vector<std::string> values = values_of(line);
        if (values.size() != columns_.size())
            return fail(
                "has " + std::to_string(values.size()) + " values",
                "the first line names " + std::to_string(columns_.size()));
        Fields fields;
        for (std::size_t i = 0; i < values.size(); ++i)
            fields[columns_[i]] = std::move(values[i]);
        add(fields);
    }

    void add(const Fields& fields)
    {
        TraceRequest request;
        const auto at = moment(text(fields, "time"));
        if (!at)
            return fail(
                "has no usable time", "write 2026-05-14T12:30:00Z or milliseconds since 1970");
        request.at = *at;
        request.user = trace_.user(text(fields, "user", "local"));
        request.provider = fallback_;
        if (const std::string_view provider = text(fields, "provider"); !provider.empty()) {
            const Provider* known = registry_.find(provider);
            if (known == nullptr)
                return fail("names an unknown provider", "use the name of its pool folder");
            request.provider = known->id();
        }
        if (request.provider == ProviderId::none)
            return fail("names no provider", "add a column \"provider\"");
        const std::string_view conversation = text(fields, "conversation");
        if (!conversation.empty() && conversation != "0")
            request.conversation = name_number(conversation);
        request.model = trace_.model(text(fields, "model"));
        request.input = number(fields, "input", number(fields, "tokens", 0));
        request.cached_input = number(fields, "cached_input", 0);
        request.output = number(fields, "output", 0);
        request.duration_ms = static_cast<std::uint32_t>(std::min<std::int64_t>(
            number(fields, "duration_ms", TraceRequest::kDurationMs), 24 * 3'600'000));
        if (!problem_) trace_.requests.push_back(request);
    }

    static std::string_view
    text(const Fields& fields, std::string_view key, std::string_view otherwise = {})
    {
        const auto found = fields.find(key);
        return found == fields.end() || found->second.empty() ? otherwise : found->second;
    }

    std::int64_t number(const Fields& fields, std::string_view key, std::int64_t otherwise)
    {
        const std::string_view value = text(fields, key);
        if (value.empty() || value == "null") return otherwise;
        const auto parsed = whole_number(value);
        if (!parsed) fail(std::string(key) + " is no whole number", "use digits only");
        return parsed.value_or(otherwise);
    }

    void fail(std::string what, std::string remedy)
    {
        if (problem_) return;
        problem_ = Problem{
            std::string(name_) + ":" + std::to_string(line_), std::move(what), std::move(remedy)};
    }

    std::string_view name_;
    const ProviderRegistry& registry_;
    ProviderId fallback_;
    Trace trace_;
    std::vector<std::string> columns_;
    std::size_t line_ = 0;
    std::optional<Problem> problem_;
};

} // namespace

std::uint32_t Trace::user(std::string_view name)
{
    return index_of(users, name);
}

std::uint32_t Trace::model(std::string_view name)
{
    return index_of(models, name);
}

Result<Trace> parse_trace(
    std::string_view text,
    std::string_view name,
    const ProviderRegistry& registry,
    ProviderId fallback)
{
    return Parser(name, registry, fallback).parse(text);
}

void derive_conversations(Trace& trace)
{
    const bool named =
        std::any_of(trace.requests.begin(), trace.requests.end(), [](const TraceRequest& request) {
            return request.conversation != 0;
        });
    if (named || trace.requests.empty()) return;
    constexpr std::chrono::minutes kGap{10};

    struct Session {
        UnixMillis last;
        std::uint64_t number = 0;
    };

    std::map<std::tuple<std::uint32_t, ProviderId, std::uint32_t>, Session> sessions;
    std::uint64_t next = 1;
    for (TraceRequest& request : trace.requests) {
        Session& session = sessions[{request.user, request.provider, request.model}];
        if (session.number == 0 || request.at.since(session.last) > kGap) session.number = next++;
        session.last = request.at;
        request.conversation = session.number;
    }
    trace.conversations_guessed = true;
}

std::uint64_t name_number(std::string_view text) noexcept
{
    std::uint64_t hash = 0xCBF29CE484222325U; // FNV-1a
    for (const char c : text)
        hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3U;
    return hash == 0 ? 1 : hash;
}

} // namespace shared::simulation
