/// The pool's users and the file they are kept in (pool_users.storage_path). The admin child is the only writer.
///
/// The file is a JSON list of users, or an object with that list as "users":
///
///   id, token, email, plan_type, created_at, disabled     of the program this one takes after; `token` is only kept
///   name, generation, version, limits, invited_at, setup_tokens     ours
///
/// What else stands in it is kept as it is: other keys, and entries that cannot be used, which are named in problems().
/// A file that is no such list is left alone; nobody is a user then, and the first change puts it aside under a name
/// with the time. Every write replaces the file as a whole (mode 0600).
#pragma once

#include "admin_ui/file_stamp.hpp"
#include "admin_ui/user_limits.hpp"
#include "shared/base/result.hpp"
#include "shared/base/units.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace admin_ui {

/// A link that sets up one CLI of one user, once. The token itself is only ever in that link.
struct SetupToken {
    std::string cli;  ///< name of its provider
    std::string hash; ///< of the token: SHA-256, hexadecimal
    shared::UnixMillis expires_at;
};

struct User {
    std::string id;
    std::string email; ///< may be empty
    std::string name;  ///< may be empty
    std::string plan = "pro";
    bool disabled = false;
    std::uint32_t generation = 1; ///< of its keys
    std::uint64_t version = 1;    ///< another one after every change
    shared::UnixMillis created_at;
    shared::UnixMillis invited_at; ///< when the owner made set-up links last
    OwnLimits limits;
    std::vector<SetupToken> setup_tokens; ///< at most kSetupTokensMax

    /// Name, e-mail or id: what people call this user.
    [[nodiscard]] const std::string& label() const noexcept;
};

/// Open links per user; a new one takes the place of the oldest.
inline constexpr std::size_t kSetupTokensMax = 16;
inline constexpr std::size_t kEmailBytesMax = 254;
inline constexpr std::size_t kNameBytesMax = 80;

/// What is wrong with an e-mail address or name; empty = nothing.
[[nodiscard]] std::string check_email(std::string_view email);
[[nodiscard]] std::string check_name(std::string_view name);
/// The same for what a CLI is told as its plan.
[[nodiscard]] std::string check_plan(std::string_view plan);

/// Why a change was not made.
enum class StoreRefusal : std::uint8_t {
    none,
    not_found,
    stale,       ///< somebody else has changed this user since
    email_taken, ///< by another user
    full,        ///< kUsersMax
    unwritable,  ///< the file could not be written; nothing was changed
};

struct StoreResult {
    StoreRefusal refusal = StoreRefusal::none;
    std::string sentence;     ///< what is wrong, for people; empty = done
    std::optional<User> user; ///< as it is now; of a removed one: as it was

    [[nodiscard]] bool done() const noexcept { return refusal == StoreRefusal::none; }
};

class UserStore {
public:
    explicit UserStore(std::filesystem::path file);

    /// Reads the file if it is another one than when it was read or written last. True if users may be others now.
    bool refresh();

    /// In the order of the file.
    [[nodiscard]] std::vector<const User*> users() const;
    /// nullptr = there is none. Valid until the next change or refresh().
    [[nodiscard]] const User* find(std::string_view id) const noexcept;
    [[nodiscard]] const User* find_email(std::string_view email) const noexcept;

    /// `user.id` empty = a new one is made.
    [[nodiscard]] StoreResult add(User user);
    /// `version` = what the asker saw; nothing = whatever it is.
    [[nodiscard]] StoreResult change(
        std::string_view id,
        std::optional<std::uint64_t> version,
        const std::function<void(User&)>& edit);
    /// The same for set-up links, which come and go without anybody's version becoming old.
    [[nodiscard]] StoreResult
    change_links(std::string_view id, const std::function<void(User&)>& edit);
    [[nodiscard]] StoreResult remove(std::string_view id, std::optional<std::uint64_t> version);

    /// What is wrong with the file: as a whole, or with entries of it (the first few).
    [[nodiscard]] const std::vector<shared::Problem>& problems() const noexcept
    {
        return problems_;
    }

private:
    struct Entry {
        std::string text; ///< JSON as it stands in the file
        std::optional<User> user;
    };

    void read();
    void read_list(const nlohmann::ordered_json& list);
    void leave_out(std::size_t place, const std::string& what);
    [[nodiscard]] Entry* entry(std::string_view id) noexcept;
    [[nodiscard]] StoreResult put(const Entry& found, User user);
    [[nodiscard]] StoreResult write(std::vector<Entry> entries);
    [[nodiscard]] shared::Result<void> put_aside();

    std::filesystem::path file_;
    std::optional<FileStamp> known_;
    std::vector<Entry> entries_;
    std::string
        around_; ///< the file's other keys, as members of an object; the list stands alone if it is one
    bool wrapped_ = false;
    bool broken_ = false; ///< is no list of users
    std::vector<shared::Problem> problems_;
};

/// How a token is kept: nobody who reads the file can use it.
[[nodiscard]] std::string token_hash(std::string_view token);

} // namespace admin_ui
