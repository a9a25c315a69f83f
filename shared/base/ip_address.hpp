/// IP addresses and networks as owners write them.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace shared {

/// An IPv4 or IPv6 address; an IPv4 one inside IPv6 (::ffff:a.b.c.d) counts as IPv4.
struct IpAddress {
    std::array<std::uint8_t, 16> bytes{}; ///< the first `bits` of them
    std::uint8_t bits = 0;                ///< 32, 128, or 0 = none

    /// From "192.0.2.1" or "2001:db8::1", without port or brackets; none if it is no address.
    [[nodiscard]] static IpAddress parse(std::string_view text);
    /// The same from the bytes of an IPv6 address.
    [[nodiscard]] static IpAddress from_v6(const std::array<std::uint8_t, 16>& bytes) noexcept;
    [[nodiscard]] static IpAddress from_v4(const std::array<std::uint8_t, 4>& bytes) noexcept;

    [[nodiscard]] bool is_set() const noexcept { return bits != 0; }

    /// 127.0.0.0/8 or ::1.
    [[nodiscard]] bool is_loopback() const noexcept;
    /// As parse() takes it; empty if there is none.
    [[nodiscard]] std::string text() const;

    friend bool operator==(const IpAddress&, const IpAddress&) = default;
};

/// "10.0.0.0/8", "fd00::/8", or an address, which is a network of one.
struct IpNetwork {
    IpAddress address;
    std::uint8_t prefix = 0; ///< bits that count

    /// Nothing if it is neither.
    [[nodiscard]] static std::optional<IpNetwork> parse(std::string_view text);
    [[nodiscard]] bool contains(const IpAddress& candidate) const noexcept;
};

} // namespace shared
