#include "shared/fake_providers/behaviour.hpp"

#include <nlohmann/json.hpp>

#include <array>
#include <ctime>
#include <utility>

namespace shared::fake_providers {

namespace {

using Json = nlohmann::json;

constexpr std::array<std::pair<std::string_view, Fault>, 17> kFaultNames{{
    {"none", Fault::none},
    {"hang_before_head", Fault::hang_before_head},
    {"reset_on_head", Fault::reset_on_head},
    {"reset_before_head", Fault::reset_before_head},
    {"close_before_head", Fault::close_before_head},
    {"reset_after_head", Fault::reset_after_head},
    {"reset_mid_stream", Fault::reset_mid_stream},
    {"end_mid_stream", Fault::end_mid_stream},
    {"close_mid_stream", Fault::close_mid_stream},
    {"junk_stream", Fault::junk_stream},
    {"in_band_error", Fault::in_band_error},
    {"late_error", Fault::late_error},
    {"length_too_long", Fault::length_too_long},
    {"length_too_short", Fault::length_too_short},
    {"early_response", Fault::early_response},
    {"bad_head", Fault::bad_head},
    {"double_length", Fault::double_length},
}};

std::optional<Fault> fault_of(const std::string& name)
{
    for (const auto& [text, fault] : kFaultNames) {
        if (text == name) return fault;
    }
    return std::nullopt;
}

} // namespace

std::optional<Behaviour> parse_behaviour(std::string_view json)
{
    const Json in = Json::parse(json, nullptr, false);
    if (!in.is_object()) return std::nullopt;
    const std::optional<Fault> fault = fault_of(in.value("fault", "none"));
    if (!fault) return std::nullopt;
    Behaviour out;
    out.fault = *fault;
    out.account = in.value("account", "*");
    out.path = in.value("path", "");
    out.times = in.value("times", -1);
    out.status = in.value("status", 0U);
    out.body = in.value("body", "");
    out.fault_after = in.value("fault_after", std::size_t{2});
    if (in.contains("gate_after")) out.gate_after = in.value("gate_after", std::size_t{0});
    out.delay = std::chrono::milliseconds(in.value("delay_ms", 0));
    out.interval = std::chrono::milliseconds(in.value("interval_ms", 0));
    out.write_bytes = in.value("write_bytes", std::size_t{0});
    out.coding = in.value("coding", "");
    out.trailers = in.value("trailers", false);
    out.close = in.value("close", false);
    out.deltas = in.value("deltas", std::size_t{0});
    out.delta_bytes = in.value("delta_bytes", std::size_t{0});
    out.unframed = in.value("unframed", false);
    if (in.contains("headers")) {
        for (const auto& [name, value] : in["headers"].items())
            out.headers.emplace_back(name, value.get<std::string>());
    }
    return out;
}

Behaviour answers(unsigned status, std::string body, Headers headers)
{
    Behaviour out;
    out.status = status;
    out.body = std::move(body);
    out.headers = std::move(headers);
    return out;
}

Behaviour challenge()
{
    return answers(
        403,
        "<!DOCTYPE html><html><head><title>Just a moment...</title></head></html>",
        {{"Content-Type", "text/html; charset=UTF-8"},
         {"Server", "cloudflare"},
         {"Cf-Mitigated", "challenge"},
         {"Cf-Ray", "fake-ray"}});
}

Behaviour does(Fault fault, std::size_t fault_after)
{
    Behaviour out;
    out.fault = fault;
    out.fault_after = fault_after;
    return out;
}

Behaviour exhausted(Vendor vendor, long resets_in)
{
    const long at = std::time(nullptr) + resets_in;
    Headers headers = {{"Content-Type", "application/json"}};
    Json body;
    if (vendor == Vendor::codex) {
        Json error = {
            {"type", "usage_limit_reached"},
            {"message", "The usage limit has been reached"},
            {"plan_type", "pro"}};
        if (resets_in != 0) {
            error["resets_at"] = at;
            error["resets_in_seconds"] = resets_in;
        }
        body["error"] = error;
    } else if (vendor == Vendor::claude) {
        body = {
            {"type", "error"},
            {"error",
             {{"type", "rate_limit_error"},
              {"message", "This request would exceed your account's rate limit."}}}};
        if (resets_in != 0) {
            headers.emplace_back("anthropic-ratelimit-unified-status", "rejected");
            headers.emplace_back("anthropic-ratelimit-unified-reset", std::to_string(at));
            headers.emplace_back("retry-after", std::to_string(resets_in));
        }
    } else {
        body["error"] = {
            {"code", 429},
            {"status", "RESOURCE_EXHAUSTED"},
            {"message", "You have exhausted your capacity on this model."}};
        if (resets_in != 0)
            body["error"]["details"] = {
                {{"@type", "type.googleapis.com/google.rpc.ErrorInfo"},
                 {"reason", "QUOTA_EXHAUSTED"},
                 {"metadata", {{"quotaResetDelay", std::to_string(resets_in) + "s"}}}}};
    }
    return answers(429, body.dump(), std::move(headers));
}

} // namespace shared::fake_providers
