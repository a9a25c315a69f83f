/// Bodies of forms that send files: multipart/form-data (RFC 7578). What is in a part stays opaque. Pure.
#pragma once

#include "shared/base/result.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace admin_ui {

/// A form of ours has five.
inline constexpr std::size_t kFormPartsMax = 16;

struct FormPart {
    std::string name;
    std::string_view content; ///< in the body
};

[[nodiscard]] bool is_multipart(std::string_view content_type) noexcept;

/// The parts in their order. Problem: no boundary, a part without a name or an end, more than kFormPartsMax.
[[nodiscard]] shared::Result<std::vector<FormPart>>
parse_multipart(std::string_view content_type, std::string_view body);

} // namespace admin_ui
