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
#include <memory>
#include <optional>

namespace admin_ui {

/// Connections open at a time; one more is closed at once.
inline constexpr std::size_t kSessionsMax = 256;
/// Of them, those that read events or the live state as they come; one more is refused with 503.
inline constexpr std::size_t kEventStreamsMax = 32;
/// Nothing that is asked here has a body worth the name …
inline constexpr std::size_t kRequestBodyMax = 64 * 1024;
/// … but a credential file, in a form.
inline constexpr std::size_t kUploadBodyMax = shared::kUploadBytesMax + kRequestBodyMax;

/// A drain takes no longer.
inline constexpr std::chrono::seconds kDrainMax{5};

class Server {
public:
    /// How long the refresher may take; tests shorten it.
    struct Deadlines {
        std::chrono::milliseconds reload = std::chrono::seconds(30);
        std::chrono::milliseconds action = std::chrono::seconds(75); ///< a test makes a request
        /// It waits for a reload that is under way, tries the new program, and may be rolled back.
        std::chrono::milliseconds upgrade = std::chrono::seconds(120);
    };

    /// Sends a question to the supervisor, with a descriptor that goes along or -1.
    using Ask = std::function<void(const shared::Message&, int attached)>;

    /// Takes ownership of the listening descriptor. What `ask` has asked is answered through answered(). All references
    /// outlive the server, the server outlives the loop's last run.
    Server(
        boost::asio::io_context& loop, int listen_fd, Routes& routes, Ask ask, Deadlines deadlines);
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;
    ~Server();

    /// Serves a second listening socket as well, on which the owner's own commands come. Takes ownership.
    void listen_also(int fd);

    void start();

    /// An answer to a question; one that nobody waits for any more is dropped.
    void answered(const shared::Message& answer);

    /// Accepts no more; `on_idle` runs, once, when all requests are answered, those of connections that have just come
    /// included, or after kDrainMax. Streams of events do not count.
    void drain(std::function<void()> on_idle);

    [[nodiscard]] std::size_t sessions() const noexcept { return sessions_; }

private:
    using Socket = boost::asio::local::stream_protocol::socket;

    /// A request that waits for answered().
    struct Waiter {
        boost::asio::steady_timer timer;
        std::uint64_t request = 0;
        std::optional<shared::Message> answer;
    };

    /// What drain() waits for. Sessions have it, too: they may end after the server.
    struct Drain {
        std::size_t under_way = 0; ///< requests, and connections that have not sent one yet
        std::function<void()> on_idle;

        void check();
    };

    class UnderWay;

    using Acceptor = boost::asio::local::stream_protocol::acceptor;

    [[nodiscard]] boost::asio::awaitable<void> accept_all(Acceptor& acceptor, bool from_workers);
    [[nodiscard]] boost::asio::awaitable<void> session(Socket socket, bool from_workers);
    [[nodiscard]] boost::asio::awaitable<PageResponse> answer(const PageRequest& request);
    [[nodiscard]] boost::asio::awaitable<PageResponse>
    ask(const PageRequest& request, Question question);

    boost::asio::io_context& loop_;
    Acceptor acceptor_;
    std::optional<Acceptor> owners_acceptor_;
    Routes& routes_;
    Ask ask_;
    Deadlines deadlines_;
    std::list<Waiter*> waiters_;
    /// Beyond every number of a predecessor, whose answers may still be on their way.
    std::uint64_t last_request_;
    std::size_t sessions_ = 0;
    std::shared_ptr<Drain> drain_ = std::make_shared<Drain>();
    boost::asio::steady_timer drain_end_;
    std::size_t event_streams_ = 0;
};

} // namespace admin_ui
