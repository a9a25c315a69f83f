#include "admin_ui/assets.hpp"

#include "shared/base/hash.hpp"

#include <algorithm>
#include <map>

#include <zlib.h>

#include "embedded_files.hpp"

namespace admin_ui {
namespace {

struct Entry {
    std::string gzip;
    std::string etag;
    std::string_view bytes;
    std::string_view content_type;
};

using Entries = std::map<std::string_view, Entry>;

std::string digest_text(std::string_view bytes)
{
    const shared::Sha256Digest digest = shared::sha256(bytes);
    return shared::to_hex({reinterpret_cast<const char*>(digest.data()), 8});
}

std::string_view type_of(std::string_view path)
{
    if (path.ends_with(".css")) return "text/css; charset=utf-8";
    if (path.ends_with(".js")) return "text/javascript; charset=utf-8";
    if (path.ends_with(".svg")) return "image/svg+xml";
    return {};
}

Entries make_entries()
{
    Entries all;
    for (const auto& file : embedded::kFiles) {
        Entry entry;
        entry.content_type = type_of(file.path);
        if (entry.content_type.empty()) continue;
        entry.bytes = file.bytes;
        entry.etag = '"' + digest_text(file.bytes) + '"';
        entry.gzip = gzip_compressed(file.bytes, 9);
        if (entry.gzip.size() >= file.bytes.size()) entry.gzip.clear();
        all.emplace(file.path, std::move(entry));
    }
    return all;
}

const Entries& entries()
{
    static const Entries all = make_entries();
    return all;
}

} // namespace

std::string_view embedded_file(std::string_view path)
{
    const auto found =
        std::find_if(embedded::kFiles.begin(), embedded::kFiles.end(), [path](const auto& file) {
            return file.path == path;
        });
    return found == embedded::kFiles.end() ? std::string_view() : found->bytes;
}

const std::string& assets_version()
{
    static const std::string version = [] {
        std::string tags;
        for (const auto& [path, entry] : entries())
            tags += entry.etag;
        return digest_text(tags);
    }();
    return version;
}

std::optional<Asset> find_asset(std::string_view name)
{
    bool versioned = false;
    const std::string& version = assets_version();
    if (name.starts_with(version) && name.substr(version.size()).starts_with('/')) {
        name.remove_prefix(version.size() + 1);
        versioned = true;
    }
    const auto found = entries().find(name);
    if (found == entries().end()) return std::nullopt;
    const Entry& entry = found->second;
    return Asset{entry.bytes, entry.gzip, entry.content_type, entry.etag, versioned};
}

std::string gzip_compressed(std::string_view text, int level)
{
    constexpr int kGzipWindow = 15 + 16; // the largest window, with gzip's head
    constexpr int kMemoryLevel = 8;
    z_stream stream{};
    if (deflateInit2(&stream, level, Z_DEFLATED, kGzipWindow, kMemoryLevel, Z_DEFAULT_STRATEGY) !=
        Z_OK)
        return {};
    std::string out(deflateBound(&stream, static_cast<uLong>(text.size())), '\0');
    // zlib's interface is older than const.
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data())); // NOLINT
    stream.avail_in = static_cast<uInt>(text.size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    const int end = deflate(&stream, Z_FINISH);
    out.resize(end == Z_STREAM_END ? stream.total_out : 0);
    deflateEnd(&stream);
    return out;
}

} // namespace admin_ui
