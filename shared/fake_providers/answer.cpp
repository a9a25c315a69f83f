#include "shared/fake_providers/answer.hpp"

#include "shared/fake_providers/coding.hpp"

#include <nlohmann/json.hpp>

namespace shared::fake_providers {

namespace {

using Json = nlohmann::json;

constexpr std::string_view kStatePrefix = "fake-state:";

std::string text_of(const Json& json, const char* name)
{
    const auto found = json.is_object() ? json.find(name) : json.end();
    return json.is_object() && found != json.end() && found->is_string() ? found->get<std::string>()
                                                                         : std::string();
}

/// "models/NAME:verb" -> NAME
std::string model_in_path(const std::string& path)
{
    const std::size_t at = path.find("/models/");
    if (at == std::string::npos) return {};
    const std::size_t begin = at + 8;
    return path.substr(begin, path.find(':', begin) - begin);
}

std::string claude_session(const Call& call, const Json& body)
{
    if (const std::string* header = find_header(call.headers, "x-claude-code-session-id"))
        return *header;
    const auto metadata = body.find("metadata");
    return metadata == body.end() ? std::string() : text_of(*metadata, "user_id");
}

} // namespace

std::string_view leg_prefix(Leg leg)
{
    switch (leg) {
    case Leg::codex:
        return "/chatgpt/backend-api/codex";
    case Leg::chatgpt:
        return "/chatgpt/backend-api";
    case Leg::openai_api:
        return "/openai/v1";
    case Leg::claude:
        return "/anthropic";
    case Leg::gemini:
        return "/cloudcode";
    case Leg::gemini_api:
        return "/generativelanguage";
    case Leg::auth:
        return "/auth";
    case Leg::direct:
        break;
    }
    return "";
}

Vendor vendor_of(const Call& call)
{
    switch (call.leg) {
    case Leg::claude:
        return Vendor::claude;
    case Leg::gemini:
    case Leg::gemini_api:
        return Vendor::gemini;
    case Leg::direct:
        if (call.path.starts_with("/v1internal") || call.path.starts_with("/v1beta"))
            return Vendor::gemini;
        if (call.path.starts_with("/v1/messages") || call.path.starts_with("/api/"))
            return Vendor::claude;
        return Vendor::codex;
    default:
        return Vendor::codex;
    }
}

Subject subject_of(const Call& call, Vendor vendor)
{
    Subject out;
    const Json body = Json::parse(call.decoded, nullptr, false);
    if (call.method != "POST" || !body.is_object()) return out;
    out.model = text_of(body, "model");
    if (vendor == Vendor::gemini) {
        if (out.model.empty()) out.model = model_in_path(call.path);
        out.generates = call.path.ends_with(":generateContent") ||
                        call.path.ends_with(":streamGenerateContent");
        if (body.contains("request")) out.conversation = text_of(body["request"], "session_id");
        return out;
    }
    if (vendor == Vendor::claude) {
        out.generates = call.path == "/v1/messages";
        out.conversation = claude_session(call, body);
        return out;
    }
    out.generates = call.path.ends_with("/responses") ||
                    call.path.ends_with("/responses/compact") ||
                    call.path.ends_with("/chat/completions");
    out.conversation = text_of(body, "prompt_cache_key");
    if (const std::string* header = find_header(call.headers, "session-id"))
        out.conversation = *header;
    return out;
}

Answer error_answer(Vendor vendor, unsigned status, std::string_view code, std::string_view message)
{
    Answer out;
    out.status = status;
    out.headers = {{"Content-Type", "application/json"}};
    Json body;
    switch (vendor) {
    case Vendor::codex:
        body = {
            {"error", {{"message", message}, {"type", code}, {"code", code}, {"param", nullptr}}}};
        break;
    case Vendor::claude:
        body = {
            {"type", "error"},
            {"error", {{"type", code}, {"message", message}}},
            {"request_id", "req_fake"}};
        break;
    case Vendor::gemini:
        body = {{"error", {{"code", status}, {"message", message}, {"status", code}}}};
        break;
    }
    out.body = body.dump();
    return out;
}

std::string bound_state(const Call& call)
{
    const std::string owner = call.account == nullptr ? "direct" : call.account->name;
    return base64(std::string(kStatePrefix) + owner + ":" + std::to_string(call.number));
}

bool is_foreign(const Call& call, const std::string& text)
{
    static const std::string begin = base64("fake-state:xx").substr(0, 12);
    if (!text.starts_with(begin) || call.account == nullptr) return false;
    const std::string own = std::string(kStatePrefix) + call.account->name + ":";
    // The bytes of `own` fill whole base64 groups only up to a multiple of three.
    const std::string whole = base64(own.substr(0, own.size() - own.size() % 3));
    return !text.starts_with(whole);
}

std::vector<std::string> reply_pieces(const Call& call, std::string_view vendor)
{
    const std::string number = std::to_string(call.number);
    std::vector<std::string> out;
    out.push_back("fake " + std::string(vendor) + " reply " + number);
    for (std::size_t i = 1; i < call.deltas; ++i)
        out.push_back(" part " + std::to_string(i));
    if (call.delta_bytes != 0) {
        for (std::string& piece : out)
            piece.resize(call.delta_bytes, 'x');
    }
    return out;
}

std::string join(const std::vector<std::string>& pieces)
{
    std::string out;
    for (const std::string& piece : pieces)
        out += piece;
    return out;
}

} // namespace shared::fake_providers
