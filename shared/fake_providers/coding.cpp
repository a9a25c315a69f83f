#include "shared/fake_providers/coding.hpp"

#include <openssl/evp.h>

#include <array>
#include <cstdint>

#include <brotli/encode.h>
#include <zlib.h>
#include <zstd.h>

namespace shared::fake_providers {

namespace {

class PlainEncoder final : public Encoder {
public:
    std::string encode(std::string_view bytes, bool) override { return std::string(bytes); }
};

class GzipEncoder final : public Encoder {
public:
    GzipEncoder() { (void)deflateInit2(&stream_, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY); }

    ~GzipEncoder() override { (void)deflateEnd(&stream_); }

    GzipEncoder(const GzipEncoder&) = delete;
    GzipEncoder& operator=(const GzipEncoder&) = delete;

    std::string encode(std::string_view bytes, bool last) override
    {
        std::string out;
        std::array<char, 16384> buffer{};
        stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
        stream_.avail_in = static_cast<uInt>(bytes.size());
        do {
            stream_.next_out = reinterpret_cast<Bytef*>(buffer.data());
            stream_.avail_out = buffer.size();
            (void)deflate(&stream_, last ? Z_FINISH : Z_SYNC_FLUSH);
            out.append(buffer.data(), buffer.size() - stream_.avail_out);
        } while (stream_.avail_out == 0);
        return out;
    }

private:
    z_stream stream_{};
};

class ZstdEncoder final : public Encoder {
public:
    std::string encode(std::string_view bytes, bool last) override
    {
        std::string out;
        std::array<char, 16384> buffer{};
        ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
        std::size_t left = 0;
        do {
            ZSTD_outBuffer piece{buffer.data(), buffer.size(), 0};
            left =
                ZSTD_compressStream2(stream_.get(), &piece, &in, last ? ZSTD_e_end : ZSTD_e_flush);
            out.append(buffer.data(), piece.pos);
        } while (left != 0 && ZSTD_isError(left) == 0);
        return out;
    }

private:
    struct Free {
        void operator()(ZSTD_CCtx* stream) const { ZSTD_freeCCtx(stream); }
    };

    std::unique_ptr<ZSTD_CCtx, Free> stream_{ZSTD_createCCtx()};
};

class BrotliEncoder final : public Encoder {
public:
    BrotliEncoder() { (void)BrotliEncoderSetParameter(stream_.get(), BROTLI_PARAM_QUALITY, 4); }

    std::string encode(std::string_view bytes, bool last) override
    {
        std::string out;
        std::array<std::uint8_t, 16384> buffer{};
        std::size_t in_left = bytes.size();
        const auto* in = reinterpret_cast<const std::uint8_t*>(bytes.data());
        do {
            std::size_t out_left = buffer.size();
            std::uint8_t* next = buffer.data();
            (void)BrotliEncoderCompressStream(
                stream_.get(),
                last ? BROTLI_OPERATION_FINISH : BROTLI_OPERATION_FLUSH,
                &in_left,
                &in,
                &out_left,
                &next,
                nullptr);
            out.append(reinterpret_cast<const char*>(buffer.data()), buffer.size() - out_left);
        } while (BrotliEncoderHasMoreOutput(stream_.get()) != 0 || in_left != 0);
        return out;
    }

private:
    struct Free {
        void operator()(BrotliEncoderState* stream) const { BrotliEncoderDestroyInstance(stream); }
    };

    std::unique_ptr<BrotliEncoderState, Free> stream_{
        BrotliEncoderCreateInstance(nullptr, nullptr, nullptr)};
};

std::string decode_zstd(std::string_view bytes)
{
    std::string out;
    std::array<char, 65536> buffer{};
    const std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> stream(
        ZSTD_createDCtx(), &ZSTD_freeDCtx);
    ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
    while (in.pos < in.size) {
        ZSTD_outBuffer piece{buffer.data(), buffer.size(), 0};
        if (ZSTD_isError(ZSTD_decompressStream(stream.get(), &piece, &in)) != 0) return {};
        out.append(buffer.data(), piece.pos);
    }
    return out;
}

std::string decode_gzip(std::string_view bytes)
{
    z_stream stream{};
    if (inflateInit2(&stream, 15 + 32) != Z_OK) return {};
    std::string out;
    std::array<char, 65536> buffer{};
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
    stream.avail_in = static_cast<uInt>(bytes.size());
    int status = Z_OK;
    while (status == Z_OK) {
        stream.next_out = reinterpret_cast<Bytef*>(buffer.data());
        stream.avail_out = buffer.size();
        status = inflate(&stream, Z_NO_FLUSH);
        out.append(buffer.data(), buffer.size() - stream.avail_out);
    }
    (void)inflateEnd(&stream);
    return status == Z_STREAM_END ? out : std::string();
}

std::string digest(const EVP_MD* kind, std::string_view bytes)
{
    std::array<unsigned char, EVP_MAX_MD_SIZE> out{};
    unsigned size = 0;
    (void)EVP_Digest(bytes.data(), bytes.size(), out.data(), &size, kind, nullptr);
    return {reinterpret_cast<const char*>(out.data()), size};
}

} // namespace

std::unique_ptr<Encoder> make_encoder(std::string_view coding)
{
    if (coding == "gzip") return std::make_unique<GzipEncoder>();
    if (coding == "zstd") return std::make_unique<ZstdEncoder>();
    if (coding == "br") return std::make_unique<BrotliEncoder>();
    return std::make_unique<PlainEncoder>();
}

std::string encode_all(std::string_view coding, std::string_view bytes)
{
    return make_encoder(coding)->encode(bytes, true);
}

std::string decode_body(std::string_view coding, std::string_view bytes)
{
    if (coding == "zstd") return decode_zstd(bytes);
    if (coding == "gzip") return decode_gzip(bytes);
    return std::string(bytes);
}

std::string sha256_hex(std::string_view bytes)
{
    static constexpr std::string_view kDigits = "0123456789abcdef";
    std::string out;
    for (const char c : digest(EVP_sha256(), bytes)) {
        const auto byte = static_cast<unsigned char>(c);
        out += kDigits[byte >> 4U];
        out += kDigits[byte & 15U];
    }
    return out;
}

std::string sha1(std::string_view bytes)
{
    return digest(EVP_sha1(), bytes);
}

std::string base64(std::string_view bytes)
{
    std::string out(4 * ((bytes.size() + 2) / 3) + 1, '\0');
    const int size = EVP_EncodeBlock(
        reinterpret_cast<unsigned char*>(out.data()),
        reinterpret_cast<const unsigned char*>(bytes.data()),
        static_cast<int>(bytes.size()));
    out.resize(static_cast<std::size_t>(size));
    return out;
}

std::string base64url(std::string_view bytes)
{
    std::string out = base64(bytes);
    while (!out.empty() && out.back() == '=')
        out.pop_back();
    for (char& c : out) {
        if (c == '+') c = '-';
        if (c == '/') c = '_';
    }
    return out;
}

} // namespace shared::fake_providers
