// The fake children, and the main() of this test program that leads to them.
#include "shared/base/clock.hpp"
#include "shared/ipc/messages.hpp"
#include "shared/segment/account_table.hpp"
#include "shared/segment/segment.hpp"
#include "supervisor/options.hpp"
#include "tests/supervisor/fake_roles.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace supervisor::test {
namespace {

using shared::MessageType;

class FakeChild {
public:
    FakeChild(std::string role, const shared::ChildArguments& arguments)
        : role_(std::move(role)), arguments_(arguments)
    {
        const char* folder = std::getenv(kFakeFolder);
        if (folder != nullptr) folder_ = folder;
    }

    int run()
    {
        auto segment = shared::SegmentMapping::attach(shared::kSegmentFd);
        if (!segment || !reads_configuration() || !has_only_its_descriptors()) {
            return shared::kExitFatal;
        }
        segment_ = &**segment;
        if (role_ == "worker" && told("fatal-worker")) return shared::kExitFatal;
        if (role_ == "worker" && told("early-death")) return 1;
        if (role_ == "worker" && told("fat") && arguments_.generation <= 4) {
            fat_.assign(std::size_t{64} << 20U, 'x');
        }
        if (role_ == "refresher") publish_account();
        send(MessageType::ready, 0);
        while (!done_)
            step();
        return 0;
    }

private:
    [[nodiscard]] bool told(const char* what) const
    {
        return std::filesystem::exists(folder_ / what);
    }

    static bool reads_configuration()
    {
        std::string text(64 * 1024, '\0');
        return read(shared::kConfigFd, text.data(), text.size()) > 10;
    }

    [[nodiscard]] bool has_only_its_descriptors() const
    {
        int highest = shared::kListenFd;
        if (role_ == "refresher") highest = shared::kConfigFd;
        if (role_ == "admin") highest = shared::kOwnerListenFd;
        for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
            const int fd = std::stoi(entry.path().filename());
            std::error_code gone; // the iterator's own
            const auto target = std::filesystem::read_symlink(entry.path(), gone);
            if (fd > highest && !gone && target.string().find("/fd") == std::string::npos) {
                return false;
            }
        }
        return true;
    }

    void publish_account() const
    {
        shared::AccountIdentity identity;
        identity.id = "codex:fake";
        segment_->accounts[0].with_lock([&](shared::AccountRecord& record) {
            shared::write_identity(record, identity);
            record.routing.state = shared::AccountState::ready;
        });
        segment_->info.with_lock([](shared::PoolInfo& info) { info.accounts = 1; });
        segment_->account_slots.store(1);
        segment_->roster_version.fetch_add(1);
    }

    void send(MessageType type, std::uint64_t value, std::uint64_t request = 0) const
    {
        shared::Message message;
        message.type = type;
        message.generation = arguments_.generation;
        message.value = value;
        message.request = request;
        const auto bytes = shared::encode(message);
        (void)::send(shared::kControlFd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    }

    void step()
    {
        pollfd ready[2] = {{shared::kControlFd, POLLIN, 0}, {-1, POLLIN, 0}};
        if (role_ == "worker" && !draining_) ready[1].fd = shared::kListenFd;
        poll(ready, 2, 20);
        if (role_ == "worker") {
            segment_->workers[arguments_.slot].heartbeat_us.store(shared::now_monotonic_us());
        }
        if (role_ == "admin" && told("admin-reload")) {
            std::filesystem::remove(folder_ / "admin-reload");
            send(MessageType::reload, 0, 7);
        }
        if ((ready[1].revents & POLLIN) != 0) answer();
        if (ready[0].revents != 0) receive();
        if (draining_ && !told("busy")) done_ = true;
    }

    void answer() const
    {
        const int client = accept(shared::kListenFd, nullptr, nullptr);
        if (client < 0) return;
        const std::string text = std::to_string(getpid());
        (void)::send(client, text.data(), text.size(), MSG_NOSIGNAL);
        close(client);
    }

    void receive()
    {
        std::byte buffer[64];
        const ssize_t got = recv(shared::kControlFd, buffer, sizeof(buffer), MSG_DONTWAIT);
        if (got < 0) return;
        const auto message = shared::decode({buffer, static_cast<std::size_t>(got)});
        if (!message || message->type == MessageType::stop) {
            done_ = true;
        } else if (message->type == MessageType::drain) {
            draining_ = true;
            close(shared::kListenFd);
        } else if (message->type == MessageType::reload) {
            send(MessageType::reloaded, 3, message->request);
        } else if (message->type == MessageType::reloaded) {
            std::ofstream(folder_ / "admin-reloaded") << message->value << "\n";
        }
    }

    std::string role_;
    shared::ChildArguments arguments_;
    std::filesystem::path folder_;
    std::string fat_;
    shared::Segment* segment_ = nullptr;
    bool draining_ = false;
    bool done_ = false;
};

} // namespace

int play_child(int argc, char** argv)
{
    if (argc < 2 || std::string_view(argv[1]) != "child") return -1;
    const Options options = parse_options(argc, argv);
    if (options.command != Options::Command::child) return shared::kExitFatal;
    return FakeChild(options.role, options.child).run();
}

} // namespace supervisor::test

int main(int argc, char** argv)
{
    const int exit_code = supervisor::test::play_child(argc, argv);
    if (exit_code >= 0) return exit_code;
    ::testing::InitGoogleTest(&argc, argv);
    return RUN_ALL_TESTS();
}
