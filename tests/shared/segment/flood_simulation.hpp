/// Users, workers and accounts in virtual time around the real queue: requests arrive, take a place or a ticket, run for
/// a while and end. What the workers do with the queue is what worker/wait_room does. Deterministic for a seed.
#pragma once

#include "shared/segment/account_table.hpp"
#include "shared/segment/segment.hpp"
#include "shared/segment/wait_queue.hpp"
#include "shared/segment/worker_slots.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <random>
#include <string>
#include <vector>

namespace tests {

struct SimulatedUser {
    std::string name;
    std::string counted_as;   ///< the queue's name for it; empty = `name`
    double per_second = 0;    ///< requests that come by chance, whatever happened to those before
    std::size_t parallel = 0; ///< requests at a time, each followed by the next at once
    double service_seconds = 4;
    double from_seconds = 0; ///< its first request, for `parallel`
    std::int64_t tokens = 4000;

    [[nodiscard]] const std::string& queue_name() const
    {
        return counted_as.empty() ? name : counted_as;
    }
};

struct SimulatedPool {
    std::vector<SimulatedUser> users;
    std::size_t workers = 2;
    std::vector<std::uint32_t> caps; ///< of the accounts
    double seconds = 60;
    unsigned seed = 1;
};

/// Milliseconds each request of a user waited, in the order they came.
struct SimulatedWaits {
    std::map<std::string, std::vector<double>> by_user;
    std::size_t most_at_once = 0; ///< running, over all accounts
    bool over_cap = false;

    [[nodiscard]] double percentile(const std::string& user, double share) const
    {
        const auto found = by_user.find(user);
        if (found == by_user.end() || found->second.empty()) return 0;
        std::vector<double> sorted = found->second;
        std::sort(sorted.begin(), sorted.end());
        return sorted[static_cast<std::size_t>(share * static_cast<double>(sorted.size() - 1))];
    }
};

class FloodSimulation {
public:
    explicit FloodSimulation(const SimulatedPool& pool)
        : pool_(pool),
          mapping_(std::move(*shared::SegmentMapping::create(shared::UnixMillis{1}))),
          segment_(*mapping_),
          random_(pool.seed)
    {
        for (std::size_t w = 0; w < pool.workers; ++w)
            slots_.push_back(*shared::claim_slot(segment_, 1));
        for (std::size_t a = 0; a < pool.caps.size(); ++a)
            everywhere_.add({static_cast<std::uint16_t>(a)});
    }

    SimulatedWaits run()
    {
        for (std::size_t u = 0; u < pool_.users.size(); ++u) {
            for (std::size_t i = 0; i < pool_.users[u].parallel; ++i)
                at(pool_.users[u].from_seconds + 0.001 * static_cast<double>(i),
                   [this, u] { arrive(u); });
            if (pool_.users[u].per_second > 0) next_arrival(u);
        }
        while (!events_.empty() && events_.top().at <= pool_.seconds) {
            const Event event = events_.top();
            events_.pop();
            now_ = event.at;
            event.run();
        }
        return std::move(waits_);
    }

private:
    static constexpr double kPollSeconds = 0.010;

    struct Event {
        double at = 0;
        std::uint64_t number = 0;
        std::function<void()> run;

        friend bool operator<(const Event& a, const Event& b)
        {
            return a.at != b.at ? a.at > b.at : a.number > b.number;
        }
    };

    struct Request {
        std::size_t user = 0;
        std::size_t worker = 0;
        double came_at = 0;
        std::optional<shared::RunningRequest> row;
        shared::Ask ask;
    };

    void at(double time, std::function<void()> run)
    {
        events_.push({time, ++event_number_, std::move(run)});
    }

    [[nodiscard]] shared::MonotonicMillis clock() const
    {
        return shared::MonotonicMillis(1'000'000 + static_cast<std::int64_t>(now_ * 1000));
    }

    double chance(double mean) { return std::exponential_distribution<>(1 / mean)(random_); }

    void next_arrival(std::size_t user)
    {
        at(now_ + chance(1 / pool_.users[user].per_second), [this, user] {
            arrive(user);
            next_arrival(user);
        });
    }

    std::vector<shared::AccountPlace> places()
    {
        std::vector<shared::AccountPlace> out;
        for (std::size_t a = 0; a < pool_.caps.size(); ++a) {
            const shared::AccountSlot account{static_cast<std::uint16_t>(a)};
            out.push_back({account, pool_.caps[a], shared::in_flight(segment_, account)});
        }
        return out;
    }

    void arrive(std::size_t user)
    {
        auto request = std::make_shared<Request>();
        request->user = user;
        request->worker = std::uniform_int_distribution<std::size_t>(0, slots_.size() - 1)(random_);
        request->came_at = now_;
        request->ask.slot = slots_[request->worker];
        request->ask.user =
            shared::fair_user(segment_, pool_.users[user].queue_name(), 1, clock()).index;
        request->ask.wants = everywhere_;
        shared::UsageEntry entry;
        entry.user.assign(pool_.users[user].name);
        auto row = shared::RunningRequest::begin(segment_, request->ask.slot, entry);
        ASSERT_TRUE(row);
        request->row.emplace(std::move(*row));
        request->row->count_for(request->ask.user);
        if (!try_start(request)) {
            ASSERT_TRUE(shared::join_queue(segment_, request->ask, clock()));
            waiting_[*request->ask.ticket] = request;
            poll_later(request->worker);
        }
    }

    bool try_start(const std::shared_ptr<Request>& request)
    {
        const std::vector<shared::AccountPlace> all = places();
        const shared::AccountSet closed =
            shared::closed_places(segment_, request->ask, all, clock());
        const shared::AccountPlace* best = nullptr;
        for (const shared::AccountPlace& place : all) {
            if (closed.contains(place.account)) continue;
            if (best == nullptr || place.in_flight < best->in_flight) best = &place;
        }
        if (best == nullptr) return false;
        if (!shared::take_place(segment_, request->ask, best->account, all, *request->row, clock()))
            return false;
        started(request);
        return true;
    }

    void started(const std::shared_ptr<Request>& request)
    {
        const SimulatedUser& user = pool_.users[request->user];
        waits_.by_user[user.name].push_back((now_ - request->came_at) * 1000);
        std::size_t running = 0;
        for (const shared::AccountPlace& place : places()) {
            running += place.in_flight;
            waits_.over_cap = waits_.over_cap || (place.cap > 0 && place.in_flight > place.cap);
        }
        waits_.most_at_once = std::max(waits_.most_at_once, running);
        at(now_ + chance(user.service_seconds), [this, request] { finish(request); });
    }

    void finish(const std::shared_ptr<Request>& request)
    {
        request->row->entry().output = pool_.users[request->user].tokens;
        request->row->finish(shared::RequestOutcome::completed, shared::UnixMillis{1});
        shared::drain_ring(
            segment_.usage[request->ask.slot], 100, [](const shared::UsageEntry&) {});
        if (pool_.users[request->user].parallel > 0) {
            const std::size_t user = request->user;
            at(now_ + 0.002, [this, user] { arrive(user); });
        }
        poll(request->worker);
    }

    void poll_later(std::size_t worker)
    {
        if (!polling_.insert({worker, true}).second) return;
        at(now_ + kPollSeconds, [this, worker] {
            polling_.erase(worker);
            poll(worker);
            for (const auto& [ticket, request] : waiting_)
                if (request->worker == worker) return poll_later(worker);
        });
    }

    void poll(std::size_t worker)
    {
        std::array<std::uint16_t, 64> due{};
        const std::size_t count =
            shared::due_tickets(segment_, slots_[worker], places(), clock(), due);
        for (std::size_t i = 0; i < count; ++i) {
            const auto found = waiting_.find(due[i]);
            if (found == waiting_.end()) continue;
            const std::shared_ptr<Request> request = found->second;
            waiting_.erase(found);
            if (!try_start(request)) waiting_[*request->ask.ticket] = request;
        }
    }

    SimulatedPool pool_;
    shared::SegmentMapping mapping_;
    shared::Segment& segment_;
    std::mt19937 random_;
    std::vector<std::uint16_t> slots_;
    shared::AccountSet everywhere_;
    std::priority_queue<Event> events_;
    std::uint64_t event_number_ = 0;
    double now_ = 0;
    std::map<std::uint16_t, std::shared_ptr<Request>> waiting_;
    std::map<std::size_t, bool> polling_;
    SimulatedWaits waits_;
};

} // namespace tests
