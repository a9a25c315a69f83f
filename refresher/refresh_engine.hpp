/// Renews access tokens: when they come to their end, when a worker reports that one was refused, when the owner asks.
///
/// One refresh at a time for each provider, never two for one account, never tied to a client's request. The way of
/// new tokens is: intent journalled, request sent, answer journalled, credential file replaced, then published.
/// Whatever state an account is in for routing, its token is kept alive; only disabled accounts are left alone.
#pragma once

#include "refresher/refresh_journal.hpp"
#include "refresher/refresh_schedule.hpp"
#include "refresher/roster.hpp"
#include "refresher/token_file.hpp"
#include "refresher/token_store.hpp"
#include "shared/base/clock.hpp"
#include "shared/config/config.hpp"
#include "shared/ipc/messages.hpp"
#include "shared/net/http_client.hpp"
#include "shared/segment/layout.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace refresher {

class RefreshEngine {
public:
    using Callback = std::function<void(shared::ActionResult)>;

    /// All references outlive the engine, and the engine outlives the loop's last run. `journal` is null where none
    /// could be opened: nothing is refreshed then.
    RefreshEngine(
        boost::asio::io_context& loop,
        const shared::ProviderRegistry& registry,
        const shared::Config& config,
        shared::net::HttpClient& client,
        shared::Segment& segment,
        Roster& roster,
        RefreshJournal* journal,
        RefreshTimings timings = {},
        std::function<shared::UnixMillis()> wall_clock = shared::now_unix);

    /// Called with the account whose tokens were renewed or re-read, after they were published.
    void on_renewed(std::function<void()> told) { on_renewed_ = std::move(told); }

    /// After each look at the pool folder: finishes what a death left unfinished, then plans.
    void on_loaded();

    /// A worker's report that an account's token was refused with 401.
    void on_rejected(shared::AccountSlot slot);

    /// The owner's wish; back-off and dead tokens do not stop it, a lane's Retry-After does. `done` is called once,
    /// perhaps at once; it may be empty.
    void refresh_now(std::string_view account, Callback done);

    /// Starts nothing more; `done` is called when no answer is awaited any more, perhaps at once.
    void drain(std::function<void()> done);

    /// Refreshes in flight.
    [[nodiscard]] std::size_t running() const noexcept { return running_; }

private:
    /// What is known of an account's refreshing. Lives as long as the process; keyed by id.
    struct Work {
        bool in_flight = false;
        bool asked = false;
        bool by_owner = false;
        unsigned failures = 0;
        unsigned rejections = 0;          ///< in a row, each after a refresh
        MonotonicTime rejection_counts{}; ///< before this another one is not acted on
        MonotonicTime not_before{};
        std::optional<MonotonicTime> renewed_at;
        shared::UnixMillis renewed_wall;
        std::optional<shared::Sha256Digest> dead; ///< the refresh token that was refused
        std::vector<Callback> waiting;
    };

    /// How one refresh ended.
    struct End {
        enum class Kind : std::uint8_t { renewed, adopted, needs_login, failed, gone };
        Kind kind = Kind::failed;
        std::string reason;
        std::string detail; ///< for the log and the owner; no secrets
        std::optional<std::chrono::milliseconds> retry_after;
    };

    /// One refresh on its way.
    struct Job {
        std::string id;
        const shared::Provider* provider = nullptr;
        std::filesystem::path file;
        shared::Credential old;
        bool sent = false;
    };

    void pump();
    [[nodiscard]] bool may_refresh(const Roster::Held& held, const Work& work) const;
    [[nodiscard]] RefreshNeed
    need_of(const std::string& id, const Roster::Held& held, const Work& work) const;
    void start(const std::string& id, const Roster::Held& held);
    void show_waiting(const Roster::Held& held, bool waits);
    [[nodiscard]] boost::asio::awaitable<void> run(std::string id);
    [[nodiscard]] boost::asio::awaitable<End> refresh(Job& job);
    [[nodiscard]] boost::asio::awaitable<End> exchange(Job& job, FileReplacement& replacement);
    [[nodiscard]] bool before_send(Job& job);
    void finish(const std::string& id, const End& end);
    void forget_removed();

    [[nodiscard]] End conclude(
        const Job& job,
        const shared::CallReply& reply,
        shared::UnixMillis at,
        FileReplacement* replacement);
    [[nodiscard]] End
    store(const Job& job, const shared::RefreshOutcome& outcome, FileReplacement* replacement);
    [[nodiscard]] End put_into_file(
        const Job& job,
        const TokenFile& before,
        const shared::RefreshOutcome& outcome,
        FileReplacement* replacement);
    [[nodiscard]] End refused(const Job& job, std::string_view reason);
    [[nodiscard]] bool adopt_if_changed(const Job& job, const shared::Credential& file);
    void publish(const Job& job, shared::Credential credential);
    void declare_dead(const Job& job, std::string_view reason);
    void finish_unfinished();
    void finish_unfinished(const std::string& id, const JournalEntry& entry);
    [[nodiscard]] Job job_of(const std::string& id, const Roster::Held& held) const;

    boost::asio::io_context& loop_;
    const shared::ProviderRegistry& registry_;
    const shared::Config& config_;
    shared::net::HttpClient& client_;
    shared::Segment& segment_;
    Roster& roster_;
    RefreshJournal* journal_;
    RefreshTimings timings_;
    std::function<shared::UnixMillis()> wall_clock_;
    boost::asio::steady_timer timer_;
    std::map<std::string, Work, std::less<>> work_;
    std::map<std::uint8_t, RefreshLane> lanes_;
    std::size_t running_ = 0;
    bool draining_ = false;
    std::function<void()> drained_;
    std::function<void()> on_renewed_;
};

} // namespace refresher
