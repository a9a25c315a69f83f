#include "worker/worker_state.hpp"

#include "shared/base/clock.hpp"
#include "shared/base/log.hpp"
#include "shared/segment/forecast.hpp"
#include "worker/pool_summary.hpp"

#include <algorithm>
#include <cstdlib>
#include <functional>

namespace worker {
namespace {

shared::net::TlsContext server_tls(const shared::Config& config)
{
    if (config.tls_cert_pem.empty()) return nullptr;
    auto context =
        shared::net::make_server_tls_context(config.tls_cert_pem, config.tls_key_pem.reveal());
    if (context) return std::move(*context);
    // The supervisor has tried it before: only memory can be missing, and clear text is no way out.
    shared::log::error("event=no_tls {}", context.error().text());
    std::abort();
}

AccessPolicy access_policy(const shared::Config& config)
{
    AccessPolicy policy;
    policy.shared_mode = config.shared_mode;
    policy.admin_password = config.admin_password;
    policy.admin_token = config.admin_token;
    policy.user_key = config.jwt_secret;
    return policy;
}

} // namespace

WorkerState::WorkerState(
    shared::net::Loop& event_loop,
    const shared::Config& configuration,
    const shared::ProviderRegistry& providers,
    shared::Segment& shared_segment,
    std::uint16_t worker_slot,
    SSL_CTX* tls,
    const shared::net::ProxySettings& proxy,
    std::chrono::milliseconds tick)
    : loop(event_loop),
      config(configuration),
      registry(providers),
      segment(shared_segment),
      slot(worker_slot),
      access(access_policy(configuration), shared_segment),
      trusted_proxies(networks_of(configuration.trusted_proxies)),
      server_tls(worker::server_tls(configuration)),
      deadlines(tick),
      connector(event_loop, tls, proxy),
      accounts(shared_segment, providers),
      started_at(shared::now_unix()),
      waits(*this),
      buffer(std::make_unique_for_overwrite<char[]>(kBufferBytes))
{
    std::size_t entries = 1;
    for (const auto& provider : registry.all())
        entries = std::max(entries, static_cast<std::size_t>(provider->id()) + 1);
    request_names.resize(entries);
    response_names.resize(entries);
}

const shared::PoolSummary& WorkerState::summary(shared::ProviderId provider, shared::UnixMillis now)
{
    Summary& cached = summaries_[static_cast<std::size_t>(provider) % summaries_.size()];
    if (!cached.made_at.is_set() || now.since(cached.made_at) >= std::chrono::seconds(1)) {
        accounts.candidates({}, candidates);
        cached.summary = summarize_pool(candidates, provider, now);
        cached.made_at = now;
    }
    return cached.summary;
}

std::uint64_t WorkerState::week_capacity(shared::UnixMillis now)
{
    if (!week_capacity_at_.is_set() || now.since(week_capacity_at_) >= std::chrono::seconds(1)) {
        week_capacity_ = shared::week_capacity(segment);
        week_capacity_at_ = now;
    }
    return week_capacity_;
}

std::uint16_t WorkerState::fair_user(std::string_view name, shared::ProviderId provider)
{
    const shared::FixedString<40> wanted(name);
    const auto number = static_cast<std::uint8_t>(provider);
    const std::size_t place = std::hash<std::string_view>()(wanted.view()) + number;
    FairNumber& known = fair_numbers_[place % fair_numbers_.size()];
    const bool same = known.provider == provider && known.name == wanted.view();
    if (!same || !shared::is_current(segment, known.user)) {
        const shared::MonotonicMillis now(shared::now_monotonic_us() / 1000);
        known.user = shared::fair_user(segment, wanted.view(), number, now);
        known.name = wanted;
        known.provider = provider;
    }
    return known.user.index;
}

std::unique_ptr<RequestText> WorkerState::take_text()
{
    if (spare_texts_.empty()) return std::make_unique<RequestText>();
    std::unique_ptr<RequestText> text = std::move(spare_texts_.back());
    spare_texts_.pop_back();
    text->bytes.clear();
    return text;
}

void WorkerState::give_text(std::unique_ptr<RequestText> text)
{
    constexpr std::size_t kKeptBytesMax = 16 * 1024;
    if (!text || text->bytes.capacity() > kKeptBytesMax || spare_texts_.size() >= kSpareTextsMax)
        return;
    spare_texts_.push_back(std::move(text));
}

} // namespace worker
