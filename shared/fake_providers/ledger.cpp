#include "shared/fake_providers/ledger.hpp"

#include "shared/fake_providers/coding.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdlib>

namespace shared::fake_providers {

using Json = nlohmann::json;

Tokens& Tokens::operator+=(const Tokens& other)
{
    input += other.input;
    cached += other.cached;
    cache_creation += other.cache_creation;
    output += other.output;
    reasoning += other.reasoning;
    return *this;
}

Tokens tokens_for(std::string_view request_body)
{
    const std::string hash = sha256_hex(request_body);
    const auto part = [&](std::size_t at) {
        return std::strtoull(hash.substr(at, 4).c_str(), nullptr, 16);
    };
    Tokens out;
    out.input = 100 + part(0) % 5000;
    out.cached = out.input * (part(4) % 60) / 100;
    out.cache_creation = (out.input - out.cached) * (part(8) % 40) / 100;
    out.output = 10 + part(12) % 800;
    out.reasoning = out.output * (part(16) % 50) / 100;
    return out;
}

std::uint64_t Ledger::begin(Exchange exchange)
{
    const std::lock_guard lock(mutex_);
    exchange.number = next_++;
    exchanges_.push_back(std::move(exchange));
    if (exchanges_.size() > kExchangesMax) {
        const Exchange& oldest = exchanges_.front();
        if (oldest.generates) folded_[{oldest.account, oldest.model}] += oldest.said;
        exchanges_.pop_front();
    }
    changed_.notify_all();
    return next_ - 1;
}

void Ledger::update(std::uint64_t number, const std::function<void(Exchange&)>& change)
{
    const std::lock_guard lock(mutex_);
    const auto found = std::ranges::find(exchanges_, number, &Exchange::number);
    if (found != exchanges_.end()) change(*found);
    changed_.notify_all();
}

bool Ledger::note_conversation(const std::string& conversation, const std::string& account)
{
    if (conversation.empty()) return false;
    const std::lock_guard lock(mutex_);
    std::string& before = conversations_[conversation];
    const bool moved = !before.empty() && before != account;
    if (moved) moves_.push_back(conversation + ": " + before + " -> " + account);
    before = account;
    return moved;
}

void Ledger::violation(const std::string& text)
{
    const std::lock_guard lock(mutex_);
    if (violations_.size() < 1000) violations_.push_back(text);
    changed_.notify_all();
}

std::vector<Exchange> Ledger::exchanges() const
{
    const std::lock_guard lock(mutex_);
    return {exchanges_.begin(), exchanges_.end()};
}

std::vector<Exchange> Ledger::turns() const
{
    std::vector<Exchange> out = exchanges();
    std::erase_if(out, [](const Exchange& each) { return !each.generates; });
    return out;
}

Ledger::Totals Ledger::totals() const
{
    const std::lock_guard lock(mutex_);
    Totals out = folded_;
    for (const Exchange& each : exchanges_) {
        if (each.said == Tokens{}) continue;
        out[{each.account, each.model}] += each.said;
    }
    return out;
}

std::vector<std::string> Ledger::violations() const
{
    const std::lock_guard lock(mutex_);
    return violations_;
}

std::vector<std::string> Ledger::moves() const
{
    const std::lock_guard lock(mutex_);
    return moves_;
}

std::map<std::string, std::string> Ledger::conversations() const
{
    const std::lock_guard lock(mutex_);
    return conversations_;
}

bool Ledger::wait(
    const std::function<bool(const std::deque<Exchange>&)>& done,
    std::chrono::milliseconds timeout) const
{
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, timeout, [&] { return done(exchanges_); });
}

void Ledger::reset()
{
    const std::lock_guard lock(mutex_);
    exchanges_.clear();
    conversations_.clear();
    moves_.clear();
    violations_.clear();
    folded_.clear();
}

std::string Ledger::json() const
{
    Json out;
    out["totals"] = Json::array();
    for (const auto& [key, tokens] : totals()) {
        out["totals"].push_back(
            {{"account", key.first},
             {"model", key.second},
             {"input", tokens.input},
             {"cached", tokens.cached},
             {"cache_creation", tokens.cache_creation},
             {"output", tokens.output},
             {"reasoning", tokens.reasoning}});
    }
    out["exchanges"] = Json::array();
    for (const Exchange& each : exchanges()) {
        Json headers = Json::array();
        for (const auto& [name, value] : each.headers)
            headers.push_back(name + ": " + value);
        out["exchanges"].push_back(
            {{"number", each.number},
             {"account", each.account},
             {"method", each.method},
             {"target", each.target},
             {"headers", headers},
             {"status", each.status},
             {"model", each.model},
             {"conversation", each.conversation},
             {"generates", each.generates},
             {"websocket", each.websocket},
             {"complete", each.complete},
             {"request_bytes", each.request_bytes},
             {"request_sha256", each.request_sha256},
             {"response_bytes", each.response_bytes},
             {"response_sha256", each.response_sha256}});
    }
    out["conversations"] = conversations();
    out["moves"] = moves();
    out["violations"] = violations();
    return out.dump(1);
}

} // namespace shared::fake_providers
