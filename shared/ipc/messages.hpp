/// The messages between the supervisor and its children: fixed size, checked in one place.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace shared {

enum class MessageType : std::uint8_t {
    ready = 1, ///< child -> supervisor: serving
    drain =
        2, ///< supervisor -> worker: accept no more, finish what runs, exit 0; value 1 = another one serves, so idle
           ///< connections may bring one more request. -> drainer: the workers are yours, exit with the last
    drained = 3, ///< worker -> supervisor: about to exit
    reload =
        4, ///< supervisor -> refresher: re-read the pool folder; admin -> supervisor: somebody asked for it
    reloaded = 5, ///< refresher -> supervisor -> admin: done; value = broken files
    stop = 6,     ///< supervisor -> child: exit now; drainer: value 1 = end the workers first
    account_rejected =
        7, ///< worker -> supervisor -> refresher: value = account slot whose token was refused
    account_action =
        8, ///< admin -> supervisor -> refresher: the owner wants `action` done to the account in slot `value`
    account_action_done = 9, ///< refresher -> supervisor -> admin: the same, with `result`
    upgrade = 10, ///< admin -> supervisor: the owner wants the program on disk to take over
    upgraded =
        11, ///< supervisor -> admin: it has; `refused`: it has not, Segment::supervisor_word says why
    serve = 12, ///< supervisor -> worker or admin that was started with `hold`: accept connections now
};

/// What an owner can do to an account.
enum class AccountAction : std::uint8_t {
    none,
    enable,
    disable,
    clear,   ///< forget cooling, failing and penalty
    refresh, ///< renew its token now
    test,    ///< make one tiny real request
    options, ///< take over the options in Segment::owner_wish
    pause,   ///< as disable, by the pool user whose account it is; only resume and enable end it
    resume,
    add, ///< take the credential of the descriptor that comes along (account_upload.hpp); no slot
};

enum class ActionResult : std::uint8_t {
    done,
    failed,      ///< tried; the account's reason says why
    no_account,  ///< no such slot, or its file is gone
    refused,     ///< makes no sense for this account (an API key has nothing to refresh)
    unavailable, ///< the refresher is not running: nobody tried; also of `reloaded`
};

struct Message {
    MessageType type = MessageType::ready;
    AccountAction action = AccountAction::none;
    ActionResult result = ActionResult::done;
    std::uint8_t reserved = 0;
    std::uint32_t generation = 0; ///< of the child; a message of another generation is dropped
    std::uint64_t value = 0;
    /// reload, account_action, upgrade: the asker's number, returned with the answer; 0 = nobody waits.
    std::uint64_t request = 0;
};

static_assert(sizeof(Message) == 24);

[[nodiscard]] std::array<std::byte, sizeof(Message)> encode(const Message& message) noexcept;
/// Nothing if the length or the type is wrong.
[[nodiscard]] std::optional<Message> decode(std::span<const std::byte> bytes) noexcept;

/// Exit code of a child that must not be respawned: its configuration or the segment is wrong.
inline constexpr int kExitFatal = 2;

/// Descriptors every child finds open, fixed numbers (after relayd).
inline constexpr int kControlFd = 3;
inline constexpr int kSegmentFd = 4;
inline constexpr int kConfigFd = 5;
inline constexpr int kListenFd = 6;      ///< worker: its TCP listener; admin: its Unix listener
inline constexpr int kOwnerListenFd = 7; ///< admin: control.sock; not open if it could not be made
inline constexpr int kProgramFd = 6;     ///< drainer: its own program, whose file may be gone

/// What a child is told on its command line (no secrets).
struct ChildArguments {
    std::uint16_t slot = 0; ///< worker: its WorkerSlot
    std::uint32_t generation = 0;
    std::uint16_t listener = 0; ///< worker: number of its listener
    bool hold = false; ///< worker, admin: READY without accepting anything, until `serve`; drainer: until `drain`
};

} // namespace shared
