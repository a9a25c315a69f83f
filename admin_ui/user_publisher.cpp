#include "admin_ui/user_publisher.hpp"

#include "admin_ui/user_history.hpp"
#include "shared/base/log.hpp"

#include <utility>
#include <vector>

namespace admin_ui {
namespace {

void publish_deleted(shared::Segment& segment, std::string_view id)
{
    shared::UserPublication gone;
    gone.id.assign(id);
    gone.state = shared::UserState::deleted;
    (void)shared::publish_user(segment, gone);
}

} // namespace

UserPublisher::UserPublisher(
    shared::Segment& segment,
    const shared::ProviderRegistry& registry,
    CommonLimits common,
    std::filesystem::path database)
    : segment_(segment),
      registry_(registry),
      common_(std::move(common)),
      database_(std::move(database))
{}

void UserPublisher::publish(const UserStore& store, shared::UnixMillis now)
{
    const std::vector<const User*> users = store.users();
    std::unordered_set<std::string> current;
    for (const User* user : users)
        current.insert(user->id);
    for (const std::string& id : published_)
        if (!current.contains(id)) publish_deleted(segment_, id);

    std::vector<std::string> unknown;
    for (const User* user : users) {
        if (!shared::find_user(segment_, user->id).is_set()) unknown.push_back(user->id);
        shared::UserPublication made;
        made.id.assign(user->id);
        made.name.assign(user->label());
        made.generation = user->generation;
        made.state = user->disabled ? shared::UserState::disabled : shared::UserState::active;
        made.limits = effective_limits(common_, user->limits, registry_);
        if (!shared::publish_user(segment_, made))
            shared::log::error("event=user_not_published user={} reason=\"no room\"", user->id);
    }
    published_ = std::move(current);
    forget_others();
    restore(unknown, now);
    shared::publish_users_done(segment_);
}

void UserPublisher::restore(const std::vector<std::string>& unknown, shared::UnixMillis now)
{
    if (unknown.empty()) return;
    const auto history = read_user_tokens(database_, now);
    if (!history.has_value()) {
        shared::log::warn("event=user_history_unreadable {}", history.error().text());
        return;
    }
    for (const std::string& id : unknown) {
        const auto found = history->find(id);
        const shared::UserSlot slot = shared::find_user(segment_, id);
        if (found == history->end() || !slot.is_set()) continue;
        shared::restore_user_usage(segment_, slot, found->second.day, found->second.week, now);
    }
}

/// Those that an earlier admin child published and that have gone from the file since. They are looked for only if
/// there must be some: looking touches the whole table.
void UserPublisher::forget_others()
{
    if (segment_.users.users.load(std::memory_order_relaxed) <= published_.size()) return;
    for (std::size_t place = 0; place < shared::kUserPlaces; ++place) {
        const shared::UserSlot slot{static_cast<std::uint16_t>(place)};
        const shared::UserRecord record = shared::read_user(segment_, slot, {});
        const bool stands = record.state == shared::UserState::active ||
                            record.state == shared::UserState::disabled;
        if (stands && !published_.contains(std::string(record.id.view())))
            publish_deleted(segment_, record.id);
    }
}

} // namespace admin_ui
