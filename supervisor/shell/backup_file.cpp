#include "supervisor/shell/backup_file.hpp"

#include <cerrno>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace supervisor::shell {
namespace {

using shared::Problem;
using shared::Result;

constexpr std::size_t kTagBytes = 16;
constexpr std::uint32_t kLastBit = 0x80000000U;

std::string number_text(std::uint64_t value, int bytes)
{
    std::string out;
    for (int i = 0; i < bytes; ++i)
        out += static_cast<char>(value >> (8 * i));
    return out;
}

std::uint64_t number_of(std::string_view bytes)
{
    std::uint64_t value = 0;
    for (std::size_t i = bytes.size(); i-- > 0;)
        value = value << 8U | static_cast<std::uint8_t>(bytes[i]);
    return value;
}

/// As many bytes as there are, at most `max`.
Result<std::string> read_up_to(int fd, const std::string& where, std::size_t max)
{
    std::string bytes(max, '\0');
    std::size_t have = 0;
    while (have < max) {
        const ssize_t got = ::read(fd, bytes.data() + have, max - have);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return Problem{where, std::strerror(errno), "look at the disk"};
        if (got == 0) break;
        have += static_cast<std::size_t>(got);
    }
    bytes.resize(have);
    return {boost::system::in_place_value, std::move(bytes)};
}

/// An open file of ours, behind its head.
struct Begun {
    supervisor::OwnedFd fd;
    std::string head;
    std::uint64_t size = 0;
};

Result<Begun> begin(const std::filesystem::path& file)
{
    const std::string where = file.string();
    Begun begun;
    begun.fd = supervisor::OwnedFd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));

    struct stat status {};

    if (!begun.fd || ::fstat(begun.fd.get(), &status) != 0)
        return Problem{where, std::strerror(errno), "name a file that codex-pool backup wrote"};
    if (!S_ISREG(status.st_mode))
        return Problem{where, "is no file", "name a file that codex-pool backup wrote"};
    begun.size = static_cast<std::uint64_t>(status.st_size);
    auto first = read_up_to(begun.fd.get(), where, 10);
    if (!first) return first.error();
    const auto size = BackupSeal::head_size(*first);
    if (!size) {
        Problem problem = size.error();
        problem.where = where;
        return problem;
    }
    auto rest = read_up_to(begun.fd.get(), where, *size - first->size());
    if (!rest) return rest.error();
    begun.head = *first + *rest;
    if (begun.head.size() < *size)
        return Problem{where, "ends in its first bytes", "use another copy"};
    return begun;
}

} // namespace

// ---- writing ----------------------------------------------------------------------------------------

BackupWriter::BackupWriter(int fd, BackupSeal seal) : fd_(fd), seal_(std::move(seal)) {}

Result<void> BackupWriter::put(std::string_view bytes)
{
    while (!bytes.empty()) {
        const ssize_t written = ::write(fd_, bytes.data(), bytes.size());
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0)
            return Problem{
                "the backup",
                std::string("cannot be written: ") + std::strerror(errno),
                "make room"};
        bytes.remove_prefix(static_cast<std::size_t>(written));
    }
    return {};
}

Result<void> BackupWriter::add(std::string_view bytes)
{
    if (!std::exchange(begun_, true)) {
        if (auto written = put(seal_.head()); !written) return written;
    }
    while (!bytes.empty()) {
        const std::size_t part = std::min(bytes.size(), kBackupBlockMax - held_.size());
        held_ += bytes.substr(0, part);
        bytes.remove_prefix(part);
        if (held_.size() < kBackupBlockMax) continue;
        if (auto written = put(seal_.seal(held_, false)); !written) return written;
        held_.clear();
    }
    return {};
}

Result<void>
BackupWriter::piece(std::string_view name, std::uint64_t size, const PieceSource& source)
{
    if (auto head = add(number_text(name.size(), 2) + std::string(name) + number_text(size, 8));
        !head)
        return head;
    std::uint64_t left = size;
    while (left > 0) {
        auto bytes = source();
        if (!bytes) return bytes.error();
        if (bytes->empty() || bytes->size() > left)
            return Problem{std::string(name), "changed while it was read", "try again"};
        left -= bytes->size();
        if (auto added = add(*bytes); !added) return added;
    }
    return {};
}

Result<void> BackupWriter::piece(std::string_view name, std::string_view bytes)
{
    return piece(name, bytes.size(), [bytes]() -> Result<std::string> {
        return {boost::system::in_place_value, bytes};
    });
}

Result<void> BackupWriter::finish()
{
    if (auto end = add(number_text(0, 2)); !end) return end;
    if (auto written = put(seal_.seal(held_, true)); !written) return written;
    if (::fsync(fd_) != 0) return Problem{"the backup", std::strerror(errno), "look at the disk"};
    return {};
}

// ---- reading ----------------------------------------------------------------------------------------

BackupReader::BackupReader(supervisor::OwnedFd fd, std::string where, BackupSeal seal)
    : fd_(std::move(fd)), where_(std::move(where)), seal_(std::move(seal))
{}

Result<BackupReader>
BackupReader::open(const std::filesystem::path& file, const shared::Secret& passphrase)
{
    const std::string where = file.string();
    auto begun = begin(file);
    if (!begun) return begun.error();
    auto seal = BackupSeal::open(begun->head, passphrase);
    if (!seal) {
        Problem problem = seal.error();
        problem.where = where;
        return problem;
    }
    BackupReader reader(std::move(begun->fd), where, std::move(*seal));
    reader.position_ = begun->head.size();
    reader.size_ = begun->size;
    return reader;
}

Problem BackupReader::damaged() const
{
    return {
        where_,
        "is damaged or cut off near byte " + std::to_string(position_) + " of " +
            std::to_string(size_),
        "use another copy; nothing was changed"};
}

Result<void> BackupReader::next_block()
{
    if (last_seen_) return damaged();
    auto length = read_up_to(fd_.get(), where_, 4);
    if (!length) return length.error();
    if (length->size() < 4) return damaged();
    const auto word = static_cast<std::uint32_t>(number_of(*length));
    const std::size_t size = word & ~kLastBit;
    if (size > kBackupBlockMax) return damaged();
    auto bytes = read_up_to(fd_.get(), where_, size + kTagBytes);
    if (!bytes) return bytes.error();
    if (bytes->size() < size + kTagBytes) return damaged();
    const std::string_view all = *bytes;
    auto plain = seal_.open_block(word, all.substr(0, size), all.substr(size));
    if (!plain) return damaged();
    position_ += 4 + all.size();
    last_seen_ = (word & kLastBit) != 0;
    held_ += *plain;
    return {};
}

Result<void> BackupReader::need(std::size_t bytes)
{
    while (held_.size() < bytes) {
        if (auto more = next_block(); !more) return more;
    }
    return {};
}

Result<std::optional<Piece>> BackupReader::next()
{
    if (auto there = need(2); !there) return there.error();
    const std::size_t name = number_of(std::string_view(held_).substr(0, 2));
    if (name == 0) {
        char more = 0;
        if (!last_seen_ || held_.size() != 2 || ::read(fd_.get(), &more, 1) != 0) return damaged();
        return std::optional<Piece>();
    }
    if (name > kBackupNameMax) return damaged();
    if (auto there = need(2 + name + 8); !there) return there.error();
    Piece piece;
    piece.name = held_.substr(2, name);
    piece.size = number_of(std::string_view(held_).substr(2 + name, 8));
    held_.erase(0, 2 + name + 8);
    return std::optional<Piece>(std::move(piece));
}

Result<void>
BackupReader::read(const Piece& piece, const std::function<Result<void>(std::string_view)>& take)
{
    std::uint64_t left = piece.size;
    while (left > 0) {
        if (held_.empty()) {
            if (auto more = next_block(); !more) return more;
            continue;
        }
        const std::size_t part =
            static_cast<std::size_t>(std::min<std::uint64_t>(left, held_.size()));
        if (auto taken = take(std::string_view(held_).substr(0, part)); !taken) return taken;
        held_.erase(0, part);
        left -= part;
    }
    return {};
}

Result<bool> is_sealed_backup(const std::filesystem::path& file)
{
    auto begun = begin(file);
    if (!begun) return begun.error();
    return BackupSeal::is_sealed(begun->head);
}

} // namespace supervisor::shell
