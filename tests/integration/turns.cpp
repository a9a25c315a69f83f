#include "tests/integration/turns.hpp"

#include "shared/fake_providers/accounts.hpp"

#include <nlohmann/json.hpp>

#include <thread>

namespace tests {

using Json = nlohmann::json;

bool eventually(const std::function<bool()>& done, std::chrono::milliseconds patience)
{
    const auto end = std::chrono::steady_clock::now() + patience;
    while (!done()) {
        if (std::chrono::steady_clock::now() > end) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return true;
}

namespace {

std::string prompt(std::size_t number, std::size_t size)
{
    return "turn " + std::to_string(number) + " " + std::string(size, 'p');
}

std::string codex_body(const std::string& id, const std::string& text, bool stream)
{
    Json body = {
        {"model", "gpt-6.1-sol"},
        {"input",
         {{{"type", "message"},
           {"role", "user"},
           {"content", {{{"type", "input_text"}, {"text", text}}}}}}},
        {"store", false},
        {"stream", stream}};
    if (!id.empty()) body["prompt_cache_key"] = id;
    return body.dump();
}

std::string claude_body(const std::string& id, const std::string& text, bool stream)
{
    Json body = {
        {"model", "claude-opus-5-5"},
        {"max_tokens", 1000},
        {"messages", {{{"role", "user"}, {"content", text}}}}};
    if (stream) body["stream"] = true;
    if (!id.empty())
        body["metadata"] = {
            {"user_id", Json{{"device_id", "d"}, {"account_uuid", ""}, {"session_id", id}}.dump()}};
    return body.dump();
}

std::string gemini_body(const std::string& id, const std::string& text)
{
    return Json{
        {"model", "gemini-3-flash"},
        {"project",
         fake::make_account(fake::Vendor::gemini, fake::Kind::oauth, "gemini_1").project},
        {"user_prompt_id", "p"},
        {"request",
         {{"session_id", id}, {"contents", {{{"role", "user"}, {"parts", {{{"text", text}}}}}}}}}}
        .dump();
}

} // namespace

Turn turn_of(Cli cli, const std::string& conversation, std::size_t number, std::size_t size)
{
    Turn out;
    out.headers = {
        {"Content-Type", "application/json"},
        {"Authorization", "Bearer " + std::string(kClientSecret)}};
    const std::string text = prompt(number, size);
    switch (cli) {
    case Cli::codex:
        out.target = "/v1/responses";
        out.headers.emplace_back("Accept", "text/event-stream");
        out.headers.emplace_back("chatgpt-account-id", kClientSecret);
        if (!conversation.empty()) out.headers.emplace_back("session-id", conversation);
        out.body = codex_body(conversation, text, true);
        break;
    case Cli::claude:
        out.target = "/v1/messages?beta=true";
        out.headers[1] = {"X-Api-Key", std::string(kClientSecret)};
        out.headers.emplace_back("anthropic-version", "2023-06-01");
        out.headers.emplace_back("anthropic-beta", "claude-code-20250219");
        if (!conversation.empty())
            out.headers.emplace_back("X-Claude-Code-Session-Id", conversation);
        out.body = claude_body(conversation, text, true);
        break;
    case Cli::gemini:
        out.target = "/v1internal:streamGenerateContent?alt=sse";
        out.body = gemini_body(conversation, text);
        break;
    }
    return out;
}

Turn unstreamed(Cli cli, const std::string& conversation, std::size_t number)
{
    Turn out = turn_of(cli, conversation, number);
    const std::string text = prompt(number, 0);
    switch (cli) {
    case Cli::codex:
        out.body = codex_body(conversation, text, false);
        break;
    case Cli::claude:
        out.body = claude_body(conversation, text, false);
        break;
    case Cli::gemini:
        out.target = "/v1internal:generateContent";
        break;
    }
    return out;
}

fake::Response make(fake::Client& client, const Turn& turn)
{
    return client.request(turn.method, turn.target, turn.headers, turn.body);
}

std::string_view end_mark(Cli cli)
{
    switch (cli) {
    case Cli::codex:
        return "response.completed";
    case Cli::claude:
        return "message_stop";
    case Cli::gemini:
        return "finishReason";
    }
    return "";
}

} // namespace tests
