#include "supervisor/wait_notice.hpp"

#include <chrono>
#include <ostream>

namespace supervisor {

WaitNotice::WaitNotice(std::ostream& err, bool shown)
{
    if (shown) thread_ = std::thread([this, &err] { draw_until_stopped(err); });
}

WaitNotice::~WaitNotice()
{
    stop();
}

void WaitNotice::stop()
{
    {
        const std::lock_guard lock(mutex_);
        stopped_ = true;
    }
    stopped_changed_.notify_one();
    if (thread_.joinable()) thread_.join();
}

void WaitNotice::draw_until_stopped(std::ostream& err)
{
    std::unique_lock lock(mutex_);
    int seconds = 0;
    while (!stopped_changed_.wait_for(lock, std::chrono::seconds(1), [this] { return stopped_; }))
        err << "\r\x1b[Kwaiting for the pool, " << ++seconds << " s …" << std::flush;
    if (seconds > 0) err << "\r\x1b[K" << std::flush;
}

} // namespace supervisor
