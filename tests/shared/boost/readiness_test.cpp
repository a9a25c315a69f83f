#include "shared/boost/readiness.hpp"
#include "shared/net/loop.hpp"
#include "shared/net/stream.hpp"
#include "shared/net/task.hpp"

#include <boost/asio/post.hpp>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace shared {
namespace {

using net::IoResult;
using net::IoStatus;

/// A TCP connection over loopback: one end in the loop's hands, the other in the test's.
class Readiness : public ::testing::Test {
protected:
    Readiness() { connect(); }

    ~Readiness() override { ::close(peer_); }

    /// The loop's end gets the descriptor `number`, if that is given.
    void connect(int number = -1)
    {
        const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        auto* const any = reinterpret_cast<sockaddr*>(&address);
        peer_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (::bind(listener, any, size) != 0 || ::listen(listener, 1) != 0 ||
            ::getsockname(listener, any, &size) != 0 || ::connect(peer_, any, size) != 0)
            std::abort();
        int fd = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        ::close(listener);
        if (number >= 0) {
            const int accepted = std::exchange(fd, ::dup3(fd, number, O_CLOEXEC));
            ::close(accepted);
        }
        stream_ = std::make_unique<net::Stream>(loop_, fd);
    }

    void send(std::string_view bytes) const
    {
        ASSERT_EQ(::send(peer_, bytes.data(), bytes.size(), 0), std::ssize(bytes));
    }

    void send_end() const { ASSERT_EQ(::shutdown(peer_, SHUT_WR), 0); }

    /// What a read of up to `room` bytes gives: bytes, "<end>", or "<nothing>".
    std::string read(std::size_t room = 100)
    {
        std::string into(room, '\0');
        const IoResult got = stream_->read_some(into.data(), room);
        if (got.status == IoStatus::end) return "<end>";
        if (!got.ok()) return "<nothing>";
        into.resize(got.bytes);
        return into;
    }

    net::Detached wait()
    {
        woken_ = false;
        const bool ready = co_await stream_->readable();
        woken_ = ready;
    }

    /// Whether the socket is said to be readable, now or after `then`.
    bool waited(const std::function<void()>& then = [] {})
    {
        wait();
        // What was wrongly taken for unread would show here already.
        then();
        loop_.restart();
        const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
        while (!woken_ && std::chrono::steady_clock::now() < end) {
            if (loop_.run_one_until(end) == 0) break;
        }
        return woken_;
    }

    void wait_for_room()
    {
        bool writable = false;
        [](net::Stream& stream, bool& done) -> net::Detached {
            const bool waited = co_await stream.writable();
            done = waited;
        }(*stream_, writable);
        loop_.restart();
        loop_.run_one();
        EXPECT_TRUE(writable);
    }

    /// Lets the loop hear of what has happened, whether anybody waits for it or not.
    void hear()
    {
        loop_.restart();
        boost::asio::post(loop_, [] {});
        loop_.poll();
    }

    net::Loop loop_{1};
    std::unique_ptr<net::Stream> stream_;
    int peer_ = -1;
    bool woken_ = false;
};

TEST_F(Readiness, NothingIsAskedOfEpollAfterADryRead)
{
    for (const bool writes_before : {false, true}) {
        if (writes_before) wait_for_room(); // epoll is asked for both from then on
        ASSERT_TRUE(waited([this] { send("ab"); }));
        EXPECT_EQ(read(1), "a");
        ran_dry(stream_->fd()); // a lie: asking epoll would tell of what is left
        wait();
        hear();
        EXPECT_FALSE(woken_) << writes_before;
        send("c");
        hear();
        EXPECT_TRUE(woken_) << writes_before;
        EXPECT_EQ(read(), "bc");
    }
}

TEST_F(Readiness, BytesThatComeAfterAShortRead)
{
    for (int i = 0; i < 3; ++i) {
        ASSERT_TRUE(waited([this] { send("a"); })) << i;
        EXPECT_EQ(read(), "a");
    }
}

TEST_F(Readiness, BytesThatComeAfterAReadThatFoundNothing)
{
    EXPECT_EQ(read(), "<nothing>");
    ASSERT_TRUE(waited([this] { send("a"); }));
    EXPECT_EQ(read(), "a");
    EXPECT_EQ(read(), "<nothing>");
    ASSERT_TRUE(waited([this] { send("b"); }));
    EXPECT_EQ(read(), "b");
}

TEST_F(Readiness, BytesThatCameWhileNobodyWaited)
{
    ASSERT_TRUE(waited([this] { send("a"); }));
    EXPECT_EQ(read(), "a");
    send("b");
    hear();
    ASSERT_TRUE(waited());
    EXPECT_EQ(read(), "b");
}

TEST_F(Readiness, BytesThatCameBeforeTheWaitAndWereNotHeardOfYet)
{
    ASSERT_TRUE(waited([this] { send("a"); }));
    EXPECT_EQ(read(), "a");
    send("b");
    ASSERT_TRUE(waited());
    EXPECT_EQ(read(), "b");
}

TEST_F(Readiness, WhatThereWasNoRoomFor)
{
    ASSERT_TRUE(waited([this] { send("abcde"); }));
    EXPECT_EQ(read(2), "ab");
    ASSERT_TRUE(waited());
    EXPECT_EQ(read(2), "cd");
    ASSERT_TRUE(waited());
    EXPECT_EQ(read(2), "e");
}

TEST_F(Readiness, AnEndThatCameWithTheLastBytes)
{
    ASSERT_TRUE(waited([this] { send("a"); }));
    EXPECT_EQ(read(), "a");
    ASSERT_TRUE(waited([this] {
        send("b");
        send_end();
    }));
    EXPECT_EQ(read(), "b"); // a short read, and yet there is more to be told
    ASSERT_TRUE(waited());
    EXPECT_EQ(read(), "<end>");
}

TEST_F(Readiness, AnEndThatComesBetweenTheEventAndTheRead)
{
    ASSERT_TRUE(waited([this] { send("a"); }));
    send_end();
    EXPECT_EQ(read(), "a");
    ASSERT_TRUE(waited());
    EXPECT_EQ(read(), "<end>");
}

TEST_F(Readiness, AnEndThatComesAfterTheRead)
{
    ASSERT_TRUE(waited([this] { send("a"); }));
    EXPECT_EQ(read(), "a");
    ASSERT_TRUE(waited([this] { send_end(); }));
    EXPECT_EQ(read(), "<end>");
}

TEST_F(Readiness, AWaitForRoomInBetween)
{
    ASSERT_TRUE(waited([this] { send("a"); }));
    EXPECT_EQ(read(), "a");
    wait_for_room();
    for (const char* each : {"b", "c"}) {
        ASSERT_TRUE(waited([&] { send(each); }));
        EXPECT_EQ(read(), each);
    }
    ASSERT_TRUE(waited([this] {
        send("d");
        send_end();
    }));
    EXPECT_EQ(read(), "d");
    ASSERT_TRUE(waited());
    EXPECT_EQ(read(), "<end>");
}

TEST_F(Readiness, RoomThatComesWhileNothingIsToBeRead)
{
    EXPECT_EQ(read(), "<nothing>");
    const std::string much(64 * 1024, 'x');
    const iovec all = net::piece(much);
    std::size_t sent = 0;
    for (IoResult wrote; (wrote = stream_->write_some({&all, 1})).ok();)
        sent += wrote.bytes;
    int rounds = 0;
    const auto fill = [&]() -> net::Detached {
        for (int i = 0; i < 3; ++i) {
            net::WaitAny wait;
            wait.add(*stream_, net::Stream::Wait::wait_read);
            wait.add(*stream_, net::Stream::Wait::wait_write);
            const bool ready = co_await wait;
            if (!ready || !wait.holds(1)) co_return;
            for (IoResult wrote; (wrote = stream_->write_some({&all, 1})).ok();)
                sent += wrote.bytes;
            ++rounds;
        }
    };
    fill();
    loop_.restart();
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    std::string taken(1024 * 1024, ' ');
    while (rounds < 3 && std::chrono::steady_clock::now() < end) {
        (void)::recv(peer_, taken.data(), taken.size(), MSG_DONTWAIT);
        loop_.run_one_for(std::chrono::milliseconds(1));
    }
    EXPECT_EQ(rounds, 3);
    EXPECT_EQ(read(), "<nothing>");
    ASSERT_TRUE(waited([this] { send("a"); }));
    EXPECT_EQ(read(), "a");
}

TEST_F(Readiness, BytesBehindAnUrgentOne)
{
    ASSERT_TRUE(waited([this] {
        send("a");
        ASSERT_EQ(::send(peer_, "!", 1, MSG_OOB), 1);
        send("b");
    }));
    hear();
    EXPECT_EQ(read(), "a");
    ASSERT_TRUE(waited());
    EXPECT_EQ(read(), "b");
}

TEST_F(Readiness, AWaitThatWasAborted)
{
    ASSERT_TRUE(waited([this] { send("a"); }));
    EXPECT_EQ(read(), "a");
    wait();
    stream_->abort();
    loop_.restart();
    loop_.poll();
    EXPECT_FALSE(woken_);
    ASSERT_TRUE(waited([this] { send("b"); }));
    EXPECT_EQ(read(), "b");
}

TEST_F(Readiness, ASocketWhoseNumberWasAnothers)
{
    constexpr int kNumber = 300;
    for (int i = 0; i < 3; ++i) {
        ::close(peer_);
        stream_.reset();
        connect(kNumber);
        send("a");
        hear();
        ASSERT_TRUE(waited()) << i;
        EXPECT_EQ(read(), "a");
    }
}

TEST_F(Readiness, ManyTurnsOfAllSizes)
{
    std::size_t heard = 0;
    std::size_t said = 0;
    for (std::size_t turn = 1; turn <= 400; ++turn) {
        const std::size_t size = turn * 7 % 23 + 1;
        said += size;
        ASSERT_TRUE(waited([this, size] { send(std::string(size, 'x')); })) << turn;
        heard += read(turn * 5 % 17 + 1).size();
    }
    while (heard < said) {
        ASSERT_TRUE(waited());
        heard += read(16).size();
    }
    EXPECT_EQ(heard, said);
}

} // namespace
} // namespace shared
