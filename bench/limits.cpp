/// What limits cost a request: the user's standing, all limits, and the counts at its end, in a table of 10,000 users.
/// Prints nanoseconds per request, alone and while another thread does the same for the same user.
#include "shared/segment/segment.hpp"
#include "shared/segment/user_table.hpp"
#include "shared/segment/worker_slots.hpp"

#include <atomic>
#include <chrono>
#include <cstdio>
#include <string>
#include <thread>

namespace {

using namespace shared;

constexpr UnixMillis kNow{1'800'086'400'000};
constexpr int kRequests = 1'000'000;

void request(Segment& segment, UserSlot user, std::uint16_t slot, std::int64_t number)
{
    UserAsk ask;
    ask.provider = 1;
    ask.model = "gpt-5.1-codex";
    ask.slot = slot;
    ask.week_capacity = 1'000'000'000'000;
    ask.now = kNow.plus(std::chrono::milliseconds(number / 100));
    if (user_standing(segment, user, 1, ask.now) != UserStanding::active) std::abort();
    if (admit_user(segment, user, ask).kind != LimitKind::none) std::abort();
    leave_user(segment, user, slot);
    add_user_tokens(segment, user, 1'000, ask.now);
}

double nanoseconds(Segment& segment, UserSlot user, std::uint16_t slot)
{
    const auto begun = std::chrono::steady_clock::now();
    for (int i = 0; i < kRequests; ++i)
        request(segment, user, slot, i);
    const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - begun;
    return took.count() / kRequests;
}

} // namespace

int main()
{
    const auto mapping = SegmentMapping::create(kNow);
    if (!mapping) return 1;
    Segment& segment = **mapping;
    UserSlot user;
    for (int i = 0; i < 10'000; ++i) {
        UserPublication publication;
        publication.id = std::string_view("u" + std::to_string(i));
        publication.generation = 1;
        publication.limits.requests_per_minute = 4'000'000'000;
        publication.limits.tokens_per_day = 4'000'000'000'000'000;
        publication.limits.tokens_per_week = 4'000'000'000'000'000;
        publication.limits.share_percent = 100;
        publication.limits.concurrency = 60'000;
        publication.limits.models = std::string_view("gpt-4*,gpt-5*");
        user = *publish_user(segment, publication);
    }
    const std::uint16_t slot = *claim_slot(segment, 1);
    const std::uint16_t other = *claim_slot(segment, 1);
    const double alone = nanoseconds(segment, user, slot);
    std::atomic<bool> over = false;
    std::thread beside([&] {
        for (std::int64_t i = 0; !over; ++i)
            request(segment, user, other, i);
    });
    const double together = nanoseconds(segment, user, slot);
    over = true;
    beside.join();
    std::printf(
        "limits cost a request %.0f ns; while another worker admits the same user: %.0f ns\n",
        alone,
        together);
}
