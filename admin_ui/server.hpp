/// HTTP/1.1 over the inherited Unix sockets: reads requests, asks Routes, writes answers. Only processes of our own
/// user may connect: workers to the one, the owner's commands to the other (control.sock).
#pragma once

#include "admin_ui/routes.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <optional>

namespace admin_ui {

/// Connections open at a time; one more is closed at once.
inline constexpr std::size_t kSessionsMax = 256;
/// Of them, those that read events as they come; one more is refused with 503.
inline constexpr std::size_t kEventStreamsMax = 32;
/// Nothing that is asked here has a body worth the name.
inline constexpr std::size_t kRequestBodyMax = 64 * 1024;

class Server {
public:
    /// Takes ownership of the listening descriptor. `ask_for_reload` sends the wish to the supervisor; its answer
    /// comes through reloaded(). All references outlive the server, the server outlives the loop's last run.
    Server(
        boost::asio::io_context& loop,
        int listen_fd,
        Routes& routes,
        std::function<void()> ask_for_reload,
        std::chrono::milliseconds reload_deadline = std::chrono::seconds(30));

    /// Serves a second listening socket as well, on which the owner's own commands come. Takes ownership.
    void listen_also(int fd);

    void start();

    /// The refresher has read the pool folder.
    void reloaded(std::uint64_t broken_files);

    [[nodiscard]] std::size_t sessions() const noexcept { return sessions_; }

private:
    using Socket = boost::asio::local::stream_protocol::socket;

    /// A request that waits for reloaded().
    struct ReloadWaiter {
        boost::asio::steady_timer timer;
        std::optional<std::uint64_t> broken_files;
    };

    using Acceptor = boost::asio::local::stream_protocol::acceptor;

    [[nodiscard]] boost::asio::awaitable<void> accept_all(Acceptor& acceptor, bool from_workers);
    [[nodiscard]] boost::asio::awaitable<void> session(Socket socket, bool from_workers);
    [[nodiscard]] boost::asio::awaitable<PageResponse> answer(const PageRequest& request);
    [[nodiscard]] boost::asio::awaitable<PageResponse> reload(const PageRequest& request);

    boost::asio::io_context& loop_;
    Acceptor acceptor_;
    std::optional<Acceptor> owners_acceptor_;
    Routes& routes_;
    std::function<void()> ask_for_reload_;
    std::chrono::milliseconds reload_deadline_;
    std::list<ReloadWaiter*> waiters_;
    std::size_t sessions_ = 0;
    std::size_t event_streams_ = 0;
};

} // namespace admin_ui
