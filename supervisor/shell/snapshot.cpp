#include "supervisor/shell/snapshot.hpp"

#include "shared/base/read_file.hpp"
#include "shared/base/time_text.hpp"

#include <nlohmann/json.hpp>

namespace supervisor::shell {
namespace {

using Json = nlohmann::json;

/// The values of an object; of anything else none.
const Json& at(const Json& object, const char* name)
{
    static const Json kNothing;
    if (!object.is_object()) return kNothing;
    const auto found = object.find(name);
    return found == object.end() ? kNothing : *found;
}

std::string text(const Json& object, const char* name)
{
    const Json& value = at(object, name);
    return value.is_string() ? shared::printable(value.get_ref<const std::string&>())
                             : std::string();
}

std::int64_t number(const Json& object, const char* name)
{
    const Json& value = at(object, name);
    return value.is_number() ? value.get<std::int64_t>() : 0;
}

double real(const Json& object, const char* name, double fallback)
{
    const Json& value = at(object, name);
    return value.is_number() ? value.get<double>() : fallback;
}

shared::UnixMillis time(const Json& object, const char* name)
{
    return shared::parse_iso_time(text(object, name));
}

Window window_of(const Json& json)
{
    Window window;
    window.exists = number(json, "seconds") > 0;
    window.used = real(json, "used", -1);
    window.resets_at = time(json, "resets_at");
    window.empty_at = time(json, "empty_at");
    window.percent_per_hour = real(json, "percent_per_hour", 0);
    return window;
}

AccountLine account_of(const Json& json)
{
    AccountLine account;
    account.id = text(json, "id");
    account.provider = text(json, "provider");
    account.plan = text(json, "plan");
    account.state = text(json, "state");
    account.severity = text(json, "severity");
    account.note = text(json, "note");
    account.next_step = text(json, "next_step");
    account.in_flight = number(json, "inflight");
    account.requests = number(json, "requests");
    account.short_window = window_of(at(json, "short"));
    account.long_window = window_of(at(json, "long"));
    return account;
}

RunningLine running_of(const Json& json)
{
    RunningLine running;
    running.request_id = text(json, "request_id");
    running.user = text(json, "user");
    running.account = text(json, "account");
    running.model = text(json, "model");
    running.path = text(json, "path");
    running.websocket = at(json, "websocket") == true;
    running.elapsed_ms = number(json, "elapsed_ms");
    running.input = number(json, "input_tokens");
    running.output = number(json, "output_tokens");
    return running;
}

EventLine event_of(const Json& json)
{
    return {time(json, "at"), text(json, "severity"), text(json, "event"), text(json, "text")};
}

WorkerLine worker_of(const Json& json)
{
    return {
        text(json, "state"),
        number(json, "connections"),
        number(json, "running"),
        number(json, "silent_ms")};
}

} // namespace

shared::Result<Snapshot> parse_snapshot(std::string_view bytes)
{
    const Json json = Json::parse(bytes, nullptr, false);
    if (!at(json, "accounts").is_array())
        return shared::Problem{
            "/admin/live",
            "the pool's answer is not understood",
            "use the codex-pool of the version that runs; restart the pool if it is older"};
    Snapshot snapshot;
    snapshot.at = time(json, "at");
    snapshot.version = text(json, "version");
    snapshot.uptime_seconds = number(json, "uptime_seconds");
    snapshot.status = text(json, "status");
    snapshot.sentence = text(json, "sentence");
    snapshot.risk = text(json, "risk");
    snapshot.waiting = number(json, "waiting");
    snapshot.requests = number(json, "requests");
    snapshot.server_errors = number(json, "server_errors");
    for (const Json& problem : at(json, "problems"))
        if (problem.is_string())
            snapshot.problems.push_back(shared::printable(problem.get<std::string>()));
    for (const Json& event : at(json, "events"))
        snapshot.events.push_back(event_of(event));
    for (const Json& worker : at(json, "workers"))
        snapshot.workers.push_back(worker_of(worker));
    for (const Json& account : at(json, "accounts"))
        snapshot.accounts.push_back(account_of(account));
    snapshot.running_total = number(json, "running_total");
    for (const Json& running : at(json, "running"))
        snapshot.running.push_back(running_of(running));
    return snapshot;
}

} // namespace supervisor::shell
