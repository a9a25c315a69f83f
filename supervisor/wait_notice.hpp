/// Says on a terminal that an answer is being waited for, once that takes longer than a second.
#pragma once

#include <condition_variable>
#include <iosfwd>
#include <mutex>
#include <thread>

namespace supervisor {

class WaitNotice {
public:
    /// Draws on `err` only if `shown`. While it does, nobody else may write there.
    WaitNotice(std::ostream& err, bool shown);
    ~WaitNotice();
    WaitNotice(const WaitNotice&) = delete;
    WaitNotice& operator=(const WaitNotice&) = delete;

    /// Something came: what was drawn is gone, and nothing more is drawn.
    void stop();

private:
    void draw_until_stopped(std::ostream& err);

    std::mutex mutex_;
    std::condition_variable stopped_changed_;
    bool stopped_ = false;
    std::thread thread_;
};

} // namespace supervisor
