#include "supervisor/control_client.hpp"

#include "shared/http/framing.hpp"
#include "shared/http/head.hpp"
#include "supervisor/control_socket.hpp"
#include "supervisor/owned_fd.hpp"

#include <array>
#include <cerrno>
#include <cstring>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace supervisor {
namespace {

using shared::Problem;
using shared::Result;
using shared::http::ParseStatus;

constexpr std::size_t kReadBytes = std::size_t{16} * 1024;

/// A connection to control.sock, and where it is for messages about it.
class Connection {
public:
    static Result<Connection> open(const std::filesystem::path& folder)
    {
        const std::string where = (folder / kControlSocketName).string();
        auto address = control_address(folder);
        if (!address) return not_running(where, address.error().what);
        Connection made;
        made.where_ = where;
        made.socket_ = OwnedFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        if (!made.socket_) return Problem{where, std::strerror(errno), ""};
        const auto* generic = reinterpret_cast<const sockaddr*>(&address->address);
        if (::connect(made.socket_.get(), generic, address->size) != 0)
            return not_running(where, std::strerror(errno));
        return made;
    }

    [[nodiscard]] Result<bool> send(std::string_view text)
    {
        while (!text.empty()) {
            const ssize_t sent = ::send(socket_.get(), text.data(), text.size(), MSG_NOSIGNAL);
            if (sent < 0 && errno == EINTR) continue;
            if (sent <= 0) return broken(std::strerror(errno));
            text.remove_prefix(static_cast<std::size_t>(sent));
        }
        return true;
    }

    /// Puts what comes next into `bytes`; nothing at the end. A patience of zero waits for ever.
    [[nodiscard]] Result<bool> receive(std::string& bytes, std::chrono::milliseconds patience)
    {
        const int timeout = patience.count() == 0 ? -1 : static_cast<int>(patience.count());
        pollfd waiting{socket_.get(), POLLIN, 0};
        int ready = 0;
        do
            ready = ::poll(&waiting, 1, timeout);
        while (ready < 0 && errno == EINTR);
        if (ready == 0) return broken("no answer in time");
        bytes.resize(kReadBytes);
        ssize_t got = 0;
        do
            got = ::recv(socket_.get(), bytes.data(), bytes.size(), 0);
        while (got < 0 && errno == EINTR);
        if (got < 0) return broken(std::strerror(errno));
        bytes.resize(static_cast<std::size_t>(got));
        return true;
    }

    [[nodiscard]] Problem broken(const std::string& what) const
    {
        return {where_, what, "look at the pool's log"};
    }

private:
    static Problem not_running(const std::string& where, const std::string& why)
    {
        return {
            where,
            "the pool is not running there, or not as this user (" + why + ")",
            "start it, or name its configuration with --config or its database with --db-path"};
    }

    OwnedFd socket_;
    std::string where_;
};

} // namespace

Result<unsigned> ask_pool(
    const std::filesystem::path& data_folder,
    const ControlCall& call,
    const std::function<void(unsigned status, std::string_view piece)>& on_body)
{
    auto connection = Connection::open(data_folder);
    if (!connection) return connection.error();
    const std::string request = call.method + ' ' + call.target +
                                " HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n"
                                "Content-Type: " +
                                call.content_type + "\r\nConnection: close\r\nContent-Length: " +
                                std::to_string(call.form.size()) + "\r\n\r\n" + call.form;
    if (auto sent = connection->send(request); !sent) return sent.error();

    std::string bytes;
    std::string more;
    shared::http::ResponseHead head;
    for (;;) {
        if (auto got = connection->receive(more, call.patience); !got) return got.error();
        if (more.empty()) return connection->broken("the answer broke off");
        bytes += more;
        const ParseStatus parsed = shared::http::parse_response(bytes, call.method, head);
        if (parsed == ParseStatus::incomplete) continue;
        if (parsed != ParseStatus::complete) return connection->broken("the answer is no HTTP");
        break;
    }
    const unsigned status = head.status;
    shared::http::BodyTracker body(head.body, head.content_length);
    const auto pass_on = [&](std::string_view piece) { on_body(status, piece); };
    (void)body.consume(std::string_view(bytes).substr(head.head_bytes), pass_on);
    const auto patience = call.body_may_pause ? std::chrono::milliseconds::zero() : call.patience;
    while (!body.finished()) {
        if (auto got = connection->receive(more, patience); !got) return got.error();
        if (more.empty() && body.may_end_by_close()) break;
        if (more.empty() || body.failed()) return connection->broken("the answer broke off");
        (void)body.consume(more, pass_on);
    }
    return status;
}

} // namespace supervisor
