#include "shared/http/decode.hpp"

#include "shared/http/head.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <utility>

#include <brotli/decode.h>
#include <zlib.h>
#include <zstd.h>

namespace shared::http {
namespace {

enum class Coding : std::uint8_t { identity, gzip, deflate, brotli, zstd };

std::optional<Coding> coding_of(std::string_view name) noexcept
{
    if (name.empty() || iequals(name, "identity")) return Coding::identity;
    if (iequals(name, "gzip") || iequals(name, "x-gzip")) return Coding::gzip;
    if (iequals(name, "deflate")) return Coding::deflate;
    if (iequals(name, "br")) return Coding::brotli;
    if (iequals(name, "zstd")) return Coding::zstd;
    return std::nullopt;
}

/// One library's decoder behind one interface.
class Inflater {
public:
    enum class Outcome : std::uint8_t {
        progress, ///< `in` is used up or `out` is full
        end,      ///< a whole unit (member, frame, stream) ended
        malformed,
    };

    Inflater() = default;
    Inflater(const Inflater&) = delete;
    Inflater& operator=(const Inflater&) = delete;
    virtual ~Inflater() = default;

    /// Decodes from the front of `in` into `out`; both are advanced.
    [[nodiscard]] virtual Outcome step(std::string_view& in, char*& out, std::size_t& room) = 0;
    /// Readies for another unit after `end`; false if the coding allows only one.
    [[nodiscard]] virtual bool restart() = 0;
};

/// gzip (several members may follow each other) and deflate, which senders write with or without the
/// zlib header that RFC 9110 asks for.
class ZlibInflater final : public Inflater {
public:
    explicit ZlibInflater(Coding coding) : gzip_(coding == Coding::gzip)
    {
        if (gzip_) ready_ = inflateInit2(&stream_, MAX_WBITS + 16) == Z_OK;
    }

    ~ZlibInflater() override
    {
        if (ready_) inflateEnd(&stream_);
    }

    Outcome step(std::string_view& in, char*& out, std::size_t& room) override
    {
        if (!ready_ && !in.empty() && !find_deflate_flavour(in.front())) return Outcome::malformed;
        if (!ready_) return gzip_ ? Outcome::malformed : Outcome::progress;
        constexpr std::size_t kStepMax = std::numeric_limits<uInt>::max();
        const auto in_size = static_cast<uInt>(std::min(in.size(), kStepMax));
        const auto out_size = static_cast<uInt>(std::min(room, kStepMax));
        stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(in.data())); // never written
        stream_.avail_in = in_size;
        stream_.next_out = reinterpret_cast<Bytef*>(out);
        stream_.avail_out = out_size;
        const int result = inflate(&stream_, Z_NO_FLUSH);
        in.remove_prefix(in_size - stream_.avail_in);
        out += out_size - stream_.avail_out;
        room -= out_size - stream_.avail_out;
        if (result == Z_STREAM_END) return Outcome::end;
        return result == Z_OK || result == Z_BUF_ERROR ? Outcome::progress : Outcome::malformed;
    }

    bool restart() override { return gzip_ && inflateReset(&stream_) == Z_OK; }

private:
    /// A zlib header's first byte has the method 8 in its low bits and a window of at most 32 KiB. No raw
    /// deflate stream of a usual encoder begins so: it would be a stored block with padding bits set.
    bool find_deflate_flavour(char first)
    {
        const auto byte = static_cast<unsigned char>(first);
        const bool zlib = (byte & 0x0FU) == 8 && (byte >> 4U) <= 7;
        ready_ = inflateInit2(&stream_, zlib ? MAX_WBITS : -MAX_WBITS) == Z_OK;
        return ready_;
    }

    z_stream stream_{};
    bool gzip_;
    bool ready_ = false;
};

class BrotliInflater final : public Inflater {
public:
    BrotliInflater() : state_(BrotliDecoderCreateInstance(nullptr, nullptr, nullptr)) {}

    ~BrotliInflater() override { BrotliDecoderDestroyInstance(state_); }

    Outcome step(std::string_view& in, char*& out, std::size_t& room) override
    {
        if (state_ == nullptr) return Outcome::malformed;
        const auto* next_in = reinterpret_cast<const std::uint8_t*>(in.data());
        auto* next_out = reinterpret_cast<std::uint8_t*>(out);
        std::size_t in_left = in.size();
        const BrotliDecoderResult result =
            BrotliDecoderDecompressStream(state_, &in_left, &next_in, &room, &next_out, nullptr);
        in.remove_prefix(in.size() - in_left);
        out = reinterpret_cast<char*>(next_out);
        if (result == BROTLI_DECODER_RESULT_SUCCESS) return Outcome::end;
        return result == BROTLI_DECODER_RESULT_ERROR ? Outcome::malformed : Outcome::progress;
    }

    bool restart() override { return false; }

private:
    BrotliDecoderState* state_;
};

/// Several frames may follow each other.
class ZstdInflater final : public Inflater {
public:
    static constexpr int kWindowLogMax = 23; ///< 8 MiB, as RFC 9659 asks of the coding "zstd"

    ZstdInflater() : stream_(ZSTD_createDStream())
    {
        if (stream_ != nullptr) ZSTD_DCtx_setParameter(stream_, ZSTD_d_windowLogMax, kWindowLogMax);
    }

    ~ZstdInflater() override { ZSTD_freeDStream(stream_); }

    Outcome step(std::string_view& in, char*& out, std::size_t& room) override
    {
        if (stream_ == nullptr) return Outcome::malformed;
        if (!in.empty() && std::exchange(fresh_, false) && !begins_frame(in.front()))
            return Outcome::malformed;
        ZSTD_inBuffer source{in.data(), in.size(), 0};
        ZSTD_outBuffer target{out, room, 0};
        const std::size_t result = ZSTD_decompressStream(stream_, &target, &source);
        in.remove_prefix(source.pos);
        out += target.pos;
        room -= target.pos;
        if (ZSTD_isError(result) != 0U) return Outcome::malformed;
        return result == 0 ? Outcome::end : Outcome::progress;
    }

    /// The library goes on by itself.
    bool restart() override
    {
        fresh_ = true;
        return true;
    }

private:
    /// The library also reads formats from before RFC 8878, with decoders that nobody looks after, that obey no limit
    /// of the window, and whose output for a broken frame depends on how it was cut. Their frames, and only theirs,
    /// begin otherwise than these two kinds.
    static bool begins_frame(char first) noexcept
    {
        const auto byte = static_cast<unsigned char>(first);
        constexpr unsigned kFrame = 0x28;
        constexpr unsigned kSkippable = 0x50; // to 0x5F
        return byte == kFrame || (byte & 0xF0U) == kSkippable;
    }

    ZSTD_DStream* stream_;
    bool fresh_ = true; ///< nothing of the next frame has come
};

std::unique_ptr<Inflater> make_inflater(Coding coding)
{
    switch (coding) {
    case Coding::identity:
        return nullptr;
    case Coding::gzip:
    case Coding::deflate:
        return std::make_unique<ZlibInflater>(coding);
    case Coding::brotli:
        return std::make_unique<BrotliInflater>();
    case Coding::zstd:
        return std::make_unique<ZstdInflater>();
    }
    return nullptr;
}

constexpr std::size_t kPieceBytes = 16 * 1024;

/// Feeds one decoder and keeps track of where the coded units end.
class Decoding {
public:
    explicit Decoding(Coding coding) : inflater_(make_inflater(coding)) {}

    /// Decodes `in` and hands on what comes out. `sink(std::string_view)` returns false to stop early.
    template <class Sink>
    [[nodiscard]] DecodeStatus feed(std::string_view in, Sink&& sink);

    /// Everything that was begun has ended.
    [[nodiscard]] bool at_end() const noexcept { return at_end_; }

private:
    std::unique_ptr<Inflater> inflater_;
    bool at_end_ = false;
};

template <class Sink>
DecodeStatus Decoding::feed(std::string_view in, Sink&& sink)
{
    // Not initialised: a whole body passes through it piece by piece.
    std::array<char, kPieceBytes> piece;
    while (true) {
        if (at_end_) {
            if (in.empty()) return DecodeStatus::ok;
            if (!inflater_->restart()) return DecodeStatus::malformed;
            at_end_ = false;
        }
        char* out = piece.data();
        std::size_t room = piece.size();
        const std::size_t in_before = in.size();
        const Inflater::Outcome outcome = inflater_->step(in, out, room);
        const std::size_t made = piece.size() - room;
        if (made > 0 && !sink(std::string_view(piece.data(), made))) return DecodeStatus::too_large;
        if (outcome == Inflater::Outcome::malformed) return DecodeStatus::malformed;
        at_end_ = outcome == Inflater::Outcome::end;
        // A decoder may still hold output back when its input is used up; it is dry once it makes none.
        if (!at_end_ && made == 0 && in.size() == in_before) return DecodeStatus::ok;
    }
}

class StreamDecoderImpl final : public StreamDecoder {
public:
    explicit StreamDecoderImpl(Coding coding) : decoding_(coding) {}

    bool feed(std::string_view bytes, std::string& out) override
    {
        if (failed_) return false;
        if (bytes.empty()) return true;
        const DecodeStatus status = decoding_.feed(bytes, [&out](std::string_view piece) {
            out += piece;
            return true;
        });
        failed_ = status != DecodeStatus::ok;
        return !failed_;
    }

private:
    Decoding decoding_;
    bool failed_ = false;
};

} // namespace

DecodeStatus
decode_all(std::string_view coding, std::string_view bytes, std::size_t cap, std::string& out)
{
    out.clear();
    const std::optional<Coding> known = coding_of(coding);
    if (!known) return DecodeStatus::unsupported;
    if (bytes.empty()) return DecodeStatus::ok; // nothing was sent, coded or not
    if (*known == Coding::identity) {
        out = bytes.substr(0, cap);
        return bytes.size() > cap ? DecodeStatus::too_large : DecodeStatus::ok;
    }
    Decoding decoding(*known);
    const DecodeStatus status = decoding.feed(bytes, [&out, cap](std::string_view piece) {
        const std::size_t room = cap - out.size();
        out += piece.substr(0, room);
        return piece.size() <= room;
    });
    if (status == DecodeStatus::ok && !decoding.at_end()) return DecodeStatus::malformed;
    return status;
}

std::unique_ptr<StreamDecoder> make_stream_decoder(std::string_view coding)
{
    const std::optional<Coding> known = coding_of(coding);
    if (!known || *known == Coding::identity) return nullptr;
    return std::make_unique<StreamDecoderImpl>(*known);
}

} // namespace shared::http
