/// Content codings (gzip, br, zstd), SHA-256 and base64 for the fakes: independent of the pool's own.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace shared::fake_providers {

/// Encodes a stream; every encode() flushes, so that each event can be decoded as soon as it has arrived.
class Encoder {
public:
    virtual ~Encoder() = default;
    [[nodiscard]] virtual std::string encode(std::string_view bytes, bool last) = 0;
};

/// "gzip", "br", "zstd"; a copying encoder for anything else.
[[nodiscard]] std::unique_ptr<Encoder> make_encoder(std::string_view coding);
/// Encodes a whole body.
[[nodiscard]] std::string encode_all(std::string_view coding, std::string_view bytes);
/// Undoes zstd or gzip; the bytes themselves for any other coding, empty if malformed.
[[nodiscard]] std::string decode_body(std::string_view coding, std::string_view bytes);

[[nodiscard]] std::string sha256_hex(std::string_view bytes);
[[nodiscard]] std::string sha1(std::string_view bytes);
[[nodiscard]] std::string base64(std::string_view bytes);
/// Without padding, URL alphabet.
[[nodiscard]] std::string base64url(std::string_view bytes);

} // namespace shared::fake_providers
