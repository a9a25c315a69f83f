// g++ 12 warns of Asio's own headers once they are inlined here at -O2; neither warning is true.
#pragma GCC diagnostic ignored "-Wnull-dereference"
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
/// Names, connections, TLS and answers of the upstreams.
#include "shared/base/clock.hpp"
#include "shared/net/http_client.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <set>
#include <string>

#include <fmt/format.h>

#include "supervisor/shell/doctor_checks.hpp"

namespace supervisor::shell {
namespace {

namespace asio = boost::asio;

constexpr std::chrono::seconds kPatience{10};
constexpr std::size_t kBodyMax = 4U << 20U;

/// "Sun, 22 Nov 2026 10:00:00 GMT" in seconds; nothing if it is none.
std::optional<std::int64_t> date_seconds(const std::string& text)
{
    std::tm parts{};
    const char* end = ::strptime(text.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
    if (end == nullptr) return std::nullopt;
    return std::int64_t{::timegm(&parts)};
}

std::string address_of(const shared::http::BaseUrl& base)
{
    return fmt::format("{}://{}", base.tls ? "https" : "http", base.authority());
}

/// What became of one.
struct Answered {
    std::string problem;
    unsigned status = 0;
    std::int64_t ms = 0;
    std::optional<std::int64_t> clock_ahead;
};

asio::awaitable<void> reach(shared::net::HttpClient& client, Reach to, Answered& answered)
{
    shared::net::ClientRequest request;
    request.base = std::move(to.base);
    request.path = "/";
    request.proxy = std::move(to.proxy);
    request.headers.push_back({"User-Agent", "codex-pool-doctor"});
    const std::int64_t begun = shared::now_monotonic_us();
    auto answer = co_await client.send(std::move(request), kPatience, kBodyMax);
    answered.ms = (shared::now_monotonic_us() - begun) / 1000;
    if (!answer.has_value()) {
        answered.problem = answer.error().what;
        co_return;
    }
    answered.status = answer->status;
    for (const shared::http::Header& header : answer->headers) {
        if (!shared::http::iequals(header.name, "date")) continue;
        if (const auto theirs = date_seconds(header.value))
            answered.clock_ahead = shared::now_unix().value / 1000 - *theirs;
    }
}

std::string way_of(const Reach& to, const shared::net::ProxySettings& proxies)
{
    if (to.proxy) return " through its own proxy";
    const auto* proxy = proxies.proxy_for(to.base);
    return proxy == nullptr ? "" : " through the proxy " + proxy->authority();
}

Finding
finding_of(const Reach& to, const Answered& answered, const shared::net::ProxySettings& proxies)
{
    const std::string where = to.name + ": " + address_of(to.base) + way_of(to, proxies);
    if (answered.problem.empty())
        return {
            "network",
            Grade::good,
            fmt::format("{} answers ({}, {} ms)", where, answered.status, answered.ms),
            ""};
    const bool certificate = answered.problem.find("certificate") != std::string::npos;
    const bool name = answered.problem.find("resolve") != std::string::npos;
    return {
        "network",
        Grade::bad,
        where + ": " + answered.problem,
        certificate
            ? "a proxy that opens TLS? name its certificate with SSL_CERT_FILE; look at the clock"
        : name ? "look at the machine's DNS (resolvectl query, /etc/resolv.conf)"
               : "look at firewall and proxy (HTTPS_PROXY, NO_PROXY)"};
}

} // namespace

std::vector<Reach> reaches(
    const shared::ProviderRegistry& registry,
    const shared::Config& config,
    const std::vector<shared::LoadedAccount>& accounts)
{
    std::vector<Reach> all;
    std::set<std::string> seen;
    const auto add =
        [&](const std::string& name, const shared::http::BaseUrl& base, const std::string& proxy) {
            if (!seen.insert(address_of(base) + ' ' + proxy).second) return;
            Reach& to = all.emplace_back(Reach{name, base, std::nullopt});
            if (proxy.empty()) return;
            auto parsed = shared::net::ForwardProxy::parse(proxy);
            // Without a host it fails, as the pool itself would.
            to.proxy = parsed ? std::move(*parsed) : shared::net::ForwardProxy();
        };
    for (const auto& provider : registry.all()) {
        const bool used =
            accounts.empty() ||
            std::any_of(
                accounts.begin(), accounts.end(), [&](const shared::LoadedAccount& account) {
                    return account.provider == provider->id();
                });
        if (!used) continue;
        for (const shared::UpstreamSpec& spec : provider->upstreams()) {
            const auto found = config.upstreams.find(spec.key);
            if (found == config.upstreams.end()) continue;
            // Token refreshes may have a proxy of their own.
            const bool auth = spec.key.ends_with("_auth");
            add(fmt::format("upstream {}", spec.key),
                found->second,
                auth ? config.refresh_proxy_url : std::string());
            for (const shared::LoadedAccount& account : accounts) {
                const auto& proxy = account.credential.options.proxy_url;
                if (account.provider == provider->id() && proxy && !proxy->empty())
                    add(fmt::format("upstream {} for {}", spec.key, account.id),
                        found->second,
                        *proxy);
            }
        }
    }
    return all;
}

NetworkReport
check_network(const std::vector<Reach>& all, const shared::net::ProxySettings& proxies)
{
    NetworkReport report;
    auto tls = shared::net::make_client_tls_context();
    if (!tls) {
        report.findings.push_back(
            {"network", Grade::bad, tls.error().text(), "apt install ca-certificates"});
        return report;
    }
    asio::io_context loop{1};
    shared::net::HttpClient client(*tls, proxies);
    std::vector<Answered> answers(all.size());
    for (std::size_t i = 0; i < all.size(); ++i)
        asio::co_spawn(loop, reach(client, all[i], answers[i]), asio::detached);
    loop.run();
    for (std::size_t i = 0; i < all.size(); ++i) {
        report.findings.push_back(finding_of(all[i], answers[i], proxies));
        if (answers[i].clock_ahead) report.clock_ahead = answers[i].clock_ahead;
    }
    return report;
}

} // namespace supervisor::shell
