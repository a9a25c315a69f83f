#include "shared/base/hash.hpp"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <cstdlib>
#include <memory>

namespace shared {

namespace {

struct FreeContext {
    void operator()(EVP_MD_CTX* context) const noexcept { EVP_MD_CTX_free(context); }
};

} // namespace

Sha256Digest sha256(std::string_view bytes) noexcept
{
    return sha256({bytes});
}

Sha256Digest sha256(std::initializer_list<std::string_view> parts) noexcept
{
    // Fetched once, and a context kept: both cost more than the digest of a short text itself.
    static const EVP_MD* const kSha256 = EVP_MD_fetch(nullptr, "SHA256", nullptr);
    thread_local const std::unique_ptr<EVP_MD_CTX, FreeContext> context(EVP_MD_CTX_new());
    Sha256Digest digest{};
    bool fine = EVP_DigestInit_ex(context.get(), kSha256, nullptr) == 1;
    for (const std::string_view part : parts)
        fine = fine && EVP_DigestUpdate(context.get(), part.data(), part.size()) == 1;
    fine = fine && EVP_DigestFinal_ex(context.get(), digest.data(), nullptr) == 1;
    if (!fine) std::abort(); // out of memory: no caller could go on
    return digest;
}

Sha256Digest hmac_sha256(std::string_view key, std::string_view bytes) noexcept
{
    Sha256Digest digest{};
    const auto* text = reinterpret_cast<const unsigned char*>(bytes.data()); // NOLINT: bytes
    const unsigned char* done = HMAC(
        EVP_sha256(),
        key.data(),
        static_cast<int>(key.size()),
        text,
        bytes.size(),
        digest.data(),
        nullptr);
    if (done == nullptr) std::abort(); // out of memory: no caller could go on
    return digest;
}

std::string to_hex(std::string_view bytes)
{
    static constexpr std::string_view kDigits = "0123456789abcdef";
    std::string out;
    out.reserve(bytes.size() * 2);
    for (const char c : bytes) {
        const auto byte = static_cast<unsigned char>(c);
        out += kDigits[byte >> 4U];
        out += kDigits[byte & 0x0FU];
    }
    return out;
}

std::string random_hex(std::size_t bytes)
{
    std::string raw(bytes, '\0');
    if (RAND_bytes(reinterpret_cast<unsigned char*>(raw.data()), static_cast<int>(bytes)) != 1) {
        std::abort(); // no entropy source: nothing that needs an unguessable id may go on
    }
    return to_hex(raw);
}

} // namespace shared
