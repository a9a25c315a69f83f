/// One request and its answer, from authentication to the record of what it cost.
///
///   exchange.cpp          the way: who is calling, where to, local answers, body, facts
///   exchange_attempts.cpp accounts one after the other until one serves
///   exchange_wait.cpp     waiting for an account, or for its token
///   exchange_relay.cpp    the answer on its way to the client
///   exchange_passthrough.cpp  the client's own credential instead of an account
///   exchange_record.cpp   what remains: usage row, counters, log line
///
/// Until an answer is on its way the exchange holds all that another attempt needs (`Waiting`); then that is
/// freed, so that an open stream costs little.
#pragma once

#include "shared/http/decode.hpp"
#include "shared/http/framing.hpp"
#include "shared/net/connector.hpp"
#include "shared/net/deadlines.hpp"
#include "shared/net/frame_memory.hpp"
#include "shared/net/task.hpp"
#include "shared/providers/own_credential.hpp"
#include "shared/segment/pin_table.hpp"
#include "shared/segment/worker_slots.hpp"
#include "shared/selection/select_account.hpp"
#include "worker/authenticate.hpp"
#include "worker/head_rewriter.hpp"
#include "worker/own_routes.hpp"
#include "worker/request_body.hpp"
#include "worker/retry_policy.hpp"
#include "worker/timings.hpp"
#include "worker/upstream_call.hpp"
#include "worker/wait_room.hpp"
#include "worker/worker_state.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace worker {

class Session;

class Exchange : public shared::net::InFrameMemory {
public:
    /// Bytes of an event stream held back until its first output, so that an error before it can go to another
    /// account.
    static constexpr std::size_t kHoldBackBytesMax = std::size_t{64} * 1024;
    /// A compressed body is decoded up to here, only to look inside.
    static constexpr std::size_t kDecodedBytesMax = std::size_t{64} << 20U;

    /// Anybody may send one to the open stubs: it is not worth more memory than this.
    static constexpr std::uint64_t kOpenBodyBytesMax = std::uint64_t{1} << 20U;

    /// A credential file in a form is the largest that the pool's own pages take.
    static constexpr std::uint64_t kOwnBodyBytesMax = std::uint64_t{2} << 20U;

    Exchange(WorkerState& worker, Session& session, std::unique_ptr<RequestText> text);
    Exchange(const Exchange&) = delete;
    Exchange(Exchange&&) = delete;
    Exchange& operator=(const Exchange&) = delete;
    Exchange& operator=(Exchange&&) = delete;
    ~Exchange();

    /// `early` is what arrived after the head. True if the connection can carry another request.
    [[nodiscard]] shared::net::Task<bool> run(std::string_view early);

private:
    /// What is needed until an answer is on its way.
    struct Waiting : shared::net::InFrameMemory {
        explicit Waiting(WorkerState& worker, Session& session) : body(worker, session) {}

        shared::Route route;
        shared::RequestFacts facts;
        RequestBody body;
        std::string decoded; ///< the body without its content coding, where one was undone
        std::vector<shared::AccountSlot> tried;
        /// Accounts that refused this request. Learned once another account has served it: what every account
        /// refuses is the request's fault, not theirs.
        std::vector<std::pair<shared::AccountSlot, shared::Verdict>> refusals;
        bool relays_refusal = false; ///< nobody takes it: the client gets the vendor's own words
        RetryState retry;
        std::string head;    ///< of the request upstream
        std::string project; ///< the account's, in quotes, where it stands in for the client's
        std::optional<UpstreamCall> call;
        std::string error_body; ///< beginning of an error's payload
        std::optional<shared::AccountSlot> pinned;
        shared::PassedOver moved_because =
            shared::PassedOver::picked;          ///< why `pinned` does not serve
        shared::Ask ask;                         ///< for a place, and the ticket while it waits
        shared::MonotonicMillis queue_until{0};  ///< set when it first waits
        shared::MonotonicMillis pinned_until{0}; ///< for its own account
        bool queue_full = false;
    };

    enum class RelayEnd : std::uint8_t {
        whole,
        cut,         ///< the upstream broke off, or is no valid HTTP
        client_gone, ///< or took nothing for too long
        before_output, ///< the stream failed before its first output and nothing was sent: try another account
    };

    // -- exchange.cpp --------------------------------------------------------------------------------
    [[nodiscard]] const shared::http::RequestHead& head() const noexcept { return text_->head; }

    [[nodiscard, gnu::cold]] shared::net::Task<bool>
    answer_own(const OwnRoute& own, const AccessDecision& caller, std::string_view early);
    [[nodiscard]] shared::net::Task<bool> read_body(RequestBody::End taken);
    [[nodiscard, gnu::cold]] shared::net::Task<bool> answer_locally();
    [[nodiscard, gnu::cold]] shared::net::Task<bool> relay_to_admin(const AccessDecision& caller);
    [[nodiscard, gnu::cold]] PageCaller page_caller(const AccessDecision& caller) const;
    void inspect();
    /// Who is calling, and the answer to those who may not.
    [[nodiscard]] AccessDecision approach(shared::Access needed, bool own_route);
    [[nodiscard, gnu::cold]] shared::net::Task<bool>
    turn_away(const AccessDecision& caller, std::string_view early);
    /// Whether the user's limits let the request in; counts it then.
    [[nodiscard]] shared::LimitHit admit();
    [[nodiscard]] std::string_view decoded_body();
    [[nodiscard, gnu::cold]] shared::net::Task<bool>
    refuse(shared::PoolError::Kind kind, std::string message, shared::UnixMillis retry_at = {});
    [[nodiscard, gnu::cold]] shared::net::Task<bool> refuse_early(
        shared::PoolError::Kind kind,
        std::string message,
        std::string_view early,
        shared::UnixMillis retry_at = {});
    [[nodiscard, gnu::cold]] shared::LocalReply error_reply(const shared::PoolError& error) const;
    [[nodiscard, gnu::cold]] shared::LocalReply healthz() const;
    /// Sends an answer of our own.
    [[nodiscard, gnu::cold]] shared::net::Task<bool> answer(shared::LocalReply reply);
    [[nodiscard]] ClientHead client_head(std::int64_t now_us) const noexcept;
    /// After the answer: whether the connection can go on.
    [[nodiscard]] bool can_go_on() noexcept;

    // -- exchange_attempts.cpp -------------------------------------------------------------------------
    [[nodiscard]] shared::net::Task<bool> serve();
    [[nodiscard]] shared::Selection select();
    [[nodiscard]] bool claim(const shared::Selection& selection);
    [[nodiscard]] shared::net::Task<UpstreamCall::End>
    call_upstream(const shared::Selection& selection);
    [[nodiscard, gnu::cold]] shared::net::Task<> read_error_body();
    /// What the answer's head, and its body if that is an error's, say about the account.
    [[nodiscard]] shared::Verdict judge();
    void learn(const shared::Verdict& verdict);
    void learn_about(shared::AccountSlot account, const shared::Verdict& verdict);
    [[gnu::cold]] void learn_fault(AttemptEnd end);
    [[nodiscard, gnu::cold]] shared::net::Task<bool>
    give_up(AttemptEnd end, const shared::Verdict& verdict);
    [[nodiscard, gnu::cold]] shared::net::Task<bool>
    nobody_serves(const shared::Selection& selection);
    [[nodiscard, gnu::cold]] bool http_could_serve();
    [[nodiscard, gnu::cold]] shared::net::Task<bool> refuse_upgrade();
    [[nodiscard]] AttemptEnd attempt_end(UpstreamCall::End end) const noexcept;
    [[gnu::cold]] void rearm() noexcept;
    void end_probe();
    void load_candidates();
    [[nodiscard]] shared::SelectionQuery query();

    /// The row of this request among those that run. False: there is no room for it.
    [[nodiscard]] bool begin_row();

    // -- exchange_passthrough.cpp ----------------------------------------------------------------------
    /// Whether it goes out with the client's own credential.
    [[nodiscard]] bool passes_through(const AccessDecision& caller) const;
    [[nodiscard, gnu::cold]] shared::net::Task<bool> pass_through();
    [[nodiscard, gnu::cold]] shared::net::Task<UpstreamCall::End>
    call_with(const shared::Leg& leg, const shared::OwnCredential& own);

    // -- exchange_wait.cpp -----------------------------------------------------------------------------
    /// Takes from the candidates the places that belong to requests before this one.
    void leave_places_to_others();
    /// The usual case: the choice could be claimed.
    [[nodiscard]] bool served_at_once(const shared::Selection& selection);
    /// Waits until an account is claimed, or none is worth waiting for (then without one).
    [[nodiscard, gnu::cold]] shared::net::Task<shared::Selection>
    wait_for_account(shared::Selection selection);
    /// Until when, and for whom (`ask.wants`); nothing if the selection stands.
    [[nodiscard, gnu::cold]] std::optional<shared::MonotonicMillis>
    worth_waiting(const shared::Selection& selection);
    [[nodiscard, gnu::cold]] bool comes_back_within(
        std::chrono::milliseconds time,
        const shared::PinnedStanding& pinned,
        shared::UnixMillis now) const;
    [[gnu::cold]] void want_whoever_comes_soon(shared::UnixMillis horizon);
    [[nodiscard, gnu::cold]] shared::net::Task<>
    wait_for_turn(shared::MonotonicMillis until, bool for_pinned);
    /// How long, in milliseconds.
    [[nodiscard, gnu::cold]] shared::net::Task<std::uint32_t> wait_for(const WaitFor& what);
    [[nodiscard]] bool token_is_renewed() const noexcept;
    /// If the claimed account's token is about to end and its successor is on its way.
    [[nodiscard, gnu::cold]] shared::net::Task<> wait_for_token();
    /// The conversation belongs to this account now; a move is counted and logged.
    void note_pin(shared::AccountSlot account);

    // -- exchange_relay.cpp ----------------------------------------------------------------------------
    [[nodiscard]] shared::net::Task<RelayEnd> relay();
    [[nodiscard]] shared::net::Task<RelayEnd> relay_from(shared::net::Stream& stream);
    [[nodiscard]] shared::net::Task<> tunnel();
    void prepare_relay(const shared::http::ResponseHead& response);
    void build_client_head(const shared::http::ResponseHead& response, std::string& out);
    /// Follows the framing of the next bytes and returns those the client gets.
    [[nodiscard]] std::string_view take(std::string_view raw);
    void scan(std::string_view payload);
    void finish_scan();
    void publish_usage();
    [[nodiscard]] bool must_hold() const noexcept;
    [[nodiscard]] bool failed_before_output() const noexcept;
    /// The head went out: learns that the account served, sets the pin, frees what another attempt would need.
    void release();
    void set_stream_deadline() noexcept;

    // -- exchange_record.cpp -----------------------------------------------------------------------------
    void record(shared::RequestOutcome outcome);
    /// Takes a decision record for this request; once.
    void begin_decision();
    [[gnu::cold]] void note_refusal(shared::PoolError::Kind kind, shared::UnixMillis retry_at);

    WorkerState& worker_;
    Session& session_;
    std::unique_ptr<RequestText> text_;
    std::unique_ptr<Waiting> waiting_;
    shared::net::CancelToken cancel_;
    shared::net::Deadline deadline_;
    const shared::Provider* provider_ = nullptr;
    const shared::http::BaseUrl* origin_ = nullptr;    ///< of the connection in use
    const shared::net::ForwardProxy* proxy_ = nullptr; ///< the same: the account's own, or none
    std::optional<shared::RunningRequest> running_;
    std::optional<shared::ResponseScanner> scanner_;
    std::unique_ptr<shared::http::StreamDecoder> decoder_;
    shared::http::BodyTracker tracker_;
    Timings timings_;
    DecisionLog decision_;
    shared::UnixMillis started_;
    shared::PinKey pin_key_{};
    RequestId id_{};
    shared::FixedString<40> user_;
    shared::UserSlot pool_user_;
    std::uint32_t user_generation_ = 0;
    shared::FixedString<48> path_; ///< beginning of the path, for the log
    std::uint64_t request_bytes_ = 0;
    std::uint64_t response_bytes_ = 0;
    std::uint64_t decoded_bytes_ = 0;    ///< of a compressed answer, for the scanner
    std::int64_t stream_ends_at_ms_ = 0; ///< of Deadlines' clock; 0 = no limit
    std::uint32_t idle_seconds_ = 0;
    shared::AccountSlot account_;
    std::uint16_t status_ = 0;
    std::uint8_t attempts_ = 0;
    bool has_pin_key_ = false;
    bool keep_ = false; ///< the client's connection may carry another request
    bool http10_ = false;
    bool is_head_ = false;
    bool streams_ = false;   ///< the client asked for a stream
    bool unchunk_ = false;   ///< chunk framing is taken off
    bool excess_ = false;    ///< the upstream sent more than its answer
    bool tls_quiet_ = false; ///< the last read gave nothing: wait before the next
    bool quiet_ = false;     ///< logged at debug only (the pool's own pages)
    bool expired_ = false;   ///< deadline_ has passed
    bool recorded_ = false;
    bool passes_ = false; ///< with the client's own credential
    bool probes_ = false; ///< this request is account_'s one probe, and nothing was learnt yet
};

} // namespace worker
