#include "shared/base/write_file.hpp"
#include "shared/segment/account_table.hpp"
#include "shared/segment/pin_table.hpp"
#include "shared/segment/segment.hpp"
#include "supervisor/pin_keeper.hpp"
#include "supervisor/pins_file.hpp"
#include "tests/supervisor/usage_fixture.hpp"
#include "tests/support/temp_dir.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include <sys/stat.h>

namespace supervisor::test {
namespace {

using ::testing::HasSubstr;
using namespace std::chrono_literals;

std::vector<SavedPin> some_pins()
{
    return {
        {{1, 2}, kNow.plus(-1h), "codex:a"},
        {{3, 4}, kNow.plus(-2h), "claude:b"},
        {{5, 6}, kNow.plus(-3h), "codex:a"}};
}

TEST(PinsFile, BringsBackWhatItSaved)
{
    const auto pins = decode_pins(encode_pins(some_pins()));
    ASSERT_TRUE(pins);
    ASSERT_EQ(pins->size(), 3U);
    EXPECT_EQ((*pins)[1].key, (shared::PinKey{3, 4}));
    EXPECT_EQ((*pins)[1].last_used, kNow.plus(-2h));
    EXPECT_EQ((*pins)[1].account, "claude:b");
    EXPECT_EQ((*pins)[2].account, "codex:a");
    EXPECT_TRUE(decode_pins(encode_pins({}))->empty());
}

TEST(PinsFile, BelievesNothingOfADamagedFile)
{
    const std::string bytes = encode_pins(some_pins());
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        EXPECT_FALSE(decode_pins(bytes.substr(0, i))) << "cut at " << i;
        std::string changed = bytes;
        changed[i] = static_cast<char>(changed[i] ^ 0x10);
        EXPECT_FALSE(decode_pins(changed)) << "changed at " << i;
    }
    EXPECT_FALSE(decode_pins(bytes + "x"));
}

TEST(PinsFile, SavesAtMostWhatTheSegmentHolds)
{
    const std::vector<SavedPin> many(kSavedPinsMax + 10, SavedPin{{1, 1}, kNow, "codex:a"});
    EXPECT_EQ(decode_pins(encode_pins(many))->size(), kSavedPinsMax);
}

TEST(PinsFile, AFullDiskLeavesTheOldFile)
{
    const tests::TempDir folder;
    const auto file = folder.path() / "pins.bin";
    ASSERT_TRUE(shared::replace_file(file, encode_pins(some_pins())));
    {
        const FullDisk full(64);
        const auto refused = shared::replace_file(file, std::string(10'000, 'x'));
        ASSERT_FALSE(refused);
        EXPECT_THAT(refused.error().text(), HasSubstr("disk space"));
    }
    EXPECT_EQ(load_pins(file)->size(), 3U);
    EXPECT_FALSE(std::filesystem::exists(file.string() + ".tmp"));

    struct stat status {};

    ASSERT_EQ(stat(file.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600U);
}

class PinKeeperTest : public ::testing::Test {
protected:
    static void publish(shared::SegmentMapping& in, std::uint16_t index, std::string_view id)
    {
        shared::AccountIdentity identity;
        identity.id = id;
        in->accounts[index].with_lock([&](shared::AccountRecord& record) {
            shared::write_identity(record, identity);
            record.routing.state = shared::AccountState::ready;
        });
        in->account_slots.store(index + 1U);
        in->roster_version.fetch_add(1);
    }

    std::optional<shared::AccountSlot> pinned(std::uint64_t key)
    {
        return shared::find_pin(*segment, {key, key}, kNow, 24h);
    }

    tests::TempDir folder;
    std::filesystem::path file = folder.path() / "pins.bin";
    shared::SegmentMapping segment = std::move(*shared::SegmentMapping::create(kNow));
};

TEST_F(PinKeeperTest, RestoresByAccountIdAsAccountsAppear)
{
    {
        shared::SegmentMapping before = std::move(*shared::SegmentMapping::create(kNow));
        publish(before, 0, "codex:a");
        publish(before, 1, "codex:b");
        shared::set_pin(*before, {1, 1}, {0}, kNow.plus(-1h));
        shared::set_pin(*before, {2, 2}, {1}, kNow.plus(-2h));
        shared::set_pin(*before, {3, 3}, {1}, kNow.plus(-25h)); // too old
        PinKeeper(*before, file, 24h).save(kNow);
    }
    PinKeeper keeper(*segment, file, 24h);
    keeper.load(kNow);
    EXPECT_EQ(keeper.restore(kNow), 0U);
    publish(segment, 0, "codex:b"); // the other way round in this run
    EXPECT_EQ(keeper.restore(kNow), 1U);
    EXPECT_EQ(pinned(2), shared::AccountSlot{0});
    EXPECT_FALSE(pinned(1));
    EXPECT_FALSE(pinned(3));

    keeper.save(kNow); // what waits for its account is saved again
    EXPECT_EQ(load_pins(file)->size(), 2U);
    publish(segment, 1, "codex:a");
    keeper.save(kNow);
    EXPECT_EQ(pinned(1), shared::AccountSlot{1});
}

TEST_F(PinKeeperTest, DoesNotMoveAConversationThatWasPinnedAnew)
{
    ASSERT_TRUE(shared::replace_file(file, encode_pins({{{7, 7}, kNow.plus(-1h), "codex:a"}})));
    PinKeeper keeper(*segment, file, 24h);
    keeper.load(kNow);
    publish(segment, 0, "codex:b");
    shared::set_pin(*segment, {7, 7}, {0}, kNow);
    publish(segment, 1, "codex:a");
    keeper.restore(kNow);
    EXPECT_EQ(pinned(7), shared::AccountSlot{0});
}

TEST_F(PinKeeperTest, ACopyOfAnotherSegmentBringsWhatIsLater)
{
    shared::SegmentMapping before = std::move(*shared::SegmentMapping::create(kNow));
    publish(before, 0, "codex:a");
    publish(before, 1, "codex:b");
    shared::set_pin(*before, {1, 1}, {0}, kNow.plus(-1min)); // new
    shared::set_pin(*before, {2, 2}, {1}, kNow.plus(-1min)); // moved meanwhile
    shared::set_pin(*before, {3, 3}, {1}, kNow.plus(-2min)); // moved here since
    const std::string copy = PinKeeper(*before, file, 24h).copy(kNow);
    publish(segment, 0, "codex:b");
    publish(segment, 1, "codex:a");
    shared::set_pin(*segment, {2, 2}, {1}, kNow.plus(-2min));
    shared::set_pin(*segment, {3, 3}, {1}, kNow.plus(-1min));
    PinKeeper keeper(*segment, file, 24h);
    ASSERT_TRUE(keeper.take(copy, kNow));
    EXPECT_EQ(pinned(1), shared::AccountSlot{1});
    EXPECT_EQ(pinned(2), shared::AccountSlot{0});
    EXPECT_EQ(pinned(3), shared::AccountSlot{1});
    EXPECT_FALSE(keeper.take(copy.substr(1), kNow));
}

TEST_F(PinKeeperTest, KeepsADamagedFileAsideAndGoesOn)
{
    tests::TempDir other;
    write_file(file, "garbage");
    PinKeeper keeper(*segment, file, 24h);
    keeper.load(kNow);
    EXPECT_FALSE(std::filesystem::exists(file));
    EXPECT_EQ(file_bytes(file.string() + ".damaged"), "garbage");
    publish(segment, 0, "codex:a");
    shared::set_pin(*segment, {1, 1}, {0}, kNow);
    keeper.save(kNow);
    EXPECT_EQ(load_pins(file)->size(), 1U);
}

TEST_F(PinKeeperTest, WritesOnlyWhatChanged)
{
    publish(segment, 0, "codex:a");
    shared::set_pin(*segment, {1, 1}, {0}, kNow);
    PinKeeper keeper(*segment, file, 24h);
    keeper.save(kNow);
    std::filesystem::remove(file);
    keeper.save(kNow);
    EXPECT_FALSE(std::filesystem::exists(file));
    shared::set_pin(*segment, {2, 2}, {0}, kNow);
    keeper.save(kNow);
    EXPECT_EQ(load_pins(file)->size(), 2U);
}

TEST_F(PinKeeperTest, AMissingFileIsNoPins)
{
    PinKeeper keeper(*segment, file, 24h);
    keeper.load(kNow);
    EXPECT_FALSE(std::filesystem::exists(file.string() + ".damaged"));
}

} // namespace
} // namespace supervisor::test
