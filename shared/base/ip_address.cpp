#include "shared/base/ip_address.hpp"

#include <algorithm>
#include <charconv>

#include <arpa/inet.h>
#include <netinet/in.h>

namespace shared {
namespace {

constexpr std::array<std::uint8_t, 12> kMappedPrefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};

} // namespace

IpAddress IpAddress::from_v4(const std::array<std::uint8_t, 4>& bytes) noexcept
{
    IpAddress made;
    std::copy(bytes.begin(), bytes.end(), made.bytes.begin());
    made.bits = 32;
    return made;
}

IpAddress IpAddress::from_v6(const std::array<std::uint8_t, 16>& bytes) noexcept
{
    if (std::equal(kMappedPrefix.begin(), kMappedPrefix.end(), bytes.begin()))
        return from_v4({bytes[12], bytes[13], bytes[14], bytes[15]});
    IpAddress made;
    made.bytes = bytes;
    made.bits = 128;
    return made;
}

IpAddress IpAddress::parse(std::string_view text)
{
    const std::string terminated(text);
    std::array<std::uint8_t, 4> v4{};
    std::array<std::uint8_t, 16> v6{};
    if (inet_pton(AF_INET, terminated.c_str(), v4.data()) == 1) return from_v4(v4);
    if (inet_pton(AF_INET6, terminated.c_str(), v6.data()) == 1) return from_v6(v6);
    return {};
}

bool IpAddress::is_loopback() const noexcept
{
    if (bits == 32) return bytes[0] == 127;
    const bool zeroes = std::all_of(bytes.begin(), bytes.end() - 1, [](auto b) { return b == 0; });
    return bits == 128 && zeroes && bytes.back() == 1;
}

std::string IpAddress::text() const
{
    std::array<char, INET6_ADDRSTRLEN> out{};
    if (bits == 0) return {};
    if (inet_ntop(bits == 32 ? AF_INET : AF_INET6, bytes.data(), out.data(), out.size()) == nullptr)
        return {};
    return out.data();
}

std::optional<IpNetwork> IpNetwork::parse(std::string_view text)
{
    const std::size_t slash = text.find('/');
    IpNetwork network;
    network.address = IpAddress::parse(text.substr(0, slash));
    if (!network.address.is_set()) return std::nullopt;
    network.prefix = network.address.bits;
    if (slash == std::string_view::npos) return network;
    const std::string_view length = text.substr(slash + 1);
    unsigned bits = 0;
    const auto [end, error] = std::from_chars(length.data(), length.data() + length.size(), bits);
    if (error != std::errc() || end != length.data() + length.size()) return std::nullopt;
    if (bits > network.address.bits) return std::nullopt;
    network.prefix = static_cast<std::uint8_t>(bits);
    return network;
}

bool IpNetwork::contains(const IpAddress& candidate) const noexcept
{
    if (!candidate.is_set() || candidate.bits != address.bits) return false;
    for (unsigned i = 0; i < prefix; ++i) {
        if (((candidate.bytes[i / 8] ^ address.bytes[i / 8]) >> (7 - i % 8) & 1U) != 0)
            return false;
    }
    return true;
}

} // namespace shared
