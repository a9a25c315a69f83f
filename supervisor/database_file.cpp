#include "supervisor/database_file.hpp"

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace supervisor {
namespace {

using shared::Problem;
using shared::Result;

constexpr std::string_view kSqliteMagic{"SQLite format 3\0", 16};
// bbolt's meta page: a 16-byte page header, then this number in the machine's byte order.
constexpr std::uint32_t kBoltMagic = 0xED0CDAED;
constexpr std::size_t kBoltMagicOffset = 16;

Problem system_problem(const std::filesystem::path& path, std::string what, std::string remedy)
{
    what += ": ";
    what += std::strerror(errno);
    return {path.string(), std::move(what), std::move(remedy)};
}

Problem not_a_database(const std::filesystem::path& path, const char* what)
{
    return {
        path.string(),
        what,
        "it was left as it is; move it away or set another db_path (PROXY_DB_PATH)"};
}

struct Descriptor {
    explicit Descriptor(int number) : fd(number) {}

    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;

    ~Descriptor()
    {
        if (fd >= 0) close(fd);
    }

    int fd;
};

Result<void> check_head(const std::filesystem::path& path, std::string_view head)
{
    if (head.starts_with(kSqliteMagic)) return {};
    std::uint32_t word = 0;
    if (head.size() >= kBoltMagicOffset + sizeof(word)) {
        std::memcpy(&word, head.data() + kBoltMagicOffset, sizeof(word));
    }
    if (word == kBoltMagic) {
        return not_a_database(
            path, "is a BoltDB database of this program's predecessor, not an SQLite database");
    }
    return not_a_database(path, "is not an SQLite database");
}

} // namespace

Result<void> create_private_folder(const std::filesystem::path& folder)
{
    std::filesystem::path so_far;
    for (const auto& part : folder) {
        so_far /= part;
        if (mkdir(so_far.c_str(), 0700) == 0 || errno == EEXIST || errno == EISDIR) continue;
        // A parent that exists but may not be written to answers EACCES or EROFS; only the missing ones matter.
        const int reason = errno;

        struct stat status {};

        if (stat(so_far.c_str(), &status) == 0 && S_ISDIR(status.st_mode)) continue;
        errno = reason;
        return system_problem(
            so_far,
            "cannot create the folder",
            "create it, or set another path in the configuration");
    }

    struct stat status {};

    if (stat(folder.c_str(), &status) != 0 || !S_ISDIR(status.st_mode)) {
        return Problem{
            folder.string(),
            "is not a folder",
            "move it away, or set another path in the configuration"};
    }
    return {};
}

Result<void> prepare_database_file(const std::filesystem::path& path)
{
    if (auto folder = create_private_folder(path.parent_path()); !folder) return folder.error();
    const char* remedy =
        "make the folder and the file writable for this user, or set another db_path";
    const Descriptor file(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0600));
    if (file.fd < 0) return system_problem(path, "cannot open the usage database", remedy);

    struct stat status {};

    if (fstat(file.fd, &status) != 0) return system_problem(path, "cannot look at it", remedy);
    if (!S_ISREG(status.st_mode)) return not_a_database(path, "is not a regular file");
    if (status.st_size == 0) return {};
    std::array<char, 64> head{};
    const ssize_t got = pread(file.fd, head.data(), head.size(), 0);
    if (got < 0) return system_problem(path, "cannot read it", remedy);
    return check_head(path, {head.data(), static_cast<std::size_t>(got)});
}

} // namespace supervisor
