/// The fake Anthropic API: messages (streamed or not), token counts, account calls.
#include "shared/fake_providers/answer.hpp"
#include "shared/fake_providers/coding.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <ctime>

namespace shared::fake_providers {

namespace {

using Json = nlohmann::json;

/// What message_start says of the output, before there is any.
constexpr std::uint64_t kPlaceholder = 1;

/// Anthropic reports no reasoning apart.
Tokens cost(const Call& call)
{
    Tokens out = call.tokens;
    out.reasoning = 0;
    return out;
}

Json usage_json(const Tokens& tokens)
{
    return {
        {"input_tokens", tokens.input - tokens.cached - tokens.cache_creation},
        {"cache_creation_input_tokens", tokens.cache_creation},
        {"cache_read_input_tokens", tokens.cached},
        {"output_tokens", tokens.output},
        {"service_tier", "standard"}};
}

std::string rfc3339(long seconds)
{
    const std::time_t time = seconds;
    std::tm utc{};
    (void)::gmtime_r(&time, &utc);
    char text[32];
    (void)std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
    return text;
}

void add_quota_headers(const Call& call, Headers& headers)
{
    const Quota& quota = call.quota;
    if (call.account != nullptr && call.account->kind == Kind::api_key) {
        headers.emplace_back("anthropic-ratelimit-tokens-limit", "400000");
        headers.emplace_back("anthropic-ratelimit-tokens-remaining", "390000");
        headers.emplace_back("anthropic-ratelimit-tokens-reset", rfc3339(quota.short_resets));
        return;
    }
    const std::string base = "anthropic-ratelimit-unified-";
    headers.emplace_back(base + "status", "allowed");
    headers.emplace_back(base + "5h-status", "allowed");
    headers.emplace_back(base + "5h-reset", std::to_string(quota.short_resets));
    headers.emplace_back(base + "5h-utilization", std::to_string(quota.short_used / 100));
    headers.emplace_back(base + "7d-status", "allowed");
    headers.emplace_back(base + "7d-reset", std::to_string(quota.long_resets));
    headers.emplace_back(base + "7d-utilization", std::to_string(quota.long_used / 100));
    headers.emplace_back(base + "representative-claim", "five_hour");
    headers.emplace_back("anthropic-organization-id", "fake-organization");
}

bool has_foreign_signature(const Call& call, const Json& request)
{
    const auto messages = request.find("messages");
    if (messages == request.end() || !messages->is_array()) return false;
    for (const Json& message : *messages) {
        const auto content = message.is_object() ? message.find("content") : message.end();
        if (!message.is_object() || content == message.end() || !content->is_array()) continue;
        for (const Json& block : *content) {
            if (block.is_object() && block.contains("signature") &&
                block["signature"].is_string() &&
                is_foreign(call, block["signature"].get<std::string>()))
                return true;
        }
    }
    return false;
}

bool thinks(const Json& request)
{
    const auto thinking = request.find("thinking");
    return thinking != request.end() && thinking->is_object() &&
           thinking->value("type", "disabled") != "disabled";
}

Event event(const Json& data)
{
    return {.name = data["type"].get<std::string>(), .data = data.dump(), .says = std::nullopt};
}

void add_block(
    std::vector<Event>& out, std::size_t index, const Json& start, const std::vector<Json>& deltas)
{
    out.push_back(
        event({{"type", "content_block_start"}, {"index", index}, {"content_block", start}}));
    for (const Json& delta : deltas)
        out.push_back(event({{"type", "content_block_delta"}, {"index", index}, {"delta", delta}}));
    out.push_back(event({{"type", "content_block_stop"}, {"index", index}}));
}

std::vector<Event> message_events(const Call& call, const Json& request, const Json& message)
{
    const Tokens total = cost(call);
    std::vector<Event> out;
    Json start = message;
    start["content"] = Json::array();
    start["stop_reason"] = nullptr;
    Tokens first = total;
    first.output = kPlaceholder;
    start["usage"] = usage_json(first);
    out.push_back(event({{"type", "message_start"}, {"message", start}}));
    out.back().says = first;
    if (!call.error_event.empty() && call.error_after == 0) {
        out.push_back({.name = "error", .data = call.error_event, .says = Tokens{}, .last = true});
        return out;
    }
    std::size_t index = 0;
    if (thinks(request))
        add_block(
            out,
            index++,
            {{"type", "thinking"}, {"thinking", ""}, {"signature", ""}},
            {{{"type", "thinking_delta"}, {"thinking", "hm"}},
             {{"type", "signature_delta"}, {"signature", bound_state(call)}}});
    out.push_back(event({{"type", "ping"}}));
    std::vector<Json> deltas;
    for (const std::string& piece : reply_pieces(call, "claude"))
        deltas.push_back({{"type", "text_delta"}, {"text", piece}});
    add_block(out, index, {{"type", "text"}, {"text", ""}}, deltas);
    if (!call.error_event.empty()) {
        out.resize(std::min(out.size(), call.error_after));
        out.push_back(
            {.name = "error", .data = call.error_event, .says = std::nullopt, .last = true});
        return out;
    }
    out.push_back(event(
        {{"type", "message_delta"},
         {"delta", {{"stop_reason", "end_turn"}, {"stop_sequence", nullptr}}},
         {"usage", {{"output_tokens", total.output}}}}));
    out.back().says = total;
    out.push_back(event({{"type", "message_stop"}}));
    out.back().last = true;
    return out;
}

Answer messages(const Call& call)
{
    const Json request = Json::parse(call.decoded, nullptr, false);
    if (!request.is_object())
        return error_answer(Vendor::claude, 400, "invalid_request_error", "The body is not JSON.");
    if (call.moved_is_error || has_foreign_signature(call, request))
        return error_answer(
            Vendor::claude,
            400,
            "invalid_request_error",
            "Invalid `signature` in `thinking` block");
    Json message = {
        {"id", "msg_fake" + std::to_string(call.number)},
        {"type", "message"},
        {"role", "assistant"},
        {"model", request.value("model", "")},
        {"content", {{{"type", "text"}, {"text", join(reply_pieces(call, "claude"))}}}},
        {"stop_reason", "end_turn"},
        {"stop_sequence", nullptr},
        {"usage", usage_json(cost(call))}};
    Answer out;
    out.generates = true;
    out.headers.emplace_back("request-id", "req_fake" + std::to_string(call.number));
    add_quota_headers(call, out.headers);
    if (request.value("stream", false)) {
        out.stream = true;
        out.headers.emplace_back("Content-Type", "text/event-stream; charset=utf-8");
        out.events = message_events(call, request, message);
    } else {
        out.headers.emplace_back("Content-Type", "application/json");
        out.body = message.dump();
        out.says = cost(call);
    }
    return out;
}

} // namespace

Answer answer_claude(const Call& call)
{
    if (call.path == "/v1/messages" && call.method == "POST") return messages(call);
    Answer out;
    out.headers = {{"Content-Type", "application/json"}};
    if (call.path == "/v1/messages/count_tokens") {
        out.body = Json{{"input_tokens", call.tokens.input}}.dump();
    } else if (call.path == "/api/oauth/usage") {
        out.body =
            Json{
                {"five_hour",
                 {{"utilization", call.quota.short_used},
                  {"resets_at", rfc3339(call.quota.short_resets)}}},
                {"seven_day",
                 {{"utilization", call.quota.long_used},
                  {"resets_at", rfc3339(call.quota.long_resets)}}}}
                .dump();
    } else if (call.path == "/v1/models") {
        out.body = R"({"data":[],"has_more":false})";
    } else {
        return error_answer(Vendor::claude, 404, "not_found_error", "no such path: " + call.path);
    }
    return out;
}

} // namespace shared::fake_providers
