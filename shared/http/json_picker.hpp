/// Picks a few values out of JSON text without building a document: fed in pieces of any size, it
/// keeps only the values asked for. Used on request bodies (one piece) and on streamed events.
#pragma once

#include "shared/http/json_skipper.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace shared::http {

/// The compiled list of member paths to look for, e.g. "response.usage.input_tokens". Arrays are
/// transparent: an element has its array's path. A path may also name an object or array; then its presence,
/// kind and place are reported, not its text. An array is a match itself and comes before its elements.
/// "messages[]" matches elements of an array only, not the array. "" is the outermost value.
/// Build once, share between pickers.
class JsonPaths {
public:
    static constexpr std::size_t kPathsMax = 64;
    /// Throws std::length_error for more than kPathsMax paths: a mistake in the program.
    explicit JsonPaths(std::span<const std::string_view> paths);

    [[nodiscard]] std::size_t size() const noexcept { return path_count_; }

private:
    friend class JsonPicker;

    static constexpr std::uint16_t kNoNode = 0xFFFF;

    struct Child {
        std::uint32_t key = 0; ///< key_of() its name
        std::uint16_t index = 0;
    };

    /// Length, first, middle and last byte: of names in one object hardly two have the same.
    [[nodiscard]] static std::uint32_t key_of(std::string_view name) noexcept
    {
        if (name.empty()) return 0;
        const auto byte = [name](std::size_t i) {
            return std::uint32_t{static_cast<unsigned char>(name[i])};
        };
        return static_cast<std::uint32_t>(name.size() & 0xFFU) | byte(0) << 8U |
               byte(name.size() / 2) << 16U | byte(name.size() - 1) << 24U;
    }

    /// One member name on the way to a path's end. Sets of paths are bit masks over the list given.
    struct Node {
        std::string name;
        std::uint16_t parent = 0;
        std::uint64_t lengths = 0;  ///< bit n (the last one: and above): a child's name has n bytes
        std::uint64_t own = 0;      ///< paths that end here
        std::uint64_t elements = 0; ///< paths that end here with "[]"
        std::uint64_t below = 0;    ///< paths that go on through a member
        std::vector<Child> children;
    };

    /// The child called `name`, or kNoNode. Most names of a document fail at their length.
    [[nodiscard]] std::uint16_t child(std::uint16_t parent, std::string_view name) const noexcept
    {
        const Node& node = nodes_[parent];
        if (((node.lengths >> length_bit(name.size())) & 1U) == 0) return kNoNode;
        return search(node, name);
    }

    [[nodiscard]] std::uint16_t search(const Node& node, std::string_view name) const noexcept;

    [[nodiscard]] static unsigned length_bit(std::size_t length) noexcept
    {
        return length < 63 ? static_cast<unsigned>(length) : 63U;
    }

    std::vector<Node> nodes_;
    std::size_t path_count_ = 0;
    std::size_t longest_name_ = 0;
};

enum class JsonKind : std::uint8_t { absent, string, number, boolean, null, object, array };

/// One value that was found.
struct PickedValue {
    JsonKind kind = JsonKind::absent;
    bool truncated = false; ///< longer than kValueBytesMax; `text` has the beginning
    std::string text;       ///< string: unescaped; number, boolean: as written; else empty
    /// Where the value stands in what was fed since reset(), quotes included for strings.
    std::uint64_t offset = 0;
    std::uint64_t length = 0; ///< 0 for an object or array that has not ended yet

    [[nodiscard]] bool is_string() const noexcept { return kind == JsonKind::string; }

    /// The number as an integer (fractions cut); nothing if it is no number or out of range. A string holding a
    /// number counts.
    [[nodiscard]] std::optional<std::int64_t> integer() const;
    /// The number as a double; a string holding a number counts.
    [[nodiscard]] std::optional<double> number() const;

    [[nodiscard]] bool is_true() const noexcept
    {
        return kind == JsonKind::boolean && text == "true";
    }
};

/// Which of several matches of one path is reported.
enum class JsonMatch : std::uint8_t {
    last,  ///< the last in the document; all of it is read
    first, ///< the first; reading stops once every path was found (satisfied())
};

/// The incremental scanner. Not a validator: it reports what a well-formed document would mean and
/// stops (malformed()) where it can no longer tell; what it skips, it does not check. The result does not depend on
/// how the document was cut into pieces. Memory: bounded by paths × kValueBytesMax; depth costs one bit a level up to
/// kDepthMax. Bytes after the outermost value are ignored.
class JsonPicker {
public:
    static constexpr std::size_t kValueBytesMax = 4096;
    static constexpr std::size_t kDepthMax = 512;

    /// `paths` must outlive the picker.
    explicit JsonPicker(const JsonPaths& paths, JsonMatch match = JsonMatch::last);

    void feed(std::string_view bytes);
    /// Forgets values and position; ready for the next document.
    void reset();

    /// The outermost value is complete. (An outermost number is complete with the byte after it.)
    [[nodiscard]] bool complete() const noexcept { return state_ == State::done; }

    [[nodiscard]] bool malformed() const noexcept { return state_ == State::broken; }

    /// Every path was found and JsonMatch::first was asked for: the rest of the document is not read.
    [[nodiscard]] bool satisfied() const noexcept { return state_ == State::satisfied; }

    [[nodiscard]] const PickedValue& operator[](std::size_t index) const { return values_[index]; }

    [[nodiscard]] std::span<const PickedValue> values() const noexcept { return values_; }

private:
    enum class State : std::uint8_t {
        value,
        value_or_close, ///< after '['
        name_or_close,  ///< after '{'
        name_quote,     ///< after ',' in an object
        name,           ///< inside a member name that was cut or has escapes
        colon,
        after_value,
        scalar,
        string_skipped,
        string_kept,
        subtree_skipped,
        done,
        satisfied,
        broken,
    };

    static constexpr std::uint16_t kNoNode = JsonPaths::kNoNode;
    static constexpr std::uint32_t kReplacement = 0xFFFD; ///< for half a surrogate pair

    const char* step(const char* p, const char* end);
    const char* begin_value(const char* p, const char* end);
    const char* end_value(const char* p, const char* end);
    const char* after_name(const char* p, const char* end);
    void open_container(bool is_array);
    void close_container(std::uint64_t end_offset);
    const char* begin_name(const char* p, const char* end);
    const char* read_scalar(const char* p, const char* end);
    const char* skip_string(const char* p, const char* end);
    const char* skip_subtree(const char* p, const char* end);
    const char* keep_string(const char* p, const char* end);
    bool decode(const char*& p, const char* end, std::size_t cap);
    bool escape_byte(char c, std::size_t cap);
    void append(std::string_view text, std::size_t cap);
    void append_code_unit(std::size_t cap);
    void append_code_point(std::uint32_t code, std::size_t cap);
    void flush_surrogate(std::size_t cap);
    void end_scalar(std::string_view text, const char* p);
    void publish(JsonKind kind, std::string_view text, std::uint64_t end_offset);
    void value_done();

    [[nodiscard]] bool in_array() const noexcept
    {
        return ((arrays_[depth_ / 64] >> (depth_ % 64)) & 1U) != 0;
    }

    [[nodiscard]] std::uint64_t offset(const char* p) const noexcept
    {
        return base_ + static_cast<std::uint64_t>(p - piece_);
    }

    /// Paths that a match may still be reported for.
    [[nodiscard]] std::uint64_t open_paths() const noexcept
    {
        return match_ == JsonMatch::first ? ~claimed_ : ~std::uint64_t{0};
    }

    const JsonPaths* paths_;
    std::vector<PickedValue> values_;
    std::vector<std::uint16_t> container_depths_; ///< per path, valid for those in open_containers_
    std::string scratch_;                         ///< the string or number being read
    JsonSkipper skipper_;

    const char* piece_ = nullptr; ///< what feed() was called with; only valid inside it
    std::uint64_t base_ = 0;      ///< bytes fed before
    std::uint64_t value_offset_ = 0;

    std::uint64_t targets_ = 0;         ///< paths the value being read is reported for
    std::uint64_t claimed_ = 0;         ///< paths with a match, complete or not
    std::uint64_t found_ = 0;           ///< paths with a complete match
    std::uint64_t open_containers_ = 0; ///< paths whose match is an object or array not yet ended

    std::array<std::uint64_t, kDepthMax / 64 + 1>
        arrays_{}; ///< bit d: the container at depth d is an array
    std::uint32_t depth_ = 0;
    std::uint16_t node_ = 0;   ///< of the innermost container being walked
    std::uint16_t member_ = 0; ///< of the value being read, or kNoNode

    std::uint64_t all_paths_; ///< found_ when every path was found
    JsonMatch match_;
    State state_ = State::value;
    JsonKind scalar_kind_ = JsonKind::absent;
    bool truncated_ = false;
    bool after_backslash_ = false;
    std::uint8_t hex_digits_left_ = 0;
    std::uint16_t hex_ = 0;
    std::uint16_t high_surrogate_ = 0;
};

} // namespace shared::http
