/// A credential file between admin child and refresher, and descriptors on control sockets.
#include "shared/ipc/account_upload.hpp"
#include "shared/ipc/control_channel.hpp"

#include <gtest/gtest.h>

#include <string>

#include <sys/socket.h>
#include <unistd.h>

namespace shared {
namespace {

std::string bytes_of(int fd)
{
    std::string text(1U << 16U, '\0');
    const ssize_t got = ::pread(fd, text.data(), text.size(), 0);
    text.resize(static_cast<std::size_t>(got));
    return text;
}

TEST(AccountUpload, ArrivesAsItWasSent)
{
    const std::string file("{\"a\":\n \"\0x\"}\n", 13);
    const UploadWish wish{"claude", "a name\nof\ttwo %lines", "0123456789abcdef"};
    const auto packed = pack_upload(wish, file);
    ASSERT_TRUE(packed.has_value());
    const auto upload = unpack_upload(packed->get());
    ASSERT_TRUE(upload.has_value());
    EXPECT_EQ(upload->wish.provider, wish.provider);
    EXPECT_EQ(upload->wish.name, wish.name);
    EXPECT_EQ(upload->wish.owner, wish.owner);
    EXPECT_EQ(upload->file.reveal(), file);
}

TEST(AccountUpload, TheAnswerTakesTheFilesPlace)
{
    const auto packed = pack_upload({}, "a-secret-token");
    ASSERT_TRUE(packed.has_value());
    EXPECT_FALSE(read_upload_answer(packed->get()).has_value()); // nobody has answered
    const UploadAnswer told{UploadEnd::conflict, "codex:ann", "It\nis there."};
    ASSERT_TRUE(answer_upload(packed->get(), told).has_value());
    EXPECT_EQ(bytes_of(packed->get()).find("secret"), std::string::npos);
    const auto answer = read_upload_answer(packed->get());
    ASSERT_TRUE(answer.has_value());
    EXPECT_EQ(answer->end, told.end);
    EXPECT_EQ(answer->account, told.account);
    EXPECT_EQ(answer->sentence, told.sentence);
    EXPECT_FALSE(unpack_upload(packed->get()).has_value());
}

TEST(AccountUpload, NothingLargerThanACredentialFile)
{
    EXPECT_TRUE(pack_upload({}, std::string(kUploadBytesMax, 'x')).has_value());
    EXPECT_FALSE(pack_upload({}, std::string(kUploadBytesMax + 1, 'x')).has_value());
    EXPECT_FALSE(unpack_upload(-1).has_value());
}

struct Channels {
    Channels()
    {
        int fds[2] = {-1, -1};
        EXPECT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
        ours.emplace(loop, fds[0]);
        theirs.emplace(loop, fds[1]);
    }

    boost::asio::io_context loop{1};
    std::optional<ControlChannel> ours;
    std::optional<ControlChannel> theirs;
};

TEST(ControlChannel, ADescriptorComesWithItsMessageOnly)
{
    Channels channels;
    const auto packed = pack_upload({}, "opaque");
    ASSERT_TRUE(packed.has_value());
    std::vector<bool> came;
    channels.ours->start(
        [&](const Message&) {
            const OwnedFd attached = channels.ours->take_attached();
            came.push_back(static_cast<bool>(attached));
            if (!attached) return;
            EXPECT_NE(attached.get(), packed->get());
            EXPECT_NE(bytes_of(attached.get()).find("opaque"), std::string::npos);
        },
        [] {});
    channels.theirs->send({});
    channels.theirs->send({}, packed->get());
    channels.theirs->send({});
    channels.theirs.reset();
    channels.loop.run();
    EXPECT_EQ(came, (std::vector<bool>{false, true, false}));
}

TEST(ControlChannel, ADescriptorThatNobodyTakesIsClosed)
{
    Channels channels;
    int fds[2] = {-1, -1};
    ASSERT_EQ(::pipe(fds), 0);
    OwnedFd reader(fds[0]);
    OwnedFd writer(fds[1]);
    int messages = 0;
    channels.ours->start([&](const Message&) { ++messages; }, [] {});
    channels.theirs->send({}, writer.get());
    channels.theirs.reset();
    writer.reset();
    channels.loop.run();
    EXPECT_EQ(messages, 1);
    char byte = 0;
    EXPECT_EQ(::read(reader.get(), &byte, 1), 0); // the last writing end is closed
}

} // namespace
} // namespace shared
