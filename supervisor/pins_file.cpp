#include "supervisor/pins_file.hpp"

#include "shared/base/hash.hpp"
#include "shared/base/read_file.hpp"

#include <algorithm>
#include <cstring>
#include <map>
#include <optional>
#include <type_traits>
#include <utility>

namespace supervisor {
namespace {

using shared::Problem;
using shared::Result;

constexpr std::string_view kMagic = "cpoolpin";
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kPinBytes = sizeof(shared::PinKey) + 8 + 2;
constexpr std::size_t kDigestBytes = 32;
constexpr std::size_t kAccountsMax = 0xFFFF;
constexpr std::size_t kFileBytesMax = std::size_t{64} << 20U;

template <class T>
void put(std::string& out, T number)
{
    for (std::size_t i = 0; i < sizeof(T); ++i) {
        out.push_back(static_cast<char>(static_cast<std::make_unsigned_t<T>>(number) >> (8 * i)));
    }
}

/// Takes numbers and bytes from the front; after a read beyond the end `ok` is false for good.
struct Reader {
    std::string_view rest;
    bool ok = true;

    std::string_view bytes(std::size_t count)
    {
        ok = ok && count <= rest.size();
        if (!ok) return {};
        const std::string_view taken = rest.substr(0, count);
        rest.remove_prefix(count);
        return taken;
    }

    template <class T>
    T number()
    {
        std::make_unsigned_t<T> value = 0;
        const std::string_view taken = bytes(sizeof(T));
        for (std::size_t i = 0; i < taken.size(); ++i) {
            value |= static_cast<std::make_unsigned_t<T>>(
                static_cast<std::make_unsigned_t<T>>(static_cast<unsigned char>(taken[i]))
                << (8 * i));
        }
        return static_cast<T>(value);
    }
};

std::string digest(std::string_view bytes)
{
    const shared::Sha256Digest sum = shared::sha256(bytes);
    return {reinterpret_cast<const char*>(sum.data()), sum.size()};
}

Problem damaged(const char* what)
{
    return {"", std::string("saved pins: ") + what, ""};
}

} // namespace

std::string encode_pins(const std::vector<SavedPin>& pins)
{
    std::map<std::string_view, std::uint16_t> index;
    std::string accounts;
    for (const SavedPin& pin : pins) {
        if (index.size() >= kAccountsMax && !index.contains(pin.account)) continue;
        const auto next = static_cast<std::uint16_t>(index.size());
        if (!index.try_emplace(pin.account, next).second) continue;
        put(accounts, static_cast<std::uint16_t>(pin.account.size()));
        accounts += pin.account;
    }
    const std::size_t count = std::min(pins.size(), kSavedPinsMax);
    std::string out(kMagic);
    out.reserve(64 + accounts.size() + count * kPinBytes);
    put(out, kVersion);
    put(out, static_cast<std::uint32_t>(index.size()));
    put(out, static_cast<std::uint32_t>(count));
    out += accounts;
    for (std::size_t i = 0; i < count; ++i) {
        for (const std::uint64_t half : pins[i].key)
            put(out, half);
        put(out, pins[i].last_used.value);
        put(out, index[pins[i].account]);
    }
    out += digest(out);
    return out;
}

Result<std::vector<SavedPin>> decode_pins(std::string_view bytes)
{
    if (!bytes.starts_with(kMagic)) return damaged("this is another kind of file");
    Reader reader{bytes.substr(kMagic.size())};
    const auto version = reader.number<std::uint32_t>();
    if (reader.ok && version > kVersion) return damaged("written by a newer version");
    if (bytes.size() < kMagic.size() + kDigestBytes) return damaged("the file is cut off");
    const std::string_view content = bytes.substr(0, bytes.size() - kDigestBytes);
    if (bytes.substr(content.size()) != digest(content)) return damaged("the checksum is wrong");
    reader.rest.remove_suffix(kDigestBytes);

    const auto account_count = reader.number<std::uint32_t>();
    const auto pin_count = reader.number<std::uint32_t>();
    if (!reader.ok || account_count > kAccountsMax || pin_count > kSavedPinsMax) {
        return damaged("its counts are impossible");
    }
    std::vector<std::string> accounts;
    for (std::uint32_t i = 0; i < account_count && reader.ok; ++i) {
        const auto length = reader.number<std::uint16_t>();
        accounts.emplace_back(reader.bytes(length));
    }
    if (!reader.ok || reader.rest.size() != pin_count * kPinBytes) {
        return damaged("its size does not fit its counts");
    }
    std::vector<SavedPin> pins(pin_count);
    for (SavedPin& pin : pins) {
        for (std::uint64_t& half : pin.key)
            half = reader.number<std::uint64_t>();
        pin.last_used.value = reader.number<std::int64_t>();
        const auto account = reader.number<std::uint16_t>();
        if (account >= accounts.size()) return damaged("a pin names no account");
        pin.account = accounts[account];
    }
    return pins;
}

Result<std::vector<SavedPin>> load_pins(const std::filesystem::path& file)
{
    auto text = shared::read_file(file, kFileBytesMax, "file of saved pins");
    if (!text) return text.error();
    if (text->missing) return std::vector<SavedPin>{};
    auto pins = decode_pins(text->bytes);
    if (pins) return pins;
    Problem problem = pins.error();
    problem.where = file.string();
    return problem;
}

} // namespace supervisor
