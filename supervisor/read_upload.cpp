#include "supervisor/read_upload.hpp"

#include "shared/base/read_file.hpp"
#include "shared/ipc/account_upload.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include <unistd.h>

namespace supervisor {
namespace {

using shared::kUploadBytesMax;
using shared::Problem;
using shared::Result;

Result<std::string> read_input()
{
    std::string text;
    text.reserve(kUploadBytesMax + 1); // never moved: no copy stays behind
    std::array<char, 4096> part{};
    for (;;) {
        const ssize_t got = ::read(STDIN_FILENO, part.data(), part.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0)
            return Problem{"standard input", std::strerror(errno), "name the credential file"};
        if (got == 0) return Result<std::string>(boost::system::in_place_value, std::move(text));
        if (text.size() + static_cast<std::size_t>(got) > kUploadBytesMax)
            return Problem{
                "standard input", "is larger than any credential file", "send the right one"};
        text.append(part.data(), static_cast<std::size_t>(got));
    }
}

} // namespace

Result<std::string> read_upload(const std::string& name)
{
    if (name == "-") return read_input();
    auto file = shared::read_file(name, kUploadBytesMax, "credential file");
    if (!file) return file.error();
    if (file->missing)
        return Problem{
            shared::printable(name), "there is no such file", "name the credential file"};
    return Result<std::string>(boost::system::in_place_value, std::move(file->bytes));
}

} // namespace supervisor
