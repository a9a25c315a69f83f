#include "supervisor/signing_key.hpp"

#include "shared/base/hash.hpp"
#include "shared/base/log.hpp"
#include "shared/base/read_file.hpp"
#include "shared/base/trim.hpp"
#include "shared/base/write_file.hpp"

#include <string>

namespace supervisor {
namespace {

constexpr std::size_t kKeyBytesMin = 32;
constexpr std::size_t kKeyBytesMax = 4096;
constexpr std::size_t kRandomBytes = 32;

} // namespace

shared::Result<shared::Secret> signing_key(const std::filesystem::path& folder)
{
    const std::filesystem::path file = folder / "jwt_secret";
    const std::string where = shared::printable(file.string());
    auto read = shared::read_file(file, kKeyBytesMax, "signing key");
    if (!read) return read.error();
    if (read->missing) {
        std::string made = shared::random_hex(kRandomBytes);
        if (auto written = shared::replace_file(file, made + "\n"); !written)
            return written.error();
        shared::log::info("event=signing_key_made file={}", where);
        return shared::Secret(std::move(made));
    }
    const shared::Secret whole(std::move(read->bytes));
    shared::Secret key{std::string(shared::trimmed(whole.reveal()))};
    if (key.reveal().size() < kKeyBytesMin)
        return shared::Problem{
            where,
            "the key that signs users' credentials has fewer than 32 characters",
            "move the file away: a new key is made, and users have to set up again"};
    if (const std::string warning = shared::exposure_warning(file, read->mode); !warning.empty())
        shared::log::warn("{}", warning);
    return key;
}

} // namespace supervisor
