/// What is posted to a webhook for an event, in the form its service takes. Pure.
#pragma once

#include "shared/http/head.hpp"
#include "shared/http/webhook_url.hpp"
#include "shared/segment/event_log.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace refresher {

struct WebhookBody {
    std::vector<shared::http::Header> headers;
    std::string text;
};

/// `format` as in [notify] webhook_format: json (the event as it is in /admin/events), ntfy (its topic is the path of
/// the address), slack, discord, telegram (`chat_id` is taken from the address).
[[nodiscard]] WebhookBody webhook_body(
    std::string_view format, const shared::http::WebhookUrl& url, const shared::Event& event);

} // namespace refresher
