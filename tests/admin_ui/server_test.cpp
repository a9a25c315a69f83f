/// The server over a real Unix socket: one loop in this thread, clients in another.
#include "admin_ui/server.hpp"
#include "shared/segment/worker_slots.hpp"
#include "tests/admin_ui/pool_fixture.hpp"
#include "tests/support/temp_dir.hpp"

#include <boost/asio/post.hpp>
#include <gtest/gtest.h>

#include <chrono>
#include <cstring>
#include <functional>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace {

using admin_ui::Routes;
using admin_ui::Server;
using admin_ui::UsageQuery;
using tests::PoolFixture;

sockaddr_un address_of(const std::filesystem::path& path)
{
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    return address;
}

/// A blocking client connection.
class Client {
public:
    explicit Client(const std::filesystem::path& path) : fd_(::socket(AF_UNIX, SOCK_STREAM, 0))
    {
        const sockaddr_un address = address_of(path);
        connected_ =
            ::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    }

    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    ~Client() { ::close(fd_); }

    void send(const std::string& text) const
    {
        EXPECT_TRUE(connected_);
        EXPECT_EQ(::send(fd_, text.data(), text.size(), MSG_NOSIGNAL), ssize_t(text.size()));
    }

    /// Reads until `end` was seen or the server closes.
    std::string read_until(const std::string& end)
    {
        char part[4096];
        while (text_.find(end) == std::string::npos) {
            const ssize_t n = ::recv(fd_, part, sizeof part, 0);
            if (n <= 0) break;
            text_.append(part, std::size_t(n));
        }
        const std::size_t at = text_.find(end);
        const std::size_t size = at == std::string::npos ? text_.size() : at + end.size();
        const std::string result = text_.substr(0, size);
        text_.erase(0, size);
        return result;
    }

    std::string read_all() { return read_until("(never sent)"); }

private:
    int fd_;
    bool connected_ = false;
    std::string text_;
};

class ServerTest : public testing::Test {
protected:
    ServerTest() { restart(); }

    /// With the deadline as it is now.
    void restart()
    {
        if (server_) {
            // It must not be gone while the loop still has something of it: let it accept, and stop that.
            loop_.poll();
            server_->drain([] {});
            loop_.poll();
            loop_.restart();
        }
        server_.reset();
        std::filesystem::remove(path_);
        const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        const sockaddr_un address = address_of(path_);
        EXPECT_EQ(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
        EXPECT_EQ(::listen(fd, 512), 0);
        server_ = std::make_unique<Server>(
            loop_,
            fd,
            routes_,
            [this](const shared::Message& question, int) {
                asked_.push_back(question);
                if (on_question_) on_question_();
            },
            Server::Deadlines{deadline_, deadline_});
        server_->start();
    }

    /// Questions so far; from the client's thread.
    std::size_t asked()
    {
        std::promise<std::size_t> count;
        boost::asio::post(loop_, [&] { count.set_value(asked_.size()); });
        return count.get_future().get();
    }

    /// Runs the loop here and `talk` in a thread, until `talk` returns.
    void with_client(const std::function<void()>& talk)
    {
        const auto work = boost::asio::make_work_guard(loop_);
        std::thread client([&] {
            talk();
            loop_.stop();
        });
        loop_.restart();
        loop_.run();
        client.join();
    }

    tests::TempDir folder_;
    std::filesystem::path path_ = folder_.path() / "admin.sock";
    PoolFixture pool_;
    UsageQuery usage_{folder_.path() / "none.db"};
    Routes routes_{pool_.segment(), usage_, {false, "", "127.0.0.1:8989", "", ""}};
    boost::asio::io_context loop_{1};

    /// Answers a question as the refresher would.
    void
    answer(const shared::Message& question, std::uint64_t value, shared::ActionResult result = {})
    {
        shared::Message message = question;
        message.type = question.type == shared::MessageType::reload
                           ? shared::MessageType::reloaded
                           : shared::MessageType::account_action_done;
        message.value = value;
        message.result = result;
        boost::asio::post(loop_, [this, message] { server_->answered(message); });
    }

    std::chrono::milliseconds deadline_{200};
    std::vector<shared::Message> asked_;
    std::function<void()> on_question_;
    std::unique_ptr<Server> server_;
};

TEST_F(ServerTest, ServesSeveralRequestsOnOneConnection)
{
    with_client([this] {
        Client client(path_);
        client.send("GET /admin/accounts HTTP/1.1\r\nHost: x\r\n\r\n");
        EXPECT_TRUE(client.read_until("[]\n").starts_with("HTTP/1.1 200 OK\r\n"));
        // Two at once, the second by HEAD.
        client.send("GET /admin/requests HTTP/1.1\r\nHost: x\r\n\r\n"
                    "HEAD /status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        EXPECT_TRUE(client.read_until("[]\n").starts_with("HTTP/1.1 200 OK\r\n"));
        const std::string head = client.read_all();
        EXPECT_TRUE(head.starts_with("HTTP/1.1 200 OK\r\n")) << head;
        EXPECT_TRUE(head.ends_with("\r\n\r\n")) << head;
        EXPECT_NE(head.find("Content-Length: "), std::string::npos);
        EXPECT_NE(head.find("Connection: close"), std::string::npos);
    });
}

TEST_F(ServerTest, ANotModifiedAssetHasNoBody)
{
    with_client([this] {
        Client client(path_);
        client.send("GET /static/app.js HTTP/1.1\r\nHost: x\r\nIf-None-Match: *\r\n\r\n"
                    "GET /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        const std::string text = client.read_all();
        EXPECT_TRUE(text.starts_with("HTTP/1.1 304 Not Modified\r\n")) << text;
        EXPECT_NE(text.find("\r\n\r\nHTTP/1.1 404 Not Found\r\n"), std::string::npos) << text;
    });
}

TEST_F(ServerTest, ReloadWaitsForTheRefresher)
{
    on_question_ = [this] { answer(asked_.back(), 0); };
    with_client([this] {
        Client client(path_);
        client.send("POST /admin/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
        const std::string text = client.read_until("ok\n");
        EXPECT_TRUE(text.starts_with("HTTP/1.1 200 OK\r\n")) << text;
        EXPECT_TRUE(text.ends_with("\r\n\r\nok\n")) << text;
    });
    ASSERT_EQ(asked_.size(), 1U);
    EXPECT_EQ(asked_[0].type, shared::MessageType::reload);
    EXPECT_NE(asked_[0].request, 0U) << "0 is nobody's";
}

TEST_F(ServerTest, AnswersFindTheirAskers)
{
    deadline_ = std::chrono::seconds(20);
    restart();
    on_question_ = [this] {
        if (asked_.size() < 2) return;
        shared::Message foreign = asked_[0];
        foreign.request = 7; // a SIGHUP's, or a predecessor's
        answer(foreign, 9);
        answer(asked_[1], 2);
        answer(asked_[0], 1);
    };
    with_client([this] {
        Client first(path_);
        first.send("POST /admin/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
        while (asked() < 1)
            std::this_thread::yield();
        Client second(path_);
        second.send("POST /admin/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
        EXPECT_NE(first.read_until("service:\n").find("1 file is"), std::string::npos);
        EXPECT_NE(second.read_until("service:\n").find("2 files"), std::string::npos);
    });
}

TEST_F(ServerTest, AnActionWaitsForItsAnswerAndItsWishIsGoneAfterwards)
{
    pool_.add_account("codex:a");
    const std::string options = R"({"priority":3})";
    on_question_ = [this, options] {
        EXPECT_EQ(asked_.back().action, shared::AccountAction::options);
        pool_.segment().owner_wish.with_lock([&](shared::OwnerWish& wish) {
            EXPECT_EQ(wish.request, asked_.back().request);
            EXPECT_EQ(wish.account, 0U);
            EXPECT_EQ(wish.options.view(), options);
        });
        answer(asked_.back(), 0);
    };
    with_client([this, &options] {
        Client client(path_);
        client.send(
            "POST /admin/accounts/codex%3Aa/options HTTP/1.1\r\nHost: x\r\nContent-Length: " +
            std::to_string(options.size()) + "\r\n\r\n" + options);
        const std::string text = client.read_until("}\n");
        EXPECT_TRUE(text.starts_with("HTTP/1.1 200 OK\r\n")) << text;
        EXPECT_NE(text.find(R"("account": "codex:a")"), std::string::npos) << text;
    });
    pool_.segment().owner_wish.with_lock(
        [](shared::OwnerWish& wish) { EXPECT_EQ(wish.request, 0U); });
}

TEST_F(ServerTest, ARefresherThatIsNotThereIsSaid)
{
    pool_.add_account("codex:a");
    on_question_ = [this] { answer(asked_.back(), 0, shared::ActionResult::unavailable); };
    with_client([this] {
        Client client(path_);
        client.send("POST /admin/accounts/codex:a/disable HTTP/1.1\r\nHost: x\r\n"
                    "Content-Length: 0\r\n\r\n");
        EXPECT_TRUE(client.read_until("}\n").starts_with("HTTP/1.1 503 "));
        client.send("POST /admin/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
        EXPECT_TRUE(client.read_until("}\n").starts_with("HTTP/1.1 503 "));
    });
}

TEST_F(ServerTest, ASilentRefresherIsSaid)
{
    with_client([this] {
        Client client(path_);
        client.send("POST /admin/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
        EXPECT_TRUE(client.read_until("\r\n\r\n").starts_with("HTTP/1.1 504 "));
    });
    ASSERT_EQ(asked_.size(), 1U);
    server_->answered(asked_[0]); // comes too late: nobody waits
}

TEST_F(ServerTest, BadRequestsAreAnsweredAndClosed)
{
    with_client([this] {
        Client nonsense(path_);
        nonsense.send("NONSENSE\r\n\r\n");
        EXPECT_TRUE(nonsense.read_all().starts_with("HTTP/1.1 400 "));
        Client large(path_);
        large.send(
            "POST /admin/reload HTTP/1.1\r\nHost: x\r\nContent-Length: " +
            std::to_string(admin_ui::kRequestBodyMax + 1) + "\r\n\r\n");
        EXPECT_TRUE(large.read_all().starts_with("HTTP/1.1 413 "));
        Client gone(path_);
        gone.send("GET / HTTP/1.1\r\nHo");
    });
    EXPECT_TRUE(asked_.empty());
}

TEST_F(ServerTest, TooManyConnectionsAreClosedTheOthersGoOn)
{
    with_client([this] {
        std::vector<std::unique_ptr<Client>> all;
        for (std::size_t i = 0; i < admin_ui::kSessionsMax; ++i)
            all.push_back(std::make_unique<Client>(path_));
        Client extra(path_);
        EXPECT_EQ(extra.read_all(), "");
        all.back()->send("GET /admin/accounts HTTP/1.1\r\nHost: x\r\n\r\n");
        EXPECT_TRUE(all.back()->read_until("[]\n").starts_with("HTTP/1.1 200 "));
    });
}

void publish(PoolFixture& pool, const char* text)
{
    std::vector<shared::Event> events(1);
    events[0].at = tests::kNow;
    events[0].type = shared::EventType::pool_low;
    events[0].provider = "codex";
    events[0].text.assign(text);
    shared::publish_events(pool.segment(), events, shared::Alarms());
}

TEST_F(ServerTest, EventsComeAsTheyHappenAndGoOnAfterTheLastOneKnown)
{
    publish(pool_, "the first");
    with_client([&] {
        Client client(path_);
        client.send("GET /admin/events HTTP/1.1\r\nHost: h\r\n\r\n");
        const std::string first = client.read_until("the first");
        EXPECT_NE(first.find("Content-Type: text/event-stream\r\n"), std::string::npos) << first;
        EXPECT_NE(first.find("id: 1\nevent: pool_low\ndata: {\"sequence\":1,"), std::string::npos)
            << first;
        publish(pool_, "the second");
        EXPECT_NE(client.read_until("the second").find("id: 2\n"), std::string::npos);

        Client later(path_);
        later.send("GET /admin/events HTTP/1.1\r\nHost: h\r\nLast-Event-ID: 1\r\n\r\n");
        const std::string rest = later.read_until("the second");
        EXPECT_EQ(rest.find("the first"), std::string::npos) << rest;
        // An id of an earlier run of the pool: from the beginning.
        Client stranger(path_);
        stranger.send("GET /admin/events HTTP/1.1\r\nHost: h\r\nLast-Event-ID: 99\r\n\r\n");
        EXPECT_NE(stranger.read_until("the second").find("the first"), std::string::npos);
    });
}

TEST_F(ServerTest, EventsEndWithTheClientAndWhileWorkersDrain)
{
    with_client([&] {
        for (int i = 0; i < 200; ++i) {
            Client client(path_);
            client.send("GET /admin/events HTTP/1.1\r\nHost: h\r\n\r\n");
            (void)client.read_until("\r\n\r\n");
        }
        // All of them left: their places are free again, at the latest after a moment.
        std::string answer;
        for (int i = 0; i < 2000 && !answer.starts_with("HTTP/1.1 200"); ++i) {
            Client client(path_);
            client.send("GET /admin/events HTTP/1.1\r\nHost: h\r\n\r\n");
            answer = client.read_until("\r\n\r\n");
        }
        EXPECT_TRUE(answer.starts_with("HTTP/1.1 200")) << answer;

        const auto drain_one = [&](std::uint32_t generation) {
            const auto slot = shared::claim_slot(pool_.segment(), generation);
            pool_.segment().workers[*slot].state = shared::SlotState::draining;
        };
        drain_one(1); // from an earlier reload: whoever comes now came by another one
        Client open(path_);
        open.send("GET /admin/events HTTP/1.1\r\nHost: h\r\n\r\n");
        (void)open.read_until("\r\n\r\n");
        publish(pool_, "still there");
        EXPECT_NE(open.read_until("still there").find("still there"), std::string::npos);
        drain_one(2);
        EXPECT_TRUE(open.read_all().ends_with("0\r\n\r\n"));
    });
}

TEST_F(ServerTest, EventsForPeopleEndUnlessTheyAreFollowed)
{
    publish(pool_, "something");
    with_client([&] {
        Client client(path_);
        client.send("GET /admin/events?format=text HTTP/1.1\r\nHost: h\r\n\r\n");
        const std::string text = client.read_all();
        EXPECT_NE(text.find("2025-11-23T09:27:41Z warn pool_low: something\n"), std::string::npos)
            << text;
        EXPECT_TRUE(text.ends_with("0\r\n\r\n"));
        Client follower(path_);
        follower.send("GET /admin/events?format=json&follow=1 HTTP/1.1\r\nHost: h\r\n\r\n");
        (void)follower.read_until("something");
        publish(pool_, "more");
        EXPECT_NE(follower.read_until("more").find("\"sequence\":2"), std::string::npos);
    });
}

} // namespace
