#include "supervisor/asked_questions.hpp"

#include <gtest/gtest.h>

namespace supervisor {
namespace {

using shared::ActionResult;
using shared::Message;
using shared::MessageType;

Message question(MessageType type, std::uint64_t request)
{
    Message message;
    message.type = type;
    message.request = request;
    message.value = 7;
    return message;
}

TEST(AskedQuestions, EachIsAnsweredOnce)
{
    AskedQuestions asked;
    ASSERT_TRUE(asked.note(question(MessageType::reload, 3)));
    EXPECT_FALSE(asked.take(0).has_value()) << "a SIGHUP's reload is nobody's question";
    EXPECT_FALSE(asked.take(4).has_value());
    ASSERT_TRUE(asked.take(3).has_value());
    EXPECT_FALSE(asked.take(3).has_value());
}

TEST(AskedQuestions, ADeadRefreshersQuestionsAreTakenByKind)
{
    AskedQuestions asked;
    ASSERT_TRUE(asked.note(question(MessageType::reload, 1)));
    ASSERT_TRUE(asked.note(question(MessageType::account_action, 2)));
    ASSERT_TRUE(asked.note(question(MessageType::account_action, 3)));
    const auto actions = asked.take_all(MessageType::account_action);
    ASSERT_EQ(actions.size(), 2U);
    EXPECT_EQ(actions[0].request, 2U);
    EXPECT_TRUE(asked.take_all(MessageType::account_action).empty());
    EXPECT_EQ(asked.take_all(MessageType::reload).size(), 1U);
}

TEST(AskedQuestions, AreBounded)
{
    AskedQuestions asked;
    for (std::uint64_t i = 1; i <= AskedQuestions::kOpenMax; ++i)
        ASSERT_TRUE(asked.note(question(MessageType::reload, i)));
    EXPECT_FALSE(asked.note(question(MessageType::reload, 1000)));
}

TEST(AskedQuestions, AnAnswerKeepsNumberAndAccount)
{
    const Message action =
        answer_to(question(MessageType::account_action, 9), ActionResult::unavailable);
    EXPECT_EQ(action.type, MessageType::account_action_done);
    EXPECT_EQ(action.request, 9U);
    EXPECT_EQ(action.value, 7U);
    EXPECT_EQ(action.result, ActionResult::unavailable);
    EXPECT_EQ(
        answer_to(question(MessageType::reload, 9), ActionResult::done).type,
        MessageType::reloaded);
}

} // namespace
} // namespace supervisor
