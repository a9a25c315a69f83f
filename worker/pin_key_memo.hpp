/// Remembers the keys of conversations: the turns of one come one after the other, and a digest costs more than most of
/// what else a turn needs.
#pragma once

#include "shared/base/fixed_string.hpp"
#include "shared/segment/pin_table.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>

namespace worker {

class PinKeyMemo {
public:
    static constexpr std::size_t kPlaces = 64;
    static constexpr std::size_t kConversationBytesMax = 96; ///< longer ones are not remembered

    /// shared::pin_key() of the same.
    [[nodiscard]] shared::PinKey
    ask(std::string_view user, std::uint8_t provider, std::string_view conversation)
    {
        if (user.size() > kUserBytesMax || conversation.size() > kConversationBytesMax)
            return shared::pin_key(user, provider, conversation);
        Entry& entry = entries_[std::hash<std::string_view>()(conversation) % kPlaces];
        const bool known = entry.provider == provider && entry.user.view() == user &&
                           entry.conversation.view() == conversation;
        if (known && !conversation.empty()) return entry.key;
        entry.user.assign(user);
        entry.conversation.assign(conversation);
        entry.provider = provider;
        entry.key = shared::pin_key(user, provider, conversation);
        return entry.key;
    }

private:
    static constexpr std::size_t kUserBytesMax = 40;

    struct Entry {
        shared::FixedString<kUserBytesMax> user;
        shared::FixedString<kConversationBytesMax> conversation; ///< empty: nothing is remembered
        std::uint8_t provider = 0;
        shared::PinKey key{};
    };

    std::array<Entry, kPlaces> entries_{};
};

} // namespace worker
