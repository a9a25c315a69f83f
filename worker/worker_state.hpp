/// What all requests of one worker share. Built once by the server, handed down by reference, outlives every
/// session.
#pragma once

#include "shared/config/config.hpp"
#include "shared/net/connector.hpp"
#include "shared/net/deadlines.hpp"
#include "shared/net/loop.hpp"
#include "shared/providers/provider.hpp"
#include "shared/segment/layout.hpp"
#include "shared/selection/select_account.hpp"
#include "worker/account_cache.hpp"
#include "worker/authenticate.hpp"
#include "worker/client_address.hpp"
#include "worker/decision_log.hpp"
#include "worker/head_rewriter.hpp"
#include "worker/header_memo.hpp"
#include "worker/pin_key_memo.hpp"
#include "worker/request_ids.hpp"
#include "worker/upstream_pool.hpp"
#include "worker/wait_room.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace worker {

/// A request head with the bytes it points into; kept for reuse, so that a request allocates neither.
struct RequestText {
    std::string bytes;
    shared::http::RequestHead head;
};

struct WorkerState {
    /// One read is at most this much, for all connections together: nobody holds a buffer while waiting.
    static constexpr std::size_t kBufferBytes = std::size_t{256} * 1024;
    static constexpr std::size_t kSpareTextsMax = 128;

    WorkerState(
        shared::net::Loop& event_loop,
        const shared::Config& configuration,
        const shared::ProviderRegistry& providers,
        shared::Segment& shared_segment,
        std::uint16_t worker_slot,
        SSL_CTX* tls,
        const shared::net::ProxySettings& proxy,
        std::chrono::milliseconds tick);

    shared::net::Loop& loop;
    const shared::Config& config;
    const shared::ProviderRegistry& registry;
    shared::Segment& segment;
    std::uint16_t slot;
    Authenticator access;
    std::vector<shared::IpNetwork> trusted_proxies;
    shared::net::TlsContext server_tls; ///< null: clients come without TLS
    shared::net::Deadlines deadlines;
    shared::net::Connector connector;
    UpstreamPool pool;
    AccountCache accounts;
    RequestIds ids;
    shared::UnixMillis started_at;
    WaitRoom waits;
    std::uint64_t rotation = 0;
    bool draining = false;
    /// While draining: a client that was promised the connection may send one more request.
    bool patient = false;
    /// Tells the supervisor that an account's token was refused.
    std::function<void(shared::AccountSlot)> on_account_rejected;

    /// A session has just ended.
    std::function<void()> on_session_end;

    /// Valid until the next wait; whoever keeps bytes across one copies them.
    std::unique_ptr<char[]> buffer;
    // Scratch space, valid until the next wait as well.
    std::string head;
    std::vector<shared::Candidate> candidates;
    std::vector<shared::AccountPlace> places;
    shared::http::ResponseHead response;
    NoteRoom notes{};

    PinKeyMemo pin_keys;
    // By ProviderId; [0] = the admin child.
    std::vector<RequestMemos> request_names;
    std::vector<HeaderMemo> response_names;

    [[nodiscard]] RequestMemos& request_memos(const shared::Provider& provider) noexcept
    {
        return request_names[static_cast<std::size_t>(provider.id())];
    }

    [[nodiscard]] shared::WorkerSlot& row() const noexcept { return segment.workers[slot]; }

    /// The pool's quota as clients see it, at most a second old.
    [[nodiscard]] const shared::PoolSummary&
    summary(shared::ProviderId provider, shared::UnixMillis now);

    /// Billable tokens that all accounts together can serve in a week, at most a second old; 0 = not learnt.
    [[nodiscard]] std::uint64_t week_capacity(shared::UnixMillis now);

    /// The number under which the queue knows this user (shared/segment/wait_queue.hpp).
    [[nodiscard]] std::uint16_t fair_user(std::string_view name, shared::ProviderId provider);

    [[nodiscard]] std::unique_ptr<RequestText> take_text();
    void give_text(std::unique_ptr<RequestText> text);

private:
    struct Summary {
        shared::PoolSummary summary;
        shared::UnixMillis made_at;
    };

    struct FairNumber {
        shared::FixedString<40> name;
        shared::ProviderId provider = shared::ProviderId::none;
        shared::FairUserRef user;
    };

    std::array<FairNumber, 64> fair_numbers_{}; ///< each user's place is where its name hashes to
    std::array<Summary, 8> summaries_{};
    std::uint64_t week_capacity_ = 0;
    shared::UnixMillis week_capacity_at_;
    std::vector<std::unique_ptr<RequestText>> spare_texts_;
};

} // namespace worker
