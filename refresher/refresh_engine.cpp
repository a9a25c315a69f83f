// g++ 12 warns of Asio's own headers once they are inlined here at -O2; neither warning is true.
#pragma GCC diagnostic ignored "-Wnull-dereference"
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
/// When to refresh, and what follows from how it ended. One refresh itself is in refresh_exchange.cpp.
#include "refresher/refresh_engine.hpp"

#include "refresher/fault_point.hpp"
#include "shared/base/log.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <utility>

namespace refresher {
namespace {

namespace asio = boost::asio;
using shared::AccountState;
using shared::ActionResult;
using shared::UnixMillis;
using std::chrono::milliseconds;

/// An answer whose file does not come back is forgotten after this.
constexpr milliseconds kUnfinishedMax = std::chrono::hours(30 * 24);

/// An access token that ends this soon is worth waiting for its successor.
constexpr milliseconds kDying{30'000};

MonotonicTime monotonic_now()
{
    return std::chrono::steady_clock::now();
}

bool has_login(const Roster::Held& held)
{
    return held.credential.kind == shared::CredentialKind::oauth &&
           !held.credential.refresh_token.empty();
}

} // namespace

RefreshEngine::RefreshEngine(
    asio::io_context& loop,
    const shared::ProviderRegistry& registry,
    const shared::Config& config,
    shared::net::HttpClient& client,
    shared::Segment& segment,
    Roster& roster,
    RefreshJournal* journal,
    RefreshTimings timings,
    std::function<UnixMillis()> wall_clock)
    : loop_(loop),
      registry_(registry),
      config_(config),
      client_(client),
      segment_(segment),
      roster_(roster),
      journal_(journal),
      timings_(timings),
      wall_clock_(std::move(wall_clock)),
      timer_(loop)
{
    // A predecessor may have died while requests waited for it.
    for (auto& until : segment_.refreshing_until)
        until.store(0, std::memory_order_relaxed);
}

// ---- what is to be done -------------------------------------------------------------------------------

void RefreshEngine::on_loaded()
{
    if (journal_ != nullptr) finish_unfinished();
    pump();
}

void RefreshEngine::finish_unfinished()
{
    const std::map<std::string, JournalEntry, std::less<>> entries = journal_->entries();
    for (const auto& [id, entry] : entries)
        finish_unfinished(id, entry);
}

void RefreshEngine::finish_unfinished(const std::string& id, const JournalEntry& entry)
{
    const auto held = roster_.held().find(id);
    if (held == roster_.held().end()) {
        // Its file is gone, or broken: it may come back and need what was answered.
        if (wall_clock_().since(entry.at) > kUnfinishedMax) journal_->close(id);
        return;
    }
    Work& work = work_[id];
    if (work.in_flight) return;
    const Job job = job_of(id, held->second);
    if (entry.answer) {
        const End end = conclude(job, *entry.answer, entry.at, nullptr);
        shared::log::warn(
            "event=refresh_recovered account={} result={} detail=\"{}\"",
            id,
            end.kind == End::Kind::failed ? end.reason : "done",
            end.detail);
        work.asked = end.kind == End::Kind::failed;
        return;
    }
    if (digest_of(job.old.refresh_token) != entry.sent) return journal_->close(id);
    if (entry.deaths > 1) return declare_dead(job, "refresh_answer_lost");
    if (entry.deaths == 1) {
        shared::log::warn(
            "event=refresh_answer_lost account={} the refresher died before the answer was safe; "
            "the old "
            "token is tried once more",
            id);
        work.asked = true;
    }
}

void RefreshEngine::on_rejected(shared::AccountSlot slot)
{
    const auto found = std::ranges::find_if(
        roster_.held(), [slot](const auto& each) { return each.second.slot == slot; });
    if (found == roster_.held().end()) return;
    const auto& [id, held] = *found;
    Work& work = work_[id];
    const MonotonicTime now = monotonic_now();
    if (held.credential.kind != shared::CredentialKind::oauth || work.in_flight) return;
    // It was about the token before.
    if (work.renewed_at && now - *work.renewed_at < timings_.success_pause) return;
    const Job job = job_of(id, held);
    const auto file = read_token_file(*job.provider, job.file);
    if (file.has_value() && !file->missing && adopt_if_changed(job, file->credential)) {
        if (on_renewed_) on_renewed_();
        return pump();
    }
    if (!has_login(held)) {
        const UnixMillis expires = held.credential.expires_at;
        if (expires.is_set() && expires <= wall_clock_()) declare_dead(job, "no_refresh_token");
        return;
    }
    if (now < work.rejection_counts) return;
    if (now - work.rejection_counts > timings_.back_off_max) work.rejections = 0;
    work.rejection_counts = now + back_off(++work.rejections, timings_);
    work.asked = true;
    if (work.failures == 0)
        work.not_before = now; // the pause after a success is not meant for this
    shared::log::info("event=refresh_asked account={} by=worker", id);
    pump();
}

void RefreshEngine::refresh_now(std::string_view account, Callback done)
{
    const auto answer = [&done](ActionResult result) {
        if (done) done(result);
    };
    const auto found = roster_.held().find(account);
    if (found == roster_.held().end()) return answer(ActionResult::no_account);
    const auto& [id, held] = *found;
    Work& work = work_[id];
    const bool was_asked = std::exchange(work.by_owner, true);
    const bool possible = journal_ != nullptr && !config_.disable_refresh && !draining_ &&
                          has_login(held) && may_refresh(held, work);
    if (!possible) {
        work.by_owner = was_asked;
        return answer(ActionResult::refused);
    }
    if (done) work.waiting.push_back(std::move(done));
    if (work.in_flight) return;
    shared::log::info("event=refresh_asked account={} by=owner", id);
    work.asked = true;
    work.not_before = monotonic_now();
    pump();
}

void RefreshEngine::drain(std::function<void()> done)
{
    draining_ = true;
    timer_.cancel();
    if (running_ == 0) return done();
    shared::log::info("event=refresh_finishing running={}", running_);
    drained_ = std::move(done);
}

// ---- the plan -----------------------------------------------------------------------------------------

bool RefreshEngine::may_refresh(const Roster::Held& held, const Work& work) const
{
    if (!has_login(held) || held.credential.disabled) return false;
    const AccountState state = segment_.accounts[held.slot.value].with_lock(
        [](shared::AccountRecord& record) { return record.routing.state; });
    if (state == AccountState::disabled || state == AccountState::removed) return false;
    if (work.by_owner) return true;
    if (state == AccountState::needs_login) return false;
    return !work.dead || *work.dead != digest_of(held.credential.refresh_token);
}

RefreshNeed
RefreshEngine::need_of(const std::string& id, const Roster::Held& held, const Work& work) const
{
    RefreshNeed need;
    need.id = id;
    need.lane = static_cast<std::uint8_t>(held.provider);
    need.expires_at = held.credential.expires_at;
    need.last_refresh = std::max(held.credential.last_refresh, work.renewed_wall);
    need.asked = work.asked;
    need.not_before = work.not_before;
    return need;
}

void RefreshEngine::pump()
{
    forget_removed();
    if (journal_ == nullptr || config_.disable_refresh || draining_) return;
    const UnixMillis wall = wall_clock_();
    const MonotonicTime now = monotonic_now();
    const milliseconds lead = std::chrono::minutes(config_.refresh_lead_minutes);
    std::vector<RefreshNeed> needs;
    for (const auto& [id, held] : roster_.held()) {
        const Work& work = work_[id];
        if (work.in_flight) continue;
        const bool possible = may_refresh(held, work);
        if (possible) needs.push_back(need_of(id, held, work));
        // It has its turn soon, and until then its token is of no use: requests had better wait.
        const bool dying = work.asked || (held.credential.expires_at.is_set() &&
                                          held.credential.expires_at < wall.plus(kDying));
        show_waiting(held, possible && dying && work.not_before <= now);
    }
    const RefreshChoice choice = choose_refreshes(needs, lanes_, wall, now, lead, timings_);
    for (const std::size_t index : choice.start) {
        const auto found = roster_.held().find(needs[index].id);
        start(found->first, found->second);
    }
    timer_.expires_after(choice.look_again);
    timer_.async_wait([this](const boost::system::error_code& error) {
        if (!error) pump();
    });
}

/// Accounts without a file any more; whoever waits for one hears it.
void RefreshEngine::forget_removed()
{
    for (auto at = work_.begin(); at != work_.end();) {
        if (at->second.in_flight || roster_.held().contains(at->first)) {
            ++at;
            continue;
        }
        const std::vector<Callback> waiting = std::move(at->second.waiting);
        at = work_.erase(at);
        for (const Callback& done : waiting)
            done(ActionResult::no_account);
    }
}

void RefreshEngine::show_waiting(const Roster::Held& held, bool waits)
{
    const std::int64_t until = waits ? wall_clock_().plus(timings_.deadline).value : 0;
    segment_.refreshing_until[held.slot.value].store(until, std::memory_order_release);
}

void RefreshEngine::start(const std::string& id, const Roster::Held& held)
{
    work_[id].in_flight = true;
    lanes_[static_cast<std::uint8_t>(held.provider)].busy = true;
    ++running_;
    show_waiting(held, true);
    fault_point("started");
    asio::co_spawn(loop_, run(id), asio::detached);
}

asio::awaitable<void> RefreshEngine::run(std::string id)
{
    co_await asio::post(loop_, asio::use_awaitable); // whoever started it goes on first
    End end;
    const auto held = roster_.held().find(id);
    if (held == roster_.held().end()) {
        end.kind = End::Kind::gone;
        finish(id, end);
        co_return;
    }
    const auto lane = static_cast<std::uint8_t>(held->second.provider);
    Job job = job_of(id, held->second);
    end = co_await refresh(job);
    RefreshLane& mine = lanes_[lane];
    mine.busy = false;
    milliseconds pause = timings_.spacing;
    if (end.retry_after)
        pause = std::max(pause, std::min(*end.retry_after, timings_.retry_after_max));
    mine.free_at = monotonic_now() + pause;
    finish(id, end);
}

void RefreshEngine::finish(const std::string& id, const End& end)
{
    --running_;
    Work& work = work_[id];
    work.in_flight = false;
    work.by_owner = false;
    const MonotonicTime now = monotonic_now();
    const bool good = end.kind == End::Kind::renewed || end.kind == End::Kind::adopted;
    if (end.kind == End::Kind::adopted) work.not_before = now;
    if (end.kind == End::Kind::failed || end.kind == End::Kind::gone) {
        const milliseconds wait = std::max(
            back_off(++work.failures, timings_),
            std::min(end.retry_after.value_or(milliseconds(0)), timings_.retry_after_max));
        work.not_before = now + wait;
        shared::log::warn(
            "event=refresh_failed account={} reason={} tries={} next_ms={} detail=\"{}\"",
            id,
            end.kind == End::Kind::gone ? "file_gone" : end.reason,
            work.failures,
            wait.count(),
            end.detail);
    } else {
        work.asked = false;
        work.failures = 0;
    }
    const auto held = roster_.held().find(id);
    if (held != roster_.held().end()) show_waiting(held->second, false);
    if (good) work.dead.reset();
    if (end.kind == End::Kind::renewed && held != roster_.held().end()) {
        const UnixMillis wall = wall_clock_();
        const UnixMillis expires = held->second.credential.expires_at;
        // A token that is due again at once (short-lived, or a clock is wrong) must not become a loop.
        milliseconds pause = timings_.success_pause;
        if (expires.is_set()) {
            const milliseconds half = expires.since(wall) / 2;
            const bool ended = half <= milliseconds(0);
            pause = std::max(
                pause, ended ? timings_.back_off_max : std::min(half, timings_.back_off_max));
        }
        work.not_before = now + pause;
        work.renewed_at = now;
        work.renewed_wall = wall;
        shared::log::info(
            "event=token_refreshed account={} expires_in_s={}",
            id,
            expires.is_set() ? expires.since(wall).count() / 1000 : -1);
    }
    const std::vector<Callback> waiting = std::move(work.waiting);
    work.waiting.clear();
    for (const Callback& done : waiting) {
        const bool gone = end.kind == End::Kind::gone;
        done(good ? ActionResult::done : gone ? ActionResult::no_account : ActionResult::failed);
    }
    if (good && on_renewed_) on_renewed_();
    fault_point("finished");
    if (draining_ && running_ == 0 && drained_) return std::exchange(drained_, nullptr)();
    pump();
}

RefreshEngine::Job RefreshEngine::job_of(const std::string& id, const Roster::Held& held) const
{
    Job job;
    job.id = id;
    job.provider = &registry_.get(held.provider);
    job.file = held.file;
    job.old = held.credential;
    return job;
}

} // namespace refresher
