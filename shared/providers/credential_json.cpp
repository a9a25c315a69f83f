#include "shared/providers/credential_json.hpp"

#include "shared/base/read_file.hpp"
#include "shared/base/trim.hpp"
#include "shared/providers/reset_time.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <utility>

namespace shared::providers {

namespace {

/// Whether objects and arrays are nested more than kCredentialDepthMax deep. Checked before parsing, so
/// that a hostile file costs one pass over its bytes and no stack.
bool nests_too_deeply(std::string_view text)
{
    std::size_t depth = 0;
    bool in_string = false;
    for (std::size_t at = 0; at < text.size(); ++at) {
        const char c = text[at];
        if (in_string) {
            if (c == '\\')
                ++at;
            else if (c == '"')
                in_string = false;
            continue;
        }
        if (c == '"') in_string = true;
        if (c == '{' || c == '[') {
            if (++depth > kCredentialDepthMax) return true;
        }
        if ((c == '}' || c == ']') && depth > 0) --depth;
    }
    return false;
}

/// "line 3, column 14" of the byte at `offset`.
std::string place_of(std::string_view text, std::size_t offset)
{
    const std::string_view before = text.substr(0, std::min(offset, text.size()));
    const auto line = 1 + std::count(before.begin(), before.end(), '\n');
    const std::size_t last_break = before.rfind('\n');
    const std::size_t column =
        last_break == std::string_view::npos ? before.size() : before.size() - last_break - 1;
    return "line " + std::to_string(line) + ", column " +
           std::to_string(std::max<std::size_t>(column, 1));
}

Problem broken(std::string what)
{
    return {"", std::move(what), "sign in again with the CLI and copy its file once more"};
}

} // namespace

Result<CredentialReader> CredentialReader::load(std::string_view text)
{
    if (text.size() > kCredentialTextBytesMax)
        return Problem{
            "",
            "has " + std::to_string(text.size()) + " bytes; a credential file has at most " +
                std::to_string(kCredentialTextBytesMax),
            "put only credential files in the pool folder"};
    if (trimmed(text).empty()) return broken("is empty");
    if (nests_too_deeply(text))
        return Problem{
            "",
            "is nested more than " + std::to_string(kCredentialDepthMax) + " levels deep",
            "put only credential files in the pool folder"};
    try {
        CredentialReader reader;
        *reader.document_ = nlohmann::json::parse(text);
        if (!reader.document_->is_object())
            return broken(
                std::string("should hold a JSON object, not ") + reader.document_->type_name());
        return reader;
    } catch (const nlohmann::json::parse_error& error) {
        // The library's own text quotes the input, which may be a token: only the position is used.
        const bool truncated = error.byte > text.size();
        return broken(
            (truncated ? std::string("ends in the middle of its JSON (") : "is not JSON (") +
            place_of(text, error.byte) + ")");
    } catch (const nlohmann::json::exception&) {
        return broken("is not JSON that can be read (a number out of range?)");
    }
}

CredentialReader::CredentialReader() : document_(std::make_unique<nlohmann::json>()) {}

CredentialReader::CredentialReader(CredentialReader&& other) noexcept = default;
CredentialReader& CredentialReader::operator=(CredentialReader&& other) noexcept = default;
CredentialReader::~CredentialReader() = default;

const nlohmann::json* CredentialReader::find(std::string_view path) const
{
    const nlohmann::json* at = document_.get();
    while (true) {
        const std::size_t dot = path.find('.');
        const std::string_view name = path.substr(0, dot);
        if (!at->is_object()) return nullptr;
        const auto found = at->find(name);
        if (found == at->end() || found->is_null()) return nullptr;
        at = &*found;
        if (dot == std::string_view::npos) return at;
        path.remove_prefix(dot + 1);
    }
}

void CredentialReader::wrong_type(
    std::string_view path, std::string_view expected, const nlohmann::json& found)
{
    if (problem_) return;
    problem_ = broken(
        "'" + std::string(path) + "' should be " + std::string(expected) + ", not " +
        found.type_name());
}

bool CredentialReader::has(std::string_view path) const
{
    return find(path) != nullptr;
}

std::string CredentialReader::text(std::string_view path)
{
    const nlohmann::json* value = find(path);
    if (!value) return {};
    const auto* text = value->get_ptr<const std::string*>();
    if (!text) {
        wrong_type(path, "a string", *value);
        return {};
    }
    const bool control = std::any_of(text->begin(), text->end(), [](char c) {
        return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
    });
    if (control) {
        if (!problem_) problem_ = broken("'" + std::string(path) + "' contains control characters");
        return {};
    }
    return *text;
}

Secret CredentialReader::token(std::string_view path)
{
    const nlohmann::json* value = find(path);
    if (!value) return {};
    const auto* text = value->get_ptr<const std::string*>();
    if (!text) {
        wrong_type(path, "a string", *value);
        return {};
    }
    const std::string_view token = trimmed(*text);
    if (token.size() != text->size())
        warnings_.push_back("'" + std::string(path) + "' has white space around it; ignored");
    const bool printable =
        std::all_of(token.begin(), token.end(), [](char c) { return c > 0x20 && c < 0x7F; });
    if (!printable && !problem_)
        problem_ = broken(
            "'" + std::string(path) + "' contains characters that cannot be part of a token");
    if (token.size() > kCredentialTokenBytesMax && !problem_)
        problem_ = broken(
            "'" + std::string(path) + "' has " + std::to_string(token.size()) + " bytes; at most " +
            std::to_string(kCredentialTokenBytesMax) + " are supported");
    return problem_ ? Secret() : Secret(std::string(token));
}

UnixMillis CredentialReader::time_ms(std::string_view path)
{
    const nlohmann::json* value = find(path);
    if (!value) return {};
    if (value->is_number()) {
        const double number = value->get<double>();
        // Beyond the year 9999 (or before 1970) it is no expiry, whatever it was meant to be.
        if (std::isfinite(number) && number > 0 && number < 253402300800000.0)
            return {static_cast<std::int64_t>(number)};
        warnings_.push_back("'" + std::string(path) + "' is no plausible time; ignored");
        return {};
    }
    if (const auto* text = value->get_ptr<const std::string*>()) {
        if (const auto point = parse_reset_point(*text)) return *point;
        warnings_.push_back("'" + std::string(path) + "' is no time; ignored");
        return {};
    }
    wrong_type(path, "a time in milliseconds", *value);
    return {};
}

std::string CredentialReader::words(std::string_view path)
{
    const nlohmann::json* value = find(path);
    if (!value || !value->is_array()) return value && value->is_string() ? text(path) : "";
    std::string words;
    for (const nlohmann::json& each : *value) {
        const auto* word = each.get_ptr<const std::string*>();
        if (!word || word->empty()) continue;
        const bool plain =
            std::all_of(word->begin(), word->end(), [](char c) { return c > 0x20 && c < 0x7F; });
        if (!plain) continue;
        if (!words.empty()) words += ' ';
        words += *word;
    }
    return words;
}

bool CredentialReader::flag(std::string_view path)
{
    const nlohmann::json* value = find(path);
    if (!value) return false;
    if (value->is_boolean()) return value->get<bool>();
    wrong_type(path, "true or false", *value);
    return false;
}

AccountOptions CredentialReader::options()
{
    const nlohmann::json* object = find("codex_pool");
    if (!object) return {};
    Result<ParsedOptions> parsed = parse_account_options(*object);
    if (!parsed) {
        if (!problem_)
            problem_ = Problem{
                "", parsed.error().where + " " + parsed.error().what, parsed.error().remedy};
        return {};
    }
    for (const std::string& key : parsed->unknown)
        warnings_.push_back("'codex_pool." + printable(key) + "' is no option; ignored");
    return std::move(parsed->options);
}

void CredentialReader::expect_object(std::string_view path)
{
    const nlohmann::json* value = find(path);
    if (value && !value->is_object()) wrong_type(path, "an object", *value);
}

std::string to_lower(std::string_view text)
{
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    return out;
}

} // namespace shared::providers
