#include "supervisor/child_table.hpp"

#include <algorithm>

namespace supervisor {

std::string_view to_string(Role role) noexcept
{
    switch (role) {
    case Role::refresher:
        return "refresher";
    case Role::admin:
        return "admin";
    case Role::worker:
        return "worker";
    }
    return "";
}

ChildTable::ChildTable(std::size_t workers) : places_(2 + workers)
{
    places_[0].role = Role::refresher;
    places_[1].role = Role::admin;
    for (std::size_t i = 0; i < workers; ++i)
        places_[2 + i].number = static_cast<std::uint16_t>(i);
}

void ChildTable::remove(pid_t pid)
{
    std::erase_if(children_, [&](const Child& child) { return child.pid == pid; });
}

Child* ChildTable::by_generation(std::uint32_t generation) noexcept
{
    const auto found = std::find_if(children_.begin(), children_.end(), [&](const Child& child) {
        return child.generation == generation;
    });
    return found == children_.end() ? nullptr : &*found;
}

Child* ChildTable::current(std::size_t place) noexcept
{
    // The newest: a replacement stands behind the one it replaces.
    const auto found = std::find_if(children_.rbegin(), children_.rend(), [&](const Child& child) {
        return child.place == place &&
               (child.state == ChildState::starting || child.state == ChildState::ready);
    });
    return found == children_.rend() ? nullptr : &*found;
}

Child* ChildTable::current(Role role) noexcept
{
    const auto found = std::find_if(
        places_.begin(), places_.end(), [&](const Place& place) { return place.role == role; });
    return found == places_.end() ? nullptr
                                  : current(static_cast<std::size_t>(found - places_.begin()));
}

std::size_t ChildTable::count(Role role) const noexcept
{
    return static_cast<std::size_t>(
        std::count_if(children_.begin(), children_.end(), [&](const Child& child) {
            return places_[child.place].role == role;
        }));
}

bool ChildTable::all_workers_ready() noexcept
{
    bool any = false;
    for (std::size_t i = 0; i < places_.size(); ++i) {
        if (places_[i].role != Role::worker || places_[i].given_up) continue;
        const bool served = std::any_of(children_.begin(), children_.end(), [&](const Child& c) {
            return c.place == i && c.state == ChildState::ready;
        });
        if (!served) return false;
        any = true;
    }
    return any;
}

bool ChildTable::all_workers_given_up() const noexcept
{
    return std::all_of(places_.begin(), places_.end(), [](const Place& place) {
        return place.role != Role::worker || place.given_up;
    });
}

bool ChildTable::given_up(Role role) const noexcept
{
    return std::all_of(places_.begin(), places_.end(), [role](const Place& place) {
        return place.role != role || place.given_up;
    });
}

std::string ChildTable::name(const Child& child) const
{
    const Place& place = place_of(child);
    std::string name(to_string(place.role));
    if (place.role == Role::worker) name += " " + std::to_string(place.number);
    return name;
}

} // namespace supervisor
