/// The whole shared-memory segment, in one place.
///
/// The supervisor creates it once (memfd, no name anywhere), every child maps the same descriptor.
/// Rules: fixed size; trivially copyable records; indices, never pointers; one lock at a time; nothing
/// but memory operations under a lock. Any change here bumps kLayoutVersion.
///
///   part              writers                     readers            guarded by         if the writer dies inside
///   ----------------  --------------------------  -----------------  -----------------  ---------------------------
///   SegmentHeader     supervisor, before fork     all                nothing (const)    -
///   PoolInfo          refresher                   all                info.mutex         message is cleared
///   AccountRecord[a]  refresher (identity, quota, all                accounts[a].mutex  identity: shadow copy kept;
///                     state), worker (quota,                                            numbers -> unknown
///                     state, from answers)
///   TokenRecord[a]    refresher                   worker             tokens[a].mutex    keeps last whole token
///   AccountTotals[a]  supervisor                  all                atomics            may lack one row until restart
///   PinShard[s]       worker, supervisor (load)   worker, admin,     pins[s].mutex      half-written pin is dropped
///                                                 supervisor (save)
///   SupervisorWord    supervisor, before its      admin              supervisor_word.    a word of the one before;
///                     message                                        mutex               its message never comes
///   OwnerWish         admin child, before its     refresher          owner_wish.mutex   wish is cleared; its message
///                     message                                                           never comes or is refused
///   WorkerSlot[s]     process in slot s;          supervisor, admin, atomics            supervisor closes its request
///                     supervisor (claim, reset)   workers                               rows and resets the slot
///   UsageRing[s]      process in slot s (head)    supervisor (tail)  atomics (SPSC)     published entries are drained
///   EventLog          refresher                   admin              events.mutex       that event does not count
///   DecisionRing[s]   process in slot s           admin              version of a cell  that record stays unreadable
///   FairQueue         workers, supervisor         workers, admin     see wait_queue.hpp
///   UserTable         admin child, worker,        all                see user_table.hpp
///                     supervisor
///   AttemptTable      worker, admin child         all                attempts.mutex     an entry may be forgotten
///   PinMoves          worker                      admin              atomics            may count one side only
///
/// A slot is one living process, not one listening socket: while a worker is replaced the old and the
/// new one share a listener but never a slot.
#pragma once

#include "shared/base/fixed_string.hpp"
#include "shared/base/units.hpp"
#include "shared/segment/attempt_table.hpp"
#include "shared/segment/decision_ring.hpp"
#include "shared/segment/event_log.hpp"
#include "shared/segment/histogram.hpp"
#include "shared/segment/owner_wish.hpp"
#include "shared/segment/pin_moves.hpp"
#include "shared/segment/robust_mutex.hpp"
#include "shared/segment/user_table.hpp"
#include "shared/segment/wait_queue.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace shared {

inline constexpr std::uint64_t kSegmentMagic = 0x6C6F6F7078646F63; // "codxpool"
inline constexpr std::uint32_t kLayoutVersion = 5;
/// Living workers, those of earlier reloads and upgrades that still drain included.
inline constexpr std::size_t kMaxSlots = 256;
inline constexpr std::size_t kMaxAccounts = 256;
inline constexpr std::size_t kPinShards = 16;
inline constexpr std::size_t kPinsPerShard = 4096;
inline constexpr std::size_t kUsageRingEntries = 1024;
inline constexpr std::size_t kRequestRows =
    8192; ///< running requests per worker; one more is refused with 503
inline constexpr std::size_t kTokenBytesMax = 8192;
inline constexpr std::size_t kCacheLine = 64;

static_assert(std::atomic<std::uint64_t>::is_always_lock_free, "needed across processes");

struct SegmentHeader {
    std::uint64_t magic = 0;
    std::uint32_t layout_version = 0;
    std::uint32_t reserved = 0;
    std::uint64_t size_bytes = 0;
    UnixMillis created_at;
    /// Where the admin child listens: an AF_UNIX name in the abstract namespace, without its leading zero byte.
    FixedString<107> admin_socket;
};

// ---- accounts ---------------------------------------------------------------------------------------

/// Where a fact about quota or state came from.
enum class EvidenceSource : std::uint8_t {
    none,
    file,
    poll,
    header,
    stream,
    error_answer,
    connect,
    owner,
    refresh, ///< the token endpoint's answer
    pool,    ///< the pool's own counting
};

/// What the owner and the vendor last said about an account. Cooling and exhaustion are not states here: they
/// are `cooling_until` and the windows, evaluated when read.
enum class AccountState : std::uint8_t {
    empty,       ///< slot unused
    ready,       ///< may be picked
    failing,     ///< the vendor refuses the credential or the account, until `cooling_until`
    needs_login, ///< its refresh token is dead: only a new credential file mends it
    disabled,    ///< by its owner
    removed,     ///< its file is gone: running requests finish, no new ones
};

/// Written by the refresher only; never changes while the slot is used, but for plan, project, state text.
struct AccountIdentity {
    FixedString<80> id; ///< "codex:personal": provider and file stem, unique, shown and logged
    std::uint8_t provider = 0;  ///< ProviderId
    std::uint8_t kind = 0;      ///< CredentialKind
    FixedString<96> account_id; ///< the vendor's id
    FixedString<32> plan;
    FixedString<128> project; ///< account-bound project, e.g. Code Assist's
    FixedString<128> email;   ///< for the owner's pages only
    UnixMillis expires_at;    ///< of the access token
    UnixMillis loaded_at;
    FixedString<240> models_allowed; ///< comma-separated names, `*` at an end; empty = all
    FixedString<240> models_denied;  ///< the same; beats `models_allowed`
    FixedString<40> owner;           ///< the pool user it belongs to; empty = the pool's owner
    FixedString<240> proxy_url;      ///< http://, socks5://; empty = this machine's
    FixedString<240> problem;        ///< what is wrong with its file now; empty = nothing
};

struct WindowRecord {
    std::uint32_t seconds = 0; ///< length; 0 = never heard of
    UsedShare used;
    EvidenceSource source = EvidenceSource::none;
    UnixMillis resets_at;
    UnixMillis seen_at;
    UnixMillis full_since; ///< first seen used up, without a break until now; unset = it is not
};

/// Quota and health: everything that picking looks at. Small, copied as a whole.
struct AccountRouting {
    AccountState state = AccountState::empty;
    std::uint8_t provider = 0;
    std::uint8_t kind = 0;
    EvidenceSource state_source = EvidenceSource::none;
    WindowRecord short_window; ///< 4 to 6 hours
    WindowRecord long_window;  ///< 6 to 8 days
    UnixMillis state_since;
    UnixMillis cooling_until; ///< do not pick before this; past = over
    UnixMillis last_used;
    UnixMillis penalty_at; ///< when `penalty_milli` was last changed
    UnixMillis expires_at; ///< of the access token
    std::uint32_t penalty_milli =
        0; ///< lowers the score; halves every 5 minutes, evaluated when read
    UnixMillis
        probing_until; ///< half-open: one request tries it; nobody else until it is answered, or until then
    std::uint16_t cooling_level = 0; ///< consecutive unexplained rate limits, drives the back-off
    bool cooling_end_known =
        false; ///< the vendor named `cooling_until`; else what follows is half-open
    bool cooling_used_up =
        false; ///< the vendor refuses because a window is used up, not because of a limit of the moment
    std::uint8_t reserve_percent = 0;   ///< of each window, kept for its owner's requests
    std::int16_t priority = 0;          ///< higher goes first
    std::uint16_t weight_percent = 100; ///< of the score
    std::uint16_t max_concurrency = 0;  ///< requests at a time over all workers; 0 = no limit
    std::int8_t has_credits = -1;       ///< -1 unknown, 0 no, 1 yes
    std::int8_t unlimited_credits = -1;
    double credits_balance = 0;
    FixedString<80> reason; ///< of state or cooling, from a fixed vocabulary
};

/// What traffic has taught about one window, for forecasts.
struct WindowLearning {
    double tokens_per_percent = 0; ///< billable tokens that used up one percent; 0 = unknown
    double percent_per_hour = 0;   ///< pace, exponentially smoothed; 0 = unknown or idle
    std::uint32_t samples = 0;
    UsedShare anchor_used; ///< where the sample now being taken began
    UnixMillis anchor_at;
    std::uint64_t anchor_tokens = 0; ///< Segment::tokens_spent then
};

struct AccountRecord {
    AccountIdentity identity;
    AccountRouting routing;
    WindowLearning short_learning;
    WindowLearning long_learning;
    /// Copy of `identity` that is written before it changes and marked whole; repair() uses it.
    AccountIdentity shadow;
    std::uint8_t identity_writing = 0; ///< set while `identity` is being replaced

    /// The last writer was killed half-way: identity from the shadow if it was being written, numbers unknown.
    void repair() noexcept
    {
        if (identity_writing != 0) identity = shadow;
        identity_writing = 0;
        routing.short_window = {};
        routing.long_window = {};
        short_learning = {};
        long_learning = {};
        routing.cooling_until = {};
        routing.probing_until = {};
        routing.penalty_milli = 0;
        routing.reason = {};
        routing.provider = identity.provider;
        routing.kind = identity.kind;
        if (routing.state > AccountState::removed) routing.state = AccountState::ready;
    }
};

/// Bearer token, double-buffered: the writer fills the idle half, then flips `active`.
struct TokenRecord {
    struct Half {
        std::uint16_t size = 0;
        std::array<char, kTokenBytesMax> bytes{};
    };

    std::array<Half, 2> halves{};
    std::uint8_t active = 0; ///< written last; the active half is always whole

    void repair() noexcept {}
};

/// Sums since the database began; the supervisor sets them from it and adds as it drains.
struct AccountTotals {
    std::atomic<std::int64_t> requests{0};
    std::atomic<std::int64_t> failed_requests{0};
    std::atomic<std::int64_t> input{0};
    std::atomic<std::int64_t> cached_input{0};
    std::atomic<std::int64_t> cache_creation{0};
    std::atomic<std::int64_t> output{0};
    std::atomic<std::int64_t> reasoning{0};
    std::atomic<std::int64_t> last_used_ms{0};
};

/// What the refresher last found in the pool folder.
struct PoolInfo {
    UnixMillis loaded_at;
    std::uint32_t accounts = 0;
    std::uint32_t broken_files = 0;
    FixedString<1000> problems; ///< one per line, for logs and the status page; no secrets

    void repair() noexcept { *this = {}; }
};

// ---- pins ---------------------------------------------------------------------------------------------

using PinKey =
    std::array<std::uint64_t, 2>; ///< first half of SHA-256(user, provider, conversation id)

/// One sticky conversation. `state` is set to writing first and to valid last.
struct Pin {
    enum class State : std::uint8_t { free, writing, valid };
    PinKey key{};
    UnixMillis last_used;
    AccountSlot account;
    State state = State::free;
};

/// 8-way set-associative: a key may stand in any of 8 places of its set; the oldest gives way.
struct PinShard {
    std::array<Pin, kPinsPerShard> pins{};

    void repair() noexcept
    {
        for (Pin& pin : pins) {
            if (pin.state == Pin::State::writing) pin = {};
        }
    }
};

// ---- workers --------------------------------------------------------------------------------------------

/// How a request ended.
enum class RequestOutcome : std::uint8_t {
    running,
    completed,     ///< the answer was relayed whole
    client_gone,   ///< the client left first
    upstream_cut,  ///< the upstream broke off inside the answer
    refused,       ///< answered by the pool: nobody could serve, or bad request
    worker_killed, ///< closed by the supervisor
};

/// What one request is and cost: in its worker's slot while it runs, in the ring when it is over, a row in
/// SQLite at last.
struct UsageEntry {
    std::array<char, 16> request_id{}; ///< shown to the client as X-Request-Id
    UnixMillis started_at;
    UnixMillis finished_at;
    FixedString<40> user; ///< pool user id; "local" in local mode
    FixedString<96> model;
    FixedString<96> upstream_request_id;
    std::int64_t input = 0;
    std::int64_t cached_input = 0;
    std::int64_t cache_creation = 0;
    std::int64_t output = 0;
    std::int64_t reasoning = 0;
    std::uint32_t duration_ms = 0;
    std::uint32_t first_byte_ms = 0; ///< until the response head went to the client
    std::uint32_t own_us = 0;        ///< of that, spent in the pool itself
    std::uint32_t queued_ms = 0;     ///< of that, waiting for an account
    std::uint32_t connect_ms = 0;    ///< of that, getting upstream connections, over all attempts
    std::uint64_t request_bytes = 0;
    std::uint64_t response_bytes = 0;
    UserSlot pool_user;             ///< whose limits it counts for; none in local mode
    std::uint64_t conversation = 0; ///< first half of its pin's key; 0 = it has none
    AccountSlot account;            ///< that answered; kNone if none did
    std::uint16_t status = 0;       ///< sent to the client; 0 = none
    std::uint8_t provider = 0;
    std::uint8_t attempts = 0;
    RequestOutcome outcome = RequestOutcome::running;
    std::uint8_t websocket = 0;
    FixedString<24> path; ///< beginning of the path, without query
};

/// A running request. The worker fills `entry` before it sets `state` to running, updates the token counts with
/// relaxed atomic_ref stores, and frees the row only after the ring has the final entry.
struct RequestRow {
    enum class State : std::uint8_t { free, running, publishing };
    std::atomic<State> state{State::free};
    std::atomic<std::uint64_t> ring_position{
        0}; ///< while publishing: where the entry goes; if head has passed it, it is published
    UsageEntry entry;
};

/// Single producer (the process in this slot), single consumer (supervisor). No lock: a dead producer can
/// only lose the entry it had not yet published, and that one is still in its RequestRow.
struct UsageRing {
    alignas(kCacheLine) std::atomic<std::uint64_t> head{0}; ///< next to write; worker only
    alignas(kCacheLine) std::atomic<std::uint64_t> tail{0}; ///< next to read; supervisor only
    std::array<UsageEntry, kUsageRingEntries> entries{};
};

enum class SlotState : std::uint8_t { free, starting, serving, draining };

struct WorkerSlot {
    alignas(kCacheLine) std::atomic<std::int32_t> pid{0};
    std::atomic<SlotState> state{SlotState::free};
    std::atomic<std::uint16_t> listener{0};
    std::atomic<std::uint32_t> generation{0};
    /// When the process started, as the kernel counts it: with `pid` it names one process for ever.
    std::atomic<std::uint64_t> started_ticks{0};
    std::atomic<std::int64_t> heartbeat_us{0}; ///< now_monotonic_us() of the last tick
    std::atomic<std::uint32_t> open_connections{0};
    std::atomic<std::uint32_t> running_requests{0};
    std::atomic<std::uint32_t> request_rows_used{
        0}; ///< rows ever used: only [0, this) need looking at

    /// Counters for /metrics, since the slot was claimed; the supervisor adds them to Counters on reset.
    struct Counters {
        std::atomic<std::uint64_t> requests{0};
        std::array<std::atomic<std::uint64_t>, 6> by_status_class{}; ///< [0]: no answer, [1]: 1xx …
        std::atomic<std::uint64_t> retries{0};
        std::atomic<std::uint64_t> websockets{0};
        std::atomic<std::uint64_t> upstream_connects{0};
        std::atomic<std::uint64_t> upstream_reuses{0};
        std::atomic<std::uint64_t> pins_moved{0};
        Histogram first_byte; ///< of requests that were relayed; kAnswerBoundsUs
        Histogram total;      ///< the same, to their end
        Histogram own;        ///< of the time to the first byte, spent in the pool itself; kOwnBoundsUs
    };

    Counters counters;
    /// Requests this worker now runs per account. Counted here, not in AccountRecord: what goes up and
    /// later down must die with the process that counts it.
    std::array<std::atomic<std::uint16_t>, kMaxAccounts> in_flight{};
    std::array<RequestRow, kRequestRows> requests{};
};

/// Why the supervisor refused what the admin child asked it for.
struct SupervisorWord {
    FixedString<1000> text; ///< whole sentences; no secrets

    void repair() noexcept { *this = {}; }
};

struct Segment {
    SegmentHeader header;
    /// Number of account slots ever used: only [0, this) need looking at. Refresher only.
    alignas(kCacheLine) std::atomic<std::uint32_t> account_slots{0};
    /// Slots from here on are free: only [0, this) need looking at. Supervisor only.
    std::atomic<std::uint32_t> worker_slots{0};
    /// Bumped by the refresher after any identity or token changed: workers then refresh their copies.
    std::atomic<std::uint64_t> roster_version{0};
    /// Version of each account's token; bumped after the token was replaced.
    std::array<std::atomic<std::uint64_t>, kMaxAccounts> token_version{};
    /// Billable tokens each account spent since the segment was made; workers add. Only differences are read.
    std::array<std::atomic<std::uint64_t>, kMaxAccounts> tokens_spent{};
    /// While the refresher renews an account's token: until when a request may wait for it (UnixMillis); else 0.
    std::array<std::atomic<std::int64_t>, kMaxAccounts> refreshing_until{};
    std::atomic<std::uint64_t> worker_restarts{
        0}; ///< workers that died and were replaced; supervisor
    std::atomic<std::uint64_t> usage_rows_folded{
        0}; ///< rows kept only as sums because the disk refused; supervisor
    std::atomic<std::uint64_t> usage_rows_waiting{
        0};                       ///< rows in memory, not yet in the database; supervisor
    WorkerSlot::Counters retired; ///< counters of slots that were reset; supervisor
    Guarded<PoolInfo> info;
    std::array<Guarded<AccountRecord>, kMaxAccounts> accounts;
    std::array<Guarded<TokenRecord>, kMaxAccounts> tokens;
    std::array<AccountTotals, kMaxAccounts> totals;
    std::array<Guarded<PinShard>, kPinShards> pins;
    std::array<WorkerSlot, kMaxSlots> workers;
    std::array<UsageRing, kMaxSlots> usage;
    std::array<DecisionRing, kMaxSlots> decisions;
    Guarded<EventLog> events;
    Guarded<OwnerWish> owner_wish;
    Guarded<SupervisorWord> supervisor_word;
    FairQueue fair; ///< requests that wait for an account, and users' recent cost
    UserTable users;
    Guarded<AttemptTable> attempts; ///< at secrets
    PinMoves pin_moves;
};

static_assert(std::is_standard_layout_v<SegmentHeader> && offsetof(SegmentHeader, magic) == 0);
static_assert(ShmRecord<AccountRecord> && ShmRecord<TokenRecord> && ShmRecord<PinShard>);
static_assert(ShmRecord<PoolInfo> && ShmRecord<EventLog> && ShmRecord<SupervisorWord>);
static_assert(kWatchedAccounts == kMaxAccounts);
static_assert(
    std::is_trivially_copyable_v<UsageEntry> && std::is_trivially_copyable_v<AccountRouting>);
static_assert(sizeof(Pin) == 32);
static_assert(sizeof(AccountRouting) <= 352);
static_assert(sizeof(UsageEntry) <= 448);
static_assert(
    sizeof(Segment) < std::size_t{2} * 1024 * 1024 * 1024,
    "address space only: pages nobody touches cost no memory");

} // namespace shared
