/// Content codings, undone only to look inside: gzip, deflate, br, zstd. What is relayed stays as it was.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace shared::http {

enum class DecodeStatus : std::uint8_t {
    ok,
    too_large,   ///< would exceed the cap (a bomb, or merely big): the output so far is kept
    malformed,   ///< the bytes are not what the coding says
    unsupported, ///< an unknown coding or a list of several
};

/// Decodes a whole body. `coding` is the Content-Encoding value; "" and "identity" copy.
/// `out` receives at most `cap` bytes. One coding at a time; lists are unsupported.
[[nodiscard]] DecodeStatus
decode_all(std::string_view coding, std::string_view bytes, std::size_t cap, std::string& out);

/// Decodes a stream piece by piece; memory bounded by the coding's window (zstd: at most 8 MiB).
class StreamDecoder {
public:
    virtual ~StreamDecoder() = default;
    /// Appends what `bytes` decode to. Returns false once the stream is malformed; feed no more then.
    [[nodiscard]] virtual bool feed(std::string_view bytes, std::string& out) = 0;
};

/// nullptr for "", "identity" and unknown codings.
[[nodiscard]] std::unique_ptr<StreamDecoder> make_stream_decoder(std::string_view coding);

} // namespace shared::http
