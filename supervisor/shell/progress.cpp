#include "supervisor/shell/progress.hpp"

#include "shared/base/terminal_text.hpp"

#include <ostream>

#include <fmt/format.h>

namespace supervisor::shell {
namespace {

constexpr std::chrono::seconds kPatience{1};
constexpr std::chrono::milliseconds kEvery{100};
constexpr std::size_t kBar = 30;

} // namespace

ProgressBar::ProgressBar(std::ostream& err, bool shown)
    : err_(err), shown_(shown), next_(std::chrono::steady_clock::now() + kPatience)
{}

ProgressBar::~ProgressBar()
{
    if (drawn_) err_ << "\r\x1b[K" << std::flush;
}

void ProgressBar::at(std::string_view what, std::uint64_t done, std::uint64_t all)
{
    const auto now = std::chrono::steady_clock::now();
    if (!shown_ || now < next_) return;
    next_ = now + kEvery;
    drawn_ = true;
    const double share = all == 0 ? 0 : static_cast<double>(done) / static_cast<double>(all);
    err_ << fmt::format(
                "\r\x1b[K{} {} {:.0f} %",
                what,
                shared::fit_text(shared::bar_text(share, kBar), kBar),
                share * 100)
         << std::flush;
}

} // namespace supervisor::shell
