/// BackupSeal: scrypt, AES-256-GCM and check sums over blocks.
#include "shared/base/hash.hpp"

#include <openssl/evp.h>
#include <openssl/rand.h>

#include <algorithm>
#include <memory>

#include "supervisor/shell/backup_file.hpp"

namespace supervisor::shell {
namespace {

using shared::Problem;

constexpr std::string_view kMagic = "cpoolbak";
constexpr std::size_t kPlainHead = 10;
constexpr std::size_t kSaltAt = 13;
constexpr std::size_t kSaltBytes = 16;
constexpr std::size_t kNonceAt = kSaltAt + kSaltBytes;
constexpr std::size_t kNonceBytes = 7;
constexpr std::size_t kTellAt = kNonceAt + kNonceBytes;
constexpr std::size_t kTellBytes = 8;
constexpr std::size_t kSealedHead = kTellAt + kTellBytes;
constexpr std::size_t kTagBytes = 16;
constexpr std::size_t kKeyBytes = 32;
constexpr std::uint32_t kLastBit = 0x80000000U;
// 64 MiB and half a second for every guess.
constexpr std::uint8_t kLogN = 16;
constexpr std::uint8_t kR = 8;
constexpr std::uint8_t kP = 1;
// A file may ask for more, up to what does no harm to whoever opens it.
constexpr std::uint8_t kLogNMax = 20;
constexpr std::uint8_t kRMax = 8;
constexpr std::uint8_t kPMax = 4;
constexpr std::uint64_t kScryptMemory = std::uint64_t{2} << 30U;

struct ContextDeleter {
    void operator()(EVP_CIPHER_CTX* context) const noexcept { EVP_CIPHER_CTX_free(context); }
};

using Context = std::unique_ptr<EVP_CIPHER_CTX, ContextDeleter>;

const std::uint8_t* bytes_of(std::string_view text)
{
    return reinterpret_cast<const std::uint8_t*>(text.data());
}

std::string little_endian(std::uint32_t value)
{
    std::string out;
    for (int i = 0; i < 4; ++i)
        out += static_cast<char>(value >> (8 * i));
    return out;
}

/// Nothing if OpenSSL cannot.
shared::Secret derived_key(std::string_view head, const shared::Secret& passphrase)
{
    std::array<std::uint8_t, kKeyBytes> key{};
    const std::string_view secret = passphrase.reveal();
    const auto log_n = static_cast<std::uint8_t>(head[10]);
    const int done = EVP_PBE_scrypt(
        secret.data(),
        secret.size(),
        bytes_of(head) + kSaltAt,
        kSaltBytes,
        std::uint64_t{1} << log_n,
        static_cast<std::uint8_t>(head[11]),
        static_cast<std::uint8_t>(head[12]),
        kScryptMemory,
        key.data(),
        key.size());
    if (done != 1) return {};
    shared::Secret made(std::string(reinterpret_cast<const char*>(key.data()), key.size()));
    key.fill(0);
    return made;
}

/// Tells a wrong passphrase from a damaged file.
std::string tell_of(const shared::Secret& key, std::string_view head)
{
    const auto digest = shared::hmac_sha256(key.reveal(), head.substr(0, kTellAt));
    return {reinterpret_cast<const char*>(digest.data()), kTellBytes};
}

} // namespace

shared::Result<BackupSeal> BackupSeal::make(const shared::Secret& passphrase)
{
    BackupSeal seal;
    const bool sealed = !passphrase.empty();
    seal.head_ =
        std::string(kMagic) + static_cast<char>(kBackupVersion) + static_cast<char>(sealed ? 1 : 0);
    if (!sealed) return seal;
    seal.head_ += {static_cast<char>(kLogN), static_cast<char>(kR), static_cast<char>(kP)};
    std::array<std::uint8_t, kSaltBytes + kNonceBytes> random{};
    if (RAND_bytes(random.data(), static_cast<int>(random.size())) != 1)
        return Problem{"backup", "no random numbers", "try again"};
    seal.head_.append(reinterpret_cast<const char*>(random.data()), random.size());
    seal.key_ = derived_key(seal.head_, passphrase);
    if (seal.key_.empty())
        return Problem{
            "backup",
            "no key could be made of the passphrase",
            "is there memory left? 64 MiB are needed"};
    seal.head_ += tell_of(seal.key_, seal.head_);
    return seal;
}

shared::Result<std::size_t> BackupSeal::head_size(std::string_view first)
{
    if (first.size() < kPlainHead || !first.starts_with(kMagic))
        return Problem{
            "", "is no backup of codex-pool", "name a file that codex-pool backup wrote"};
    const auto version = static_cast<std::uint8_t>(first[8]);
    if (version != kBackupVersion)
        return Problem{
            "",
            "is a backup of version " + std::to_string(version) +
                ", which this codex-pool does not know",
            "restore it with the codex-pool that wrote it, or a newer one"};
    return is_sealed(first) ? kSealedHead : kPlainHead;
}

bool BackupSeal::is_sealed(std::string_view first) noexcept
{
    return first.size() >= kPlainHead && first[9] != 0;
}

shared::Result<BackupSeal> BackupSeal::open(std::string_view head, const shared::Secret& passphrase)
{
    BackupSeal seal;
    seal.head_ = head;
    if (!is_sealed(head)) return seal;
    if (passphrase.empty())
        return Problem{
            "",
            "is encrypted",
            "give its passphrase: --passphrase-file FILE, or CODEX_POOL_PASSPHRASE"};
    const auto number = [&head](std::size_t at) { return static_cast<std::uint8_t>(head[at]); };
    const bool sane = number(10) >= 1 && number(10) <= kLogNMax && number(11) >= 1 &&
                      number(11) <= kRMax && number(12) >= 1 && number(12) <= kPMax;
    if (sane) seal.key_ = derived_key(head, passphrase);
    if (!sane || seal.key_.empty())
        return Problem{"", "is damaged in its first bytes", "use another copy"};
    if (tell_of(seal.key_, head) != head.substr(kTellAt, kTellBytes))
        return Problem{"", "was encrypted with another passphrase", "try again with the right one"};
    return seal;
}

BackupSeal::Nonce BackupSeal::nonce(bool last) const
{
    Nonce made{};
    std::copy_n(bytes_of(head_) + kNonceAt, kNonceBytes, made.begin());
    for (int i = 0; i < 4; ++i)
        made[kNonceBytes + static_cast<std::size_t>(i)] =
            static_cast<std::uint8_t>(number_ >> (8 * (3 - i)));
    made[11] = last ? 1 : 0;
    return made;
}

std::string BackupSeal::check_sum(std::uint32_t length_word, std::string_view bytes) const
{
    std::string all = head_ + little_endian(number_) + little_endian(length_word);
    all += bytes;
    const auto digest = shared::sha256(all);
    return {reinterpret_cast<const char*>(digest.data()), kTagBytes};
}

std::string BackupSeal::seal(std::string_view bytes, bool last)
{
    const std::uint32_t word = static_cast<std::uint32_t>(bytes.size()) | (last ? kLastBit : 0);
    std::string block = little_endian(word);
    if (key_.empty()) {
        block.append(bytes).append(check_sum(word, bytes));
        ++number_;
        return block;
    }
    const std::string aad = head_ + block;
    const Nonce iv = nonce(last);
    const Context context(EVP_CIPHER_CTX_new());
    std::string sealed(bytes.size() + kTagBytes, '\0');
    auto* out = reinterpret_cast<std::uint8_t*>(sealed.data());
    int size = 0;
    EVP_EncryptInit_ex(
        context.get(), EVP_aes_256_gcm(), nullptr, bytes_of(key_.reveal()), iv.data());
    EVP_EncryptUpdate(context.get(), nullptr, &size, bytes_of(aad), static_cast<int>(aad.size()));
    EVP_EncryptUpdate(context.get(), out, &size, bytes_of(bytes), static_cast<int>(bytes.size()));
    EVP_EncryptFinal_ex(context.get(), out + size, &size);
    EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_GET_TAG, kTagBytes, out + bytes.size());
    ++number_;
    return block + sealed;
}

std::optional<std::string>
BackupSeal::open_block(std::uint32_t word, std::string_view bytes, std::string_view tag)
{
    if (key_.empty()) {
        if (check_sum(word, bytes) != tag) return std::nullopt;
        ++number_;
        return std::string(bytes);
    }
    const std::string aad = head_ + little_endian(word);
    const Nonce iv = nonce((word & kLastBit) != 0);
    const Context context(EVP_CIPHER_CTX_new());
    std::string plain(bytes.size(), '\0');
    std::string expected(tag);
    auto* out = reinterpret_cast<std::uint8_t*>(plain.data());
    int size = 0;
    EVP_DecryptInit_ex(
        context.get(), EVP_aes_256_gcm(), nullptr, bytes_of(key_.reveal()), iv.data());
    EVP_DecryptUpdate(context.get(), nullptr, &size, bytes_of(aad), static_cast<int>(aad.size()));
    EVP_DecryptUpdate(context.get(), out, &size, bytes_of(bytes), static_cast<int>(bytes.size()));
    EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_SET_TAG, kTagBytes, expected.data());
    if (EVP_DecryptFinal_ex(context.get(), out + size, &size) != 1) return std::nullopt;
    ++number_;
    return plain;
}

} // namespace supervisor::shell
