/// A credential file on its way from the admin child, which only passes it on, to the refresher, which alone reads it.
/// It travels in an anonymous file whose descriptor goes with the message; the answer comes back in the same file.
#pragma once

#include "shared/base/owned_fd.hpp"
#include "shared/base/result.hpp"
#include "shared/base/secret.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace shared {

/// More is no credential file; real ones have a few kilobytes.
inline constexpr std::size_t kUploadBytesMax = 1U << 20U;

/// What is wished for a file that is to become an account.
struct UploadWish {
    std::string provider; ///< its name; empty = whichever the file is for
    std::string
        name; ///< what the account's id is to be behind "provider:"; empty = made from the file
    std::string owner; ///< the pool user who contributes it; empty = it is the pool's
};

/// How it ended.
enum class UploadEnd : std::uint8_t {
    added = 1,
    replaced,  ///< the account was there; its file is this one now
    unchanged, ///< the account was there, and its file is as good
    invalid,   ///< no credential file
    conflict,  ///< it would take the place of something else
    failed,    ///< it could not be stored
};

/// "added"; for logs and JSON.
[[nodiscard]] std::string_view to_string(UploadEnd end) noexcept;

struct UploadAnswer {
    UploadEnd end = UploadEnd::failed;
    std::string account;  ///< id; empty if there is none
    std::string sentence; ///< for the one who sent it; never quotes the file
};

/// Puts both into an anonymous file. Problem: the file is larger than kUploadBytesMax, or there is no room.
[[nodiscard]] Result<OwnedFd> pack_upload(const UploadWish& wish, std::string_view file);

struct Upload {
    UploadWish wish;
    Secret file;
};

[[nodiscard]] Result<Upload> unpack_upload(int fd);

/// Takes the credential out of the anonymous file and puts the answer in.
[[nodiscard]] Result<void> answer_upload(int fd, const UploadAnswer& answer);
/// Problem: nobody has answered yet.
[[nodiscard]] Result<UploadAnswer> read_upload_answer(int fd);

} // namespace shared
