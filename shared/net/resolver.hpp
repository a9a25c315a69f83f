/// Names to addresses without blocking the loop: the system's resolver in Asio's own thread, answers kept for a
/// minute.
#pragma once

#include "shared/net/loop.hpp"

#include <boost/asio/ip/basic_resolver.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <coroutine>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace shared::net {

class Resolver {
public:
    using Endpoint = boost::asio::ip::tcp::endpoint;

    static constexpr std::int64_t kKeepMs = 60'000;
    static constexpr std::size_t kNamesMax = 256;

    explicit Resolver(Loop& loop);

    /// One party waiting for an answer. `co_await wait`: the addresses (without port), empty if the name cannot
    /// be resolved or the wait was aborted.
    class Wait {
    public:
        Wait(Resolver& resolver, std::string host);
        Wait(const Wait&) = delete;
        Wait(Wait&&) = delete;
        Wait& operator=(const Wait&) = delete;
        Wait& operator=(Wait&&) = delete;
        ~Wait();

        [[nodiscard]] bool await_ready();
        void await_suspend(std::coroutine_handle<> caller);

        [[nodiscard]] const std::vector<boost::asio::ip::address>& await_resume() const noexcept
        {
            return addresses_;
        }

        /// Resumes the waiting party at once, with nothing.
        void abort();

    private:
        friend class Resolver;

        Resolver& resolver_;
        std::string host_;
        std::vector<boost::asio::ip::address> addresses_;
        std::coroutine_handle<> caller_;
    };

private:
    struct Name {
        std::vector<boost::asio::ip::address> addresses; ///< of the last good answer
        std::int64_t good_until_ms = 0;
        bool asking = false;
        std::vector<Wait*> waiting;
    };

    void ask(const std::string& host);
    void answered(const std::string& host, std::vector<boost::asio::ip::address> addresses);

    boost::asio::ip::basic_resolver<boost::asio::ip::tcp, Executor> system_;
    std::map<std::string, Name, std::less<>> names_;
};

} // namespace shared::net
