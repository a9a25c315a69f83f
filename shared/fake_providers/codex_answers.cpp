/// The fake ChatGPT back end and OpenAI API: turns, compaction, models, account calls.
#include "shared/fake_providers/answer.hpp"
#include "shared/fake_providers/coding.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <ctime>

namespace shared::fake_providers {

namespace {

using Json = nlohmann::json;

Json usage_json(const Tokens& tokens)
{
    return {
        {"input_tokens", tokens.input},
        {"input_tokens_details", {{"cached_tokens", tokens.cached}}},
        {"output_tokens", tokens.output},
        {"output_tokens_details", {{"reasoning_tokens", tokens.reasoning}}},
        {"total_tokens", tokens.input + tokens.output}};
}

void add_quota_headers(const Call& call, Headers& headers)
{
    const Quota& quota = call.quota;
    headers.emplace_back("x-codex-primary-used-percent", std::to_string(quota.short_used));
    headers.emplace_back("x-codex-primary-window-minutes", "300");
    headers.emplace_back("x-codex-primary-reset-at", std::to_string(quota.short_resets));
    headers.emplace_back("x-codex-secondary-used-percent", std::to_string(quota.long_used));
    headers.emplace_back("x-codex-secondary-window-minutes", "10080");
    headers.emplace_back("x-codex-secondary-reset-at", std::to_string(quota.long_resets));
    headers.emplace_back("x-codex-plan-type", call.account == nullptr ? "pro" : call.account->plan);
}

Event event(Json data, std::size_t& sequence)
{
    data["sequence_number"] = sequence++;
    return {.name = data["type"].get<std::string>(), .data = data.dump(), .says = std::nullopt};
}

/// OpenAI's own cost has no cache creation.
Tokens cost(const Call& call)
{
    Tokens out = call.tokens;
    out.cache_creation = 0;
    return out;
}

Json message_item(const std::string& text, const std::string& id)
{
    return {
        {"id", "msg_" + id},
        {"type", "message"},
        {"status", "completed"},
        {"role", "assistant"},
        {"content", {{{"type", "output_text"}, {"text", text}, {"annotations", Json::array()}}}}};
}

Answer responses(const Call& call)
{
    const Json request = Json::parse(call.decoded, nullptr, false);
    if (!request.is_object())
        return error_answer(Vendor::codex, 400, "invalid_request_error", "The body is not JSON.");
    if (const std::string problem = foreign_state(call, request); !problem.empty())
        return error_answer(Vendor::codex, 400, "invalid_encrypted_content", problem);
    Answer out;
    out.generates = true;
    const std::string id =
        "resp_" + sha256_hex(call.body + std::to_string(call.number)).substr(0, 32);
    std::vector<Event> events = codex_turn(call, request, true, id);
    out.headers.emplace_back("x-codex-turn-state", bound_state(call));
    out.headers.emplace_back("openai-model", request.value("model", ""));
    if (call.leg != Leg::openai_api) add_quota_headers(call, out.headers);
    if (request.value("stream", false)) {
        out.stream = true;
        out.headers.emplace_back("Content-Type", "text/event-stream; charset=utf-8");
        out.events = std::move(events);
        return out;
    }
    out.headers.emplace_back("Content-Type", "application/json");
    out.body = Json::parse(events.back().data)["response"].dump();
    out.says = events.back().says;
    return out;
}

Answer compact(const Call& call)
{
    const Json request = Json::parse(call.decoded, nullptr, false);
    Answer out;
    out.generates = true;
    out.says = cost(call);
    out.headers = {{"Content-Type", "application/json"}};
    if (call.leg != Leg::openai_api) add_quota_headers(call, out.headers);
    out.body =
        Json{
            {"id", "resp_compact"},
            {"object", "response.compaction"},
            {"model", request.is_object() ? request.value("model", "") : ""},
            {"output", {message_item("fake summary", "compact")}},
            {"usage", usage_json(*out.says)}}
            .dump();
    return out;
}

Answer chat_completions(const Call& call)
{
    const Json request = Json::parse(call.decoded, nullptr, false);
    if (!request.is_object())
        return error_answer(Vendor::codex, 400, "invalid_request_error", "The body is not JSON.");
    const Tokens tokens = cost(call);
    const Json usage = {
        {"prompt_tokens", tokens.input},
        {"prompt_tokens_details", {{"cached_tokens", tokens.cached}}},
        {"completion_tokens", tokens.output},
        {"completion_tokens_details", {{"reasoning_tokens", tokens.reasoning}}},
        {"total_tokens", tokens.input + tokens.output}};
    const std::string model = request.value("model", "");
    Answer out;
    out.generates = true;
    const std::vector<std::string> pieces = reply_pieces(call, "openai");
    if (!request.value("stream", false)) {
        out.headers = {{"Content-Type", "application/json"}};
        out.says = tokens;
        out.body = Json{
            {"id", "chatcmpl-fake"},
            {"object", "chat.completion"},
            {"model", model},
            {"choices",
             {{{"index", 0},
               {"message", {{"role", "assistant"}, {"content", join(pieces)}}},
               {"finish_reason", "stop"}}}},
            {"usage",
             usage}}.dump();
        return out;
    }
    out.stream = true;
    out.headers = {{"Content-Type", "text/event-stream"}};
    const auto chunk = [&](Json choices) {
        return Json{
            {"id", "chatcmpl-fake"},
            {"object", "chat.completion.chunk"},
            {"model", model},
            {"choices", std::move(choices)}};
    };
    for (const std::string& piece : pieces)
        out.events.push_back(
            {.name = "",
             .data = chunk({{{"index", 0}, {"delta", {{"content", piece}}}}}).dump(),
             .says = std::nullopt});
    Json last = chunk(Json::array());
    last["usage"] = usage;
    out.events.push_back({.name = "", .data = last.dump(), .says = tokens});
    out.events.push_back({.name = "", .data = "[DONE]", .says = std::nullopt, .last = true});
    return out;
}

Json window(double used, long seconds, long resets)
{
    return {
        {"used_percent", used},
        {"limit_window_seconds", seconds},
        {"reset_after_seconds", resets - std::time(nullptr)},
        {"reset_at", resets}};
}

/// Account calls and everything small.
Answer side_request(const Call& call)
{
    Answer out;
    out.headers = {{"Content-Type", "application/json"}};
    const std::string& path = call.path;
    if (path.ends_with("/models")) {
        out.headers.emplace_back("etag", "\"fake\"");
        out.body = call.leg == Leg::openai_api ? R"({"object":"list","data":[{"id":"gpt-fake"}]})"
                                               : R"({"models":[]})";
    } else if (path.ends_with("/wham/usage")) {
        out.body =
            Json{
                {"plan_type", call.account == nullptr ? "pro" : call.account->plan},
                {"rate_limit",
                 {{"allowed", true},
                  {"limit_reached", false},
                  {"primary_window", window(call.quota.short_used, 18000, call.quota.short_resets)},
                  {"secondary_window",
                   window(call.quota.long_used, 604800, call.quota.long_resets)}}},
                {"credits", {{"has_credits", false}, {"unlimited", false}, {"balance", "0"}}}}
                .dump();
    } else if (path.ends_with("/wham/accounts/check")) {
        // With the credential's own account, as the genuine service would: a client that gets a pooled one breaks.
        const std::string* asked = find_header(call.headers, "chatgpt-account-id");
        const std::string id = call.account != nullptr ? call.account->vendor_id
                               : asked == nullptr      ? ""
                                                       : *asked;
        out.body = Json{
            {"accounts",
             {{{"id", id},
               {"structure", "personal"},
               {"plan_type", "pro"},
               {"workspace_backend_origin", "https://chatgpt.com"},
               {"account_routing_override", "NO_CONSTRAINT"}}}},
            {"default_account_id",
             id}}.dump();
    } else if (path.ends_with("/embeddings")) {
        out.body =
            R"({"object":"list","data":[{"embedding":[0.5],"index":0,"object":"embedding"}],)"
            R"("model":"fake","usage":{"prompt_tokens":0,"total_tokens":0}})";
    } else if (path.find("/plugins/") != std::string::npos) {
        out.body = R"({"enabled":false,"plugins":[],"pagination":{}})";
    } else if (
        path.find("/wham/") != std::string::npos || path.find("/responses/") != std::string::npos) {
        out.body = Json{{"fake", path}}.dump();
    } else {
        return error_answer(Vendor::codex, 404, "not_found", "no such path: " + path);
    }
    return out;
}

} // namespace

std::string foreign_state(const Call& call, const Json& request)
{
    if (call.moved_is_error)
        return "The encrypted content could not be verified: the conversation was elsewhere.";
    const auto input = request.find("input");
    if (input == request.end() || !input->is_array()) return {};
    const bool foreign = std::ranges::any_of(*input, [&](const Json& item) {
        const auto content = item.is_object() ? item.find("encrypted_content") : item.end();
        return item.is_object() && content != item.end() && content->is_string() &&
               is_foreign(call, content->get<std::string>());
    });
    return foreign ? "The encrypted content of another organization could not be verified." : "";
}

std::vector<Event>
codex_turn(const Call& call, const Json& request, bool generate, const std::string& response_id)
{
    std::size_t sequence = 0;
    std::vector<Event> out;
    const std::string model = request.value("model", "");
    Json response = {
        {"id", response_id},
        {"object", "response"},
        {"created_at", std::time(nullptr)},
        {"status", "in_progress"},
        {"model", model},
        {"output", Json::array()},
        {"usage", nullptr}};
    out.push_back(event({{"type", "response.created"}, {"response", response}}, sequence));
    if (!call.error_event.empty() && call.error_after == 0) {
        out.push_back(
            {.name = "error", .data = call.error_event, .says = std::nullopt, .last = true});
        return out;
    }
    if (generate) {
        out.push_back(event({{"type", "response.in_progress"}, {"response", response}}, sequence));
        const Json reasoning = {
            {"id", "rs_" + response_id},
            {"type", "reasoning"},
            {"summary", Json::array()},
            {"encrypted_content", bound_state(call)}};
        out.push_back(event(
            {{"type", "response.output_item.added"}, {"output_index", 0}, {"item", reasoning}},
            sequence));
        out.push_back(event(
            {{"type", "response.output_item.done"}, {"output_index", 0}, {"item", reasoning}},
            sequence));
        Json empty = message_item("", response_id);
        empty["content"] = Json::array();
        empty["status"] = "in_progress";
        out.push_back(event(
            {{"type", "response.output_item.added"}, {"output_index", 1}, {"item", empty}},
            sequence));
        const std::vector<std::string> pieces = reply_pieces(call, "codex");
        for (const std::string& piece : pieces) {
            out.push_back(event(
                {{"type", "response.output_text.delta"},
                 {"item_id", "msg_" + response_id},
                 {"output_index", 1},
                 {"content_index", 0},
                 {"delta", piece}},
                sequence));
        }
        const Json message = message_item(join(pieces), response_id);
        out.push_back(event(
            {{"type", "response.output_item.done"}, {"output_index", 1}, {"item", message}},
            sequence));
        response["output"] = {reasoning, message};
        response["usage"] = usage_json(cost(call));
    }
    if (!call.error_event.empty()) {
        out.resize(std::min(out.size(), call.error_after));
        out.push_back(
            {.name = "error", .data = call.error_event, .says = std::nullopt, .last = true});
        return out;
    }
    response["status"] = "completed";
    out.push_back(event({{"type", "response.completed"}, {"response", response}}, sequence));
    if (generate) out.back().says = cost(call);
    out.back().last = true;
    return out;
}

Answer answer_codex(const Call& call)
{
    if (call.method == "POST") {
        if (call.path.ends_with("/responses")) return responses(call);
        if (call.path.ends_with("/responses/compact")) return compact(call);
        if (call.path.ends_with("/chat/completions")) return chat_completions(call);
    }
    return side_request(call);
}

} // namespace shared::fake_providers
