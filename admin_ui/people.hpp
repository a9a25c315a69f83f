/// Everything about the pool's users that is not a page: who they are, what they get, and who did what to whom. Every
/// change goes into the file first, then into the segment, and leaves a line in the log.
#pragma once

#include "admin_ui/user_publisher.hpp"
#include "admin_ui/user_store.hpp"
#include "shared/base/secret.hpp"
#include "shared/providers/provider.hpp"
#include "shared/segment/layout.hpp"
#include "shared/users/credential.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace shared {
struct Config;
}

namespace admin_ui {

struct PeopleSettings {
    bool shared_mode = false;
    std::filesystem::path users_file;
    std::filesystem::path database;
    shared::Secret friend_code;
    shared::Secret admin_password;
    shared::Secret jwt_secret;
    std::uint32_t setup_token_hours = 24;
    CommonLimits limits;
};

[[nodiscard]] PeopleSettings people_settings(const shared::Config& config);

/// By their numbers, as people see them.
[[nodiscard]] std::vector<const shared::Provider*>
providers_in_order(const shared::ProviderRegistry& registry);

/// A fresh link for one CLI.
struct SetupLink {
    const shared::Provider* provider = nullptr;
    std::string token;
};

struct Invitation {
    StoreResult result;
    std::vector<SetupLink> links; ///< one per provider
};

class People {
public:
    /// References outlive it.
    People(
        shared::Segment& segment,
        const shared::ProviderRegistry& registry,
        PeopleSettings settings);

    /// Reads and publishes at the start, and whenever the file has changed since. Cheap if it has not.
    void refresh(shared::UnixMillis now);

    [[nodiscard]] const UserStore& store() const noexcept { return store_; }

    [[nodiscard]] const PeopleSettings& settings() const noexcept { return settings_; }

    [[nodiscard]] const shared::ProviderRegistry& registry() const noexcept { return registry_; }

    [[nodiscard]] const shared::CredentialKey& key() const noexcept { return key_; }

    [[nodiscard]] shared::Segment& segment() noexcept { return segment_; }

    /// `by` is who does it, for the log.
    [[nodiscard]] StoreResult create(User user, std::string_view by, shared::UnixMillis now);
    /// `event` names the change in the log: "user_disabled".
    [[nodiscard]] StoreResult change(
        std::string_view id,
        std::optional<std::uint64_t> version,
        const std::function<void(User&)>& edit,
        std::string_view event,
        std::string_view by);
    [[nodiscard]] StoreResult
    remove(std::string_view id, std::optional<std::uint64_t> version, std::string_view by);

    /// New set-up links for every CLI; those that are open stay open.
    [[nodiscard]] Invitation
    invite(std::string_view id, std::string_view by, shared::UnixMillis now);

    /// Whose open link this is; nothing if it is nobody's, of another CLI, used, too old, or its user may not call.
    [[nodiscard]] std::optional<User>
    holder(std::string_view cli, std::string_view token, shared::UnixMillis now) const;
    /// Ends a link. False if somebody else was faster.
    [[nodiscard]] bool spend(const User& user, std::string_view token);

    /// What sets up a user's CLI; `user` nullptr = local mode.
    [[nodiscard]] shared::ClientSetup client_setup(
        const shared::Provider& provider,
        const User* user,
        std::string_view base_url,
        shared::UnixMillis now) const;

    /// The value of a session's cookie.
    [[nodiscard]] std::string user_session(const User& user, shared::UnixMillis now) const;
    [[nodiscard]] std::string owner_session(shared::UnixMillis now) const;
    /// What a request by this caller's session has to show if it changes something.
    [[nodiscard]] std::string csrf_token(std::string_view caller) const;

private:
    void published(const StoreResult& result, std::string_view event, std::string_view by);

    shared::Segment& segment_;
    const shared::ProviderRegistry& registry_;
    PeopleSettings settings_;
    UserStore store_;
    UserPublisher publisher_;
    shared::CredentialKey key_;
    shared::CredentialKey local_key_; ///< signs what local mode hands out, which nobody checks
};

} // namespace admin_ui
