/// Picks a few values out of JSON text without building a document: fed in pieces of any size, it
/// keeps only the values asked for. Used on request bodies (one piece) and on streamed events.
#pragma once

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
/// transparent: an element has its array's path, and the last match wins. A path may also name an object or
/// array; then only its presence and kind are reported. Build once, share between pickers.
class JsonPaths {
public:
    static constexpr std::size_t kPathsMax = 64;
    explicit JsonPaths(std::span<const std::string_view> paths);

    [[nodiscard]] std::size_t size() const noexcept { return leaf_count_; }

private:
    friend class JsonPicker;

    struct Node {
        std::string name;
        std::int16_t leaf = -1; ///< index in the list given, or -1
        std::vector<std::uint16_t> children;
    };

    std::vector<Node> nodes_;
    std::size_t leaf_count_ = 0;
};

enum class JsonKind : std::uint8_t { absent, string, number, boolean, null, object, array };

/// One value that was found.
struct PickedValue {
    JsonKind kind = JsonKind::absent;
    bool truncated = false; ///< longer than kValueBytesMax; `text` has the beginning
    std::string text;       ///< string: unescaped; number, boolean: as written; else empty
    /// Where the value stands in what was fed since reset(), quotes included for strings.
    std::uint64_t offset = 0;
    std::uint64_t length = 0;

    [[nodiscard]] bool is_string() const noexcept { return kind == JsonKind::string; }

    /// The number as an integer (fractions cut); nothing if it is no number. A string holding a number counts.
    [[nodiscard]] std::optional<std::int64_t> integer() const;
    /// The number as a double; a string holding a number counts.
    [[nodiscard]] std::optional<double> number() const;

    [[nodiscard]] bool is_true() const noexcept
    {
        return kind == JsonKind::boolean && text == "true";
    }
};

/// The incremental scanner. Not a validator: it reports what a well-formed document would mean and
/// stops (malformed()) where it can no longer tell. Memory: bounded by paths × kValueBytesMax; depth costs one bit a level up to kDepthMax.
class JsonPicker {
public:
    static constexpr std::size_t kValueBytesMax = 4096;
    static constexpr std::size_t kDepthMax = 512;

    explicit JsonPicker(const JsonPaths& paths);

    void feed(std::string_view bytes);
    /// Forgets values and position; ready for the next document.
    void reset();

    /// The outermost value is complete.
    [[nodiscard]] bool complete() const noexcept;
    [[nodiscard]] bool malformed() const noexcept;

    [[nodiscard]] const PickedValue& operator[](std::size_t index) const { return values_[index]; }

    [[nodiscard]] std::span<const PickedValue> values() const noexcept { return values_; }

private:
    const JsonPaths* paths_;
    std::vector<PickedValue> values_;
    // The implementer of json_picker.cpp completes the state.
};

} // namespace shared::http
