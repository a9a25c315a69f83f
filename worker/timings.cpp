#include "worker/timings.hpp"

#include <array>
#include <charconv>
#include <string_view>

namespace worker {

namespace {

void append_milliseconds(std::string& out, std::string_view name, std::int64_t microseconds)
{
    out += name;
    std::array<char, 24> digits{};
    const auto whole =
        std::to_chars(digits.data(), digits.data() + digits.size(), microseconds / 1000);
    out.append(digits.data(), whole.ptr);
    const auto part = static_cast<unsigned>(microseconds % 1000);
    out += '.';
    out += static_cast<char>('0' + part / 100);
    out += static_cast<char>('0' + part / 10 % 10);
    out += static_cast<char>('0' + part % 10);
}

} // namespace

void Timings::append_to(std::string& head, std::int64_t now) const
{
    append_milliseconds(head, "Server-Timing: queue;dur=", queue);
    append_milliseconds(head, ", pick;dur=", pick);
    append_milliseconds(head, ", connect;dur=", connect);
    append_milliseconds(head, ", upstream;dur=", upstream);
    append_milliseconds(head, ", own;dur=", own(now));
    head += "\r\n";
}

} // namespace worker
