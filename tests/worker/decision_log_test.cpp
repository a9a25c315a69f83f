/// What a request leaves behind for `why`, call by call.
#include "shared/segment/segment.hpp"
#include "worker/decision_log.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

namespace worker {
namespace {

using shared::AccountSlot;
using shared::Decision;
using shared::DecisionAttempt;
using shared::DecisionEnding;
using shared::Outcome;
using shared::PassedOver;
using shared::PinFate;
using shared::RequestOutcome;
using shared::UnixMillis;
using End = DecisionAttempt::End;

constexpr UnixMillis kNow{1'800'000'000'000};

class DecisionLogTest : public testing::Test {
protected:
    DecisionLogTest()
    {
        segment_.workers[3].generation = 7;
        log_.begin(segment_, 3, [](Decision& decision) {
            std::memcpy(decision.request_id.data(), "0123456789abcdef", 16);
        });
    }

    shared::Candidate& add(PassedOver reason, float score = 0)
    {
        shared::Candidate& candidate = candidates_.emplace_back();
        candidate.slot = {static_cast<std::uint16_t>(candidates_.size() - 1)};
        notes_.at(candidates_.size() - 1) = {candidate.slot, reason, score};
        return candidate;
    }

    void select(bool in_conversation = false)
    {
        selection_.notes = static_cast<std::uint16_t>(candidates_.size());
        query_.now = kNow;
        log_.selected(query_, selection_, candidates_, notes_, in_conversation);
    }

    [[nodiscard]] Decision decision() const
    {
        return shared::find_decision(segment_, "0123456789abcdef")->decision;
    }

    void try_and_fail(std::uint16_t account, AttemptEnd end)
    {
        log_.try_begins({account});
        log_.try_ended(segment_, end, 0, shared::Verdict());
    }

    shared::SegmentMapping mapping_{std::move(*shared::SegmentMapping::create(kNow))};
    shared::Segment& segment_ = *mapping_;
    DecisionLog log_;
    std::vector<shared::Candidate> candidates_;
    NoteRoom notes_{};
    shared::SelectionQuery query_;
    shared::Selection selection_;
};

TEST_F(DecisionLogTest, NotesTheCandidatesAsTheChoiceSawThem)
{
    shared::Candidate& first = add(PassedOver::picked, 1.5F);
    first.in_flight = 70'000;
    first.routing.priority = -2;
    first.routing.kind = static_cast<std::uint8_t>(shared::CredentialKind::api_key);
    shared::record_window(
        first.routing,
        5 * 3600,
        {2500},
        kNow.plus(std::chrono::hours(1)),
        shared::EvidenceSource::header,
        kNow);
    shared::Candidate& second = add(PassedOver::cooling);
    second.routing.cooling_until = kNow.plus(std::chrono::minutes(2));
    selection_.account = {0};
    select();
    const Decision found = decision();
    EXPECT_EQ(found.generation, 7U);
    EXPECT_EQ(found.candidates_total, 2);
    ASSERT_EQ(found.candidates_noted, 2);
    EXPECT_EQ(found.candidates[0].score, 1.5F);
    EXPECT_EQ(found.candidates[0].in_flight, 0xFFFF);
    EXPECT_EQ(found.candidates[0].priority, -2);
    EXPECT_EQ(found.candidates[0].is_api_key, 1);
    EXPECT_EQ(found.candidates[0].short_used.basis_points, 2500);
    EXPECT_FALSE(found.candidates[0].long_used.is_known());
    EXPECT_EQ(found.candidates[1].reason, PassedOver::cooling);
    EXPECT_EQ(found.candidates[1].until, second.routing.cooling_until);
    EXPECT_EQ(found.pin, PinFate::no_conversation);
}

TEST_F(DecisionLogTest, TellsWhatBecameOfThePin)
{
    add(PassedOver::picked);
    selection_.account = {0};
    select(true);
    EXPECT_EQ(decision().pin, PinFate::unpinned);
    query_.pinned = AccountSlot{0};
    select(true);
    EXPECT_EQ(decision().pin, PinFate::kept);
    query_.pinned = AccountSlot{9};
    selection_.pin_moved = true;
    select(true);
    EXPECT_EQ(decision().pin, PinFate::moved);
    EXPECT_EQ(decision().pinned.value, 9);
    selection_.pin_moved = false;
    select(true);
    EXPECT_EQ(decision().pin, PinFate::unusable);
}

TEST_F(DecisionLogTest, AfterATryOnlyTheNewsAreNoted)
{
    add(PassedOver::picked, 2);
    add(PassedOver::lower_score, 1);
    add(PassedOver::lower_score, 0.5F);
    selection_.account = {0};
    select();
    try_and_fail(0, AttemptEnd::connect_failed);
    notes_[0].reason = PassedOver::tried;
    notes_[1].reason = PassedOver::picked;
    notes_[2].reason = PassedOver::exhausted;
    selection_.account = {1};
    select();
    const Decision found = decision();
    EXPECT_EQ(found.candidates[0].reason, PassedOver::picked) << "the first choice stays it";
    EXPECT_EQ(found.candidates[1].reason, PassedOver::lower_score);
    EXPECT_EQ(found.candidates[2].reason, PassedOver::exhausted);
}

TEST_F(DecisionLogTest, EachTryKeepsItsEndAndTheRestItLedTo)
{
    segment_.accounts[1].with_lock([](shared::AccountRecord& record) {
        record.routing.cooling_until = kNow;
        record.routing.cooling_end_known = true;
    });
    try_and_fail(0, AttemptEnd::deadline);
    shared::Verdict verdict;
    verdict.outcome = Outcome::rate_limited;
    verdict.reason = "usage_limit_reached";
    log_.try_begins({1});
    log_.try_ended(segment_, AttemptEnd::answered, 429, verdict);
    verdict.outcome = Outcome::upstream_failed;
    log_.try_begins({2});
    log_.try_ended(segment_, AttemptEnd::answered, 200, shared::Verdict());
    log_.stream_failed(segment_, AttemptEnd::answered, verdict);
    log_.try_begins({3});
    log_.ended(RequestOutcome::client_gone, 0, 12, 0, kNow);
    const Decision found = decision();
    ASSERT_EQ(found.attempts_noted(), 4U);
    EXPECT_EQ(found.attempts[0].end, End::deadline);
    EXPECT_FALSE(found.attempts[0].until.is_set());
    EXPECT_EQ(found.attempts[1].status, 429);
    EXPECT_EQ(found.attempts[1].until, kNow);
    EXPECT_EQ(found.attempts[1].end_known, 1);
    EXPECT_EQ(found.attempts[1].reason.view(), "usage_limit_reached");
    EXPECT_EQ(found.attempts[2].end, End::in_stream);
    EXPECT_EQ(found.attempts[3].end, End::client_gone);
    EXPECT_EQ(found.outcome, RequestOutcome::client_gone);
    EXPECT_EQ(found.finished_at, kNow);
}

TEST_F(DecisionLogTest, MoreTriesThanFitAreCounted)
{
    for (std::uint16_t i = 0; i < 300; ++i)
        try_and_fail(i % 9, AttemptEnd::broken_off);
    const Decision found = decision();
    EXPECT_EQ(found.attempts_total, 255);
    EXPECT_EQ(found.attempts_noted(), shared::kDecisionAttemptsMax);
    EXPECT_EQ(found.attempts[7].account.value, 7);
}

TEST_F(DecisionLogTest, TellsWhatThePoolAnsweredItself)
{
    using Kind = shared::PoolError::Kind;
    log_.refused(Kind::exhausted, kNow);
    EXPECT_EQ(decision().ending, DecisionEnding::exhausted);
    EXPECT_EQ(decision().retry_at, kNow);
    log_.refused(Kind::deadline, {});
    EXPECT_EQ(decision().ending, DecisionEnding::deadline);
    EXPECT_FALSE(decision().retry_at.is_set());
    log_.refused(Kind::user_limit, kNow);
    EXPECT_EQ(decision().ending, DecisionEnding::user_limit);
    EXPECT_EQ(decision().retry_at, kNow);
    log_.refused(Kind::user_disabled, {});
    EXPECT_EQ(decision().ending, DecisionEnding::user_disabled);
    log_.answered(DecisionEnding::upgrade_refused);
    EXPECT_EQ(decision().ending, DecisionEnding::upgrade_refused);
    log_.waited_in_queue(5);
    log_.waited_in_queue(6);
    log_.waited_for_pinned(7);
    log_.waited_for_token(8);
    EXPECT_EQ(decision().queue_ms, 11U);
    EXPECT_EQ(decision().pin_wait_ms, 7U);
    EXPECT_EQ(decision().refresh_wait_ms, 8U);
}

TEST_F(DecisionLogTest, ARequestWithoutARecordLeavesNothing)
{
    DecisionLog none;
    EXPECT_FALSE(none.begun());
    none.selected(query_, selection_, candidates_, notes_, false);
    none.try_begins({0});
    shared::Verdict verdict;
    verdict.outcome = Outcome::rate_limited;
    none.try_ended(segment_, AttemptEnd::answered, 429, verdict);
    none.ended(RequestOutcome::completed, 200, 1, 1, kNow);
    EXPECT_EQ(segment_.decisions[3].head.load(), 1U);
}

} // namespace
} // namespace worker
