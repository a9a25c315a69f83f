#include "shared/fake_providers/client.hpp"

#include "shared/fake_providers/tls.hpp"

#include <algorithm>
#include <cstdlib>

#include <unistd.h>

namespace shared::fake_providers {

std::string Response::value(std::string_view name) const
{
    const std::string* found = find_header(headers, name);
    return found == nullptr ? std::string() : *found;
}

Client::Client(std::uint16_t port, std::chrono::milliseconds timeout)
    : port_(port), wire_(Wire::connect("127.0.0.1", port))
{
    if (wire_.open()) wire_.set_timeout(timeout);
}

Client Client::over_tls(std::uint16_t port, std::chrono::milliseconds timeout)
{
    Client client(port, timeout);
    if (!client.wire_.open()) return client;
    const int fd = ::dup(client.wire_.fd());
    SSL* ssl = connect_tls(fd);
    if (ssl != nullptr) {
        client.wire_ = Wire(fd, ssl);
        client.wire_.set_timeout(timeout);
    } else {
        ::close(fd);
        client.wire_.close();
    }
    return client;
}

std::string Client::format(
    std::string_view method,
    std::string_view target,
    const Headers& headers,
    std::string_view body,
    std::uint16_t port)
{
    std::string out = std::string(method) + " " + std::string(target) + " HTTP/1.1\r\n";
    if (find_header(headers, "host") == nullptr)
        out += "Host: 127.0.0.1:" + std::to_string(port) + "\r\n";
    for (const auto& [name, value] : headers)
        out += name + ": " + value + "\r\n";
    const bool framed = find_header(headers, "content-length") != nullptr ||
                        find_header(headers, "transfer-encoding") != nullptr;
    if (!framed && (!body.empty() || method == "POST"))
        out += "Content-Length: " + std::to_string(body.size()) + "\r\n";
    return out + "\r\n" + std::string(body);
}

bool Client::send(
    std::string_view method, std::string_view target, const Headers& headers, std::string_view body)
{
    head_method_ = method == "HEAD";
    return wire_.write(format(method, target, headers, body, port_));
}

Response Client::read_head()
{
    response_ = Response{};
    do {
        if (!wire_.read_head(message_) || message_.first_line.size() < 12) return response_;
        response_.status =
            static_cast<unsigned>(std::strtoul(message_.first_line.c_str() + 9, nullptr, 10));
    } while (response_.status >= 100 && response_.status < 200 && response_.status != 101);
    response_.headers = message_.headers;
    left_ = 0;
    body_ = Body::until_close;
    if (head_method_ || response_.status == 204 || response_.status == 304 ||
        response_.status == 101) {
        body_ = Body::none;
    } else if (lower(message_.value("transfer-encoding")) == "chunked") {
        body_ = Body::chunked;
    } else if (const std::string* length = message_.header("content-length")) {
        body_ = Body::length;
        left_ = std::strtoull(length->c_str(), nullptr, 10);
    }
    return response_;
}

std::optional<std::string> Client::read_some()
{
    switch (body_) {
    case Body::none:
        break;
    case Body::chunked: {
        std::optional<std::string> chunk = wire_.read_chunk(message_);
        if (chunk && chunk->empty()) response_.trailers = message_.trailers;
        return chunk;
    }
    case Body::length: {
        if (left_ == 0) break;
        if (wire_.held().empty() && !wire_.fill()) return std::nullopt;
        std::string piece = wire_.take(std::min(left_, wire_.held().size()));
        left_ -= piece.size();
        return piece;
    }
    case Body::until_close:
        if (wire_.held().empty() && !wire_.fill()) break;
        return wire_.take(wire_.held().size());
    }
    return std::string();
}

std::string Client::read_until(std::string_view text)
{
    std::string out;
    while (out.find(text) == std::string::npos) {
        const std::optional<std::string> piece = read_some();
        if (!piece || piece->empty()) break;
        out += *piece;
    }
    return out;
}

Response Client::read_rest()
{
    for (;;) {
        const std::optional<std::string> piece = read_some();
        if (!piece) break;
        if (piece->empty()) {
            response_.complete = true;
            break;
        }
        response_.body += *piece;
    }
    return response_;
}

Response Client::request(
    std::string_view method, std::string_view target, const Headers& headers, std::string_view body)
{
    if (!send(method, target, headers, body) || read_head().status == 0) {
        // An answer may have come although the request could not be sent whole.
        if (response_.status == 0 && read_head().status == 0) return response_;
    }
    return read_rest();
}

} // namespace shared::fake_providers
