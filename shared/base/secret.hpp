/// A credential held in memory: cannot be printed by accident, is wiped when it goes.
#pragma once

#include <string>
#include <string_view>

namespace shared {

/// Owns the bytes of a credential. Has no formatter, no stream operator and no implicit conversion;
/// `reveal()` is the one door and is easy to search for.
class Secret {
public:
    Secret() = default;
    explicit Secret(std::string value);
    Secret(const Secret& other) = default;
    Secret(Secret&& other) noexcept;
    Secret& operator=(const Secret& other);
    Secret& operator=(Secret&& other) noexcept;
    ~Secret();

    [[nodiscard]] bool empty() const noexcept { return value_.empty(); }

    [[nodiscard]] std::string_view reveal() const noexcept { return value_; }

    /// True if `candidate` is this secret. The time taken tells nothing but the candidate's length.
    /// An empty secret matches nothing, not even an empty candidate.
    [[nodiscard]] bool matches(std::string_view candidate) const noexcept;

    /// Whether two secrets hold the same bytes, in constant time.
    [[nodiscard]] bool same_as(const Secret& other) const noexcept;

private:
    void wipe() noexcept;

    std::string value_;
};

} // namespace shared
