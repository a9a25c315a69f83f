#include "shared/base/wiping_allocator.hpp"

#include <openssl/crypto.h>

namespace shared {

void wipe(void* bytes, std::size_t size) noexcept
{
    if (size > 0) OPENSSL_cleanse(bytes, size);
}

void wipe(std::string& text) noexcept
{
    wipe(text.data(), text.size());
    text.clear();
}

} // namespace shared
