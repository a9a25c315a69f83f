// g++ 12 warns of Asio's own headers once they are inlined here at -O2; neither warning is true.
#pragma GCC diagnostic ignored "-Wnull-dereference"
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
#include "refresher/quota_poll.hpp"

#include "refresher/vendor_call.hpp"
#include "shared/base/clock.hpp"
#include "shared/base/log.hpp"
#include "shared/evidence/learn.hpp"
#include "shared/providers/verdicts.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <utility>

namespace refresher {
namespace {

namespace asio = boost::asio;
using shared::AccountRouting;
using shared::AccountState;
using shared::UnixMillis;
using std::chrono::milliseconds;

/// A lane without anything to do looks again after this, whatever happens.
constexpr milliseconds kIdleMax = std::chrono::minutes(1);
/// Evidence from further in the future than this was seen with another clock.
constexpr milliseconds kClockJump = std::chrono::minutes(1);

/// How old the oldest of what is known of an account's windows is; nothing if nothing is known.
std::optional<milliseconds> evidence_age(const AccountRouting& routing, UnixMillis now)
{
    std::optional<milliseconds> oldest;
    for (const shared::WindowRecord* window : {&routing.short_window, &routing.long_window}) {
        if (window->seconds == 0) continue;
        milliseconds age = now.since(window->seen_at);
        const bool over = window->resets_at.is_set() && window->resets_at <= now;
        if (over || age < -kClockJump) age = milliseconds::max();
        oldest = std::max(oldest.value_or(milliseconds(0)), age);
    }
    return oldest;
}

bool is_polled(const AccountRouting& routing)
{
    return routing.state == AccountState::ready || routing.state == AccountState::failing;
}

} // namespace

QuotaPoller::QuotaPoller(
    asio::io_context& loop,
    const shared::ProviderRegistry& registry,
    const shared::Config& config,
    shared::net::HttpClient& client,
    shared::Segment& segment,
    Roster& roster,
    std::function<void(shared::AccountSlot)> on_rejected,
    QuotaPollTiming timing)
    : loop_(loop),
      registry_(registry),
      config_(config),
      client_(client),
      segment_(segment),
      roster_(roster),
      on_rejected_(std::move(on_rejected)),
      timing_(timing),
      random_(std::random_device{}())
{}

void QuotaPoller::start()
{
    for (const auto& provider : registry_.all()) {
        lanes_.push_back({provider->id(), asio::steady_timer(loop_)});
        asio::co_spawn(loop_, run(lanes_.back()), asio::detached);
    }
}

void QuotaPoller::look_again()
{
    for (Lane& lane : lanes_)
        lane.timer.cancel();
    std::erase_if(tries_, [this](const auto& entry) {
        return roster_.held().find(entry.first) == roster_.held().end();
    });
}

asio::awaitable<void> QuotaPoller::run(Lane& lane)
{
    for (;;) {
        const Next what = next(lane.provider, std::chrono::steady_clock::now());
        milliseconds wait = what.wait;
        if (!what.id.empty()) {
            ++running_;
            co_await poll(what.id);
            --running_;
            wait = jittered(timing_.spacing);
        }
        lane.timer.expires_after(wait);
        co_await lane.timer.async_wait(asio::as_tuple(asio::use_awaitable));
    }
}

QuotaPoller::Next QuotaPoller::next(shared::ProviderId provider, Monotonic now)
{
    Next out;
    out.wait = kIdleMax;
    for (const auto& [id, held] : roster_.held()) {
        if (held.provider != provider) continue;
        const std::optional<milliseconds> wait = wait_of(id, held, now);
        if (!wait || *wait >= out.wait) continue;
        out.wait = std::max(*wait, milliseconds(0));
        out.id = *wait <= milliseconds(0) ? id : std::string();
        if (!out.id.empty()) break;
    }
    return out;
}

std::optional<milliseconds>
QuotaPoller::wait_of(const std::string& id, const Roster::Held& held, Monotonic now)
{
    const UnixMillis wall = shared::now_unix();
    const UnixMillis expires = held.credential.expires_at;
    // An expired token tells nothing; its renewal makes every lane look again.
    if (expires.is_set() && expires <= wall) return std::nullopt;
    const AccountRouting routing = segment_.accounts[held.slot.value].with_lock(
        [](const shared::AccountRecord& record) { return record.routing; });
    if (!is_polled(routing)) return std::nullopt;
    if (!registry_.get(held.provider).usage_call(held.credential)) return std::nullopt;
    milliseconds wait{0};
    if (const auto age = evidence_age(routing, wall); age && *age < timing_.interval)
        wait = timing_.interval - std::max(*age, milliseconds(0));
    const auto tries = tries_.find(id);
    if (tries == tries_.end() || !tries->second.not_before) return wait;
    const auto pause = std::chrono::duration_cast<milliseconds>(*tries->second.not_before - now);
    return std::max(wait, pause);
}

asio::awaitable<void> QuotaPoller::poll(std::string id)
{
    const auto held = roster_.held().find(id);
    if (held == roster_.held().end()) co_return;
    const std::optional<shared::UpstreamCall> call =
        registry_.get(held->second.provider).usage_call(held->second.credential);
    if (!call) co_return;
    tries_[id].not_before = std::chrono::steady_clock::now() + jittered(timing_.interval);
    std::optional<shared::net::ForwardProxy> proxy = roster_.proxy_of(id);
    const shared::Result<shared::CallReply> reply = co_await call_vendor(
        client_,
        config_.upstream(registry_, call->upstream),
        *call,
        timing_.call_deadline,
        std::move(proxy));
    if (reply.has_value()) {
        take(id, *reply);
    } else {
        fail(id, reply.error().text(), std::nullopt);
    }
}

void QuotaPoller::take(const std::string& id, const shared::CallReply& reply)
{
    const auto held = roster_.held().find(id); // the folder may have changed meanwhile
    if (held == roster_.held().end()) return;
    const shared::Provider& provider = registry_.get(held->second.provider);
    const UnixMillis now = shared::now_unix();
    if (reply.status != 200) {
        fail(
            id,
            "answered with " + std::to_string(reply.status),
            shared::providers::retry_after_of(reply, now));
        if (reply.status == 401) on_rejected_(held->second.slot);
        return;
    }
    const shared::Result<shared::UsageReading> reading = provider.parse_usage(reply, now);
    if (!reading.has_value()) return fail(id, reading.error().what, std::nullopt);
    tries_[id].failures = 0;
    shared::learn_poll(segment_, held->second.slot, reading->quota, now);
    shared::log::debug(
        "event=quota_polled account={} windows={} plan={}",
        id,
        reading->quota.count,
        reading->plan);
    if (reading->plan.empty()) return;
    const bool is_new = segment_.accounts[held->second.slot.value].with_lock(
        [&](const shared::AccountRecord& record) {
            return !(record.identity.plan == reading->plan);
        });
    if (is_new) roster_.set_project(id, held->second.digest, {}, reading->plan);
}

void QuotaPoller::fail(
    const std::string& id, std::string_view why, std::optional<milliseconds> asked_for)
{
    Tries& tries = tries_[id];
    const milliseconds back_off = std::min(
        timing_.interval * (std::int64_t{1} << std::min(tries.failures, 20U)),
        std::max(timing_.back_off_max, timing_.interval));
    ++tries.failures;
    const milliseconds wait = jittered(
        std::max(back_off, std::min(asked_for.value_or(milliseconds(0)), timing_.back_off_max)));
    tries.not_before = std::chrono::steady_clock::now() + wait;
    shared::log::warn(
        "event=quota_poll_failed account={} try={} reason=\"{}\" next_seconds={}",
        id,
        tries.failures,
        why,
        wait.count() / 1000);
}

milliseconds QuotaPoller::jittered(milliseconds length)
{
    std::uniform_int_distribution<std::int64_t> more(
        0, std::max<std::int64_t>(0, length.count() / 8));
    return length + milliseconds(more(random_));
}

} // namespace refresher
