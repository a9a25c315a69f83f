#include "worker/timings.hpp"

#include "worker/text_line.hpp"

namespace worker {

namespace {

using Line = TextLine<256>; // five names and numbers of at most 24 characters

void add_milliseconds(Line& line, std::int64_t microseconds)
{
    line.add_number(static_cast<std::uint64_t>(microseconds / 1000));
    const auto part = static_cast<unsigned>(microseconds % 1000);
    line.add('.');
    line.add(static_cast<char>('0' + part / 100));
    line.add(static_cast<char>('0' + part / 10 % 10));
    line.add(static_cast<char>('0' + part % 10));
}

} // namespace

void Timings::append_to(std::string& head, std::int64_t now) const
{
    Line line;
    line.add("Server-Timing: queue;dur=");
    add_milliseconds(line, queue);
    line.add(", pick;dur=");
    add_milliseconds(line, pick);
    line.add(", connect;dur=");
    add_milliseconds(line, connect);
    line.add(", upstream;dur=");
    add_milliseconds(line, upstream);
    line.add(", own;dur=");
    add_milliseconds(line, own(now));
    line.add("\r\n");
    head += line.view();
}

} // namespace worker
