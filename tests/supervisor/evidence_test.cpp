#include "shared/base/read_file.hpp"
#include "shared/base/write_file.hpp"
#include "shared/segment/account_table.hpp"
#include "shared/segment/segment.hpp"
#include "supervisor/evidence_keeper.hpp"
#include "tests/supervisor/usage_fixture.hpp"
#include "tests/support/temp_dir.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace supervisor::test {
namespace {

using ::testing::HasSubstr;
using namespace std::chrono_literals;
using shared::AccountRecord;
using shared::EvidenceSource;

class EvidenceKeeperTest : public ::testing::Test {
protected:
    static void publish(
        shared::SegmentMapping& in,
        std::uint16_t index,
        std::string_view id,
        std::string_view account_id = "vendor-1",
        std::uint8_t kind = 1)
    {
        shared::AccountIdentity identity;
        identity.id = id;
        identity.kind = kind;
        identity.account_id = account_id;
        in->accounts[index].with_lock([&](AccountRecord& record) {
            shared::write_identity(record, identity);
            record.routing = {};
            record.routing.state = shared::AccountState::ready;
            record.routing.kind = kind;
        });
        in->account_slots.store(index + 1U);
        in->roster_version.fetch_add(1);
    }

    /// What a pool knew of "codex:a" when it ended.
    void save_before()
    {
        shared::SegmentMapping before = std::move(*shared::SegmentMapping::create(kNow));
        publish(before, 0, "codex:a");
        before->accounts[0].with_lock([](AccountRecord& record) {
            shared::AccountRouting& routing = record.routing;
            shared::record_window(
                routing, 18000, {4200}, kNow.plus(2h), EvidenceSource::header, kNow.plus(-1min));
            shared::record_window(
                routing, 604800, {10000}, kNow.plus(50h), EvidenceSource::poll, kNow.plus(-5min));
            record.short_learning.tokens_per_percent = 9000.5;
            record.short_learning.percent_per_hour = 3.25;
            record.short_learning.samples = 12;
            record.short_learning.anchor_tokens = 77;
            routing.cooling_until = kNow.plus(30min);
            routing.cooling_end_known = true;
            routing.reason = "usage_limit_reached";
            routing.state_since = kNow.plus(-10min);
            routing.state_source = EvidenceSource::error_answer;
            routing.has_credits = 0;
        });
        EvidenceKeeper(*before, file).save(kNow);
    }

    [[nodiscard]] AccountRecord record(std::uint16_t index = 0)
    {
        return segment->accounts[index].with_lock([](const AccountRecord& all) { return all; });
    }

    tests::TempDir folder;
    std::filesystem::path file = folder.path() / "evidence.json";
    shared::SegmentMapping segment = std::move(*shared::SegmentMapping::create(kNow));
};

TEST_F(EvidenceKeeperTest, GivesAnAccountBackWhatWasKnownOfIt)
{
    save_before();
    EvidenceKeeper keeper(*segment, file);
    keeper.load();
    EXPECT_EQ(keeper.restore(kNow), 0U) << "nobody is there yet";
    publish(segment, 0, "codex:b", "vendor-2");
    publish(segment, 1, "codex:a"); // another slot in this run
    EXPECT_EQ(keeper.restore(kNow), 1U);
    const AccountRecord a = record(1);
    EXPECT_EQ(a.routing.short_window.used, shared::UsedShare{4200});
    EXPECT_EQ(a.routing.short_window.resets_at, kNow.plus(2h));
    EXPECT_EQ(a.routing.short_window.source, EvidenceSource::header);
    EXPECT_EQ(a.routing.short_window.seen_at, kNow.plus(-1min));
    EXPECT_TRUE(a.routing.long_window.used.is_full());
    EXPECT_EQ(a.routing.long_window.full_since, kNow.plus(-5min));
    EXPECT_EQ(a.short_learning.tokens_per_percent, 9000.5);
    EXPECT_EQ(a.short_learning.percent_per_hour, 3.25);
    EXPECT_EQ(a.short_learning.samples, 12U);
    EXPECT_EQ(a.short_learning.anchor_tokens, 0U) << "counted from this run's first token";
    EXPECT_EQ(a.routing.cooling_until, kNow.plus(30min));
    EXPECT_TRUE(a.routing.cooling_end_known);
    EXPECT_EQ(a.routing.reason, std::string_view("usage_limit_reached"));
    EXPECT_EQ(a.routing.state_source, EvidenceSource::error_answer);
    EXPECT_EQ(a.routing.has_credits, 0);
    EXPECT_FALSE(record(0).routing.short_window.used.is_known());
    EXPECT_EQ(keeper.restore(kNow), 0U);
}

TEST_F(EvidenceKeeperTest, NewerEvidenceStays)
{
    save_before();
    EvidenceKeeper keeper(*segment, file);
    keeper.load();
    publish(segment, 0, "codex:a");
    segment->accounts[0].with_lock([](AccountRecord& all) {
        shared::record_window(
            all.routing, 18000, {100}, kNow.plus(5h), EvidenceSource::poll, kNow);
    });
    EXPECT_EQ(keeper.restore(kNow), 1U) << "of the other window nothing was known";
    EXPECT_EQ(record().routing.short_window.used, shared::UsedShare{100});
    EXPECT_TRUE(record().routing.long_window.used.is_full());
}

TEST_F(EvidenceKeeperTest, ASegmentThatWasHandedOverKnowsBetter)
{
    save_before();
    publish(segment, 0, "codex:a");
    EvidenceKeeper keeper(*segment, file);
    keeper.load();
    EXPECT_EQ(keeper.restore(kNow), 0U);
    EXPECT_FALSE(record().routing.cooling_until.is_set());
}

TEST_F(EvidenceKeeperTest, AnotherAccountOfTheSameNameGetsNothing)
{
    save_before();
    for (const bool kind : {false, true}) {
        shared::SegmentMapping other = std::move(*shared::SegmentMapping::create(kNow));
        EvidenceKeeper keeper(*other, file);
        keeper.load();
        publish(other, 0, "codex:a", kind ? "vendor-1" : "vendor-9", kind ? 2 : 1);
        EXPECT_EQ(keeper.restore(kNow), 0U);
    }
}

TEST_F(EvidenceKeeperTest, WhatIsOverIsNotTakenOver)
{
    save_before();
    EvidenceKeeper keeper(*segment, file);
    keeper.load();
    publish(segment, 0, "codex:a");
    EXPECT_EQ(keeper.restore(kNow.plus(24h * 9)), 1U) << "what was learnt of the windows holds";
    EXPECT_FALSE(record().routing.short_window.seen_at.is_set());
    EXPECT_FALSE(record().routing.cooling_until.is_set());
    EXPECT_EQ(record().short_learning.samples, 12U);
}

TEST_F(EvidenceKeeperTest, ADisabledAccountDoesNotCool)
{
    save_before();
    EvidenceKeeper keeper(*segment, file);
    keeper.load();
    publish(segment, 0, "codex:a");
    segment->accounts[0].with_lock([](AccountRecord& all) {
        all.routing.state = shared::AccountState::disabled;
        all.routing.reason = "disabled_by_owner";
    });
    (void)keeper.restore(kNow);
    EXPECT_EQ(record().routing.reason, std::string_view("disabled_by_owner"));
    EXPECT_FALSE(record().routing.cooling_until.is_set());
}

TEST_F(EvidenceKeeperTest, WritesOnlyWhatChangedAndKeepsWhoWaits)
{
    save_before();
    EvidenceKeeper keeper(*segment, file);
    keeper.load();
    publish(segment, 0, "codex:b", "vendor-2");
    keeper.save(kNow);
    EXPECT_EQ(load_evidence(file)->size(), 2U) << "codex:a may come back";
    std::filesystem::remove(file);
    keeper.save(kNow);
    EXPECT_FALSE(std::filesystem::exists(file));
}

TEST_F(EvidenceKeeperTest, ADamagedFileIsKeptAside)
{
    for (const char* text : {"garbage", "{}", R"({"version":2,"accounts":{}})", "[]"}) {
        ASSERT_TRUE(shared::replace_file(file, text));
        EvidenceKeeper keeper(*segment, file);
        keeper.load();
        EXPECT_FALSE(std::filesystem::exists(file)) << text;
        EXPECT_EQ(shared::read_file(file.string() + ".damaged", 100, "test")->bytes, text);
    }
}

TEST(EvidenceFile, OddValuesAreUnknown)
{
    const auto odd = decode_evidence(
        R"({"version":1,"new":true,"accounts":{"codex:a":{"kind":300,"account_id":7,"short":{"seconds":-1,"used":20000,
        "source":"moon","resets_at":"soon","samples":1e99,"tokens_per_percent":-4},"long":[],"cooling":{"until":null,
        "used_up":"yes","reason":{}},"credits":{"has":1000}},"codex:b":3}})");
    ASSERT_TRUE(odd) << odd.error().text();
    ASSERT_EQ(odd->size(), 1U);
    const SavedEvidence& known = odd->at("codex:a");
    EXPECT_EQ(known.kind, 0);
    EXPECT_EQ(known.account_id, "");
    EXPECT_EQ(known.routing.short_window.seconds, 0U);
    EXPECT_FALSE(known.routing.short_window.used.is_known());
    EXPECT_EQ(known.routing.short_window.source, EvidenceSource::none);
    EXPECT_FALSE(known.routing.short_window.resets_at.is_set());
    EXPECT_EQ(known.short_learning.samples, 0U);
    EXPECT_EQ(known.short_learning.tokens_per_percent, 0);
    EXPECT_FALSE(known.routing.cooling_until.is_set());
    EXPECT_FALSE(known.routing.cooling_used_up);
    EXPECT_EQ(known.routing.has_credits, -1);
    EXPECT_FALSE(decode_evidence(R"({"accounts":{}})"));
    EXPECT_THAT(decode_evidence(R"({"version":7})").error().text(), HasSubstr("newer"));
}

} // namespace
} // namespace supervisor::test
