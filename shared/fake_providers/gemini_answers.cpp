/// The fake Code Assist and Gemini API: projects, generation (streamed or not), quota.
#include "shared/fake_providers/answer.hpp"
#include "shared/fake_providers/coding.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <ctime>

namespace shared::fake_providers {

namespace {

using Json = nlohmann::json;

/// Gemini's API knows no cache creation.
Tokens cost(const Call& call)
{
    Tokens out = call.tokens;
    out.cache_creation = 0;
    return out;
}

Json usage_json(const Tokens& tokens)
{
    return {
        {"promptTokenCount", tokens.input},
        {"cachedContentTokenCount", tokens.cached},
        {"candidatesTokenCount", tokens.output - tokens.reasoning},
        {"thoughtsTokenCount", tokens.reasoning},
        {"totalTokenCount", tokens.input + tokens.output}};
}

Json json_answer(std::string_view body)
{
    return Json::parse(body, nullptr, false);
}

/// Inside Code Assist's envelope, or bare.
Json wrap(const Call& call, Json response)
{
    if (call.path.starts_with("/v1internal"))
        return {{"response", std::move(response)}, {"traceId", "fake-trace"}};
    return response;
}

Json chunk(const std::string& text, const std::string& model, const Json& extra)
{
    Json part = {{"text", text}};
    if (extra.contains("signature")) part["thoughtSignature"] = extra["signature"];
    Json candidate = {{"content", {{"role", "model"}, {"parts", {part}}}}, {"index", 0}};
    if (extra.contains("finish")) candidate["finishReason"] = "STOP";
    Json out = {{"candidates", {candidate}}, {"modelVersion", model}, {"responseId", "fake"}};
    if (extra.contains("usage")) out["usageMetadata"] = extra["usage"];
    return out;
}

bool has_foreign_signature(const Call& call, const Json& json)
{
    if (json.is_object()) {
        const auto found = json.find("thoughtSignature");
        if (found != json.end() && found->is_string() &&
            is_foreign(call, found->get<std::string>()))
            return true;
    }
    return json.is_structured() && std::ranges::any_of(json, [&](const Json& each) {
               return has_foreign_signature(call, each);
           });
}

std::vector<Event> stream_events(const Call& call, const std::string& model)
{
    std::vector<Event> out;
    const std::vector<std::string> pieces = reply_pieces(call, "gemini");
    const Tokens total = cost(call);
    if (!call.error_event.empty() && call.error_after == 0) {
        out.push_back({.name = "", .data = call.error_event, .says = std::nullopt, .last = true});
        return out;
    }
    for (std::size_t i = 0; i < pieces.size(); ++i) {
        // Every chunk tells the cost so far; only the last one is the whole.
        Tokens so_far = total;
        const bool last = i + 1 == pieces.size();
        if (!last) so_far.output = so_far.reasoning = 0;
        Json extra = {{"usage", usage_json(so_far)}};
        if (i == 0) extra["signature"] = bound_state(call);
        if (last) extra["finish"] = true;
        out.push_back(
            {.name = "",
             .data = wrap(call, chunk(pieces[i], model, extra)).dump(),
             .says = so_far,
             .last = last});
    }
    if (!call.error_event.empty()) {
        out.resize(std::min(out.size(), call.error_after));
        out.push_back({.name = "", .data = call.error_event, .says = std::nullopt, .last = true});
    }
    return out;
}

Answer generate(const Call& call, const Json& body)
{
    const Json& request = body.contains("request") ? body["request"] : body;
    if (call.account != nullptr && call.leg == Leg::gemini &&
        body.value("project", "") != call.account->project)
        return error_answer(
            Vendor::gemini,
            403,
            "PERMISSION_DENIED",
            "The caller does not have permission for this project");
    if (call.moved_is_error || has_foreign_signature(call, request))
        return error_answer(
            Vendor::gemini, 400, "INVALID_ARGUMENT", "Thought signature is not valid.");
    const Subject subject = subject_of(call, Vendor::gemini);
    Answer out;
    out.generates = true;
    if (call.path.ends_with(":streamGenerateContent")) {
        out.stream = true;
        out.newline = "\r\n";
        out.json_array = call.query.find("alt=sse") == std::string::npos;
        out.headers = {
            {"Content-Type",
             out.json_array ? "application/json; charset=UTF-8" : "text/event-stream"}};
        out.events = stream_events(call, subject.model);
        return out;
    }
    std::string text = join(reply_pieces(call, "gemini"));
    const auto config = request.find("generationConfig");
    if (config != request.end() && config->value("responseMimeType", "") == "application/json")
        text =
            R"({"complexity_reasoning":"fake","complexity_score":20,"model_choice":"flash","reasoning":"fake"})";
    out.headers = {{"Content-Type", "application/json; charset=UTF-8"}};
    out.says = cost(call);
    out.body =
        wrap(call, chunk(text, subject.model, {{"usage", usage_json(*out.says)}, {"finish", true}}))
            .dump(2);
    return out;
}

Json tier(const char* id)
{
    return {{"id", id}, {"name", "Fake tier"}, {"description", "fake"}, {"isDefault", true}};
}

/// Code Assist's small calls.
Answer account_call(const Call& call, const Json& body)
{
    const std::string project = call.account == nullptr ? "direct-project" : call.account->project;
    const bool onboarding = call.account != nullptr && call.account->needs_onboarding;
    const std::string verb = call.path.substr(call.path.rfind(':') + 1);
    Answer out;
    out.headers = {{"Content-Type", "application/json; charset=UTF-8"}};
    Json reply = Json::object();
    if (verb == "loadCodeAssist") {
        reply["allowedTiers"] = {tier("standard-tier")};
        if (!onboarding) {
            reply["currentTier"] = tier("standard-tier");
            reply["cloudaicompanionProject"] = project;
        }
    } else if (verb == "onboardUser") {
        reply = {
            {"name", "operations/fake"},
            {"done", true},
            {"response", {{"cloudaicompanionProject", {{"id", project}, {"name", project}}}}}};
    } else if (verb == "retrieveUserQuota") {
        if (call.account != nullptr && body.is_object() && body.contains("project") &&
            body["project"] != project)
            return error_answer(Vendor::gemini, 403, "PERMISSION_DENIED", "not your project");
        reply["buckets"] = {
            {{"modelId", "gemini-2.5-pro"},
             {"remainingFraction", 1 - call.quota.short_used / 100},
             {"resetTime", "2030-01-01T00:00:00Z"},
             {"tokenType", "REQUESTS"}}};
    } else if (verb == "countTokens") {
        reply["totalTokens"] = call.tokens.input;
    } else if (
        verb != "listExperiments" && verb != "recordCodeAssistMetrics" &&
        verb != "getCodeAssistGlobalUserSetting") {
        return error_answer(Vendor::gemini, 404, "NOT_FOUND", "no such method: " + verb);
    }
    out.body = reply.dump();
    return out;
}

} // namespace

Answer answer_gemini(const Call& call)
{
    const Json body = json_answer(call.decoded);
    const bool generates =
        call.path.ends_with(":generateContent") || call.path.ends_with(":streamGenerateContent");
    if (call.method == "POST" && generates) {
        if (!body.is_object())
            return error_answer(
                Vendor::gemini, 400, "INVALID_ARGUMENT", "Invalid JSON payload received.");
        return generate(call, body);
    }
    if (call.path.starts_with("/v1beta/models") && call.method == "GET") {
        Answer out;
        out.headers = {{"Content-Type", "application/json; charset=UTF-8"}};
        out.body = R"({"models":[{"name":"models/gemini-fake"}]})";
        return out;
    }
    return account_call(call, body);
}

} // namespace shared::fake_providers
