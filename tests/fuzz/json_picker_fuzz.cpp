/// The picker against a SAX parser: the same values for every valid document, and for every document
/// the same result however it is cut.
#include "shared/http/json_picker.hpp"
#include "tests/fuzz/fuzz.hpp"

#include <nlohmann/json.hpp>

#include <array>
#include <charconv>
#include <string>
#include <vector>

using namespace shared::http;

namespace {

constexpr std::array<std::string_view, 12> kPathList = {
    "a",
    "b",
    "a.b",
    "a.a.a",
    "",
    "[]",
    "b[]",
    "a.b[].c",
    "model",
    "usage.input_tokens",
    "c.",
    "\xC3\xA9"};

const JsonPaths& path_set(std::uint8_t number)
{
    static const std::array<std::vector<std::string_view>, 4> kLists = {
        std::vector<std::string_view>(kPathList.begin(), kPathList.end()),
        std::vector<std::string_view>{"a.b", "model"},
        std::vector<std::string_view>{"b[]"},
        std::vector<std::string_view>{"a", "a.b[].c", "usage.input_tokens"}};
    static const std::array<JsonPaths, 4> kPaths = {
        JsonPaths(kLists[0]), JsonPaths(kLists[1]), JsonPaths(kLists[2]), JsonPaths(kLists[3])};
    return kPaths[number % 4];
}

std::vector<std::string_view> path_names(std::uint8_t number)
{
    switch (number % 4) {
    case 0:
        return {kPathList.begin(), kPathList.end()};
    case 1:
        return {"a.b", "model"};
    case 2:
        return {"b[]"};
    default:
        return {"a", "a.b[].c", "usage.input_tokens"};
    }
}

struct Found {
    JsonKind kind = JsonKind::absent;
    std::string text;
    double number = 0;
};

/// Keeps the members on the way to each value as one string, "a.b", and compares it with the paths.
class Oracle : public nlohmann::json_sax<nlohmann::json> {
public:
    Oracle(std::vector<std::string_view> paths, JsonMatch match) : match_(match)
    {
        for (const std::string_view path : paths) {
            std::string plain(path);
            const bool elements = plain.ends_with("[]");
            for (std::size_t at = 0; (at = plain.find("[]", at)) != std::string::npos;)
                plain.erase(at, 2);
            // Every member is written with a dot before it, so that "" differs from a member called "".
            paths_.push_back({path.empty() || path == "[]" ? "" : "." + plain, elements});
        }
        found.resize(paths.size());
    }

    std::vector<Found> found;
    std::size_t deepest = 0;
    bool has_dot_in_name = false;

    bool null() override { return value({JsonKind::null, "", 0}); }

    bool boolean(bool v) override { return value({JsonKind::boolean, v ? "true" : "false", 0}); }

    bool number_integer(number_integer_t v) override
    {
        return value({JsonKind::number, "", static_cast<double>(v)});
    }

    bool number_unsigned(number_unsigned_t v) override
    {
        return value({JsonKind::number, "", static_cast<double>(v)});
    }

    bool number_float(number_float_t v, const string_t&) override
    {
        return value({JsonKind::number, "", v});
    }

    bool string(string_t& v) override { return value({JsonKind::string, v, 0}); }

    bool binary(binary_t&) override { return false; }

    bool start_object(std::size_t) override { return open(JsonKind::object); }

    bool start_array(std::size_t) override { return open(JsonKind::array); }

    bool key(string_t& name) override
    {
        Level& level = levels_.back();
        has_dot_in_name = has_dot_in_name || name.find('.') != std::string::npos;
        level.member = level.path + "." + name;
        return true;
    }

    bool end_object() override { return close(); }

    bool end_array() override { return close(); }

    bool parse_error(std::size_t, const std::string&, const nlohmann::json::exception&) override
    {
        return false;
    }

private:
    struct Path {
        std::string text;
        bool elements;
    };

    struct Level {
        bool array;
        std::string path;
        std::string member; ///< path of the value to come
    };

    bool value(const Found& what)
    {
        const bool in_array = !levels_.empty() && levels_.back().array;
        const std::string path = levels_.empty() ? "" : levels_.back().member;
        for (std::size_t i = 0; i < paths_.size(); ++i) {
            if (paths_[i].text != path || (paths_[i].elements && !in_array)) continue;
            if (match_ == JsonMatch::first && found[i].kind != JsonKind::absent) continue;
            found[i] = what;
        }
        return true;
    }

    bool open(JsonKind kind)
    {
        value({kind, "", 0});
        const std::string path = levels_.empty() ? "" : levels_.back().member;
        levels_.push_back({kind == JsonKind::array, path, path});
        deepest = std::max(deepest, levels_.size());
        return true;
    }

    bool close()
    {
        levels_.pop_back();
        return true;
    }

    JsonMatch match_;
    std::vector<Path> paths_;
    std::vector<Level> levels_;
};

void check_same(const JsonPicker& a, const JsonPicker& b)
{
    FUZZ_CHECK(a.complete() == b.complete());
    FUZZ_CHECK(a.malformed() == b.malformed());
    FUZZ_CHECK(a.satisfied() == b.satisfied());
    for (std::size_t i = 0; i < a.values().size(); ++i) {
        FUZZ_CHECK(a[i].kind == b[i].kind);
        FUZZ_CHECK(a[i].text == b[i].text);
        FUZZ_CHECK(a[i].truncated == b[i].truncated);
        FUZZ_CHECK(a[i].offset == b[i].offset);
        FUZZ_CHECK(a[i].length == b[i].length);
    }
}

void check_value(const PickedValue& value, const Found& expected, std::string_view document)
{
    FUZZ_CHECK(value.kind == expected.kind);
    if (value.kind == JsonKind::absent) return;
    FUZZ_CHECK(value.offset + value.length <= document.size());
    const std::string_view place = document.substr(value.offset, value.length);
    const auto again = nlohmann::json::parse(place, nullptr, false);
    FUZZ_CHECK(!again.is_discarded());
    FUZZ_CHECK(again.is_object() == (value.kind == JsonKind::object));
    FUZZ_CHECK(again.is_array() == (value.kind == JsonKind::array));
    if (value.truncated) {
        FUZZ_CHECK(expected.text.starts_with(value.text) || value.kind == JsonKind::number);
    } else if (value.kind == JsonKind::number) {
        FUZZ_CHECK(value.text == place);
        const auto number = value.number();
        FUZZ_CHECK(!number || *number == expected.number);
    } else {
        FUZZ_CHECK(value.text == expected.text);
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    fuzz::Input input(data, size);
    const std::uint8_t set = input.choice();
    const JsonMatch match = input.choice() % 2 == 0 ? JsonMatch::last : JsonMatch::first;
    const std::uint8_t seed = input.choice();
    const std::string document = std::string(input.rest()) + " "; // ends an outermost number

    JsonPicker whole(path_set(set), match);
    whole.feed(document);
    JsonPicker pieces(path_set(set), match);
    fuzz::in_pieces(document, seed, [&](std::string_view piece) { pieces.feed(piece); });
    check_same(whole, pieces);
    pieces.reset();
    fuzz::in_pieces(document, 0, [&](std::string_view piece) { pieces.feed(piece); });
    check_same(whole, pieces);

    if (document.starts_with("\xEF")) return 0; // the oracle skips a byte order mark
    Oracle oracle(path_names(set), match);
    const bool valid = nlohmann::json::sax_parse(document, &oracle);
    if (!valid || oracle.has_dot_in_name) return 0;
    if (oracle.deepest > JsonPicker::kDepthMax) return 0;
    FUZZ_CHECK(whole.complete() || whole.satisfied());
    for (std::size_t i = 0; i < oracle.found.size(); ++i)
        check_value(whole[i], oracle.found[i], document);
    return 0;
}
