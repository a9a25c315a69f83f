#include "shared/http/json_picker.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <stdexcept>

namespace shared::http {

JsonPaths::JsonPaths(std::span<const std::string_view> paths) : path_count_(paths.size())
{
    static constexpr std::string_view kElements = "[]";
    if (paths.size() > kPathsMax) throw std::length_error("too many JSON paths");
    nodes_.emplace_back();
    for (std::size_t i = 0; i < paths.size(); ++i) {
        const std::uint64_t bit = std::uint64_t{1} << i;
        std::string_view rest = paths[i];
        std::uint16_t at = 0;
        bool elements = rest == kElements;
        bool more = !rest.empty() && !elements;
        while (more) {
            const std::size_t dot = rest.find('.');
            std::string_view name = rest.substr(0, dot);
            more = dot != std::string_view::npos;
            if (more) rest.remove_prefix(dot + 1);
            elements = name.ends_with(kElements);
            if (elements) name.remove_suffix(kElements.size());
            nodes_[at].below |= bit;
            std::uint16_t next = child(at, name);
            if (next == kNoNode) {
                next = static_cast<std::uint16_t>(nodes_.size());
                Node& node = nodes_.emplace_back();
                node.name = name;
                node.parent = at;
                nodes_[at].children.push_back({key_of(name), next});
                nodes_[at].lengths |= std::uint64_t{1} << length_bit(name.size());
                longest_name_ = std::max(longest_name_, name.size());
            }
            at = next;
        }
        (elements ? nodes_[at].elements : nodes_[at].own) |= bit;
    }
}

std::uint16_t JsonPaths::search(const Node& node, std::string_view name) const noexcept
{
    const std::uint32_t wanted = key_of(name);
    for (const Child& child : node.children) {
        if (child.key == wanted && nodes_[child.index].name == name) return child.index;
    }
    return kNoNode;
}

namespace {

/// True if from_chars() would read `text` as the number it is in JSON: no "inf", "nan" or white space.
bool looks_like_number(const PickedValue& value) noexcept
{
    if (value.truncated) return false;
    if (value.kind != JsonKind::number && value.kind != JsonKind::string) return false;
    std::string_view text = value.text;
    if (text.starts_with('-')) text.remove_prefix(1);
    return !text.empty() && text.front() >= '0' && text.front() <= '9';
}

} // namespace

std::optional<std::int64_t> PickedValue::integer() const
{
    if (!looks_like_number(*this)) return std::nullopt;
    const char* const end = text.data() + text.size();
    std::int64_t exact = 0;
    const auto result = std::from_chars(text.data(), end, exact);
    if (result.ptr == end && result.ec == std::errc()) return exact;
    const std::optional<double> approximate = number();
    // 2^63 is the first double that no int64 can hold.
    if (!approximate || !(std::abs(*approximate) < 9223372036854775808.0)) return std::nullopt;
    return static_cast<std::int64_t>(*approximate);
}

std::optional<double> PickedValue::number() const
{
    if (!looks_like_number(*this)) return std::nullopt;
    const char* const end = text.data() + text.size();
    double value = 0;
    const auto result = std::from_chars(text.data(), end, value);
    if (result.ptr != end || result.ec != std::errc()) return std::nullopt;
    return value;
}

} // namespace shared::http
