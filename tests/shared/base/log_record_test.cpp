#include "shared/base/journal_socket.hpp"
#include "shared/base/log_record.hpp"
#include "shared/base/log_setup.hpp"
#include "tests/support/temp_dir.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <string>
#include <vector>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace shared::log {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

std::string journal_record(std::string_view text, Level level = Level::info)
{
    std::string record;
    append_journal_record(record, level, "worker-1", text);
    return record;
}

TEST(LogRecord, WhatOneSearchesByIsAFieldOfTheJournal)
{
    EXPECT_EQ(
        journal_record(
            "request=0123 user=ann provider=codex model=gpt-5 account=codex:work status=200 "
            "outcome=completed attempts=1 path=/v1/responses"),
        "MESSAGE=request=0123 user=ann provider=codex model=gpt-5 account=codex:work status=200 "
        "outcome=completed attempts=1 path=/v1/responses\n"
        "PRIORITY=6\nSYSLOG_IDENTIFIER=codex-pool\nPOOL_ROLE=worker-1\nPOOL_REQUEST_ID=0123\n"
        "POOL_USER=ann\nPOOL_PROVIDER=codex\nPOOL_MODEL=gpt-5\nPOOL_ACCOUNT=codex:work\n"
        "POOL_STATUS=200\nPOOL_OUTCOME=completed\n");
    EXPECT_THAT(
        journal_record("event=child_died name=\"worker 1\"", Level::error),
        HasSubstr("\nPRIORITY=3\n"));
    EXPECT_THAT(journal_record("event=request id=77"), HasSubstr("\nPOOL_REQUEST_ID=77\n"));
    EXPECT_THAT(
        journal_record("event=a client=::1"), HasSubstr("\nPOOL_EVENT=a\nPOOL_CLIENT=::1\n"));
}

TEST(LogRecord, ControlCharactersGoWhereverTheyAre)
{
    for (std::size_t size = 0; size < 40; ++size) {
        for (std::size_t at = 0; at < size; ++at) {
            for (const char bad : {'\0', '\n', '\x1f', '\x7f'}) {
                std::string text(size, 'x');
                text[size / 2] = '\xc3'; // not one of them
                text[at] = bad;
                std::string expected = text;
                expected[at] = '?';
                replace_controls(text.data(), text.size());
                EXPECT_EQ(text, expected) << size << ' ' << at;
            }
        }
    }
    std::string all;
    for (int c = 0; c < 256; ++c)
        all += static_cast<char>(c);
    replace_controls(all.data(), all.size());
    EXPECT_EQ(std::count(all.begin(), all.end(), '?'), 34); // 0 to 31, 127, and '?'
}

TEST(LogRecord, WhatIsNotKnownIsNoField)
{
    EXPECT_THAT(journal_record("account=- user="), Not(HasSubstr("POOL_ACCOUNT")));
    EXPECT_THAT(journal_record("account=- user="), Not(HasSubstr("POOL_USER")));
    EXPECT_THAT(journal_record("listening on http://a"), Not(HasSubstr("POOL_REQUEST")));
}

TEST(LogRecord, NobodyForgesAFieldOrALine)
{
    const std::string record =
        journal_record("user=ann\nPRIORITY=0\nPOOL_USER=bob model=x\nMESSAGE=y user=eve");
    EXPECT_THAT(record, Not(HasSubstr("\nPRIORITY=0")));
    EXPECT_THAT(record, Not(HasSubstr("POOL_USER=eve"))) << "the first counts";
    EXPECT_EQ(std::count(record.begin(), record.end(), '\n'), 6) << record;
}

TEST(LogRecord, JsonHasTheFieldsToo)
{
    std::string record;
    append_json_record(
        record,
        "2025-11-22T08:26:40.000+00:00",
        Level::warn,
        "worker-1",
        "event=x status=200 id=007 account=- text=\"said \\ it\" time=1 bad\x01=\xff free words");
    EXPECT_EQ(
        record,
        R"({"time":"2025-11-22T08:26:40.000+00:00","level":"warn","role":"worker-1",)"
        R"("message":"event=x status=200 id=007 account=- text=\"said \\ it\" time=1 bad?=? free words",)"
        R"("event":"x","status":200,"id":"007","text":"said \\ it","bad?":"?"})"
        "\n");
}

/// Takes records as journald does.
class FakeJournal {
public:
    explicit FakeJournal(const std::string& path)
    {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::copy(path.begin(), path.end(), address.sun_path);
        fd_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
        EXPECT_EQ(::bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    }

    ~FakeJournal() { ::close(fd_); }

    FakeJournal(const FakeJournal&) = delete;
    FakeJournal& operator=(const FakeJournal&) = delete;

    /// The messages of all records that have come.
    std::vector<std::string> messages() const
    {
        std::vector<std::string> all;
        std::array<char, 65536> bytes{};
        for (;;) {
            const ssize_t got = ::recv(fd_, bytes.data(), bytes.size(), 0);
            if (got < 0) return all;
            const std::string record(bytes.data(), static_cast<std::size_t>(got));
            all.push_back(record.substr(8, record.find('\n') - 8));
        }
    }

private:
    int fd_ = -1;
};

void add(JournalSocket& socket, const std::string& text)
{
    append_journal_record(socket.records(), Level::info, "r", text);
    socket.end_record();
}

TEST(JournalSocket, SendsRecordsOneByOneInTheirOrder)
{
    const tests::TempDir dir;
    const std::string path = (dir.path() / "socket").string();
    const FakeJournal journal(path);
    JournalSocket socket;
    ASSERT_TRUE(socket.open(path));
    add(socket, "a=1");
    add(socket, "b=2");
    socket.send();
    EXPECT_THAT(journal.messages(), ElementsAre("a=1", "b=2"));
    EXPECT_EQ(socket.waiting_bytes(), 0U);
    EXPECT_EQ(socket.take_dropped(), 0U);
}

TEST(JournalSocket, WhatIsNotTakenWaitsAndAtLastTheOldestIsDropped)
{
    const tests::TempDir dir;
    const std::string path = (dir.path() / "socket").string();
    const FakeJournal journal(path);
    JournalSocket socket;
    ASSERT_TRUE(socket.open(path));
    const std::string filler(1000, 'x');
    std::uint64_t dropped = 0;
    constexpr int kLines = 5000; // more than the kernel and kWaitingMax hold together
    for (int i = 0; i < kLines; ++i) {
        add(socket, "n=" + std::to_string(i) + " " + filler);
        socket.send(); // nobody reads: must not block
        EXPECT_LE(socket.waiting_bytes(), JournalSocket::kWaitingMax);
        dropped += socket.take_dropped();
    }
    std::vector<std::string> all = journal.messages();
    while (socket.waiting_bytes() > 0) {
        socket.send();
        for (std::string& each : journal.messages())
            all.push_back(std::move(each));
    }
    EXPECT_EQ(all.size() + dropped, static_cast<std::size_t>(kLines))
        << "every line is there or counted";
    EXPECT_GT(dropped, 0U);
    EXPECT_EQ(all.back().substr(0, 7), "n=4999 ");
}

TEST(JournalSocket, ANewJournaldIsFoundAgain)
{
    const tests::TempDir dir;
    const std::string path = (dir.path() / "socket").string();
    auto journal = std::make_unique<FakeJournal>(path);
    JournalSocket socket;
    ASSERT_TRUE(socket.open(path));
    journal.reset();
    ::unlink(path.c_str());
    add(socket, "a=1");
    socket.send();
    journal = std::make_unique<FakeJournal>(path);
    add(socket, "b=2");
    socket.send();
    EXPECT_THAT(journal->messages(), ElementsAre("a=1", "b=2"));
}

TEST(JournalSocket, NobodyThere)
{
    JournalSocket socket;
    EXPECT_FALSE(socket.open("/nowhere/at/all"));
    EXPECT_FALSE(socket.open(std::string(200, 'x')));
}

/// Under the captured standard error of a test.
class LogSetup : public testing::Test {
protected:
    void TearDown() override
    {
        unsetenv("JOURNAL_STREAM");
        start("test", false);
    }

    /// As systemd sets it for a service.
    static void lead_to_journal()
    {
        struct stat status {};

        ASSERT_EQ(::fstat(STDERR_FILENO, &status), 0);
        const std::string stream =
            std::to_string(status.st_dev) + ":" + std::to_string(status.st_ino);
        setenv("JOURNAL_STREAM", stream.c_str(), 1);
    }

    tests::TempDir dir_;
    std::string path_ = (dir_.path() / "socket").string();
};

TEST_F(LogSetup, AutoSendsFieldsWhereStandardErrorIsTheJournal)
{
    const FakeJournal journal(path_);
    testing::internal::CaptureStderr();
    lead_to_journal();
    start(log::Setup{"supervisor", false, "auto", path_});
    info("event=started user={}", "ann");
    error("event=child_died");
    EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
    EXPECT_THAT(journal.messages(), ElementsAre("event=started user=ann", "event=child_died"));
}

TEST_F(LogSetup, ElsewhereItIsTextAndJsonIsJsonAnywhere)
{
    const FakeJournal journal(path_);
    setenv("JOURNAL_STREAM", "1:1", 1); // standard error was led elsewhere
    testing::internal::CaptureStderr();
    start(log::Setup{"supervisor", false, "auto", path_});
    info("event=a");
    lead_to_journal();
    start(log::Setup{"supervisor", false, "text", path_});
    info("event=b");
    start(log::Setup{"supervisor", false, "json", path_});
    info("event=c");
    const std::string out = testing::internal::GetCapturedStderr();
    EXPECT_THAT(out, HasSubstr("<6>role=supervisor event=a\n"));
    EXPECT_THAT(out, HasSubstr("<6>role=supervisor event=b\n"));
    EXPECT_THAT(out, HasSubstr(R"("role":"supervisor","message":"event=c","event":"c"})"));
    EXPECT_THAT(journal.messages(), ElementsAre());
}

TEST_F(LogSetup, WithoutAJournalSocketThePrefixesRemain)
{
    testing::internal::CaptureStderr();
    lead_to_journal();
    start(log::Setup{"supervisor", false, "auto", "/nowhere"});
    info("event=a");
    EXPECT_EQ(testing::internal::GetCapturedStderr(), "<6>role=supervisor event=a\n");
}

} // namespace
} // namespace shared::log
