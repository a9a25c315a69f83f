#include "shared/http/json_picker.hpp"

#include "shared/http/scan.hpp"

#include <algorithm>
#include <bit>

namespace shared::http {
namespace {

constexpr std::size_t kKeptCapacityMax = 256; ///< larger buffers are given back at reset()

constexpr bool is_space(char c) noexcept
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/// A byte that a number, true, false or null can be made of.
constexpr bool is_scalar_byte(char c) noexcept
{
    const char folded = static_cast<char>(c | 0x20);
    return (c >= '0' && c <= '9') || (folded >= 'a' && folded <= 'z') || c == '-' || c == '+' ||
           c == '.';
}

JsonKind kind_of(char first) noexcept
{
    if (first == '-' || (first >= '0' && first <= '9')) return JsonKind::number;
    if (first == 't' || first == 'f') return JsonKind::boolean;
    if (first == 'n') return JsonKind::null;
    return JsonKind::absent;
}

bool is_valid_scalar(JsonKind kind, std::string_view text) noexcept
{
    if (kind == JsonKind::boolean) return text == "true" || text == "false";
    if (kind == JsonKind::null) return text == "null";
    return std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
    });
}

void give_back(std::string& text)
{
    if (text.capacity() > kKeptCapacityMax)
        std::string().swap(text);
    else
        text.clear();
}

/// Removes the beginning of a UTF-8 sequence that was cut off.
void trim_cut_sequence(std::string& text)
{
    std::size_t tail = 0;
    while (tail < 3 && tail < text.size()) {
        const auto byte = static_cast<unsigned char>(text[text.size() - 1 - tail]);
        ++tail;
        if (byte < 0x80) return;
        if (byte < 0xC0) continue;
        const std::size_t length = byte >= 0xF0 ? 4U : byte >= 0xE0 ? 3U : 2U;
        if (length > tail) text.resize(text.size() - tail);
        return;
    }
}

/// Calls f(index) for each set bit.
template <class F>
void for_each_bit(std::uint64_t mask, F&& f)
{
    for (; mask != 0; mask &= mask - 1)
        f(static_cast<std::size_t>(std::countr_zero(mask)));
}

} // namespace

JsonPicker::JsonPicker(const JsonPaths& paths, JsonMatch match)
    : paths_(&paths),
      values_(paths.size()),
      container_depths_(paths.size()),
      all_paths_(
          paths.size() == JsonPaths::kPathsMax ? ~std::uint64_t{0}
                                               : (std::uint64_t{1} << paths.size()) - 1),
      match_(match)
{}

void JsonPicker::reset()
{
    for_each_bit(claimed_, [this](std::size_t i) {
        PickedValue& value = values_[i];
        value.kind = JsonKind::absent;
        value.truncated = false;
        give_back(value.text);
        value.offset = 0;
        value.length = 0;
    });
    give_back(scratch_);
    base_ = 0;
    claimed_ = 0;
    found_ = 0;
    open_containers_ = 0;
    arrays_.fill(0);
    depth_ = 0;
    node_ = 0;
    member_ = 0;
    after_backslash_ = false;
    hex_digits_left_ = 0;
    high_surrogate_ = 0;
    state_ = State::value;
}

void JsonPicker::feed(std::string_view bytes)
{
    const char* p = bytes.data();
    const char* const end = p + bytes.size();
    piece_ = p;
    while (p < end && state_ < State::done)
        p = step(p, end);
    base_ += bytes.size();
    piece_ = nullptr;
}

/// Goes on at `p` < `end` in the present state and returns how far it came.
const char* JsonPicker::step(const char* p, const char* end)
{
    switch (state_) {
    case State::name:
        if (!decode(p, end, paths_->longest_name_ + 1)) return p;
        member_ = paths_->child(node_, scratch_);
        state_ = State::colon;
        return p;
    case State::scalar:
        return read_scalar(p, end);
    case State::string_skipped:
        return skip_string(p, end);
    case State::string_kept:
        return keep_string(p, end);
    case State::subtree_skipped:
        return skip_subtree(p, end);
    default:
        break;
    }
    while (is_space(*p)) {
        if (++p == end) return p;
    }
    switch (state_) {
    case State::value_or_close:
        if (*p != ']') return begin_value(p, end);
        close_container(offset(p) + 1);
        return p + 1;
    case State::name_or_close:
        if (*p != '}') return begin_name(p, end);
        close_container(offset(p) + 1);
        return p + 1;
    case State::name_quote:
        return begin_name(p, end);
    case State::colon:
        return after_name(p, end);
    case State::after_value:
        return end_value(p, end);
    default: // value
        return begin_value(p, end);
    }
}

// The next functions go straight on to what usually follows: an event has dozens of members, and a turn
// of the state machine for each colon and comma would be most of their cost.

const char* JsonPicker::after_name(const char* p, const char* end)
{
    if (*p != ':') {
        state_ = State::broken;
        return p;
    }
    state_ = State::value;
    ++p;
    return p < end && !is_space(*p) ? begin_value(p, end) : p;
}

const char* JsonPicker::end_value(const char* p, const char* end)
{
    const bool array = in_array();
    if (*p == ',') {
        ++p;
        if (array) {
            member_ = node_;
            state_ = State::value;
            return p;
        }
        state_ = State::name_quote;
        return p < end && *p == '"' ? begin_name(p, end) : p;
    }
    if (*p == (array ? ']' : '}'))
        close_container(offset(p) + 1);
    else
        state_ = State::broken;
    return p + 1;
}

/// `p` is at the first byte of a value; member_ tells its node.
const char* JsonPicker::begin_value(const char* p, const char* end)
{
    targets_ = 0;
    if (member_ != kNoNode) {
        const JsonPaths::Node& node = paths_->nodes_[member_];
        targets_ = (node.own | (in_array() ? node.elements : 0)) & open_paths();
    }
    value_offset_ = offset(p);
    scratch_.clear();
    truncated_ = false;
    const char c = *p++;
    if (c == '"') {
        if (targets_ == 0) {
            state_ = State::string_skipped;
            return skip_string(p, end);
        }
        // Usually all of it is here and means what it says.
        const char* const far =
            static_cast<std::size_t>(end - p) > kValueBytesMax ? p + kValueBytesMax : end;
        const char* const stop = scan::find_either(p, far, '"', '\\');
        if (stop < far && *stop == '"') {
            publish(JsonKind::string, {p, static_cast<std::size_t>(stop - p)}, offset(stop + 1));
            return stop + 1;
        }
        state_ = State::string_kept;
        return keep_string(p, end);
    }
    if (c == '{' || c == '[') {
        open_container(c == '[');
        // An empty one that would be skipped needs no skipper.
        if (p < end && *p == (c == '[' ? ']' : '}') && state_ == State::subtree_skipped) {
            ++p;
            close_container(offset(p));
        }
        return p;
    }
    scalar_kind_ = kind_of(c);
    if (scalar_kind_ == JsonKind::absent) {
        state_ = State::broken;
        return p;
    }
    const char* const begin = p - 1;
    while (p < end && is_scalar_byte(*p))
        ++p;
    const auto size = static_cast<std::size_t>(p - begin);
    if (p < end && size <= kValueBytesMax) {
        end_scalar({begin, size}, p);
        return p;
    }
    state_ = State::scalar;
    if (targets_ != 0) append({begin, size}, kValueBytesMax);
    return p;
}

void JsonPicker::open_container(bool is_array)
{
    if (++depth_ > kDepthMax) {
        state_ = State::broken;
        return;
    }
    for_each_bit(targets_, [&](std::size_t i) {
        PickedValue& value = values_[i];
        value.kind = is_array ? JsonKind::array : JsonKind::object;
        value.truncated = false;
        value.text.clear();
        value.offset = value_offset_;
        value.length = 0;
        container_depths_[i] = static_cast<std::uint16_t>(depth_);
    });
    open_containers_ |= targets_;
    claimed_ |= targets_;

    std::uint64_t inside = 0;
    if (member_ != kNoNode) {
        const JsonPaths::Node& node = paths_->nodes_[member_];
        inside = node.below | (is_array ? node.own | node.elements : 0);
    }
    const std::uint64_t bit = std::uint64_t{1} << (depth_ % 64);
    std::uint64_t& word = arrays_[depth_ / 64];
    word = is_array ? word | bit : word & ~bit;
    if ((inside & open_paths()) == 0) {
        skipper_.start(static_cast<std::uint32_t>(kDepthMax + 1 - depth_));
        state_ = State::subtree_skipped;
        return;
    }
    node_ = member_;
    state_ = is_array ? State::value_or_close : State::name_or_close;
}

/// The innermost container ended before `end_offset`; node_ is its node unless it was skipped.
void JsonPicker::close_container(std::uint64_t end_offset)
{
    for_each_bit(open_containers_, [&](std::size_t i) {
        if (container_depths_[i] != depth_) return;
        values_[i].length = end_offset - values_[i].offset;
        open_containers_ &= ~(std::uint64_t{1} << i);
        found_ |= std::uint64_t{1} << i;
    });
    const bool walked = state_ != State::subtree_skipped;
    --depth_;
    // An array's node is that of its elements, so only an object gives way to its parent.
    if (walked && depth_ > 0 && !in_array()) node_ = paths_->nodes_[node_].parent;
    value_done();
}

void JsonPicker::value_done()
{
    if (depth_ == 0)
        state_ = State::done;
    else if (match_ == JsonMatch::first && found_ == all_paths_)
        state_ = State::satisfied;
    else
        state_ = State::after_value;
}

const char* JsonPicker::begin_name(const char* p, const char* end)
{
    if (*p != '"') {
        state_ = State::broken;
        return p;
    }
    ++p;
    const char* const stop = scan::find_either(p, end, '"', '\\');
    if (stop < end && *stop == '"') {
        member_ = paths_->child(node_, {p, static_cast<std::size_t>(stop - p)});
        state_ = State::colon;
        p = stop + 1;
        return p < end && *p == ':' ? after_name(p, end) : p;
    }
    scratch_.clear();
    truncated_ = false;
    state_ = State::name;
    return p;
}

const char* JsonPicker::read_scalar(const char* p, const char* end)
{
    const char* const start = p;
    while (p < end && is_scalar_byte(*p))
        ++p;
    if (targets_ != 0) append({start, static_cast<std::size_t>(p - start)}, kValueBytesMax);
    if (p < end) end_scalar(scratch_, p);
    return p;
}

/// `text` is all of it, or its beginning if it is too long to be kept; `p` is behind it.
void JsonPicker::end_scalar(std::string_view text, const char* p)
{
    if (targets_ == 0)
        value_done();
    else if (!is_valid_scalar(scalar_kind_, text))
        state_ = State::broken;
    else
        publish(
            scalar_kind_, scalar_kind_ == JsonKind::null ? std::string_view() : text, offset(p));
}

const char* JsonPicker::skip_string(const char* p, const char* end)
{
    if (after_backslash_) {
        after_backslash_ = false;
        ++p;
    }
    for (;;) {
        p = scan::find_either(p, end, '"', '\\');
        if (p == end) return p;
        if (*p == '"') {
            value_done();
            return p + 1;
        }
        if (++p == end) {
            after_backslash_ = true;
            return p;
        }
        ++p;
    }
}

const char* JsonPicker::keep_string(const char* p, const char* end)
{
    if (!decode(p, end, kValueBytesMax)) return p;
    if (truncated_) trim_cut_sequence(scratch_);
    publish(JsonKind::string, scratch_, offset(p));
    return p;
}

const char* JsonPicker::skip_subtree(const char* p, const char* end)
{
    switch (skipper_.skip(p, end)) {
    case JsonSkipper::Outcome::inside:
        break;
    case JsonSkipper::Outcome::end:
        close_container(offset(p));
        break;
    case JsonSkipper::Outcome::too_deep:
        state_ = State::broken;
        break;
    }
    return p;
}

/// Reports a string or scalar for all of targets_.
void JsonPicker::publish(JsonKind kind, std::string_view text, std::uint64_t end_offset)
{
    for_each_bit(targets_, [&](std::size_t i) {
        PickedValue& value = values_[i];
        value.kind = kind;
        value.truncated = truncated_;
        value.offset = value_offset_;
        value.length = end_offset - value_offset_;
        value.text = text;
    });
    open_containers_ &= ~targets_;
    claimed_ |= targets_;
    found_ |= targets_;
    value_done();
}

/// Unescapes into scratch_, at most `cap` bytes. True once the closing quote was consumed.
bool JsonPicker::decode(const char*& p, const char* end, std::size_t cap)
{
    while (p < end) {
        if (after_backslash_ || hex_digits_left_ > 0) {
            if (!escape_byte(*p++, cap)) {
                state_ = State::broken;
                return false;
            }
            continue;
        }
        const char* const stop = scan::find_either(p, end, '"', '\\');
        append({p, static_cast<std::size_t>(stop - p)}, cap);
        p = stop;
        if (p == end) return false;
        if (*p++ == '"') {
            flush_surrogate(cap);
            return true;
        }
        after_backslash_ = true;
    }
    return false;
}

/// One byte of an escape sequence; false if it cannot be one.
bool JsonPicker::escape_byte(char c, std::size_t cap)
{
    if (hex_digits_left_ > 0) {
        const char folded = static_cast<char>(c | 0x20);
        unsigned digit = 0;
        if (c >= '0' && c <= '9')
            digit = static_cast<unsigned>(c - '0');
        else if (folded >= 'a' && folded <= 'f')
            digit = static_cast<unsigned>(folded - 'a' + 10);
        else
            return false;
        hex_ = static_cast<std::uint16_t>(hex_ << 4U | digit);
        if (--hex_digits_left_ == 0) append_code_unit(cap);
        return true;
    }
    after_backslash_ = false;
    static constexpr std::string_view kLetters = "\"\\/bfnrt";
    static constexpr std::string_view kMeanings = "\"\\/\b\f\n\r\t";
    if (c == 'u') {
        hex_ = 0;
        hex_digits_left_ = 4;
        return true;
    }
    const std::size_t index = kLetters.find(c);
    if (index == std::string_view::npos) return false;
    append(kMeanings.substr(index, 1), cap);
    return true;
}

/// The UTF-16 code unit of a \u escape is whole: half of a pair waits for the other half.
void JsonPicker::append_code_unit(std::size_t cap)
{
    const std::uint32_t unit = hex_;
    if (unit >= 0xDC00 && unit <= 0xDFFF && high_surrogate_ != 0) {
        const std::uint32_t high = high_surrogate_;
        high_surrogate_ = 0;
        append_code_point(0x10000 + ((high - 0xD800) << 10U) + (unit - 0xDC00), cap);
        return;
    }
    flush_surrogate(cap);
    if (unit >= 0xD800 && unit <= 0xDBFF)
        high_surrogate_ = hex_;
    else
        append_code_point(unit >= 0xDC00 && unit <= 0xDFFF ? kReplacement : unit, cap);
}

/// The first half of a pair came to nothing.
void JsonPicker::flush_surrogate(std::size_t cap)
{
    if (high_surrogate_ == 0) return;
    high_surrogate_ = 0;
    append_code_point(kReplacement, cap);
}

void JsonPicker::append_code_point(std::uint32_t code, std::size_t cap)
{
    const auto tail = [code](unsigned shift) {
        return static_cast<char>(0x80U | ((code >> shift) & 0x3FU));
    };
    char bytes[4];
    std::size_t size = 0;
    if (code < 0x80) {
        bytes[size++] = static_cast<char>(code);
    } else if (code < 0x800) {
        bytes[size++] = static_cast<char>(0xC0U | code >> 6U);
        bytes[size++] = tail(0);
    } else if (code < 0x10000) {
        bytes[size++] = static_cast<char>(0xE0U | code >> 12U);
        bytes[size++] = tail(6);
        bytes[size++] = tail(0);
    } else {
        bytes[size++] = static_cast<char>(0xF0U | code >> 18U);
        bytes[size++] = tail(12);
        bytes[size++] = tail(6);
        bytes[size++] = tail(0);
    }
    append({bytes, size}, cap);
}

void JsonPicker::append(std::string_view text, std::size_t cap)
{
    if (text.empty()) return;
    flush_surrogate(cap);
    const std::size_t room = cap - scratch_.size();
    if (text.size() > room) truncated_ = true;
    scratch_.append(text.substr(0, room));
}

} // namespace shared::http
