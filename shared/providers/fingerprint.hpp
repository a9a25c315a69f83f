/// What request bodies of more than one vendor are asked: are they JSON, and what stands in for a conversation id
/// where the client sends none (the conversation's beginning, which each later turn repeats).
#pragma once

#include "shared/http/json_picker.hpp"

#include <cstddef>
#include <string>
#include <string_view>

namespace shared::providers {

/// Bytes of the first element that count. A longer one is told apart by its beginning only.
inline constexpr std::size_t kFingerprintBytesMax = 16 * 1024;

/// The model and the raw text of `first`, picked from `body` ("messages[]" with JsonMatch::first), without its cache
/// marks (Anthropic clients move them from message to message). Empty if there is no such element.
[[nodiscard]] std::string
fingerprint_of(std::string_view model, const http::PickedValue& first, std::string_view body);

/// `body` is no JSON object, as far as `picker` (fed with all of it) had to look.
[[nodiscard]] bool is_no_object(const http::JsonPicker& picker, std::string_view body);

} // namespace shared::providers
