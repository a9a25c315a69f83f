// Sockets, locks, processes: the parts of the supervisor that talk to the system.
#include "supervisor/data_folder.hpp"
#include "supervisor/listeners.hpp"
#include "supervisor/notify.hpp"
#include "supervisor/process_memory.hpp"
#include "supervisor/spawn.hpp"
#include "tests/support/temp_dir.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

namespace supervisor::test {
namespace {

using ::testing::HasSubstr;

shared::ListenAddress address(const char* host, std::uint16_t port)
{
    shared::ListenAddress a;
    a.host = host;
    a.port = port;
    return a;
}

TEST(Listeners, ShareOneFreePort)
{
    auto listeners = Listeners::open(address("127.0.0.1", 0), 3);
    ASSERT_TRUE(listeners) << listeners.error().text();
    EXPECT_NE(listeners->address().port, 0);
    EXPECT_NE(listeners->fd(0), listeners->fd(2));
}

TEST(Listeners, RefuseAPortInUseEvenIfItCouldBeShared)
{
    auto first = Listeners::open(address("127.0.0.1", 0), 2);
    ASSERT_TRUE(first);
    auto second = Listeners::open(first->address(), 2);
    ASSERT_FALSE(second);
    EXPECT_THAT(second.error().text(), HasSubstr("the port is in use"));
    EXPECT_THAT(second.error().text(), HasSubstr(std::to_string(first->address().port)));
    // The refused attempt did no harm, and a closed port is free at once.
    first->close_all();
    EXPECT_TRUE(Listeners::open(first->address(), 2));
}

TEST(Listeners, NameAnAddressThatCannotBe)
{
    EXPECT_THAT(
        Listeners::open(address("no.such.name", 8989), 1).error().text(), HasSubstr("numeric"));
    EXPECT_THAT(
        Listeners::open(address("192.0.2.1", 0), 1).error().text(),
        HasSubstr("this machine has no such address"));
}

TEST(UnixListener, HasANameOfItsOwn)
{
    auto a = open_unix_listener();
    auto b = open_unix_listener();
    ASSERT_TRUE(a && b);
    EXPECT_NE(a->name, b->name);
    EXPECT_FALSE(a->name.empty());

    const OwnedFd client(socket(AF_UNIX, SOCK_STREAM, 0));
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    a->name.copy(to.sun_path + 1, sizeof(to.sun_path) - 1);
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + a->name.size());
    EXPECT_EQ(connect(client.get(), reinterpret_cast<sockaddr*>(&to), size), 0);
}

TEST(DataFolder, IsForOneInstance)
{
    const tests::TempDir folder;
    const auto data = folder.path() / "a/b";
    {
        auto lock = lock_data_folder(data);
        ASSERT_TRUE(lock) << lock.error().text();

        struct stat status {};

        ASSERT_EQ(stat(data.c_str(), &status), 0);
        EXPECT_EQ(status.st_mode & 0777, 0700U);
        auto second = lock_data_folder(data);
        ASSERT_FALSE(second);
        EXPECT_THAT(
            second.error().text(), HasSubstr("(pid " + std::to_string(getpid()) + ") works in"));
    }
    EXPECT_TRUE(lock_data_folder(data));
}

TEST(Notifier, SpeaksToSystemdsSocket)
{
    const OwnedFd server(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    ASSERT_EQ(bind(server.get(), reinterpret_cast<sockaddr*>(&at), sizeof(sa_family_t)), 0);
    socklen_t size = sizeof(at);
    getsockname(server.get(), reinterpret_cast<sockaddr*>(&at), &size);
    const std::string name =
        "@" + std::string(at.sun_path + 1, size - offsetof(sockaddr_un, sun_path) - 1);

    const Notifier notifier(name);
    notifier.ready();
    notifier.reloading(42);
    notifier.stopping(60);
    char text[64];
    ssize_t got = recv(server.get(), text, sizeof(text), MSG_DONTWAIT);
    EXPECT_EQ(std::string(text, std::max<ssize_t>(got, 0)), "READY=1");
    got = recv(server.get(), text, sizeof(text), MSG_DONTWAIT);
    EXPECT_EQ(std::string(text, std::max<ssize_t>(got, 0)), "RELOADING=1\nMONOTONIC_USEC=42");
    got = recv(server.get(), text, sizeof(text), MSG_DONTWAIT);
    EXPECT_EQ(
        std::string(text, std::max<ssize_t>(got, 0)), "STOPPING=1\nEXTEND_TIMEOUT_USEC=60000000");
    Notifier("").ready(); // nobody listens: nothing happens
    Notifier(std::string(200, 'x')).ready();
}

TEST(Spawn, GivesTheChildItsDescriptorsAndNoOthers)
{
    int ends[2];
    ASSERT_EQ(pipe(ends), 0); // inheritable on purpose
    SpawnRequest request;
    request.program = "/bin/sh";
    // Only builtins that open nothing themselves.
    request.arguments = {
        "sh",
        "-c",
        "for n in 0 1 2 3 4 5 6 7 8 9 10 11 12 64 65 66; do"
        " [ -e /proc/self/fd/$n ] && all=\"$all$n \"; done; echo \"$all\" >&5"};
    request.descriptors = {{ends[0], 3}, {ends[1], 5}};
    const auto pid = spawn(request);
    ASSERT_TRUE(pid) << pid.error().text();
    close(ends[1]);
    std::string text;
    char buffer[256];
    for (ssize_t got = 0; (got = read(ends[0], buffer, sizeof(buffer))) > 0;)
        text.append(buffer, static_cast<std::size_t>(got));
    close(ends[0]);
    int status = 0;
    EXPECT_EQ(waitpid(*pid, &status, 0), *pid);
    EXPECT_EQ(text, "0 1 2 3 5 \n");
}

TEST(Spawn, MovesDescriptorsThatStandInEachOthersPlace)
{
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    SpawnRequest request;
    request.program = "/bin/sh";
    // Whatever the numbers are: each other's, too.
    request.arguments = {"sh", "-c", "echo moved >&" + std::to_string(ends[0])};
    request.descriptors = {{ends[1], ends[0]}, {ends[0], ends[1]}};
    const auto pid = spawn(request);
    ASSERT_TRUE(pid);
    close(ends[1]);
    char buffer[16];
    EXPECT_EQ(read(ends[0], buffer, sizeof(buffer)), 6);
    close(ends[0]);
    waitpid(*pid, nullptr, 0);
}

TEST(Spawn, SealedTextCannotBeChangedAndIsReadFromItsBeginningByEverybody)
{
    auto text = sealed_text("workers = 2\n");
    ASSERT_TRUE(text);
    EXPECT_LT(write(text->get(), "x", 1), 0);
    for (int i = 0; i < 2; ++i) {
        auto own = reopen(text->get());
        ASSERT_TRUE(own);
        char buffer[64];
        EXPECT_EQ(read(own->get(), buffer, sizeof(buffer)), 12);
    }
}

TEST(ProcessMemory, KnowsALivingProcessOnly)
{
    const auto bytes = private_bytes(getpid());
    ASSERT_TRUE(bytes);
    EXPECT_GT(*bytes, 100'000U);
    EXPECT_FALSE(private_bytes(0x7FFFFFFF));
}

} // namespace
} // namespace supervisor::test
