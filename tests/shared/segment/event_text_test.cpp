#include "shared/segment/event_text.hpp"

#include <gtest/gtest.h>

namespace shared {
namespace {

Event event()
{
    Event made;
    made.sequence = 12;
    made.at = {1'763'800'000'000};
    made.type = EventType::pool_low;
    made.provider = "codex";
    made.text = "codex has 8 % of its room left over 3 accounts.";
    return made;
}

TEST(EventText, OfAProvider)
{
    EXPECT_EQ(
        event_log_line(event()),
        "event=pool_low provider=codex account=- text=\"codex has 8 % of its room left over 3 "
        "accounts.\"");
    EXPECT_EQ(
        event_line(event()),
        "2025-11-22T08:26:40Z warn pool_low: codex has 8 % of its room left over 3 accounts.");
    EXPECT_EQ(
        event_json(event()),
        R"({"sequence":12,"at":"2025-11-22T08:26:40Z","event":"pool_low","severity":"warn",)"
        R"("provider":"codex","account":null,"was":null,"reason":null,"until":null,)"
        R"("text":"codex has 8 % of its room left over 3 accounts."})");
}

TEST(EventText, OfAnAccount)
{
    Event made = event();
    made.type = EventType::recovered;
    made.was = EventType::account_failing;
    made.account = "codex:work";
    made.reason = "token_expired";
    made.until = {1'763'800'060'000};
    made.text = "codex:work is in service again.";
    EXPECT_EQ(
        event_log_line(made),
        "event=recovered provider=codex account=codex:work was=account_failing "
        "reason=token_expired until=2025-11-22T08:27:40Z text=\"codex:work is in service "
        "again.\"");
    EXPECT_EQ(
        event_json(made),
        R"({"sequence":12,"at":"2025-11-22T08:26:40Z","event":"recovered","severity":"info",)"
        R"("provider":"codex","account":"codex:work","was":"account_failing",)"
        R"("reason":"token_expired","until":"2025-11-22T08:27:40Z",)"
        R"("text":"codex:work is in service again."})");
}

TEST(EventText, NamesFromFilesBreakNothing)
{
    Event made = event();
    made.account = "codex:\"x\"\n\\ \xFF\x1B[31m";
    made.text = made.account.view();
    EXPECT_EQ(
        event_json(made).substr(event_json(made).find("\"text\"")),
        R"("text":"codex:\"x\"?\\ ??[31m"})");
    EXPECT_EQ(event_line(made).find('\n'), std::string::npos);
    EXPECT_EQ(event_log_line(made).find('\x1B'), std::string::npos);
}

} // namespace
} // namespace shared
