#include "worker/pin_key_memo.hpp"

#include <gtest/gtest.h>

#include <string>

namespace worker {
namespace {

TEST(PinKeyMemo, KeysAreThoseOfThePinTableHoweverManyThereAre)
{
    PinKeyMemo memo;
    for (int round = 0; round < 2; ++round) {
        for (int i = 0; i < 500; ++i) {
            const std::string id = "conversation-" + std::to_string(i);
            for (const std::uint8_t provider : {1, 2}) {
                EXPECT_EQ(memo.ask("ann", provider, id), shared::pin_key("ann", provider, id));
                EXPECT_EQ(memo.ask("bob", provider, id), shared::pin_key("bob", provider, id));
            }
        }
    }
}

TEST(PinKeyMemo, LongAndEmptyOnes)
{
    PinKeyMemo memo;
    const std::string longest(PinKeyMemo::kConversationBytesMax, 'a');
    const std::string longer = longest + "b";
    const std::string user(41, 'u');
    for (int round = 0; round < 2; ++round) {
        EXPECT_EQ(memo.ask("ann", 1, longest), shared::pin_key("ann", 1, longest));
        EXPECT_EQ(memo.ask("ann", 1, longer), shared::pin_key("ann", 1, longer));
        EXPECT_EQ(memo.ask(user, 1, longest), shared::pin_key(user, 1, longest));
        EXPECT_EQ(memo.ask("", 0, ""), shared::pin_key("", 0, ""));
    }
}

} // namespace
} // namespace worker
