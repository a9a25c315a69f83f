#include "shared/http/spare_pickers.hpp"
#include "shared/providers/provider.hpp"

#include <utility>

namespace shared {
namespace {

bool says_event_stream(std::string_view content_type) noexcept
{
    constexpr std::string_view kEventStream = "text/event-stream";
    return http::iequals(content_type.substr(0, kEventStream.size()), kEventStream);
}

/// Thousands of streams wait between their events: they own a picker only while an event of theirs is open.
std::unique_ptr<http::JsonPicker> take_picker(const http::JsonPaths& paths)
{
    return http::take_picker(paths, http::JsonMatch::last);
}

void give_back(const http::JsonPaths& paths, std::unique_ptr<http::JsonPicker> picker)
{
    http::give_back(paths, http::JsonMatch::last, std::move(picker));
}

} // namespace

ResponseScanner::ResponseScanner(const Provider& provider, std::string_view content_type)
    : provider_(provider),
      framing_(
          content_type.empty()              ? Framing::unknown
          : says_event_stream(content_type) ? Framing::events
                                            : Framing::document)
{}

ResponseScanner::~ResponseScanner() = default;

http::JsonPicker& ResponseScanner::picker()
{
    if (!picker_) picker_ = take_picker(provider_.event_paths());
    return *picker_;
}

void ResponseScanner::feed(std::string_view bytes, UnixMillis now)
{
    if (framing_ == Framing::unknown) {
        const std::size_t first = bytes.find_first_not_of(" \t\r\n");
        if (first == std::string_view::npos) return;
        const bool json = bytes[first] == '{' || bytes[first] == '[';
        framing_ = json ? Framing::document : Framing::events;
    }
    if (framing_ == Framing::document) feed_document(bytes, now);
    if (framing_ != Framing::events) return;

    splitter_.feed(
        bytes,
        [this](std::string_view data) {
            event_open_ = true;
            picker().feed(data);
        },
        [this, now] { end_event(now); });
    if (!event_open_) give_back(provider_.event_paths(), std::move(picker_));
}

void ResponseScanner::feed_document(std::string_view bytes, UnixMillis now)
{
    http::JsonPicker& values = picker();
    event_open_ = true;
    values.feed(bytes);
    if (!values.complete() && !values.malformed()) return;
    if (!values.malformed()) provider_.read_event(values.values(), now, facts_);
    event_open_ = false;
    framing_ = Framing::done;
    give_back(provider_.event_paths(), std::move(picker_));
}

void ResponseScanner::end_event(UnixMillis now)
{
    // Broken JSON is skipped, as the clients do: they never saw such an event.
    if (event_open_ && picker_->complete() && !picker_->malformed())
        provider_.read_event(picker_->values(), now, facts_);
    event_open_ = false;
    if (picker_) picker_->reset();
}

void ResponseScanner::finish(UnixMillis now)
{
    if (event_open_ && !picker_->malformed()) {
        // What was spent counts; but an event that never ended did not end the turn or fail it either.
        ResponseFacts partial = facts_;
        provider_.read_event(picker_->values(), now, partial);
        partial.terminal = facts_.terminal;
        partial.failure = facts_.failure;
        partial.generated = facts_.generated;
        facts_ = std::move(partial);
    }
    event_open_ = false;
    give_back(provider_.event_paths(), std::move(picker_));
}

} // namespace shared
