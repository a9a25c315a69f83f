#include "shared/net/socks5.hpp"

#include <array>
#include <utility>

#include <arpa/inet.h>
#include <netinet/in.h>

namespace shared::net {
namespace {

constexpr char kVersion = 5;
constexpr char kConnect = 1;
constexpr char kNoLogin = 0;
constexpr char kWithPassword = 2;
constexpr char kLoginVersion = 1;

constexpr char kIpv4 = 1;
constexpr char kName = 3;
constexpr char kIpv6 = 4;

/// Address type, address, port; empty if the name is too long.
std::string target_of(std::string_view host, std::uint16_t port)
{
    const std::string terminated(host);
    std::array<char, sizeof(in6_addr)> address{};
    std::string out;
    if (inet_pton(AF_INET, terminated.c_str(), address.data()) == 1) {
        out = kIpv4 + std::string(address.data(), sizeof(in_addr));
    } else if (inet_pton(AF_INET6, terminated.c_str(), address.data()) == 1) {
        out = kIpv6 + std::string(address.data(), sizeof(in6_addr));
    } else {
        if (host.empty() || host.size() > 255) return {};
        out = kName + std::string(1, static_cast<char>(host.size())) + terminated;
    }
    out += static_cast<char>(port >> 8U);
    out += static_cast<char>(port & 0xFFU);
    return out;
}

std::string_view reply_text(unsigned char code)
{
    switch (code) {
    case 1:
        return "the SOCKS proxy failed";
    case 2:
        return "the SOCKS proxy does not allow this connection";
    case 3:
        return "the SOCKS proxy cannot reach the network";
    case 4:
        return "the SOCKS proxy cannot reach the host";
    case 5:
        return "the SOCKS proxy's connection was refused";
    case 6:
        return "the SOCKS proxy's connection took too long";
    case 7:
        return "the SOCKS proxy makes no connections";
    case 8:
        return "the SOCKS proxy does not know this kind of address";
    default:
        return "the SOCKS proxy refused";
    }
}

} // namespace

Socks5::Socks5(const ForwardProxy& proxy, std::string_view host, std::uint16_t port)
    : user_(proxy.user), password_(proxy.password), target_(target_of(host, port))
{
    if (target_.empty()) {
        fail("the host's name is too long for SOCKS");
        return;
    }
    const bool with_login = !user_.empty();
    outgoing_ = kVersion;
    outgoing_ += static_cast<char>(with_login ? 2 : 1);
    outgoing_ += kNoLogin;
    if (with_login) outgoing_ += kWithPassword;
    expect(Step::method, 2);
}

void Socks5::take(std::string_view bytes)
{
    if (bytes.size() != expects_) return fail("the SOCKS proxy hung up");
    outgoing_.clear();
    switch (step_) {
    case Step::method:
        if (bytes[0] != kVersion) return fail("the proxy does not speak SOCKS5");
        if (bytes[1] == kNoLogin) return request();
        if (bytes[1] != kWithPassword || user_.empty())
            return fail("the SOCKS proxy wants another kind of login");
        outgoing_ = kLoginVersion;
        outgoing_ += static_cast<char>(user_.size());
        outgoing_ += user_;
        outgoing_ += static_cast<char>(password_.size());
        outgoing_ += password_;
        return expect(Step::login, 2);
    case Step::login:
        if (bytes[1] != 0) return fail("the SOCKS proxy does not accept user and password");
        return request();
    case Step::reply:
        return take_reply(bytes);
    case Step::bound_length:
        return expect(Step::bound, static_cast<unsigned char>(bytes[0]) + 2U);
    case Step::bound:
        return expect(Step::done, 0);
    case Step::done:
        return;
    }
}

void Socks5::request()
{
    outgoing_ = kVersion;
    outgoing_ += kConnect;
    outgoing_ += '\0';
    outgoing_ += target_;
    expect(Step::reply, 4);
}

void Socks5::take_reply(std::string_view bytes)
{
    if (bytes[0] != kVersion) return fail("the proxy does not speak SOCKS5");
    if (bytes[1] != 0) return fail(std::string(reply_text(static_cast<unsigned char>(bytes[1]))));
    // Where the proxy is bound plays no part; it is read so that the server's first byte comes next.
    switch (bytes[3]) {
    case kIpv4:
        return expect(Step::bound, sizeof(in_addr) + 2);
    case kIpv6:
        return expect(Step::bound, sizeof(in6_addr) + 2);
    case kName:
        return expect(Step::bound_length, 1);
    default:
        return fail("the SOCKS proxy's answer cannot be understood");
    }
}

void Socks5::expect(Step step, std::size_t bytes)
{
    step_ = step;
    expects_ = bytes;
}

void Socks5::fail(std::string problem)
{
    problem_ = std::move(problem);
    outgoing_.clear();
    expect(Step::done, 0);
}

} // namespace shared::net
