#include "shared/base/secret.hpp"

#include "shared/base/hash.hpp"

#include <openssl/crypto.h>

#include <utility>

namespace shared {

Secret::Secret(std::string value) : value_(std::move(value)) {}

Secret::Secret(Secret&& other) noexcept : value_(other.value_)
{
    other.wipe();
}

Secret& Secret::operator=(const Secret& other)
{
    if (this != &other) {
        wipe();
        value_ = other.value_;
    }
    return *this;
}

Secret& Secret::operator=(Secret&& other) noexcept
{
    if (this != &other) {
        wipe();
        value_ = other.value_;
        other.wipe();
    }
    return *this;
}

Secret::~Secret()
{
    wipe();
}

bool Secret::matches(std::string_view candidate) const noexcept
{
    // Hashing first makes both sides equally long, so not even the secret's length shows.
    const Sha256Digest mine = sha256(value_);
    const Sha256Digest theirs = sha256(candidate);
    const bool equal = CRYPTO_memcmp(mine.data(), theirs.data(), mine.size()) == 0;
    return equal && !value_.empty();
}

bool Secret::same_as(const Secret& other) const noexcept
{
    return (empty() && other.empty()) || matches(other.value_);
}

void Secret::wipe() noexcept
{
    if (!value_.empty()) OPENSSL_cleanse(value_.data(), value_.size());
    value_.clear();
}

} // namespace shared
