#include "shared/ipc/account_upload.hpp"

#include "shared/base/percent.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace shared {
namespace {

// First a line per value, percent-encoded; then, of an upload, the file as it is.
constexpr std::string_view kUploadMark = "upload";
constexpr std::string_view kAnswerMark = "answer";
constexpr std::size_t kLinesBytesMax = 64 * 1024;

Problem system_problem(const char* what)
{
    return {"upload", std::string(what) + ": " + std::strerror(errno), "try again"};
}

Problem not_understood()
{
    return {"upload", "was not passed on as it should be", "try again"};
}

void add_line(std::string& text, std::string_view value)
{
    text.append(percent_encoded(value)).append("\n");
}

Result<void> write_all(int fd, std::string_view text)
{
    while (!text.empty()) {
        const ssize_t written = ::write(fd, text.data(), text.size());
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return system_problem("there is no room for it");
        text.remove_prefix(static_cast<std::size_t>(written));
    }
    return {};
}

/// Everything in the file, whatever its offset.
Result<Secret> read_whole(int fd)
{
    struct stat status = {};
    if (::fstat(fd, &status) != 0) return system_problem("cannot be looked at");
    const auto size = static_cast<std::size_t>(std::max<off_t>(status.st_size, 0));
    if (size > kUploadBytesMax + kLinesBytesMax) return not_understood();
    std::string text(size, '\0');
    std::size_t have = 0;
    while (have < size) {
        const ssize_t got = ::pread(fd, text.data() + have, size - have, static_cast<off_t>(have));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        have += static_cast<std::size_t>(got);
    }
    Secret whole(std::move(text));
    if (have < size) return not_understood();
    return whole;
}

/// Takes the next line off `text`.
std::optional<std::string> next_line(std::string_view& text)
{
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) return std::nullopt;
    std::string value = percent_decoded(text.substr(0, end));
    text.remove_prefix(end + 1);
    return value;
}

} // namespace

std::string_view to_string(UploadEnd end) noexcept
{
    switch (end) {
    case UploadEnd::added:
        return "added";
    case UploadEnd::replaced:
        return "replaced";
    case UploadEnd::unchanged:
        return "unchanged";
    case UploadEnd::invalid:
        return "invalid";
    case UploadEnd::conflict:
        return "conflict";
    case UploadEnd::failed:
        break;
    }
    return "failed";
}

Result<OwnedFd> pack_upload(const UploadWish& wish, std::string_view file)
{
    if (file.size() > kUploadBytesMax)
        return Problem{
            "the file",
            "is larger than " + std::to_string(kUploadBytesMax / 1024) + " KiB",
            "choose a credential file; they have a few kilobytes"};
    OwnedFd made(::memfd_create("codex-pool-upload", MFD_CLOEXEC));
    if (!made) return system_problem("memfd_create");
    std::string lines;
    for (const std::string_view value :
         {kUploadMark,
          std::string_view(wish.provider),
          std::string_view(wish.name),
          std::string_view(wish.owner)})
        add_line(lines, value);
    if (lines.size() > kLinesBytesMax) return not_understood();
    if (auto written = write_all(made.get(), lines); !written) return written.error();
    if (auto written = write_all(made.get(), file); !written) return written.error();
    return made;
}

Result<Upload> unpack_upload(int fd)
{
    const Result<Secret> whole = read_whole(fd);
    if (!whole) return whole.error();
    std::string_view rest = whole->reveal();
    std::array<std::optional<std::string>, 4> lines;
    for (auto& line : lines)
        line = next_line(rest);
    if (!lines[3] || *lines[0] != kUploadMark) return not_understood();
    Upload made;
    made.wish = {std::move(*lines[1]), std::move(*lines[2]), std::move(*lines[3])};
    made.file = Secret(std::string(rest));
    return made;
}

Result<void> answer_upload(int fd, const UploadAnswer& answer)
{
    // What was in it goes back to the kernel, which clears it.
    if (::ftruncate(fd, 0) != 0 || ::lseek(fd, 0, SEEK_SET) != 0)
        return system_problem("the answer cannot be given");
    std::string text;
    add_line(text, kAnswerMark);
    add_line(text, std::to_string(static_cast<int>(answer.end)));
    add_line(text, answer.account);
    add_line(text, answer.sentence);
    return write_all(fd, text);
}

Result<UploadAnswer> read_upload_answer(int fd)
{
    const Result<Secret> whole = read_whole(fd);
    if (!whole) return whole.error();
    std::string_view rest = whole->reveal();
    std::array<std::optional<std::string>, 4> lines;
    for (auto& line : lines)
        line = next_line(rest);
    const bool complete = lines[3] && *lines[0] == kAnswerMark && lines[1]->size() == 1;
    if (!complete) return not_understood();
    const int end = lines[1]->front() - '0';
    if (end < static_cast<int>(UploadEnd::added) || end > static_cast<int>(UploadEnd::failed))
        return not_understood();
    return UploadAnswer{static_cast<UploadEnd>(end), std::move(*lines[2]), std::move(*lines[3])};
}

} // namespace shared
