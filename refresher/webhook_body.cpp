#include "refresher/webhook_body.hpp"

#include "shared/segment/event_text.hpp"

namespace refresher {
namespace {

using shared::Event;
using shared::EventType;

constexpr const char* kJson = "application/json";

/// "codex-pool, pool_low: codex has …"
std::string sentence(const Event& event)
{
    return "codex-pool, " + std::string(shared::to_string(event.type)) + ": " +
           std::string(event.text.view());
}

/// `{"name":"sentence"}`
WebhookBody message(std::string_view name, const Event& event)
{
    return {
        {{"Content-Type", kJson}},
        "{" + shared::json_string(name) + ":" + shared::json_string(sentence(event)) + "}"};
}

WebhookBody ntfy(const Event& event)
{
    const std::string_view severity = shared::severity(event.type);
    // ntfy's priorities go from 1 to 5, 3 is the default; tags are shown as emojis.
    const char* priority = severity == "error" ? "5" : severity == "warn" ? "4" : "3";
    const char* tag = event.type == EventType::recovered ? "white_check_mark" : "warning";
    return {
        {{"Content-Type", "text/plain; charset=utf-8"},
         {"Title", "codex-pool: " + std::string(shared::to_string(event.type))},
         {"Priority", priority},
         {"Tags", tag}},
        std::string(event.text.view())};
}

WebhookBody telegram(const shared::http::WebhookUrl& url, const Event& event)
{
    return {
        {{"Content-Type", kJson}},
        "{\"chat_id\":" + shared::json_string(url.parameter("chat_id")) +
            ",\"text\":" + shared::json_string(sentence(event)) + "}"};
}

} // namespace

WebhookBody
webhook_body(std::string_view format, const shared::http::WebhookUrl& url, const Event& event)
{
    if (format == "ntfy") return ntfy(event);
    if (format == "slack") return message("text", event);
    if (format == "discord") return message("content", event);
    if (format == "telegram") return telegram(url, event);
    return {{{"Content-Type", kJson}}, shared::event_json(event)};
}

} // namespace refresher
