#include "shared/http/decode.hpp"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include <zlib.h>
#include <zstd.h>

namespace shared::http {
namespace {

constexpr int kRaw = -MAX_WBITS;
constexpr int kZlib = MAX_WBITS;
constexpr int kGzip = MAX_WBITS + 16;

std::string deflated(std::string_view text, int window_bits)
{
    z_stream stream{};
    EXPECT_EQ(deflateInit2(&stream, 6, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY), Z_OK);
    std::string out(deflateBound(&stream, text.size()) + 64, '\0');
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
    stream.avail_in = static_cast<uInt>(text.size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
    out.resize(stream.total_out);
    deflateEnd(&stream);
    return out;
}

std::string zstd(std::string_view text)
{
    std::string out(ZSTD_compressBound(text.size()), '\0');
    out.resize(ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 3));
    return out;
}

/// `text` as a brotli stream of stored blocks: the encoder is not among our libraries. RFC 7932 9.2.
std::string brotli(std::string_view text)
{
    std::string out;
    unsigned pending = 0;
    unsigned bits = 0;
    const auto put = [&](unsigned value, unsigned width) {
        pending |= value << bits;
        for (bits += width; bits >= 8; bits -= 8, pending >>= 8U)
            out += static_cast<char>(pending & 0xFFU);
    };
    const auto align = [&] {
        if (bits > 0) put(0, 8 - bits);
    };
    put(0, 1); // WBITS 16
    while (!text.empty()) {
        const std::string_view block = text.substr(0, 0x10000);
        put(0, 1);                                         // not the last
        put(0, 2);                                         // four nibbles of length
        put(static_cast<unsigned>(block.size()) - 1U, 16); // length - 1
        put(1, 1);                                         // stored
        align();
        out += block;
        text.remove_prefix(block.size());
    }
    put(3, 2); // last and empty
    align();
    return out;
}

std::string some_text()
{
    std::string text;
    for (int i = 0; i < 4000; ++i)
        text += "data: {\"n\":" + std::to_string(i * 7919) + "}\n\n";
    return text;
}

struct Coded {
    const char* coding;
    std::string bytes;
};

std::vector<Coded> all_codings(std::string_view text)
{
    return {
        {"gzip", deflated(text, kGzip)},
        {"x-gzip", deflated(text, kGzip)},
        {"GZIP", deflated(text, kGzip)},
        {"deflate", deflated(text, kZlib)},
        {"deflate", deflated(text, kRaw)},
        {"br", brotli(text)},
        {"zstd", zstd(text)},
    };
}

constexpr std::size_t kNoCap = std::size_t{1} << 30U;

TEST(Decode, UndoesEachCoding)
{
    for (const std::string& text : {std::string("{}"), some_text()}) {
        for (const Coded& coded : all_codings(text)) {
            std::string out = "what was here before is gone";
            EXPECT_EQ(decode_all(coded.coding, coded.bytes, kNoCap, out), DecodeStatus::ok)
                << coded.coding;
            EXPECT_EQ(out, text) << coded.coding;
        }
    }
}

TEST(Decode, IdentityIsACopyUnderTheCap)
{
    for (const char* coding : {"", "identity", "Identity"}) {
        std::string out;
        EXPECT_EQ(decode_all(coding, "abc", 3, out), DecodeStatus::ok);
        EXPECT_EQ(out, "abc");
        EXPECT_EQ(decode_all(coding, "abcd", 3, out), DecodeStatus::too_large);
        EXPECT_EQ(out, "abc");
    }
}

TEST(Decode, UnknownCodingsAndListsAreUnsupported)
{
    for (const char* coding : {"gzip, br", "compress", "gzip ", "zstd,zstd", "aes128gcm"}) {
        std::string out;
        EXPECT_EQ(decode_all(coding, "abc", kNoCap, out), DecodeStatus::unsupported) << coding;
        EXPECT_TRUE(out.empty());
        EXPECT_EQ(make_stream_decoder(coding), nullptr) << coding;
    }
    EXPECT_EQ(make_stream_decoder(""), nullptr);
    EXPECT_EQ(make_stream_decoder("identity"), nullptr);
}

TEST(Decode, TheCapIsExactAndKeepsTheBeginning)
{
    const std::string text = some_text();
    for (const Coded& coded : all_codings(text)) {
        std::string out;
        EXPECT_EQ(decode_all(coded.coding, coded.bytes, text.size(), out), DecodeStatus::ok);
        for (const std::size_t cap :
             {text.size() - 1, std::size_t{20'000}, std::size_t{1}, std::size_t{0}}) {
            EXPECT_EQ(decode_all(coded.coding, coded.bytes, cap, out), DecodeStatus::too_large)
                << coded.coding << cap;
            EXPECT_EQ(out, text.substr(0, cap)) << coded.coding;
        }
    }
}

TEST(Decode, ABombCostsNoMoreThanTheCap)
{
    constexpr std::size_t kCap = 1U << 20U;
    const std::string zeroes(std::size_t{16} << 20U, '\0');
    const std::array<Coded, 3> bombs = {
        Coded{"gzip", deflated(zeroes, kGzip)},
        Coded{"deflate", deflated(zeroes, kRaw)},
        Coded{"zstd", zstd(zeroes)}};
    for (const Coded& bomb : bombs) {
        EXPECT_LT(bomb.bytes.size(), zeroes.size() / 500);
        std::string out;
        EXPECT_EQ(decode_all(bomb.coding, bomb.bytes, kCap, out), DecodeStatus::too_large);
        EXPECT_EQ(out.size(), kCap);
        EXPECT_LT(out.capacity(), 4 * kCap);
    }
}

TEST(Decode, TruncatedInputIsMalformedAndKeepsWhatCameOut)
{
    const std::string text = some_text();
    for (const Coded& coded : all_codings(text)) {
        for (const std::size_t missing :
             {std::size_t{1}, std::size_t{5}, coded.bytes.size() / 2, coded.bytes.size() - 1}) {
            std::string out;
            const std::string_view cut(coded.bytes.data(), coded.bytes.size() - missing);
            EXPECT_EQ(decode_all(coded.coding, cut, kNoCap, out), DecodeStatus::malformed)
                << coded.coding << " without " << missing;
            EXPECT_EQ(out, text.substr(0, out.size())) << coded.coding;
        }
    }
}

TEST(Decode, WhatIsNotTheCodingIsMalformed)
{
    std::string zstd_wrong = zstd(some_text());
    zstd_wrong[0] = '\x29';
    std::string gzip_wrong = deflated(some_text(), kGzip);
    gzip_wrong[gzip_wrong.size() - 5] ^= 1; // its checksum
    const std::vector<Coded> cases = {
        {"gzip", "{\"model\":\"x\"}"},
        {"zstd", "{\"model\":\"x\"}"},
        {"br", "\xFF\xFF\xFF\xFF plain"},
        {"deflate", "\xFF\xFF plain"},
        {"zstd", zstd_wrong},
        {"gzip", gzip_wrong},
        {"gzip", zstd("x")},
        {"zstd", deflated("x", kGzip)},
        {"gzip", deflated("x", kZlib)},
        {"br", brotli("x") + "garbage"},
        {"gzip", deflated("x", kGzip) + "garbage"},
        {"zstd", zstd("x") + "garbage"},
        {"deflate", deflated("x", kZlib) + "garbage"},
    };
    for (const Coded& coded : cases) {
        std::string out;
        EXPECT_EQ(decode_all(coded.coding, coded.bytes, kNoCap, out), DecodeStatus::malformed)
            << coded.coding;
    }
}

TEST(Decode, NothingIsNothing)
{
    for (const Coded& coded : all_codings("x")) {
        std::string out;
        EXPECT_EQ(decode_all(coded.coding, "", 0, out), DecodeStatus::ok);
        EXPECT_TRUE(out.empty());
    }
}

TEST(Decode, SeveralMembersAndFramesFollowEachOther)
{
    std::string out;
    EXPECT_EQ(
        decode_all("gzip", deflated("one ", kGzip) + deflated("two", kGzip), kNoCap, out),
        DecodeStatus::ok);
    EXPECT_EQ(out, "one two");
    EXPECT_EQ(decode_all("zstd", zstd("one ") + zstd("two"), kNoCap, out), DecodeStatus::ok);
    EXPECT_EQ(out, "one two");
}

TEST(Decode, ZstdFromBeforeItsStandardIsRefused)
{
    // Version 0.7: the library would decode it, to something else for other cuts.
    constexpr std::string_view kOld("\x27\xb5\x2f\xfd\x04\x58\x02\x01\x00\x24.de", 13);
    std::string out;
    EXPECT_EQ(decode_all("zstd", kOld, kNoCap, out), DecodeStatus::malformed);
    EXPECT_EQ(out, "");
    EXPECT_EQ(
        decode_all("zstd", zstd("new ") + std::string(kOld), kNoCap, out), DecodeStatus::malformed);
    EXPECT_EQ(out, "new ");
    const auto decoder = make_stream_decoder("zstd");
    EXPECT_FALSE(decoder->feed(kOld, out));
}

TEST(Decode, ZstdMayHoldSkippableFrames)
{
    const std::string skippable(
        "\x5a\x2a\x4d\x18\x03\x00\x00\x00"
        "any",
        11);
    std::string out;
    EXPECT_EQ(
        decode_all("zstd", skippable + zstd("one") + skippable, kNoCap, out), DecodeStatus::ok);
    EXPECT_EQ(out, "one");
}

TEST(Decode, AZstdWindowBeyondTheLimitIsRefused)
{
    ZSTD_CCtx* context = ZSTD_createCCtx();
    ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, 24);
    ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0);
    const std::string text(std::size_t{17} << 20U, 'x');
    std::string coded(ZSTD_compressBound(text.size()), '\0');
    coded.resize(ZSTD_compress2(context, coded.data(), coded.size(), text.data(), text.size()));
    ZSTD_freeCCtx(context);
    std::string out;
    EXPECT_EQ(decode_all("zstd", coded, kNoCap, out), DecodeStatus::malformed);
}

TEST(StreamDecoder, GivesTheSameForPiecesOfAnySize)
{
    const std::string text = some_text();
    for (const Coded& coded : all_codings(text)) {
        for (const std::size_t piece :
             {std::size_t{1}, std::size_t{7}, std::size_t{4096}, coded.bytes.size()}) {
            const auto decoder = make_stream_decoder(coded.coding);
            ASSERT_NE(decoder, nullptr);
            std::string out;
            for (std::size_t at = 0; at < coded.bytes.size(); at += piece)
                ASSERT_TRUE(decoder->feed(std::string_view(coded.bytes).substr(at, piece), out))
                    << coded.coding << " at " << at;
            EXPECT_EQ(out, text) << coded.coding << " in pieces of " << piece;
            EXPECT_TRUE(decoder->feed("", out));
        }
    }
}

TEST(StreamDecoder, AnEventIsOutAsSoonAsItsFlushedBytesAreIn)
{
    z_stream stream{};
    ASSERT_EQ(deflateInit2(&stream, 6, Z_DEFLATED, kGzip, 8, Z_DEFAULT_STRATEGY), Z_OK);
    const auto decoder = make_stream_decoder("gzip");
    for (const std::string event : {"data: one\n\n", "data: two\n\n"}) {
        std::array<char, 256> buffer{};
        stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(event.data()));
        stream.avail_in = static_cast<uInt>(event.size());
        stream.next_out = reinterpret_cast<Bytef*>(buffer.data());
        stream.avail_out = buffer.size();
        ASSERT_EQ(deflate(&stream, Z_SYNC_FLUSH), Z_OK);
        std::string out;
        EXPECT_TRUE(decoder->feed({buffer.data(), buffer.size() - stream.avail_out}, out));
        EXPECT_EQ(out, event);
    }
    deflateEnd(&stream);
}

TEST(StreamDecoder, StaysFailed)
{
    for (const char* coding : {"gzip", "deflate", "br", "zstd"}) {
        const auto decoder = make_stream_decoder(coding);
        std::string out;
        EXPECT_FALSE(decoder->feed("\xFF\xFF\xFF\xFF no such thing", out)) << coding;
        EXPECT_FALSE(decoder->feed("\x1f", out)) << coding;
        EXPECT_TRUE(out.empty()) << coding;
    }
}

} // namespace
} // namespace shared::http
