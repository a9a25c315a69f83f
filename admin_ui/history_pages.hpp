/// The Requests and Events pages, and one request in detail. Pure.
#pragma once

#include "admin_ui/usage_query.hpp"
#include "shared/segment/event_log.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace admin_ui {

/// The filter as it was typed, to be shown again.
struct RequestsPageView {
    RequestFilter filter;
    std::string status; ///< "429", "4xx", "failed"
    std::string from;
    std::string to;
    RequestPage page;
    std::string problem;
    shared::UnixMillis now;
};

[[nodiscard]] std::string requests_page(const RequestsPageView& view);

/// Why a request went where it went, and where its time went; `text` as explain() makes it, or a sentence saying that
/// nothing is known.
[[nodiscard]] std::string why_page(
    std::string_view request_id,
    std::string_view text,
    const std::optional<RequestEntry>& entry,
    shared::UnixMillis now);

/// Newest first.
[[nodiscard]] std::string
events_page(const std::vector<shared::Event>& events, shared::UnixMillis now);

} // namespace admin_ui
