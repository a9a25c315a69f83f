/// The client's side of SOCKS5 (RFC 1928, user and password by RFC 1929), without any I/O: says what to send and how
/// many bytes to read. Names are resolved by the proxy.
///
///   Socks5 talk(proxy, host, port);
///   while (!talk.done()) { send talk.outgoing(); read exactly talk.expects() bytes; talk.take(bytes); }
#pragma once

#include "shared/net/forward_proxy.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace shared::net {

class Socks5 {
public:
    /// `host` is a name or a numeric address without brackets; a name has 255 bytes at most, else it fails at once.
    Socks5(const ForwardProxy& proxy, std::string_view host, std::uint16_t port);

    /// What to send before the next read; may be empty.
    [[nodiscard]] const std::string& outgoing() const noexcept { return outgoing_; }

    /// How many bytes to read next, and not one more: what follows belongs to the server. At most 262.
    [[nodiscard]] std::size_t expects() const noexcept { return expects_; }

    /// Exactly the expected bytes.
    void take(std::string_view bytes);

    /// Connected or failed.
    [[nodiscard]] bool done() const noexcept { return step_ == Step::done; }

    /// Why it failed, in one clause without secrets; empty if it did not.
    [[nodiscard]] const std::string& problem() const noexcept { return problem_; }

private:
    enum class Step : std::uint8_t { method, login, reply, bound_length, bound, done };

    void expect(Step step, std::size_t bytes);
    void fail(std::string problem);
    void request();
    void take_reply(std::string_view bytes);

    std::string user_;
    std::string password_;
    std::string target_; ///< address type, address and port as they are sent
    std::string outgoing_;
    std::string problem_;
    std::size_t expects_ = 0;
    Step step_ = Step::method;
};

} // namespace shared::net
