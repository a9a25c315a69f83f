#include "tests/cli/refusal.hpp"

#include "shared/base/clock.hpp"
#include "shared/providers/provider.hpp"

#include <chrono>
#include <fstream>
#include <stdexcept>

namespace {

using Kind = shared::PoolError::Kind;

shared::PoolError error_named(const std::string& name, long seconds)
{
    static constexpr struct {
        std::string_view name;
        Kind kind;
    } kKinds[] = {
        {"bad_request", Kind::bad_request},
        {"unauthorized", Kind::unauthorized},
        {"forbidden", Kind::forbidden},
        {"not_found", Kind::not_found},
        {"body_too_large", Kind::body_too_large},
        {"exhausted", Kind::exhausted},
        {"no_account", Kind::no_account},
        {"upstream_failed", Kind::upstream_failed},
        {"deadline", Kind::deadline},
        {"overloaded", Kind::overloaded},
        {"user_limit", Kind::user_limit},
        {"user_disabled", Kind::user_disabled},
    };

    for (const auto& each : kKinds) {
        if (each.name != name) continue;
        shared::PoolError error;
        error.kind = each.kind;
        error.message = "the pool says " + name;
        error.now = shared::now_unix();
        if (seconds > 0) error.retry_at = error.now.plus(std::chrono::seconds(seconds));
        return error;
    }
    throw std::runtime_error("there is no error named '" + name + "'");
}

} // namespace

std::optional<std::string>
refusal_of(const std::filesystem::path& folder, const std::string& head_text)
{
    std::ifstream file(folder / "refuse");
    std::string name;
    if (!(file >> name)) return std::nullopt;
    long seconds = 0;
    file >> seconds;

    shared::http::RequestHead head;
    if (shared::http::parse_request(head_text, head) != shared::http::ParseStatus::complete)
        return std::nullopt;
    static const shared::ProviderRegistry registry;
    const shared::Provider& provider = registry.match(head);
    if (!provider.route(head).generates) return std::nullopt;
    const shared::LocalReply reply = provider.error_reply(error_named(name, seconds), head);
    std::string text = "HTTP/1.1 " + std::to_string(reply.status) + " Refused\r\n";
    for (const shared::http::Header& field : reply.headers)
        text += field.name + ": " + field.value + "\r\n";
    return text + "Content-Length: " + std::to_string(reply.body.size()) + "\r\n\r\n" + reply.body;
}
