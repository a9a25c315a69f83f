/// Takes in a credential file that somebody has sent: finds out whose it is, whether it is any good and whether the
/// account is there already, and puts it into the pool folder. Called by the refresher, which then reads the folder.
///
/// A file that is there is replaced only if it is broken, its login is dead, or this one is newer and may be the same
/// login; it is then kept beside it as `.NAME.json.replaced`.
#pragma once

#include "refresher/roster.hpp"
#include "shared/ipc/account_upload.hpp"
#include "shared/providers/provider.hpp"
#include "shared/segment/layout.hpp"

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace refresher {

/// Accounts that one pool user may contribute.
inline constexpr std::size_t kContributedMax = 10;

class AccountIntake {
public:
    /// All outlive it.
    AccountIntake(
        const shared::ProviderRegistry& registry,
        const std::filesystem::path& folder,
        shared::Segment& segment,
        Roster& roster)
        : registry_(registry), folder_(folder), segment_(segment), roster_(roster)
    {}

    /// Stores it, or says why not. After `added` and `replaced` the folder has to be read.
    [[nodiscard]] shared::UploadAnswer take(const shared::Upload& upload, shared::UnixMillis now);

private:
    /// What the file is.
    struct Read {
        const shared::Provider* provider = nullptr;
        shared::Credential credential;
    };

    [[nodiscard]] shared::Result<Read> read(const shared::Upload& upload) const;
    [[nodiscard]] shared::Result<Read> read_as_any(std::string_view text) const;
    /// The account of the pool that is the same login; nothing if there is none.
    [[nodiscard]] const std::map<std::string, Roster::Held, std::less<>>::value_type*
    same_account(const Read& made) const;
    [[nodiscard]] shared::UploadAnswer add(const shared::Upload& upload, const Read& made) const;
    [[nodiscard]] shared::UploadAnswer replace(
        const shared::Upload& upload,
        const Read& made,
        const std::string& account,
        const Roster::Held& held) const;
    [[nodiscard]] shared::UploadAnswer put_over(
        const shared::Upload& upload,
        const std::string& account,
        const std::filesystem::path& file) const;
    [[nodiscard]] std::string name_for(const Read& made) const;
    [[nodiscard]] bool is_taken(std::string_view account, const std::string& file) const;
    [[nodiscard]] std::size_t contributed_by(std::string_view user) const;
    [[nodiscard]] std::string owner_of(shared::AccountSlot slot) const;
    [[nodiscard]] bool needs_login(shared::AccountSlot slot) const;

    const shared::ProviderRegistry& registry_;
    const std::filesystem::path& folder_;
    shared::Segment& segment_;
    Roster& roster_;
};

} // namespace refresher
