/// Pickers that wait for whoever is next: a picker has four kilobytes, is needed for microseconds, and making one anew
/// costs as much as reading a small document.
#pragma once

#include "shared/http/json_picker.hpp"

#include <memory>

namespace shared::http {

/// A picker for `paths`, as new. Spares are kept per thread, for what holds paths may be shared between threads.
[[nodiscard]] std::unique_ptr<JsonPicker> take_picker(const JsonPaths& paths, JsonMatch match);

/// Keeps `picker` (null: nothing) for the next take_picker() with the same arguments, those it was taken with.
void give_back(
    const JsonPaths& paths, JsonMatch match, std::unique_ptr<JsonPicker> picker) noexcept;

/// One for the time of a scope.
class BorrowedPicker {
public:
    BorrowedPicker(const JsonPaths& paths, JsonMatch match)
        : paths_(paths), match_(match), picker_(take_picker(paths, match))
    {}

    BorrowedPicker(const BorrowedPicker&) = delete;
    BorrowedPicker(BorrowedPicker&&) = delete;
    BorrowedPicker& operator=(const BorrowedPicker&) = delete;
    BorrowedPicker& operator=(BorrowedPicker&&) = delete;

    ~BorrowedPicker() { give_back(paths_, match_, std::move(picker_)); }

    [[nodiscard]] JsonPicker& operator*() const noexcept { return *picker_; }

private:
    const JsonPaths& paths_;
    JsonMatch match_;
    std::unique_ptr<JsonPicker> picker_;
};

} // namespace shared::http
