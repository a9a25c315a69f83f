/// Puts new files in the places of old ones, all or none; old ones are kept beside.
#pragma once

#include "shared/base/result.hpp"

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace supervisor::shell {

class Swap {
public:
    /// `suffix` is what the names of old files end with from then on.
    explicit Swap(std::string suffix) : suffix_(std::move(suffix)) {}

    /// `staged` goes to `place`; both in one folder. Without `staged` the old one only goes aside. `aside` is the old
    /// one's new name where it is not the place with the suffix.
    void
    add(std::filesystem::path place,
        std::filesystem::path staged,
        std::filesystem::path aside = {});

    /// A Problem: everything is as it was.
    [[nodiscard]] shared::Result<void> run();

    /// What went aside.
    [[nodiscard]] const std::vector<std::filesystem::path>& kept() const { return kept_; }

private:
    struct Step {
        std::filesystem::path place;
        std::filesystem::path staged;
        std::filesystem::path aside;
    };

    void undo();

    std::string suffix_;
    std::vector<Step> steps_;
    std::vector<std::pair<std::filesystem::path, std::filesystem::path>> done_; ///< from, to
    std::vector<std::filesystem::path> kept_;
};

} // namespace supervisor::shell
