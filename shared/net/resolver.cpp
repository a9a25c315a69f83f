#include "shared/net/resolver.hpp"

#include "shared/base/clock.hpp"

#include <boost/asio/ip/address.hpp>

#include <algorithm>
#include <utility>

namespace shared::net {

Resolver::Resolver(Loop& loop) : system_(loop.get_executor()) {}

void Resolver::ask(const std::string& host)
{
    names_[host].asking = true;
    system_.async_resolve(host, "", [this, host](boost::system::error_code error, auto results) {
        std::vector<boost::asio::ip::address> addresses;
        if (!error) {
            for (const auto& entry : results) {
                const boost::asio::ip::address address = entry.endpoint().address();
                if (std::find(addresses.begin(), addresses.end(), address) == addresses.end())
                    addresses.push_back(address);
            }
        }
        answered(host, std::move(addresses));
    });
}

void Resolver::answered(const std::string& host, std::vector<boost::asio::ip::address> addresses)
{
    Name& name = names_[host];
    name.asking = false;
    // An old answer is better than none while the resolver is out.
    if (!addresses.empty()) name.addresses = std::move(addresses);
    name.good_until_ms = now_monotonic_us() / 1000 + kKeepMs;
    const std::vector<boost::asio::ip::address> answer = name.addresses;
    if (answer.empty()) name.good_until_ms = 0;
    for (Wait* wait : std::exchange(name.waiting, {})) {
        wait->addresses_ = answer;
        std::exchange(wait->caller_, nullptr).resume();
    }
}

Resolver::Wait::Wait(Resolver& resolver, std::string host)
    : resolver_(resolver), host_(std::move(host))
{}

Resolver::Wait::~Wait()
{
    if (caller_) std::erase(resolver_.names_[host_].waiting, this);
}

bool Resolver::Wait::await_ready()
{
    boost::system::error_code not_numeric;
    const boost::asio::ip::address numeric = boost::asio::ip::make_address(host_, not_numeric);
    if (!not_numeric) {
        addresses_.assign(1, numeric);
        return true;
    }
    if (host_ == "localhost") {
        addresses_.emplace_back(boost::asio::ip::address_v4::loopback());
        addresses_.emplace_back(boost::asio::ip::address_v6::loopback());
        return true;
    }
    const auto found = resolver_.names_.find(host_);
    if (found == resolver_.names_.end()) return resolver_.names_.size() >= kNamesMax;
    if (found->second.good_until_ms < now_monotonic_us() / 1000) return false;
    addresses_ = found->second.addresses;
    return true;
}

void Resolver::Wait::await_suspend(std::coroutine_handle<> caller)
{
    caller_ = caller;
    if (!resolver_.names_[host_].asking) resolver_.ask(host_);
    resolver_.names_[host_].waiting.push_back(this);
}

void Resolver::Wait::abort()
{
    if (!caller_) return;
    std::erase(resolver_.names_[host_].waiting, this);
    std::exchange(caller_, nullptr).resume();
}

} // namespace shared::net
