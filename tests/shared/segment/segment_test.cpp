#include "shared/segment/segment.hpp"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace shared {
namespace {

TEST(Segment, ChildrenSeeWhatTheCreatorWrites)
{
    auto created = SegmentMapping::create({1000});
    ASSERT_TRUE(created.has_value());
    auto attached = SegmentMapping::attach(dup(created->fd()));
    ASSERT_TRUE(attached.has_value());
    (*created)->account_slots.store(7);
    EXPECT_EQ((*attached)->account_slots.load(), 7U);
    EXPECT_EQ((*attached)->header.created_at, UnixMillis{1000});
}

TEST(Segment, AnUntouchedSegmentCostsLittleMemory)
{
    auto created = SegmentMapping::create({1});
    ASSERT_TRUE(created.has_value());

    struct stat status {};

    ASSERT_EQ(fstat(created->fd(), &status), 0);
    EXPECT_LT(status.st_blocks * 512, 4 * 1024 * 1024);
}

TEST(Segment, CannotBeResizedByAnyone)
{
    auto created = SegmentMapping::create({1});
    ASSERT_TRUE(created.has_value());
    EXPECT_NE(ftruncate(created->fd(), 4096), 0);
}

TEST(Segment, AnotherLayoutIsRefusedWithARemedy)
{
    auto created = SegmentMapping::create({1});
    ASSERT_TRUE(created.has_value());
    (*created)->header.layout_version = kLayoutVersion + 1;
    const auto attached = SegmentMapping::attach(dup(created->fd()));
    ASSERT_FALSE(attached.has_value());
    EXPECT_NE(attached.error().text().find("restart"), std::string::npos);
}

TEST(Segment, SomethingElseThanASegmentIsRefused)
{
    const int fd = memfd_create("other", MFD_CLOEXEC);
    ASSERT_EQ(ftruncate(fd, 4096), 0);
    EXPECT_FALSE(SegmentMapping::attach(fd).has_value());
    EXPECT_FALSE(SegmentMapping::attach(-1).has_value());
    close(fd);
}

} // namespace
} // namespace shared
