/// `why` for one request id: from its decision record, or from the history when that is gone.
#pragma once

#include "admin_ui/explain.hpp"
#include "admin_ui/usage_query.hpp"
#include "shared/providers/provider.hpp"
#include "shared/segment/layout.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace admin_ui {

struct WhyAnswer {
    unsigned status = 200;             ///< 400: no request id; 404: nothing is known of it
    std::string text;                  ///< for people; of an error one sentence
    std::string json;                  ///< for programs; empty with an error
    std::optional<RequestEntry> entry; ///< what the history knows of it
};

/// `request_id` as in X-Request-Id: 16 hexadecimal digits. `row` is its row in the history, where that is known; else
/// 0.
[[nodiscard]] WhyAnswer explain_request(
    shared::Segment& segment,
    UsageQuery& usage,
    const shared::ProviderRegistry& registry,
    std::string_view request_id,
    std::int64_t row,
    shared::UnixMillis now);

} // namespace admin_ui
