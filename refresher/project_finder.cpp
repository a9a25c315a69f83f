// g++ 12 warns of Asio's own headers once they are inlined here at -O2; neither warning is true.
#pragma GCC diagnostic ignored "-Wnull-dereference"
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
#include "refresher/project_finder.hpp"

#include "refresher/vendor_call.hpp"
#include "shared/base/log.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <optional>
#include <utility>

namespace refresher {
namespace {

namespace asio = boost::asio;
using shared::DiscoveryStep;

asio::awaitable<void> pause(std::chrono::milliseconds length)
{
    asio::steady_timer timer(co_await asio::this_coro::executor);
    timer.expires_after(length);
    co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
}

DiscoveryStep failed(std::string problem)
{
    DiscoveryStep step;
    step.next = DiscoveryStep::Next::failed;
    step.problem = std::move(problem);
    return step;
}

} // namespace

ProjectFinder::ProjectFinder(
    asio::io_context& loop,
    const shared::ProviderRegistry& registry,
    const shared::Config& config,
    shared::net::HttpClient& client,
    Roster& roster,
    std::string environment_project,
    DiscoveryTiming timing)
    : loop_(loop),
      registry_(registry),
      config_(config),
      client_(client),
      roster_(roster),
      environment_project_(std::move(environment_project)),
      timing_(timing)
{}

void ProjectFinder::seek_all(shared::UnixMillis now)
{
    for (auto& [id, held] : roster_.held()) {
        if (held.project_sought || held.credential.disabled) continue;
        held.project_sought = true;
        Search search;
        search.id = id;
        search.digest = held.digest;
        search.provider = held.provider;
        search.credential = held.credential;
        const DiscoveryStep first = first_step(search);
        if (first.next == DiscoveryStep::Next::done) {
            if (!first.project.empty()) {
                roster_.set_project(id, held.digest, first.project, first.plan);
            }
            continue;
        }
        const shared::UnixMillis expires = held.credential.expires_at;
        if (expires.is_set() && expires <= now) {
            shared::log::warn(
                "event=project_not_sought account={} reason=\"the access token has expired\"", id);
            continue;
        }
        waiting_.push_back(std::move(search));
    }
    start_next();
}

void ProjectFinder::start_next()
{
    while (running_ < kDiscoveriesMax && !waiting_.empty()) {
        Search next = std::move(waiting_.front());
        waiting_.pop_front();
        if (!still_wanted(next)) continue;
        ++running_;
        asio::co_spawn(loop_, search(std::move(next)), asio::detached);
    }
}

bool ProjectFinder::still_wanted(const Search& search)
{
    const auto held = roster_.held().find(search.id);
    return held != roster_.held().end() && held->second.digest == search.digest;
}

/// The provider's first word; the environment's project steps in where the file names none and one is needed.
DiscoveryStep ProjectFinder::first_step(Search& search) const
{
    const shared::Provider& provider = registry_.get(search.provider);
    DiscoveryStep first = provider.discover(search.credential, nullptr, nullptr);
    if (first.next == DiscoveryStep::Next::done || !search.credential.project.empty() ||
        environment_project_.empty()) {
        return first;
    }
    search.credential.project = environment_project_;
    return provider.discover(search.credential, nullptr, nullptr);
}

asio::awaitable<void> ProjectFinder::search(Search search)
{
    const DiscoveryStep last = co_await one_try(search);
    --running_;
    ++search.tries;
    if (last.next == DiscoveryStep::Next::done) {
        roster_.set_project(search.id, search.digest, last.project, last.plan);
        shared::log::info("event=project_found account={} project={}", search.id, last.project);
        start_next();
        co_return;
    }
    const bool again = search.tries < timing_.tries_max;
    const std::chrono::milliseconds wait = std::min(
        timing_.first_pause * (std::int64_t{1} << std::min(search.tries - 1, 20)),
        timing_.pause_max);
    shared::log::warn(
        "event=project_not_found account={} try={} reason=\"{}\" next={}",
        search.id,
        search.tries,
        last.problem,
        again ? std::to_string(wait.count()) + "ms" : std::string("when its file changes"));
    start_next(); // its turn goes to others while it pauses
    if (!again) co_return;
    ++pausing_;
    co_await pause(wait);
    --pausing_;
    waiting_.push_back(std::move(search));
    start_next();
}

asio::awaitable<DiscoveryStep> ProjectFinder::one_try(const Search& search)
{
    const shared::Provider& provider = registry_.get(search.provider);
    DiscoveryStep step = provider.discover(search.credential, nullptr, nullptr);
    shared::UpstreamCall call;
    for (int calls = 0; calls < kDiscoveryCallsMax; ++calls) {
        if (step.next == DiscoveryStep::Next::done || step.next == DiscoveryStep::Next::failed) {
            co_return step;
        }
        if (step.next == DiscoveryStep::Next::wait) {
            co_await pause(std::min(step.wait, timing_.poll_max));
        } else {
            call = step.call;
        }
        std::optional<shared::net::ForwardProxy> proxy = roster_.proxy_of(search.id);
        const shared::Result<shared::CallReply> reply = co_await call_vendor(
            client_,
            config_.upstream(registry_, call.upstream),
            call,
            timing_.call_deadline,
            std::move(proxy));
        if (!reply.has_value()) co_return failed(reply.error().text());
        step = provider.discover(search.credential, &call, &*reply);
    }
    co_return failed("no end after " + std::to_string(kDiscoveryCallsMax) + " calls");
}

} // namespace refresher
