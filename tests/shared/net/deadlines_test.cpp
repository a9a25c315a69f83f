#include "shared/net/deadlines.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

namespace shared::net {
namespace {

using std::chrono::milliseconds;

struct Waiter {
    explicit Waiter(Deadlines& all)
        : deadline(
              all,
              [](void* self) noexcept {
                  auto& waiter = *static_cast<Waiter*>(self);
                  ++waiter.expired;
                  if (waiter.dies_with != nullptr) waiter.dies_with->reset();
              },
              this)
    {}

    int expired = 0;
    std::unique_ptr<Waiter>* dies_with = nullptr;
    Deadline deadline;
};

TEST(Deadlines, ExpireOnceAndNeverEarly)
{
    Deadlines all{milliseconds(100)};
    const std::int64_t start = all.now_ms();
    Waiter waiter(all);
    waiter.deadline.set(milliseconds(250));
    all.tick(start + 249);
    all.tick(start + 349);
    EXPECT_EQ(waiter.expired, 0);
    all.tick(start + 350);
    all.tick(start + 1000);
    EXPECT_EQ(waiter.expired, 1);
}

TEST(Deadlines, ZeroMeansNever)
{
    Deadlines all{milliseconds(1)};
    Waiter waiter(all);
    waiter.deadline.set(milliseconds(0));
    all.tick(all.now_ms() + 1'000'000'000);
    waiter.deadline.set(milliseconds(5));
    waiter.deadline.clear();
    all.tick(all.now_ms() + 1'000'000'000);
    EXPECT_EQ(waiter.expired, 0);
}

TEST(Deadlines, TheNextTickIsTheNextTick)
{
    Deadlines all{milliseconds(1000)};
    Waiter waiter(all);
    waiter.deadline.set_next_tick();
    all.tick(all.now_ms());
    EXPECT_EQ(waiter.expired, 1);
    all.tick(all.now_ms() + 1000);
    EXPECT_EQ(waiter.expired, 1) << "once";
}

TEST(Deadlines, OneThatExpiresMayEndOthersAndItself)
{
    Deadlines all{milliseconds(1)};
    auto first = std::make_unique<Waiter>(all);
    auto second = std::make_unique<Waiter>(all);
    auto third = std::make_unique<Waiter>(all);
    for (Waiter* waiter : {first.get(), second.get(), third.get()})
        waiter->deadline.set(milliseconds(1));
    first->dies_with = &second;
    third->dies_with = &third;
    all.tick(all.now_ms() + 10);
    EXPECT_EQ(first->expired, 1);
    EXPECT_FALSE(second);
    EXPECT_FALSE(third);
}

} // namespace
} // namespace shared::net
