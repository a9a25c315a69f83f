/// The file that `codex-pool backup` writes: named pieces, one after the other, in blocks that are each checked, and
/// sealed if there is a passphrase. Written and read as a stream: memory does not depend on its size.
///
/// Layout (integers little-endian): "cpoolbak", u8 version, u8 sealed; if sealed: u8 log2 N, u8 r, u8 p (scrypt),
/// 16 bytes salt, 7 bytes nonce, 8 bytes that tell whether a passphrase is the right one. Then blocks: u32 length (bit
/// 31: it is the last), bytes, 16 bytes tag: of AES-256-GCM if sealed, else the beginning of SHA-256 over head, number,
/// length and bytes. In the blocks, pieces: u16 length of the name (0 = the end), name, u64 size, bytes.
#pragma once

#include "shared/base/result.hpp"
#include "shared/base/secret.hpp"
#include "supervisor/owned_fd.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace supervisor::shell {

inline constexpr std::uint8_t kBackupVersion = 1;
inline constexpr std::size_t kBackupBlockMax = std::size_t{1} << 20U;
inline constexpr std::size_t kBackupNameMax = 512;

/// Seals and checks the blocks of one file, in their order.
class BackupSeal {
public:
    /// Of a new file; without a passphrase blocks are only checked. A Problem if OpenSSL fails.
    [[nodiscard]] static shared::Result<BackupSeal> make(const shared::Secret& passphrase);
    /// Of a file that begins with `head`. A Problem: the passphrase is missing or wrong.
    [[nodiscard]] static shared::Result<BackupSeal>
    open(std::string_view head, const shared::Secret& passphrase);

    /// How long a head is, from its first ten bytes; nothing if they are none of ours. A newer version is a Problem.
    [[nodiscard]] static shared::Result<std::size_t> head_size(std::string_view first_bytes);
    [[nodiscard]] static bool is_sealed(std::string_view first_bytes) noexcept;

    [[nodiscard]] const std::string& head() const noexcept { return head_; }

    /// The block as it stands in the file.
    [[nodiscard]] std::string seal(std::string_view bytes, bool last);
    /// The bytes of a block; nothing if it is not what was written.
    [[nodiscard]] std::optional<std::string>
    open_block(std::uint32_t length_word, std::string_view bytes, std::string_view tag);

private:
    using Nonce = std::array<std::uint8_t, 12>;

    [[nodiscard]] Nonce nonce(bool last) const;
    [[nodiscard]] std::string check_sum(std::uint32_t length_word, std::string_view bytes) const;

    std::string head_;
    shared::Secret key_; ///< empty: not sealed
    std::uint32_t number_ = 0;
};

/// Gets a piece's bytes, some at a time; nothing at their end.
using PieceSource = std::function<shared::Result<std::string>()>;

class BackupWriter {
public:
    BackupWriter(int fd, BackupSeal seal);

    [[nodiscard]] shared::Result<void>
    piece(std::string_view name, std::uint64_t size, const PieceSource& source);
    [[nodiscard]] shared::Result<void> piece(std::string_view name, std::string_view bytes);
    /// After it the file is whole, and on the disk.
    [[nodiscard]] shared::Result<void> finish();

private:
    [[nodiscard]] shared::Result<void> add(std::string_view bytes);
    [[nodiscard]] shared::Result<void> put(std::string_view bytes);

    int fd_;
    BackupSeal seal_;
    std::string held_;
    bool begun_ = false;
};

/// One piece of a file.
struct Piece {
    std::string name;
    std::uint64_t size = 0;
};

class BackupReader {
public:
    /// A Problem: it cannot be read, is no backup, of a newer version, or the passphrase is missing or wrong.
    [[nodiscard]] static shared::Result<BackupReader>
    open(const std::filesystem::path& file, const shared::Secret& passphrase);

    /// The next piece; nothing at the end, which is checked to be one.
    [[nodiscard]] shared::Result<std::optional<Piece>> next();
    /// Gives all bytes of the piece to `take`, some at a time.
    [[nodiscard]] shared::Result<void>
    read(const Piece& piece, const std::function<shared::Result<void>(std::string_view)>& take);

    /// How far in the file, and how large it is.
    [[nodiscard]] std::uint64_t position() const noexcept { return position_; }

    [[nodiscard]] std::uint64_t size() const noexcept { return size_; }

private:
    BackupReader(supervisor::OwnedFd fd, std::string where, BackupSeal seal);

    [[nodiscard]] shared::Problem damaged() const;
    /// Has at least `bytes` in held_.
    [[nodiscard]] shared::Result<void> need(std::size_t bytes);
    [[nodiscard]] shared::Result<void> next_block();

    supervisor::OwnedFd fd_;
    std::string where_;
    BackupSeal seal_;
    std::string held_;
    bool last_seen_ = false;
    std::uint64_t position_ = 0;
    std::uint64_t size_ = 0;
};

/// Whether a passphrase is needed. A Problem: it cannot be read, is no backup, or of a newer version.
[[nodiscard]] shared::Result<bool> is_sealed_backup(const std::filesystem::path& file);

} // namespace supervisor::shell
