#include "supervisor/shell/restore_swap.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>

#include <fcntl.h>
#include <unistd.h>

namespace supervisor::shell {
namespace {

namespace fs = std::filesystem;

/// Renames must be on the disk before anybody is told that they are done.
void sync_folder(const fs::path& folder)
{
    const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return;
    (void)::fsync(fd);
    ::close(fd);
}

} // namespace

void Swap::add(fs::path place, fs::path staged, fs::path aside)
{
    if (aside.empty()) aside = place.string() + suffix_;
    steps_.push_back({std::move(place), std::move(staged), std::move(aside)});
}

shared::Result<void> Swap::run()
{
    const auto move = [this](const fs::path& from, const fs::path& to) {
        if (::rename(from.c_str(), to.c_str()) != 0) return false;
        done_.emplace_back(from, to);
        return true;
    };
    for (const Step& step : steps_) {
        std::error_code error;
        const bool exists = fs::exists(fs::symlink_status(step.place, error));
        const bool moved = !exists || move(step.place, step.aside);
        if (!moved || (!step.staged.empty() && !move(step.staged, step.place))) {
            const shared::Problem problem{
                step.place.string(),
                std::string("cannot be replaced: ") + std::strerror(errno),
                "nothing was changed; make its folder writable for this user"};
            undo();
            return problem;
        }
        if (exists) kept_.push_back(step.aside);
    }
    for (const Step& step : steps_)
        sync_folder(step.place.parent_path());
    return {};
}

void Swap::undo()
{
    for (auto pair = done_.rbegin(); pair != done_.rend(); ++pair)
        (void)::rename(pair->second.c_str(), pair->first.c_str());
    done_.clear();
    kept_.clear();
}

} // namespace supervisor::shell
