#include "shared/ipc/control_channel.hpp"

#include <gtest/gtest.h>

#include <sys/socket.h>
#include <unistd.h>

namespace shared {
namespace {

struct Pair {
    int fds[2] = {-1, -1};

    Pair() { EXPECT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0); }
};

TEST(ControlChannel, DeliversMessagesInOrderThenReportsTheEnd)
{
    boost::asio::io_context loop(1);
    Pair pair;
    ControlChannel ours(loop, pair.fds[0]);
    std::vector<std::uint64_t> values;
    bool closed = false;
    ours.start([&](const Message& m) { values.push_back(m.value); }, [&] { closed = true; });
    {
        ControlChannel theirs(loop, pair.fds[1]);
        for (std::uint64_t i = 0; i < 5; ++i) {
            Message message;
            message.value = i;
            theirs.send(message);
        }
    }
    loop.run();
    EXPECT_EQ(values, (std::vector<std::uint64_t>{0, 1, 2, 3, 4}));
    EXPECT_TRUE(closed);
}

TEST(ControlChannel, AMessageOfAnotherLengthOrTypeIsDropped)
{
    boost::asio::io_context loop(1);
    Pair pair;
    ControlChannel ours(loop, pair.fds[0]);
    int delivered = 0;
    ours.start([&](const Message&) { ++delivered; }, [] {});
    ASSERT_EQ(send(pair.fds[1], "junk", 4, 0), 4);
    Message unknown;
    unknown.type = static_cast<MessageType>(99);
    ASSERT_EQ(
        send(pair.fds[1], &unknown, sizeof(unknown), 0), static_cast<ssize_t>(sizeof(unknown)));
    close(pair.fds[1]);
    loop.run();
    EXPECT_EQ(delivered, 0);
}

TEST(ControlChannel, MayBeDestroyedByItsOwnCallback)
{
    boost::asio::io_context loop(1);
    Pair pair;
    auto ours = std::make_unique<ControlChannel>(loop, pair.fds[0]);
    ours->start([&](const Message&) { ours.reset(); }, [] {});
    ControlChannel theirs(loop, pair.fds[1]);
    theirs.send({});
    loop.run();
    EXPECT_EQ(ours, nullptr);
}

} // namespace
} // namespace shared
