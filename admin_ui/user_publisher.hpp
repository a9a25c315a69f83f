/// Brings the users of the file into the shared segment, where workers look for them.
#pragma once

#include "admin_ui/user_limits.hpp"
#include "admin_ui/user_store.hpp"
#include "shared/segment/layout.hpp"

#include <filesystem>
#include <string>
#include <unordered_set>

namespace admin_ui {

class UserPublisher {
public:
    /// All references outlive the publisher.
    UserPublisher(
        shared::Segment& segment,
        const shared::ProviderRegistry& registry,
        CommonLimits common,
        std::filesystem::path database);

    /// Publishes everybody: who has gone from the list is a user no more. A user that the segment does not know yet
    /// gets back what it used today and this week.
    void publish(const UserStore& store, shared::UnixMillis now);

    [[nodiscard]] const CommonLimits& common() const noexcept { return common_; }

private:
    void restore(const std::vector<std::string>& unknown, shared::UnixMillis now);
    void forget_others();

    shared::Segment& segment_;
    const shared::ProviderRegistry& registry_;
    CommonLimits common_;
    std::filesystem::path database_;
    std::unordered_set<std::string> published_;
};

} // namespace admin_ui
