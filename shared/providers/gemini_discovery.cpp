#include "shared/providers/gemini_wire.hpp"

#include <nlohmann/json.hpp>

#include <array>

namespace shared::providers::gemini {

namespace {

using nlohmann::json;

constexpr std::string_view kLoadPath = "/v1internal:loadCodeAssist";
constexpr std::string_view kOnboardPath = "/v1internal:onboardUser";
/// As Gemini CLI does while an onboarding runs.
constexpr std::chrono::milliseconds kPollWait{5000};
/// The tier for accounts that may have no default one. Source: Gemini CLI 0.61.0, code_assist/setup.
constexpr std::string_view kLegacyTier = "legacy-tier";
constexpr std::string_view kFreeTier = "free-tier";

DiscoveryStep failed(std::string problem)
{
    DiscoveryStep step;
    step.next = DiscoveryStep::Next::failed;
    step.problem = std::move(problem);
    return step;
}

DiscoveryStep done(std::string project, std::string plan)
{
    DiscoveryStep step;
    step.project = std::move(project);
    step.plan = std::move(plan);
    return step;
}

DiscoveryStep call(const Credential& credential, std::string_view path, json body)
{
    body["metadata"] = {
        {"ideType", "IDE_UNSPECIFIED"},
        {"platform", "PLATFORM_UNSPECIFIED"},
        {"pluginType", "GEMINI"}};
    DiscoveryStep step;
    step.next = DiscoveryStep::Next::call;
    step.call.upstream = kCodeAssist;
    step.call.path = std::string(path);
    step.call.headers.push_back({"Content-Type", "application/json"});
    step.call.headers.push_back(
        {"Authorization", "Bearer " + std::string(credential.access_token.reveal())});
    step.call.body = body.dump();
    return step;
}

/// A string member; empty if absent or of another type.
std::string text_of(const json& object, const char* name)
{
    if (!object.is_object()) return {};
    const auto found = object.find(name);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

const json& member(const json& object, const char* name)
{
    static const json kNone;
    if (!object.is_object()) return kNone;
    const auto found = object.find(name);
    return found != object.end() ? *found : kNone;
}

/// A project is named by its id, or by an object with one.
std::string project_of(const json& reply)
{
    const json& project = member(reply, "cloudaicompanionProject");
    return project.is_string() ? project.get<std::string>() : text_of(project, "id");
}

/// "free-tier" -> "free", "g1-pro-tier" -> "pro", "standard-tier" -> "standard".
std::string plan_of(const json& reply)
{
    std::string tier = text_of(member(reply, "paidTier"), "id");
    if (tier.empty()) tier = text_of(member(reply, "currentTier"), "id");
    constexpr std::string_view kEnd = "-tier";
    constexpr std::string_view kConsumer = "g1-";
    if (tier.size() > kEnd.size() &&
        tier.compare(tier.size() - kEnd.size(), kEnd.size(), kEnd) == 0)
        tier.resize(tier.size() - kEnd.size());
    if (tier.rfind(kConsumer, 0) == 0) tier.erase(0, kConsumer.size());
    return tier;
}

DiscoveryStep no_project()
{
    return failed(
        "Code Assist names no project for this account; add \"project_id\" to its file or set "
        "GOOGLE_CLOUD_PROJECT");
}

DiscoveryStep after_load(const Credential& credential, const json& reply)
{
    const std::string project = project_of(reply);
    if (member(reply, "currentTier").is_object()) {
        if (!project.empty()) return done(project, plan_of(reply));
        if (!credential.project.empty()) return done(credential.project, plan_of(reply));
        return no_project();
    }
    // Never seen by Code Assist: sign it up for the tier it is offered.
    std::string tier(kLegacyTier);
    const json& tiers = member(reply, "allowedTiers");
    for (const json& offered : tiers.is_array() ? tiers : json::array()) {
        const json& is_default = member(offered, "isDefault");
        const std::string id = text_of(offered, "id");
        if (is_default.is_boolean() && is_default.get<bool>() && !id.empty()) tier = id;
    }
    json body = {{"tierId", tier}};
    // The free tier brings its own project and refuses another.
    if (tier != kFreeTier && !credential.project.empty())
        body["cloudaicompanionProject"] = credential.project;
    return call(credential, kOnboardPath, std::move(body));
}

DiscoveryStep
after_onboard(const Credential& credential, const UpstreamCall& previous, const json& reply)
{
    const json& is_done = member(reply, "done");
    if (!is_done.is_boolean() || !is_done.get<bool>()) {
        DiscoveryStep step;
        step.next = DiscoveryStep::Next::wait;
        step.wait = kPollWait;
        step.call = previous; // asking again answers with the running operation
        return step;
    }
    if (member(reply, "error").is_object()) return failed("onboarding ended with an error");
    const std::string project = project_of(member(reply, "response"));
    if (!project.empty()) return done(project, {});
    if (!credential.project.empty()) return done(credential.project, {});
    return no_project();
}

/// Why a call failed, from its status alone: the text of the answer may quote anything.
std::string reason_of(const UpstreamCall& previous, unsigned status)
{
    std::string reason = previous.path + " was answered with " + std::to_string(status);
    if (status == 401) reason += ": the access token is not accepted";
    if (status == 403) reason += ": the account may not use Code Assist";
    return reason;
}

} // namespace

std::optional<UpstreamCall> test_call(const Credential& credential)
{
    /// The smallest model that both the public API and Code Assist have.
    constexpr std::string_view kTestModel = "gemini-2.5-flash";
    json request = {
        {"contents", json::array({{{"role", "user"}, {"parts", json::array({{{"text", "ok"}}})}}})},
        {"generationConfig", {{"maxOutputTokens", 1}}}};
    const std::string token(credential.access_token.reveal());
    UpstreamCall call;
    call.headers.push_back({"Content-Type", "application/json"});
    if (credential.kind == CredentialKind::api_key) {
        call.upstream = kPublicApi;
        call.path = "/v1beta/models/" + std::string(kTestModel) + ":generateContent";
        call.headers.push_back({"x-goog-api-key", token});
        call.body = request.dump();
        return call;
    }
    if (credential.project.empty()) return std::nullopt;
    call.upstream = kCodeAssist;
    call.path = "/v1internal:generateContent";
    call.headers.push_back({"Authorization", "Bearer " + token});
    const json body = {
        {"model", kTestModel}, {"project", credential.project}, {"request", std::move(request)}};
    call.body = body.dump();
    return call;
}

DiscoveryStep
discover(const Credential& credential, const UpstreamCall* previous, const CallReply* reply)
{
    if (credential.kind != CredentialKind::oauth) return done({}, {});
    if (!previous || !reply) {
        json body = json::object();
        if (!credential.project.empty()) body["cloudaicompanionProject"] = credential.project;
        return call(credential, kLoadPath, std::move(body));
    }
    if (reply->status != 200) return failed(reason_of(*previous, reply->status));
    const json answer = json::parse(reply->body, nullptr, false);
    if (!answer.is_object())
        return failed(previous->path + " was answered with something else than JSON");
    return previous->path == kLoadPath ? after_load(credential, answer)
                                       : after_onboard(credential, *previous, answer);
}

} // namespace shared::providers::gemini
