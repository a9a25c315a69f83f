#include "shared/ipc/messages.hpp"

#include <cstring>

namespace shared {

std::array<std::byte, sizeof(Message)> encode(const Message& message) noexcept
{
    std::array<std::byte, sizeof(Message)> bytes;
    std::memcpy(bytes.data(), &message, sizeof(Message));
    return bytes;
}

std::optional<Message> decode(std::span<const std::byte> bytes) noexcept
{
    if (bytes.size() != sizeof(Message)) return std::nullopt;
    Message message;
    std::memcpy(&message, bytes.data(), sizeof(Message));
    const bool known = message.type >= MessageType::ready && message.type <= MessageType::serve;
    return known ? std::optional(message) : std::nullopt;
}

} // namespace shared
