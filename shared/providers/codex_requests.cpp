#include "shared/http/spare_pickers.hpp"
#include "shared/providers/codex.hpp"
#include "shared/providers/fingerprint.hpp"
#include "shared/providers/verdicts.hpp"

#include <algorithm>

namespace shared::providers::codex {
namespace {

using http::JsonMatch;
using http::JsonPicker;
using http::PickedValue;

/// Request fields that name the conversation, strongest first.
/// Source: Codex 0.169.0 sends session-id (its sub-agents the root's), older ones session_id; seen 2026-11-22.
constexpr std::array<std::string_view, 7> kIdFields{
    "session-id",
    "session_id",
    "conversation_id",
    "conversation-id",
    "prompt_cache_key",
    "x-codex-conversation-id",
    "x-claude-code-session-id"};

constexpr std::array<std::string_view, 2> kShortPaths{"model", "stream"};

enum BodyValue : std::size_t {
    body_model,
    body_stream,
    body_previous_response,
    body_input,
    body_first_input,
    body_first_message,
    body_first_id, ///< from here on conversation ids, strongest first
};

constexpr std::array<std::string_view, 21> kBodyPaths{
    "model",
    "stream",
    "previous_response_id",
    "input",
    "input[]",
    "messages[]",
    "conversation_id",
    "conversation",
    "conversation.id",
    "session_id",
    "prompt_cache_key",
    "client_metadata.session_id",
    "metadata.conversation_id",
    "metadata.conversation",
    "metadata.session_id",
    "metadata.user_id",
    "meta.conversation_id",
    "meta.conversation",
    "meta.session_id",
    "meta.user_id",
    "client_metadata.thread_id"};

enum MessageValue : std::size_t {
    message_type,
    message_model,
    message_previous_response,
    message_first_id,
};

/// A message has the members of a request body beside its "type".
constexpr std::array<std::string_view, 11> kMessagePaths{
    "type",
    "model",
    "previous_response_id",
    "conversation_id",
    "conversation",
    "conversation.id",
    "session_id",
    "prompt_cache_key",
    "client_metadata.session_id",
    "metadata.session_id",
    "client_metadata.thread_id"};

/// How much of a body is read before asking whether enough is known: "model" stands near the beginning.
constexpr std::size_t kFirstPiece = 1024;

/// The scanner would take a bare word for a value.
bool begins_object(std::string_view text) noexcept
{
    const std::size_t first = text.find_first_not_of(" \t\r\n");
    return first != std::string_view::npos && text[first] == '{';
}

std::string first_text(std::span<const PickedValue> values)
{
    for (const PickedValue& value : values)
        if (value.is_string() && !value.text.empty()) return value.text;
    return {};
}

bool may_be_json(const http::RequestHead& request) noexcept
{
    const std::string_view type = request.fields.find("content-type");
    return type.empty() || contains_any_case(type, "json");
}

std::string id_in_head(const http::RequestHead& request)
{
    for (const std::string_view name : kIdFields) {
        const std::string_view value = request.fields.find(name);
        if (!value.empty()) return std::string(value);
    }
    return std::string(request.query_parameter("session_id"));
}

/// Of a body whose conversation is known from the head: stops reading as soon as it can.
void inspect_briefly(const http::JsonPaths& paths, std::string_view body, RequestFacts& facts)
{
    const http::BorrowedPicker borrowed(paths, JsonMatch::first);
    JsonPicker& picker = *borrowed;
    std::size_t piece_size = kFirstPiece;
    while (!body.empty() && !picker.malformed() && !picker.satisfied()) {
        if (facts.stream && picker[body_model].is_string()) break;
        const std::string_view piece = body.substr(0, piece_size);
        picker.feed(piece);
        body.remove_prefix(piece.size());
        piece_size *= 2;
    }
    facts.body_malformed = picker.malformed();
    if (picker[body_model].is_string()) facts.model.assign(picker[body_model].text);
    facts.stream = facts.stream || picker[body_stream].is_true();
}

void inspect_fully(const http::JsonPaths& paths, std::string_view body, RequestFacts& facts)
{
    const http::BorrowedPicker borrowed(paths, JsonMatch::first);
    JsonPicker& picker = *borrowed;
    picker.feed(body);
    facts.body_malformed = picker.malformed() || !(picker.complete() || picker.satisfied());
    if (picker[body_model].is_string()) facts.model.assign(picker[body_model].text);
    facts.stream = facts.stream || picker[body_stream].is_true();
    if (picker[body_previous_response].is_string())
        facts.previous_response_id = picker[body_previous_response].text;
    facts.conversation_id = first_text(picker.values().subspan(body_first_id));
    if (!facts.conversation_id.empty() || facts.body_malformed) return;

    const PickedValue& input = picker[body_input];
    const PickedValue& item = picker[body_first_input];
    if (input.is_string()) // one plain text: the whole of the conversation's beginning
        facts.fingerprint = picker[body_model].text + "\n" + input.text;
    else
        facts.fingerprint = fingerprint_of(
            picker[body_model].text,
            item.kind != http::JsonKind::absent ? item : picker[body_first_message],
            body);
}

/// The id in "/responses/<id>…", a stored answer that only the account that made it knows.
std::string_view stored_response(const Route& route) noexcept
{
    constexpr std::string_view kFolder = "/responses/resp_";
    if (route.legs.empty() || !route.legs.front().path.starts_with(kFolder)) return {};
    std::string_view id = route.legs.front().path;
    id.remove_prefix(std::string_view("/responses/").size());
    return id.substr(0, id.find('/'));
}

} // namespace

std::span<const std::string_view> short_path_list() noexcept
{
    return kShortPaths;
}

std::span<const std::string_view> body_path_list() noexcept
{
    return kBodyPaths;
}

std::span<const std::string_view> message_path_list() noexcept
{
    return kMessagePaths;
}

RequestFacts CodexProvider::inspect(
    const Route& route, const http::RequestHead& request, std::string_view body) const
{
    RequestFacts facts;
    facts.stream = contains_any_case(request.fields.find("accept"), "text/event-stream") ||
                   request.upgrades_to_websocket;
    facts.previous_response_id = std::string(stored_response(route));
    std::string id = id_in_head(request);
    if (!body.empty() && may_be_json(request)) {
        if (!begins_object(body))
            facts.body_malformed = true;
        else if (id.empty())
            inspect_fully(body_paths_, body, facts);
        else
            inspect_briefly(short_paths_, body, facts);
    }
    if (!id.empty()) facts.conversation_id = std::move(id);
    return facts;
}

RequestFacts CodexProvider::inspect_message(std::string_view json) const
{
    const http::BorrowedPicker borrowed(message_paths_, JsonMatch::first);
    JsonPicker& picker = *borrowed;
    picker.feed(json);
    RequestFacts facts;
    if (!picker[message_type].is_string() || picker[message_type].text != "response.create")
        return facts;
    facts.stream = true;
    if (picker[message_model].is_string()) facts.model.assign(picker[message_model].text);
    if (picker[message_previous_response].is_string())
        facts.previous_response_id = picker[message_previous_response].text;
    facts.conversation_id = first_text(picker.values().subspan(message_first_id));
    return facts;
}

} // namespace shared::providers::codex
