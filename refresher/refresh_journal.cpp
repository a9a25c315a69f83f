#include "refresher/refresh_journal.hpp"

#include "refresher/fault_point.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace refresher {
namespace {

using nlohmann::json;
using shared::Problem;
using shared::Result;

using Entries = std::map<std::string, JournalEntry, std::less<>>;

constexpr std::uint32_t kRecordMagic = 0x4A525043; // "CPRJ"
constexpr std::size_t kPayloadBytesMax = kTokenAnswerBytesMax + 64 * 1024;
/// Above the length of any intent and any answer that is a real one.
constexpr std::uint64_t kRoomBytes = 64 * 1024;

struct RecordHead {
    std::uint32_t magic = kRecordMagic;
    std::uint32_t length = 0;
    std::array<std::uint8_t, 24> check{};
};

static_assert(sizeof(RecordHead) == 32);

std::array<std::uint8_t, 24> check_of(std::string_view payload)
{
    const shared::Sha256Digest digest = shared::sha256(payload);
    std::array<std::uint8_t, 24> check{};
    std::copy_n(digest.begin(), check.size(), check.begin());
    return check;
}

std::string hex(const shared::Sha256Digest& digest)
{
    return shared::to_hex({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

shared::Sha256Digest digest_of_hex(const std::string& text)
{
    shared::Sha256Digest digest{};
    if (text.size() != digest.size() * 2) return digest;
    for (std::size_t i = 0; i < digest.size(); ++i)
        digest[i] =
            static_cast<std::uint8_t>(std::strtoul(text.substr(i * 2, 2).c_str(), nullptr, 16));
    return digest;
}

Problem problem(const std::filesystem::path& file, const std::string& what, int reason = errno)
{
    return {
        file.string(),
        what + ": " + std::strerror(reason),
        "tokens are not refreshed until the journal can be written; check the disk and the "
        "folder's "
        "owner"};
}

bool write_at(int fd, std::string_view bytes, std::uint64_t offset)
{
    while (!bytes.empty()) {
        const ssize_t n = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        bytes.remove_prefix(static_cast<std::size_t>(n));
        offset += static_cast<std::uint64_t>(n);
    }
    return true;
}

/// The facts as a line of JSON; an answer's body follows it byte for byte.
std::string payload_of(std::string_view kind, std::string_view account, const JournalEntry& entry)
{
    json facts = {
        {"kind", kind},
        {"account", account},
        {"sent", hex(entry.sent)},
        {"old_access", hex(entry.old_access)},
        {"old_expires_at", entry.old_expires_at.value},
        {"vendor_id", entry.vendor_id},
        {"at", entry.at.value},
        {"deaths", entry.deaths},
        {"lost", entry.lost}};
    if (entry.answer) facts["status"] = entry.answer->status;
    std::string payload = facts.dump(-1, ' ', false, json::error_handler_t::replace) + '\n';
    if (entry.answer) payload += entry.answer->body;
    return payload;
}

/// Folds one record into the state of its account.
void fold(std::string_view payload, Entries& entries)
{
    const std::size_t end = payload.find('\n');
    const json facts = json::parse(payload.substr(0, end), nullptr, false);
    if (!facts.is_object() || end == std::string_view::npos) return;
    const std::string kind = facts.value("kind", "");
    const std::string account = facts.value("account", "");
    if (kind == "closed") {
        entries.erase(account);
        return;
    }
    JournalEntry entry;
    entry.sent = digest_of_hex(facts.value("sent", ""));
    entry.old_access = digest_of_hex(facts.value("old_access", ""));
    entry.old_expires_at.value = facts.value("old_expires_at", std::int64_t{0});
    entry.vendor_id = facts.value("vendor_id", "");
    entry.at.value = facts.value("at", std::int64_t{0});
    entry.deaths = facts.value("deaths", 0U);
    entry.lost = facts.value("lost", false);
    if (kind == "intent") {
        // Whoever wrote it died before the answer was here; a later record says otherwise.
        ++entry.deaths;
        entry.lost = true;
    } else if (kind == "answer") {
        entry.answer.emplace();
        entry.answer->status = facts.value("status", 0U);
        entry.answer->body = std::string(payload.substr(end + 1));
    }
    entries[account] = std::move(entry);
}

/// Reads records until the first that is not whole; returns where it begins.
std::uint64_t read_records(int fd, Entries& entries)
{
    std::uint64_t offset = 0;
    std::string payload;
    while (true) {
        RecordHead head;
        if (::pread(fd, &head, sizeof head, static_cast<off_t>(offset)) !=
            static_cast<ssize_t>(sizeof head))
            break;
        if (head.magic != kRecordMagic || head.length > kPayloadBytesMax) break;
        payload.resize(head.length);
        const ssize_t n =
            ::pread(fd, payload.data(), payload.size(), static_cast<off_t>(offset + sizeof head));
        if (n != static_cast<ssize_t>(payload.size()) || check_of(payload) != head.check) break;
        fold(payload, entries);
        offset += sizeof head + head.length;
    }
    std::fill(payload.begin(), payload.end(), '\0');
    return offset;
}

} // namespace

struct RefreshJournal::State {
    std::filesystem::path file;
    int fd = -1;
    std::uint64_t end = 0;
    Entries entries;

    State() = default;
    State(const State&) = delete;
    State& operator=(const State&) = delete;

    ~State()
    {
        if (fd >= 0) ::close(fd);
    }

    /// The head last: what is torn before it is there was never a record.
    bool append(std::string_view kind, std::string_view account, const JournalEntry& entry)
    {
        std::string payload = payload_of(kind, account, entry);
        RecordHead head;
        head.length = static_cast<std::uint32_t>(payload.size());
        head.check = check_of(payload);
        const std::string name(kind);
        bool ok = payload.size() <= kPayloadBytesMax && write_at(fd, payload, end + sizeof head);
        std::fill(payload.begin(), payload.end(), '\0');
        fault_point(name + "_payload");
        ok = ok && write_at(fd, {reinterpret_cast<const char*>(&head), sizeof head}, end);
        fault_point(name + "_head");
        if (ok) end += sizeof head + head.length;
        return ok;
    }

    Result<void>
    append_durably(std::string_view kind, std::string_view account, const JournalEntry& entry)
    {
        if (!append(kind, account, entry)) return problem(file, "the journal cannot be written");
        if (::fdatasync(fd) != 0) return problem(file, "the journal cannot be brought to the disk");
        fault_point(std::string(kind) + "_synced");
        return {};
    }

    /// A record that may be lost without harm: finding the one before it leads to the same end.
    void append_loosely(std::string_view kind, std::string_view account, const JournalEntry& entry)
    {
        (void)append(kind, account, entry);
        shrink();
    }

    void shrink()
    {
        if (entries.empty()) {
            if (::ftruncate(fd, 0) == 0) end = 0;
        } else if (end > kJournalBytesMax) {
            rewrite();
        }
    }

    /// Only what still matters, in a new file that takes the old one's place. On any failure the old one goes on.
    void rewrite()
    {
        State fresh;
        fresh.file = file.string() + ".new";
        (void)::unlink(fresh.file.c_str());
        fresh.fd =
            ::open(fresh.file.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        bool ok = fresh.fd >= 0 && ::flock(fresh.fd, LOCK_EX | LOCK_NB) == 0;
        for (const auto& [account, entry] : entries) {
            const std::string_view kind = entry.answer    ? "answer"
                                          : entry.sending ? "intent"
                                                          : "lost";
            ok = ok && fresh.append(kind, account, entry);
        }
        ok = ok && ::fdatasync(fresh.fd) == 0 && ::rename(fresh.file.c_str(), file.c_str()) == 0;
        if (!ok) {
            (void)::unlink(fresh.file.c_str());
            return;
        }
        std::swap(fd, fresh.fd);
        end = fresh.end;
        sync_folder();
    }

    void sync_folder() const
    {
        const int folder = ::open(file.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (folder < 0) return;
        (void)::fsync(folder);
        ::close(folder);
    }
};

RefreshJournal::RefreshJournal(std::unique_ptr<State> state) : state_(std::move(state)) {}

RefreshJournal::RefreshJournal(RefreshJournal&& other) noexcept = default;
RefreshJournal& RefreshJournal::operator=(RefreshJournal&& other) noexcept = default;
RefreshJournal::~RefreshJournal() = default;

Result<RefreshJournal> RefreshJournal::open(const std::filesystem::path& file)
{
    auto state = std::make_unique<State>();
    state->file = file;
    state->fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (state->fd < 0) return problem(file, "the journal cannot be opened");
    struct stat status = {};
    if (::fstat(state->fd, &status) != 0 || !S_ISREG(status.st_mode))
        return problem(file, "the journal is no file", EINVAL);
    (void)::fchmod(state->fd, 0600);
    if (::flock(state->fd, LOCK_EX | LOCK_NB) != 0)
        return problem(file, "another process uses the journal");
    state->end = read_records(state->fd, state->entries);
    if (::ftruncate(state->fd, static_cast<off_t>(state->end)) != 0)
        return problem(file, "the journal cannot be cut");
    state->shrink();
    state->sync_folder(); // the name must last as well as the records
    return RefreshJournal(std::move(state));
}

const Entries& RefreshJournal::entries() const noexcept
{
    return state_->entries;
}

const JournalEntry* RefreshJournal::find(std::string_view account) const
{
    const auto found = state_->entries.find(account);
    return found == state_->entries.end() ? nullptr : &found->second;
}

Result<void> RefreshJournal::reserve()
{
    const int failed =
        ::fallocate(state_->fd, FALLOC_FL_KEEP_SIZE, static_cast<off_t>(state_->end), kRoomBytes);
    // Not every file system can; then the write itself has to show it.
    if (failed != 0 && errno != EOPNOTSUPP && errno != ENOSYS)
        return problem(state_->file, "there is no room for the journal");
    return {};
}

Result<void> RefreshJournal::intend(std::string_view account, JournalEntry entry)
{
    if (const JournalEntry* before = find(account); before && before->sent == entry.sent) {
        entry.deaths = before->deaths;
        entry.lost = before->lost;
    }
    entry.answer.reset();
    entry.sending = true;
    auto written = state_->append_durably("intent", account, entry);
    if (written.has_value()) state_->entries[std::string(account)] = std::move(entry);
    return written;
}

Result<void> RefreshJournal::answered(
    std::string_view account, const shared::CallReply& reply, shared::UnixMillis at)
{
    JournalEntry& entry = state_->entries[std::string(account)];
    entry.answer.emplace();
    entry.answer->status = reply.status;
    entry.answer->body = reply.body;
    entry.at = at;
    entry.sending = false;
    return state_->append_durably("answer", account, entry);
}

void RefreshJournal::lost(std::string_view account)
{
    const auto found = state_->entries.find(account);
    if (found == state_->entries.end()) return;
    found->second.lost = true;
    found->second.sending = false;
    found->second.answer.reset();
    state_->append_loosely("lost", account, found->second);
}

void RefreshJournal::close(std::string_view account)
{
    const auto found = state_->entries.find(account);
    if (found == state_->entries.end()) return;
    state_->entries.erase(found);
    if (state_->entries.empty())
        state_->shrink();
    else
        state_->append_loosely("closed", account, JournalEntry{});
    fault_point("closed");
}

std::uint64_t RefreshJournal::size_bytes() const noexcept
{
    return state_->end;
}

} // namespace refresher
