#include "shared/base/read_file.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace shared {

namespace {

/// Closes on scope exit.
class Descriptor {
public:
    explicit Descriptor(int fd) noexcept : fd_(fd) {}

    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;

    ~Descriptor()
    {
        if (fd_ >= 0) ::close(fd_);
    }

    [[nodiscard]] int get() const noexcept { return fd_; }

private:
    int fd_;
};

Problem failed(const std::filesystem::path& file, const char* what, int error)
{
    Problem problem{printable(file.string()), std::strerror(error), {}};
    switch (error) {
    case EACCES:
        problem.what = fmt::format("the {} cannot be read: permission denied", what);
        problem.remedy = fmt::format(
            "give it to the user that runs codex-pool: chown, or chmod u+r {}",
            shell_quoted(file.string()));
        break;
    case ELOOP:
        problem.what = "symbolic links lead in a circle";
        problem.remedy = "replace the link with the file";
        break;
    default:
        problem.what = fmt::format("the {} cannot be read: {}", what, std::strerror(error));
    }
    return problem;
}

Problem not_regular(const std::filesystem::path& file, const char* what, mode_t mode)
{
    const char* found = S_ISDIR(mode)    ? "a directory"
                        : S_ISFIFO(mode) ? "a named pipe"
                        : S_ISSOCK(mode) ? "a socket"
                                         : "a device";
    return {
        printable(file.string()),
        fmt::format("is {}, not a file", found),
        fmt::format("put a regular {} there", what)};
}

/// Length of the UTF-8 sequence at the beginning of `text`, 0 if it is none.
std::size_t utf8_length(std::string_view text) noexcept
{
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned lead = byte(0);
    if (lead < 0x80U) return 1;
    std::size_t length = 0;
    unsigned second_min = 0x80;
    unsigned second_max = 0xBF;
    if (lead >= 0xC2U && lead <= 0xDFU)
        length = 2;
    else if (lead >= 0xE0U && lead <= 0xEFU) {
        length = 3;
        if (lead == 0xE0U) second_min = 0xA0;
        if (lead == 0xEDU) second_max = 0x9F;
    } else if (lead >= 0xF0U && lead <= 0xF4U) {
        length = 4;
        if (lead == 0xF0U) second_min = 0x90;
        if (lead == 0xF4U) second_max = 0x8F;
    }
    if (length == 0 || text.size() < length) return 0;
    if (byte(1) < second_min || byte(1) > second_max) return 0;
    for (std::size_t i = 2; i < length; ++i)
        if ((byte(i) & 0xC0U) != 0x80U) return 0;
    return length;
}

} // namespace

Result<FileText>
read_file(const std::filesystem::path& file, std::size_t bytes_max, const char* what)
{
    struct stat status {};

    if (::stat(file.c_str(), &status) != 0) {
        const int error = errno;
        if (error != ENOENT) return failed(file, what, error);
        if (::lstat(file.c_str(), &status) != 0) {
            FileText none;
            none.missing = true;
            return none;
        }
        return Problem{
            printable(file.string()),
            "is a symbolic link to a file that does not exist",
            "mend or remove the link"};
    }
    // Looked at before opening: to open a device or a pipe can have effects of its own.
    if (!S_ISREG(status.st_mode)) return not_regular(file, what, status.st_mode);

    const Descriptor descriptor(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    if (descriptor.get() < 0) return failed(file, what, errno);
    if (::fstat(descriptor.get(), &status) != 0) return failed(file, what, errno);
    if (!S_ISREG(status.st_mode)) return not_regular(file, what, status.st_mode);

    const auto too_large = [&] {
        return Problem{
            printable(file.string()),
            fmt::format("is larger than {} KiB, which no {} is", bytes_max / 1024, what),
            "check that it is the right file"};
    };
    if (status.st_size > static_cast<off_t>(bytes_max)) return too_large();

    FileText text;
    text.mode = status.st_mode & 07777U;
    // How packages do it: root's file, which the service's group may read.
    if (status.st_uid == 0 && status.st_gid != 0) text.mode &= ~0040U;
    // Sized once, with one byte to see a file that grew: no copies of a secret are left behind by growing.
    text.bytes.resize(
        bytes_max < 4096 ? bytes_max + 1 : static_cast<std::size_t>(status.st_size) + 1);
    std::size_t filled = 0;
    while (true) {
        if (filled > bytes_max) return too_large();
        if (filled == text.bytes.size()) text.bytes.resize(std::min(bytes_max + 1, filled * 2 + 1));
        const ssize_t count =
            ::read(descriptor.get(), text.bytes.data() + filled, text.bytes.size() - filled);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return failed(file, what, errno);
        if (count == 0) break;
        filled += static_cast<std::size_t>(count);
    }
    text.bytes.resize(filled);
    return text;
}

std::string exposure_warning(const std::filesystem::path& file, unsigned mode)
{
    if ((mode & 0066U) == 0) return {};
    const char* may =
        (mode & 0044U) != 0 ? "can be read by other users" : "can be changed by other users";
    return fmt::format(
        "{} {} (mode {:04o}); mend it with: chmod 600 {}",
        printable(file.string()),
        may,
        mode & 0777U,
        shell_quoted(file.string()));
}

std::string shell_quoted(const std::string& text)
{
    const std::string safe = printable(text);
    constexpr std::string_view kPlain =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:=@,+";
    if (!safe.empty() && safe.find_first_not_of(kPlain) == std::string::npos) return safe;
    std::string out = "'";
    for (const char c : safe) {
        if (c == '\'')
            out += "'\\''";
        else
            out += c;
    }
    return out + "'";
}

std::string printable(std::string_view text)
{
    std::string out;
    out.reserve(text.size());
    while (!text.empty()) {
        const std::size_t length = utf8_length(text);
        const auto first = static_cast<unsigned char>(text.front());
        // C1 controls (U+0080..U+009F) move the cursor on some terminals, as C0 does.
        const bool c1 =
            length == 2 && first == 0xC2U && static_cast<unsigned char>(text[1]) < 0xA0U;
        if (length == 0 || first < 0x20U || first == 0x7FU || c1)
            out += '?';
        else
            out += text.substr(0, length);
        text.remove_prefix(length == 0 ? 1 : length);
    }
    return out;
}

bool is_utf8(std::string_view text) noexcept
{
    while (!text.empty()) {
        const std::size_t length = utf8_length(text);
        if (length == 0) return false;
        text.remove_prefix(length);
    }
    return true;
}

} // namespace shared
