#include "supervisor/control_command.hpp"
#include "supervisor/control_socket.hpp"
#include "tests/support/temp_dir.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <thread>

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace supervisor {
namespace {

using ::testing::HasSubstr;

mode_t mode_of(const std::filesystem::path& file)
{
    struct stat status {};

    EXPECT_EQ(::lstat(file.c_str(), &status), 0) << file;
    return status.st_mode;
}

/// Answers one connection with `answer`, and remembers what was asked.
class OneAnswer {
public:
    OneAnswer(const ControlSocket& socket, std::string answer)
        : thread_([fd = socket.fd(), answer = std::move(answer), this] {
              int connection = -1;
              while (connection < 0)
                  connection = ::accept(fd, nullptr, nullptr);
              while (asked_.find("\r\n\r\n") == std::string::npos) {
                  char part[1024];
                  const ssize_t got = ::recv(connection, part, sizeof part, 0);
                  if (got <= 0) break;
                  asked_.append(part, std::size_t(got));
              }
              (void)::send(connection, answer.data(), answer.size(), MSG_NOSIGNAL);
              ::close(connection);
          })
    {}

    std::string asked()
    {
        thread_.join();
        return asked_;
    }

private:
    std::string asked_;
    std::thread thread_;
};

struct Ran {
    int code = -1;
    std::string out;
    std::string err;
};

Ran run(const ControlCommand& command, const std::filesystem::path& folder)
{
    std::ostringstream out;
    std::ostringstream err;
    Ran ran;
    ran.code = run_control(command, folder, out, err);
    ran.out = out.str();
    ran.err = err.str();
    return ran;
}

ControlCommand why(const std::string& id)
{
    ControlCommand command;
    command.subject = id;
    return command;
}

TEST(ControlSocket, IsTheOwnersAloneAndGoesWhenItEnds)
{
    const tests::TempDir folder;
    {
        const auto socket = ControlSocket::open(folder.path());
        ASSERT_TRUE(socket.has_value()) << socket.error().text();
        const mode_t mode = mode_of(folder.path() / "control.sock");
        EXPECT_TRUE(S_ISSOCK(mode));
        EXPECT_EQ(mode & 07777U, 0600U);
    }
    EXPECT_FALSE(std::filesystem::exists(folder.path() / "control.sock"));
}

TEST(ControlSocket, ReplacesWhatAKilledRunLeftButNothingElse)
{
    const tests::TempDir folder;
    {
        // A socket file that nobody listens on any more.
        auto address = control_address(folder.path());
        ASSERT_TRUE(address.has_value());
        const OwnedFd left(::socket(AF_UNIX, SOCK_STREAM, 0));
        ASSERT_EQ(
            ::bind(left.get(), reinterpret_cast<const sockaddr*>(&address->address), address->size),
            0);
    }
    ASSERT_TRUE(std::filesystem::exists(folder.path() / "control.sock"));
    EXPECT_TRUE(ControlSocket::open(folder.path()).has_value());

    folder.write("control.sock", "precious");
    const auto refused = ControlSocket::open(folder.path());
    ASSERT_FALSE(refused.has_value());
    EXPECT_THAT(refused.error().text(), HasSubstr("control.sock"));
    EXPECT_TRUE(std::filesystem::is_regular_file(folder.path() / "control.sock"));
    const auto nowhere = ControlSocket::open(folder.path() / "nothing");
    EXPECT_FALSE(nowhere.has_value());
}

TEST(ControlSocket, ALongPathWorksLikeAnyOther)
{
    const tests::TempDir folder;
    const std::filesystem::path deep = folder.path() / std::string(120, 'd') / std::string(90, 'e');
    std::filesystem::create_directories(deep);
    const auto socket = ControlSocket::open(deep);
    ASSERT_TRUE(socket.has_value()) << socket.error().text();
    EXPECT_EQ(mode_of(deep / "control.sock") & 07777U, 0600U);
    OneAnswer server(*socket, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes");
    const Ran ran = run(why("0123456789abcdef"), deep);
    EXPECT_EQ(ran.code, kControlDone) << ran.err;
    EXPECT_EQ(ran.out, "yes");
    EXPECT_THAT(
        server.asked(), HasSubstr("GET /admin/why?id=0123456789abcdef&format=text HTTP/1.1\r\n"));
}

TEST(ControlCommand, IsOneRequest)
{
    ControlCommand command = why("a b/../c\"%\xC3\xBC");
    EXPECT_EQ(control_call(command).target, "/admin/why?id=a%20b%2F..%2Fc%22%25%C3%BC&format=text");
    command.json = true;
    EXPECT_THAT(control_call(command).target, HasSubstr("&format=json"));

    command.kind = ControlCommand::Kind::events;
    command.follow = true;
    EXPECT_EQ(control_call(command).target, "/admin/events?format=json&follow=1");
    EXPECT_TRUE(control_call(command).body_may_pause);

    command.kind = ControlCommand::Kind::accounts;
    command.json = false;
    EXPECT_EQ(control_call(command).target, "/admin/accounts?format=text");

    command.kind = ControlCommand::Kind::account_action;
    command.subject = "codex:my work";
    command.action = "disable";
    EXPECT_EQ(control_call(command).method, "POST");
    EXPECT_EQ(control_call(command).target, "/admin/accounts/codex:my%20work/disable?format=text");
}

TEST(ControlCommand, UsersAreAskedForAndChanged)
{
    ControlCommand command;
    command.kind = ControlCommand::Kind::users;
    EXPECT_EQ(control_call(command).method, "GET");
    EXPECT_EQ(control_call(command).target, "/admin/pool-users?format=text");
    command.subject = "00ff";
    command.action = "show";
    command.json = true;
    EXPECT_EQ(control_call(command).target, "/admin/pool-users/00ff?format=json");
    command.action = "rotate";
    EXPECT_EQ(control_call(command).method, "POST");
    EXPECT_EQ(control_call(command).target, "/admin/pool-users/00ff/rotate?format=json");
    command.action = "delete";
    EXPECT_EQ(control_call(command).method, "DELETE");
    EXPECT_EQ(control_call(command).target, "/admin/pool-users/00ff?format=json");
    command.action = "limits";
    command.fields = {{"models", "a*, b&c"}, {"concurrency", "default"}};
    EXPECT_EQ(control_call(command).target, "/admin/pool-users/00ff/limits?format=json");
    EXPECT_EQ(control_call(command).form, "models=a%2A%2C%20b%26c&concurrency=");
    command.action = "add";
    EXPECT_EQ(control_call(command).method, "POST");
    EXPECT_EQ(control_call(command).target, "/admin/pool-users?format=json");
}

TEST(ControlCommand, ARefusalIsASentenceOnStderrAndExitCode1)
{
    const tests::TempDir folder;
    const auto socket = ControlSocket::open(folder.path());
    ASSERT_TRUE(socket.has_value());
    OneAnswer server(
        *socket,
        "HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n"
        "21\r\n{\n  \"error\": \"No \\\"such\\\" one.\"\n}\r\n0\r\n\r\n");
    const Ran ran = run(why("x"), folder.path());
    EXPECT_EQ(ran.code, kControlRefused);
    EXPECT_EQ(ran.out, "");
    EXPECT_EQ(ran.err, "codex-pool: No \"such\" one. (404)\n");
    (void)server.asked();
}

TEST(ControlCommand, WithoutAPoolItNamesThePathAndTheRemedy)
{
    const tests::TempDir folder;
    const Ran ran = run(why("x"), folder.path());
    EXPECT_EQ(ran.code, kControlUnreachable);
    EXPECT_THAT(ran.err, HasSubstr((folder.path() / "control.sock").string()));
    EXPECT_THAT(ran.err, HasSubstr("not running"));
    EXPECT_THAT(ran.err, HasSubstr("--config"));
    EXPECT_THAT(ran.err, HasSubstr("--db-path"));
    const Ran nowhere = run(why("x"), folder.path() / std::string(120, 'n'));
    EXPECT_EQ(nowhere.code, kControlUnreachable);
}

TEST(ControlCommand, AnAnswerThatBreaksOffIsNoAnswer)
{
    for (const char* answer :
         {"",
          "HTTP/1.1 200 OK\r\n",
          "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
          "SMTP ready\r\n\r\n"}) {
        const tests::TempDir folder;
        const auto socket = ControlSocket::open(folder.path());
        ASSERT_TRUE(socket.has_value());
        OneAnswer server(*socket, answer);
        EXPECT_EQ(run(why("x"), folder.path()).code, kControlUnreachable) << answer;
        (void)server.asked();
    }
}

TEST(ControlCommand, HistoryIsAskedForAsTheTerminalTakesIt)
{
    ControlCommand usage;
    usage.kind = ControlCommand::Kind::usage;
    usage.query = {{"last", "7d"}, {"group", "user"}, {"user", "a&b=c"}, {"by", ""}};
    EXPECT_EQ(
        control_call(usage).target, "/admin/usage?format=text&group=user&last=7d&user=a%26b%3Dc");
    EXPECT_EQ(
        control_call(usage, {true, true, 132}).target,
        "/admin/usage?format=text&group=user&last=7d&user=a%26b%3Dc&color=1&bars=1&columns=132");
    EXPECT_EQ(
        control_call(usage, {false, true, 5}).target,
        "/admin/usage?format=text&group=user&last=7d&user=a%26b%3Dc&bars=1")
        << "a width nobody can use";
    usage.json = true;
    EXPECT_EQ(
        control_call(usage, {true, true, 132}).target,
        "/admin/usage?format=json&group=user&last=7d&user=a%26b%3Dc");
    ControlCommand requests;
    requests.kind = ControlCommand::Kind::requests;
    EXPECT_EQ(control_call(requests).target, "/admin/requests?format=text");
}

} // namespace
} // namespace supervisor
