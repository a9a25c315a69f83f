/// What must not be lost between asking for new tokens and having them in the credential file: one small file in the
/// data folder, 0600.
///
/// Before a refresh token leaves, the intent is on disk; as soon as the answer is whole, the answer is. Whoever starts
/// after a death finds either nothing sent, or an intent without an answer (the answer is lost), or an answer that
/// is still to be put into its file. A record counts from the moment its head is there, and the head is written
/// last: a torn record is no record. Idle, the file is empty.
#pragma once

#include "shared/base/hash.hpp"
#include "shared/base/result.hpp"
#include "shared/base/units.hpp"
#include "shared/providers/provider.hpp"

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace refresher {

/// Answers larger than this are no token answers.
inline constexpr std::size_t kTokenAnswerBytesMax = 256 * 1024;
/// A journal of this size is written anew with only what still matters.
inline constexpr std::uint64_t kJournalBytesMax = 1U << 20U;

/// The last refresh of one account that is not finished.
struct JournalEntry {
    shared::Sha256Digest sent{};       ///< of the refresh token that was sent
    shared::Sha256Digest old_access{}; ///< of the access token it was to replace
    shared::UnixMillis old_expires_at;
    std::string vendor_id; ///< Credential::account_id; may be empty
    shared::UnixMillis at; ///< of the intent; of the answer once there is one
    /// Processes that died after this token may have left and before its answer was here.
    std::uint32_t deaths = 0;
    bool lost = false;                       ///< an answer for this token did not arrive whole
    bool sending = false;                    ///< this process has sent it and waits
    std::optional<shared::CallReply> answer; ///< whole, still to be put into the file
};

class RefreshJournal {
public:
    /// Reads what a predecessor left. Problem: cannot be opened or read, or another process has it.
    [[nodiscard]] static shared::Result<RefreshJournal> open(const std::filesystem::path& file);

    RefreshJournal(RefreshJournal&& other) noexcept;
    RefreshJournal& operator=(RefreshJournal&& other) noexcept;
    RefreshJournal(const RefreshJournal&) = delete;
    RefreshJournal& operator=(const RefreshJournal&) = delete;
    ~RefreshJournal();

    /// The unfinished refreshes, by account id.
    [[nodiscard]] const std::map<std::string, JournalEntry, std::less<>>& entries() const noexcept;
    [[nodiscard]] const JournalEntry* find(std::string_view account) const;

    /// Makes sure that an intent and an answer fit on the disk.
    [[nodiscard]] shared::Result<void> reserve();
    /// On disk when it returns. Deaths and loss of an entry for the same token are carried on.
    [[nodiscard]] shared::Result<void> intend(std::string_view account, JournalEntry entry);
    /// On disk when it returns. Headers are not kept.
    [[nodiscard]] shared::Result<void>
    answered(std::string_view account, const shared::CallReply& reply, shared::UnixMillis at);
    /// The answer to the intent will not come any more; this process lives.
    void lost(std::string_view account);
    /// Nothing of it matters any more.
    void close(std::string_view account);

    [[nodiscard]] std::uint64_t size_bytes() const noexcept;

private:
    struct State;
    explicit RefreshJournal(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

} // namespace refresher
