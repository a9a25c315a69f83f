/// A bar for what takes longer than a second.
#pragma once

#include <chrono>
#include <cstdint>
#include <iosfwd>
#include <string>
#include <string_view>

namespace supervisor::shell {

class ProgressBar {
public:
    /// Draws on `err` only if `shown`, and only once a second has passed.
    ProgressBar(std::ostream& err, bool shown);
    ~ProgressBar(); ///< nothing of it stays
    ProgressBar(const ProgressBar&) = delete;
    ProgressBar& operator=(const ProgressBar&) = delete;

    void at(std::string_view what, std::uint64_t done, std::uint64_t all);

private:
    std::ostream& err_;
    bool shown_;
    bool drawn_ = false;
    std::chrono::steady_clock::time_point next_;
};

} // namespace supervisor::shell
