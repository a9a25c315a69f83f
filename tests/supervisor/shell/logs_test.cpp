#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "supervisor/shell/logs.hpp"

namespace supervisor::shell {
namespace {

using testing::ElementsAre;

TEST(Logs, BecomeTheJournalsOwnQuestion)
{
    EXPECT_THAT(
        journalctl_command({}), ElementsAre("journalctl", "--unit=codex-pool", "--pager-end"));
    LogsOptions options;
    options.follow = true;
    options.user = "ann --output=export"; // one word, whatever is in it
    options.account = "codex:work";
    options.lines = "20";
    EXPECT_THAT(
        journalctl_command(options),
        ElementsAre(
            "journalctl",
            "--unit=codex-pool",
            "--follow",
            "--lines=20",
            "POOL_USER=ann --output=export",
            "POOL_ACCOUNT=codex:work"));
    LogsOptions one;
    one.request = "0123";
    one.since = "1 hour ago";
    one.json = true;
    EXPECT_THAT(
        journalctl_command(one),
        ElementsAre(
            "journalctl",
            "--unit=codex-pool",
            "--output=json",
            "--since=1 hour ago",
            "POOL_REQUEST_ID=0123"));
}

} // namespace
} // namespace supervisor::shell
