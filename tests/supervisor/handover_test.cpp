#include "supervisor/handover.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace supervisor::test {
namespace {

Handover some_handover()
{
    Handover handover;
    handover.layout = 5;
    handover.version = "1.2.3";
    handover.binary = "/opt/a folder/codex-pool";
    handover.listen_host = "127.0.0.1";
    handover.listen_port = 8989;
    handover.last_generation = 17;
    handover.request = 9;
    handover.refused = "two\nlines";
    handover.lock_fd = 10;
    handover.segment_fd = 11;
    handover.config_fd = 12;
    handover.admin_fd = 13;
    handover.program_fd = 15;
    handover.listener_fds = {20, 21};
    Child child;
    child.pid = 4711;
    child.generation = 16;
    child.slot = 3;
    child.state = ChildState::draining;
    child.was_ready = true;
    child.started_us = 5;
    child.ready_us = 6;
    child.draining_since_us = 7;
    handover.processes.push_back({Role::worker, 1, child, 30});
    handover.processes.push_back({Role::admin, 0, child, 31});
    handover.processes[0].child.foreign = true;
    handover.can_drain = true;
    handover.drainers.push_back({4712, 40, 41, 42, 43, 45, true});
    handover.drainers.push_back({0, 44, -1, -1, -1, -1, false});
    return handover;
}

TEST(Handover, ComesBackAsItWas)
{
    const auto read = handover_from_text(to_text(some_handover()));
    ASSERT_TRUE(read) << read.error().text();
    EXPECT_EQ(read->version, "1.2.3");
    EXPECT_EQ(read->binary, "/opt/a folder/codex-pool");
    EXPECT_EQ(read->listen_port, 8989);
    EXPECT_EQ(read->request, 9U);
    EXPECT_EQ(read->refused, "two lines");
    EXPECT_EQ(read->control_fd, -1);
    EXPECT_EQ(read->listener_fds, (std::vector<int>{20, 21}));
    ASSERT_EQ(read->processes.size(), 2U);
    const Handover::Process& worker = read->processes[0];
    EXPECT_EQ(worker.role, Role::worker);
    EXPECT_EQ(worker.number, 1);
    EXPECT_EQ(worker.control_fd, 30);
    EXPECT_EQ(worker.child.pid, 4711);
    EXPECT_EQ(worker.child.generation, 16U);
    EXPECT_EQ(worker.child.slot, 3);
    EXPECT_EQ(worker.child.state, ChildState::draining);
    EXPECT_TRUE(worker.child.was_ready);
    EXPECT_EQ(worker.child.draining_since_us, 7);
    EXPECT_TRUE(worker.child.foreign);
    EXPECT_FALSE(read->processes[1].child.foreign);
    EXPECT_TRUE(read->can_drain);
    ASSERT_EQ(read->drainers.size(), 2U);
    EXPECT_EQ(read->drainers[0].pid, 4712);
    EXPECT_EQ(read->drainers[0].segment_fd, 42);
    EXPECT_TRUE(read->drainers[0].held);
    EXPECT_EQ(read->drainers[1].program_fd, -1);
    const std::vector<int> kept = read->descriptors();
    for (const int fd : {40, 41, 42, 43, 44, 45})
        EXPECT_EQ(std::count(kept.begin(), kept.end(), fd), 1) << fd;
    EXPECT_EQ(std::count(kept.begin(), kept.end(), -1), 0);
    EXPECT_EQ(read->processes[1].role, Role::admin);
    EXPECT_EQ(to_text(*read), to_text(*handover_from_text(to_text(*read))));
}

TEST(Handover, FactsOfANewerVersionArePassedOver)
{
    const auto read = handover_from_text(to_text(some_handover()) + "mood cheerful\n");
    ASSERT_TRUE(read) << read.error().text();
    EXPECT_EQ(read->processes.size(), 2U);
}

TEST(Handover, WhatIsNoneIsRefused)
{
    const std::string text = to_text(some_handover());
    for (const std::string& broken :
         {std::string(),
          std::string("something else\n"),
          "codex-pool handover 2" + text.substr(text.find('\n')),
          text.substr(0, text.find("lock_fd")),
          text + "process worker number=x\n",
          text + "process nobody pid=1\n",
          text + "listener_fd many\n"})
        EXPECT_FALSE(handover_from_text(broken)) << broken;
}

} // namespace
} // namespace supervisor::test
