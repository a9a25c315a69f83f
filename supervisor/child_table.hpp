/// Who is alive: the places of the tree and the processes in them. Pure: no process is touched here.
///
/// A place is a role with a number (worker 2); a child is one process in it. While a worker is replaced, two children
/// share a place: the old one drains.
#pragma once

#include "supervisor/respawn_policy.hpp"

#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

namespace supervisor {

enum class Role : std::uint8_t { refresher, admin, worker };

/// As on the command line of a child.
[[nodiscard]] std::string_view to_string(Role role) noexcept;

enum class ChildState : std::uint8_t {
    starting, ///< has not said READY
    ready,
    draining, ///< was told to drain: its end is expected
    stopping, ///< was told to stop or killed on purpose
};

struct Child {
    std::size_t place = 0;
    pid_t pid = 0;
    std::uint32_t generation = 0;
    std::uint16_t slot = 0; ///< worker: its row in the segment
    ChildState state = ChildState::starting;
    bool was_ready = false;
    bool killed_for_hanging = false;
    /// It shares the segment of a program of another layout with that program's drainer, not ours.
    bool foreign = false;
    std::int64_t started_us = 0;
    std::int64_t ready_us = 0;
    std::int64_t draining_since_us = 0; ///< its replacement serves; 0 = it has none
};

struct Place {
    Role role = Role::worker;
    std::uint16_t number = 0; ///< worker: also of its listener
    RespawnPolicy policy;
    std::optional<std::int64_t> spawn_at_us; ///< a start is due then
    std::int64_t replaced_at_us = 0;         ///< last replacement for its memory
    bool given_up = false;
    bool start_when_ended = false; ///< its child was told to stop so that another takes its place
};

class ChildTable {
public:
    /// One refresher, one admin child, `workers` workers.
    explicit ChildTable(std::size_t workers);

    [[nodiscard]] std::vector<Place>& places() noexcept { return places_; }

    [[nodiscard]] const Place& place_of(const Child& child) const noexcept
    {
        return places_[child.place];
    }

    /// References stay good until remove().
    Child& add(const Child& child) { return children_.emplace_back(child); }

    void remove(pid_t pid);

    [[nodiscard]] std::list<Child>& children() noexcept { return children_; }

    [[nodiscard]] Child* by_generation(std::uint32_t generation) noexcept;
    /// The child of a role that serves or is about to; for workers use by place.
    [[nodiscard]] Child* current(std::size_t place) noexcept;
    [[nodiscard]] Child* current(Role role) noexcept;

    [[nodiscard]] std::size_t count(Role role) const noexcept;
    /// Every worker's place is served by a READY child, those given up left aside; false if none is.
    [[nodiscard]] bool all_workers_ready() noexcept;
    [[nodiscard]] bool all_workers_given_up() const noexcept;
    /// Nobody of this role will be started again.
    [[nodiscard]] bool given_up(Role role) const noexcept;

    /// "worker 2", for logs.
    [[nodiscard]] std::string name(const Child& child) const;

private:
    std::vector<Place> places_;
    std::list<Child> children_;
};

} // namespace supervisor
