/// A wire tap: `tap PORT FOLDER` forwards HTTP/1.1 from a port of its own (FOLDER/url) to 127.0.0.1:PORT and writes the
/// SHA-256 of every request and response body to FOLDER/tap.log. It stands between a real CLI and the pool, so that
/// what the CLI sent and got can be compared with what the upstream got and sent. While FOLDER/refuse names one of the
/// pool's errors (refusal.hpp) it answers with that in the pool's place.
#include "shared/fake_providers/coding.hpp"
#include "shared/fake_providers/wire.hpp"
#include "tests/cli/refusal.hpp"

#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include <arpa/inet.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace fake = shared::fake_providers;

namespace {

class Log {
public:
    explicit Log(const std::filesystem::path& file) : file_(file) {}

    void write(const std::string& line)
    {
        const std::lock_guard lock(mutex_);
        file_ << line << std::endl;
    }

private:
    std::mutex mutex_;
    std::ofstream file_;
};

/// The head as text again, byte for byte but for white space around values.
std::string head_text(const fake::Message& message)
{
    std::string out = message.first_line + "\r\n";
    for (const auto& [name, value] : message.headers)
        out += name + ": " + value + "\r\n";
    return out + "\r\n";
}

/// A body whose length is told; false if the connection broke.
bool take_body(fake::Wire& from, const fake::Message& message, std::string& body)
{
    const std::size_t size = std::strtoull(message.value("content-length").c_str(), nullptr, 10);
    body = from.take(size);
    return body.size() == size;
}

/// Forwards one body piece by piece as it arrives and returns it; false if the connection broke.
bool forward_body(
    fake::Wire& from, fake::Wire& to, fake::Message& message, bool until_close, std::string& body)
{
    if (fake::lower(message.value("transfer-encoding")) == "chunked") {
        for (;;) {
            const std::optional<std::string> chunk = from.read_chunk(message);
            if (!chunk) return false;
            body += *chunk;
            std::array<char, 32> size{};
            (void)std::snprintf(size.data(), size.size(), "%zx\r\n", chunk->size());
            if (!to.write(size.data() + *chunk + "\r\n")) return false;
            if (chunk->empty()) return true;
        }
    }
    if (message.header("content-length") != nullptr)
        return take_body(from, message, body) && to.write(body);
    while (until_close && (!from.held().empty() || from.fill())) {
        const std::string piece = from.take(from.held().size());
        body += piece;
        if (!to.write(piece)) return false;
    }
    return !until_close;
}

void tunnel(fake::Wire& a, fake::Wire& b)
{
    fake::Wire* ends[] = {&a, &b};
    for (int side = 0; side < 2; ++side) {
        if (!ends[side]->held().empty() &&
            !ends[1 - side]->write(ends[side]->take(ends[side]->held().size())))
            return;
    }
    for (;;) {
        std::array<pollfd, 2> wait{{{a.fd(), POLLIN, 0}, {b.fd(), POLLIN, 0}}};
        if (::poll(wait.data(), wait.size(), -1) < 0) return;
        for (std::size_t side = 0; side < 2; ++side) {
            if (wait[side].revents == 0) continue;
            if (!ends[side]->fill()) return;
            if (!ends[1 - side]->write(ends[side]->take(ends[side]->held().size()))) return;
        }
    }
}

/// Answers in the pool's place if that is wanted; nothing if it is not, else whether the connection goes on.
std::optional<bool>
refuse(fake::Wire& client, fake::Message& request, const std::filesystem::path& folder, Log& log)
{
    const std::optional<std::string> answer = refusal_of(folder, head_text(request));
    if (!answer) return std::nullopt;
    if (!client.read_body(request, false)) return false;
    log.write("refused " + request.first_line);
    return client.write(*answer);
}

void serve(int fd, std::uint16_t port, const std::filesystem::path& folder, Log& log)
{
    fake::Wire client(fd);
    fake::Wire pool = fake::Wire::connect("127.0.0.1", port);
    for (;;) {
        fake::Message request;
        if (!client.read_head(request)) return;
        if (const std::optional<bool> goes_on = refuse(client, request, folder, log)) {
            if (!*goes_on) return;
            continue;
        }
        if (!pool.write(head_text(request))) return;
        std::string body;
        if (!forward_body(client, pool, request, false, body)) return;
        fake::Message response;
        if (!pool.read_head(response)) return;
        const std::string head = head_text(response);
        const std::string what = request.first_line.substr(0, request.first_line.rfind(' '));
        if (response.first_line.find(" 101") != std::string::npos) {
            log.write("websocket " + what);
            if (client.write(head)) tunnel(client, pool);
            return;
        }
        std::string answer;
        const bool has_body =
            !what.starts_with("HEAD") && response.first_line.find(" 204") == std::string::npos;
        bool goes_on = false;
        if (has_body && response.header("content-length") != nullptr) {
            // In one write, as the pool does it: of a refused upgrade Codex reads no more than comes with the head.
            goes_on = take_body(pool, response, answer) && client.write(head + answer);
        } else {
            if (!client.write(head)) return;
            goes_on = !has_body || forward_body(pool, client, response, true, answer);
        }
        log.write(
            what + " " + fake::sha256_hex(body) + " " + std::to_string(body.size()) + " " +
            response.first_line.substr(9, 3) + " " + fake::sha256_hex(answer) + " " +
            std::to_string(answer.size()));
        if (!goes_on) return;
    }
}

} // namespace

int main(int argc, char** argv)
{
    if (argc != 3) {
        std::cerr << "usage: tap PORT FOLDER\n";
        return 2;
    }
    (void)::prctl(PR_SET_PDEATHSIG, SIGTERM);
    const auto port = static_cast<std::uint16_t>(std::strtoul(argv[1], nullptr, 10));
    const std::filesystem::path folder = argv[2];
    std::filesystem::create_directories(folder);
    Log log(folder / "tap.log");
    const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (::bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(listener, 128) != 0 ||
        ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
        std::cerr << "tap: cannot listen\n";
        return 1;
    }
    std::ofstream(folder / "url.new") << "http://127.0.0.1:" << ntohs(address.sin_port);
    std::filesystem::rename(folder / "url.new", folder / "url");
    for (;;) {
        const int fd = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
        if (fd >= 0) std::thread(serve, fd, port, folder, std::ref(log)).detach();
    }
}
