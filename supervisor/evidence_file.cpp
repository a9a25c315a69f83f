#include "supervisor/evidence_file.hpp"

#include "shared/base/read_file.hpp"
#include "shared/segment/account_state.hpp"

#include <nlohmann/json.hpp>

#include <cmath>
#include <utility>

namespace supervisor {
namespace {

using Json = nlohmann::json;
using shared::EvidenceSource;
using shared::Problem;
using shared::Result;
using shared::UnixMillis;

constexpr int kVersion = 1;
constexpr std::size_t kFileBytesMax = std::size_t{4} << 20U;
constexpr const char* kRemedy = "it is not needed: without it, quotas are asked for anew";

/// A whole number that fits into T; else `otherwise`.
template <class T>
T number(const Json& object, const char* key, T otherwise = 0)
{
    const auto found = object.find(key);
    if (found == object.end() || !found->is_number_integer()) return otherwise;
    const auto value = found->get<std::int64_t>();
    return std::in_range<T>(value) ? static_cast<T>(value) : otherwise;
}

UnixMillis time(const Json& object, const char* key)
{
    return UnixMillis{number<std::int64_t>(object, key)};
}

/// At least 0 and finite.
double amount(const Json& object, const char* key)
{
    const auto found = object.find(key);
    if (found == object.end() || !found->is_number()) return 0;
    const double value = found->get<double>();
    return std::isfinite(value) && value > 0 ? value : 0;
}

std::string text(const Json& object, const char* key)
{
    const auto found = object.find(key);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

const Json& part(const Json& object, const char* key)
{
    static const Json kNothing = Json::object();
    const auto found = object.find(key);
    return found != object.end() && found->is_object() ? *found : kNothing;
}

EvidenceSource source(const Json& object)
{
    const std::string name = text(object, "source");
    for (auto each = EvidenceSource::none; each <= EvidenceSource::pool;
         each = static_cast<EvidenceSource>(static_cast<int>(each) + 1)) {
        if (shared::to_string(each) == name) return each;
    }
    return EvidenceSource::none;
}

Json window_json(const shared::WindowRecord& window, const shared::WindowLearning& learning)
{
    Json out = {
        {"seconds", window.seconds},
        {"source", shared::to_string(window.source)},
        {"resets_at", window.resets_at.value},
        {"seen_at", window.seen_at.value},
        {"full_since", window.full_since.value},
        {"tokens_per_percent", learning.tokens_per_percent},
        {"percent_per_hour", learning.percent_per_hour},
        {"samples", learning.samples}};
    if (window.used.is_known()) out["used"] = window.used.basis_points;
    return out;
}

void read_window(
    const Json& object, shared::WindowRecord& window, shared::WindowLearning& learning)
{
    window.seconds = number<std::uint32_t>(object, "seconds");
    const auto used = number<std::uint16_t>(object, "used", shared::UsedShare::kUnknown);
    if (used <= shared::UsedShare::kFull) window.used = {used};
    window.source = source(object);
    window.resets_at = time(object, "resets_at");
    window.seen_at = time(object, "seen_at");
    window.full_since = time(object, "full_since");
    learning.tokens_per_percent = amount(object, "tokens_per_percent");
    learning.percent_per_hour = amount(object, "percent_per_hour");
    learning.samples = number<std::uint32_t>(object, "samples");
}

Json account_json(const SavedEvidence& known)
{
    const shared::AccountRouting& routing = known.routing;
    Json out = {
        {"kind", known.kind},
        {"account_id", known.account_id},
        {"short", window_json(routing.short_window, known.short_learning)},
        {"long", window_json(routing.long_window, known.long_learning)}};
    if (routing.cooling_until.is_set()) {
        out["cooling"] = {
            {"until", routing.cooling_until.value},
            {"since", routing.state_since.value},
            {"used_up", routing.cooling_used_up},
            {"reason", routing.reason.view()},
            {"source", shared::to_string(routing.state_source)}};
    }
    if (routing.has_credits >= 0) {
        out["credits"] = {
            {"has", routing.has_credits},
            {"unlimited", routing.unlimited_credits},
            {"balance", routing.credits_balance}};
    }
    return out;
}

SavedEvidence read_account(const Json& object)
{
    SavedEvidence known;
    shared::AccountRouting& routing = known.routing;
    known.kind = number<std::uint8_t>(object, "kind");
    known.account_id = text(object, "account_id");
    read_window(part(object, "short"), routing.short_window, known.short_learning);
    read_window(part(object, "long"), routing.long_window, known.long_learning);
    const Json& cooling = part(object, "cooling");
    routing.cooling_until = time(cooling, "until");
    routing.state_since = time(cooling, "since");
    routing.cooling_used_up = cooling.value("used_up", Json()) == true;
    routing.reason.assign(text(cooling, "reason"));
    routing.state_source = source(cooling);
    const Json& credits = part(object, "credits");
    routing.has_credits = number<std::int8_t>(credits, "has", -1);
    routing.unlimited_credits = number<std::int8_t>(credits, "unlimited", -1);
    routing.credits_balance = amount(credits, "balance");
    return known;
}

} // namespace

std::string encode_evidence(const EvidenceById& evidence)
{
    Json accounts = Json::object();
    for (const auto& [id, known] : evidence)
        accounts[id] = account_json(known);
    const Json all = {{"version", kVersion}, {"accounts", std::move(accounts)}};
    return all.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

Result<EvidenceById> decode_evidence(std::string_view text)
{
    const Json all = Json::parse(text, nullptr, false);
    if (!all.is_object()) return Problem{"", "is no JSON object", kRemedy};
    const int version = number<int>(all, "version");
    if (version < 1) return Problem{"version", "is missing", kRemedy};
    if (version > kVersion) return Problem{"version", "is of a newer codex-pool", kRemedy};
    EvidenceById evidence;
    for (const auto& [id, account] : part(all, "accounts").items())
        if (account.is_object()) evidence.emplace(id, read_account(account));
    return {boost::system::in_place_value, std::move(evidence)};
}

Result<EvidenceById> load_evidence(const std::filesystem::path& file)
{
    const auto read = shared::read_file(file, kFileBytesMax, "saved evidence");
    if (!read) return read.error();
    if (read->missing) return EvidenceById{};
    auto evidence = decode_evidence(read->bytes);
    if (evidence) return evidence;
    Problem problem = evidence.error();
    problem.where = problem.where.empty() ? file.string() : file.string() + ": " + problem.where;
    return problem;
}

} // namespace supervisor
