/// Asks vendors for the quota of accounts that nothing fresher is known of.
///
/// One lane per provider: one call at a time, spaced. An account is asked when what is known of its windows is older
/// than the interval; traffic makes polls unnecessary. A poll never condemns an account: a refused token is handed to
/// whoever renews tokens, anything else is asked again later and later.
#pragma once

#include "refresher/roster.hpp"
#include "shared/config/config.hpp"
#include "shared/net/http_client.hpp"
#include "shared/segment/layout.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <string_view>

namespace refresher {

/// The pauses of polling, each up to an eighth longer; tests shorten them.
struct QuotaPollTiming {
    std::chrono::milliseconds interval{300'000}; ///< usage_refresh_seconds
    std::chrono::milliseconds spacing{500};      ///< between two calls of a lane
    std::chrono::milliseconds call_deadline{20'000};
    std::chrono::milliseconds back_off_max{
        3'600'000}; ///< after failures, beginning with the interval
};

class QuotaPoller {
public:
    /// All references outlive the poller, and the poller outlives the loop's last run. `on_rejected` is called with an
    /// account whose token a vendor refused.
    QuotaPoller(
        boost::asio::io_context& loop,
        const shared::ProviderRegistry& registry,
        const shared::Config& config,
        shared::net::HttpClient& client,
        shared::Segment& segment,
        Roster& roster,
        std::function<void(shared::AccountSlot)> on_rejected,
        QuotaPollTiming timing);

    /// Starts the lanes. Once.
    void start();

    /// Accounts or tokens have changed: whoever waits looks again.
    void look_again();

    /// Calls in flight; at most one per provider.
    [[nodiscard]] std::size_t running() const noexcept { return running_; }

private:
    using Monotonic = std::chrono::steady_clock::time_point;

    struct Lane {
        shared::ProviderId provider;
        boost::asio::steady_timer timer;
    };

    /// What is known of polling one account.
    struct Tries {
        std::optional<Monotonic> not_before;
        unsigned failures = 0;
    };

    /// What a lane does next: poll `id`, or look again after `wait`.
    struct Next {
        std::string id;
        std::chrono::milliseconds wait{0};
    };

    [[nodiscard]] boost::asio::awaitable<void> run(Lane& lane);
    [[nodiscard]] Next next(shared::ProviderId provider, Monotonic now);
    /// How long until an account has to be asked; nothing if never, as it is.
    [[nodiscard]] std::optional<std::chrono::milliseconds>
    wait_of(const std::string& id, const Roster::Held& held, Monotonic now);
    [[nodiscard]] boost::asio::awaitable<void> poll(std::string id);
    void take(const std::string& id, const shared::CallReply& reply);
    void fail(
        const std::string& id,
        std::string_view why,
        std::optional<std::chrono::milliseconds> retry_after);
    [[nodiscard]] std::chrono::milliseconds jittered(std::chrono::milliseconds length);

    boost::asio::io_context& loop_;
    const shared::ProviderRegistry& registry_;
    const shared::Config& config_;
    shared::net::HttpClient& client_;
    shared::Segment& segment_;
    Roster& roster_;
    std::function<void(shared::AccountSlot)> on_rejected_;
    QuotaPollTiming timing_;
    std::list<Lane> lanes_;
    std::map<std::string, Tries, std::less<>> tries_;
    std::minstd_rand random_;
    std::size_t running_ = 0;
};

} // namespace refresher
