/// Finds the project an account needs before it can serve (Code Assist's), over the network, in the background.
///
/// What to ask and what an answer means is the provider's; here are the calls, their deadlines and the pauses
/// between tries. Nothing waits for it: an account serves without a project until one is found.
#pragma once

#include "refresher/roster.hpp"
#include "shared/config/config.hpp"
#include "shared/net/http_client.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <string>

namespace refresher {

/// Accounts asked about at one time.
inline constexpr std::size_t kDiscoveriesMax = 4;
/// Calls made in one try, repeated polls included.
inline constexpr int kDiscoveryCallsMax = 40;

/// The pauses of discovery; tests shorten them.
struct DiscoveryTiming {
    std::chrono::milliseconds call_deadline{20'000};
    std::chrono::milliseconds first_pause{2'000}; ///< doubles after each failed try
    std::chrono::milliseconds pause_max{600'000};
    std::chrono::milliseconds poll_max{10'000}; ///< longest wait a provider may ask for
    int tries_max = 20;                         ///< then not again until the file changes
};

class ProjectFinder {
public:
    /// `environment_project` is used for accounts whose file names no project. All references outlive the finder, and
    /// the finder outlives the loop's last run.
    ProjectFinder(
        boost::asio::io_context& loop,
        const shared::ProviderRegistry& registry,
        const shared::Config& config,
        shared::net::HttpClient& client,
        Roster& roster,
        std::string environment_project,
        DiscoveryTiming timing = {});

    /// Starts looking for every held account that was not looked for since its file last changed.
    void seek_all(shared::UnixMillis now);

    /// Accounts being asked about now; at most kDiscoveriesMax.
    [[nodiscard]] std::size_t running() const noexcept { return running_; }

    /// Accounts being asked about, pausing, or waiting for their turn.
    [[nodiscard]] std::size_t pending() const noexcept
    {
        return running_ + pausing_ + waiting_.size();
    }

private:
    struct Search {
        std::string id;
        shared::Sha256Digest digest{};
        shared::ProviderId provider = shared::ProviderId::none;
        shared::Credential credential;
        int tries = 0;
    };

    void start_next();
    [[nodiscard]] bool still_wanted(const Search& search);
    [[nodiscard]] boost::asio::awaitable<void> search(Search search);
    [[nodiscard]] boost::asio::awaitable<shared::DiscoveryStep> one_try(const Search& search);
    [[nodiscard]] shared::DiscoveryStep first_step(Search& search) const;

    boost::asio::io_context& loop_;
    const shared::ProviderRegistry& registry_;
    const shared::Config& config_;
    shared::net::HttpClient& client_;
    Roster& roster_;
    std::string environment_project_;
    DiscoveryTiming timing_;
    std::deque<Search> waiting_;
    std::size_t running_ = 0;
    std::size_t pausing_ = 0;
};

} // namespace refresher
