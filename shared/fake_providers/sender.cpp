#include "shared/fake_providers/sender.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <thread>

namespace shared::fake_providers {

namespace {

/// Fields of one hop, cookies and upstream ids: what a proxy must not pass on, or not unchanged.
constexpr std::string_view kCommonFields = "Server: fake\r\n"
                                           "Set-Cookie: __cf_bm=fake-cookie; HttpOnly\r\n"
                                           "X-One-Hop: secret of this connection\r\n"
                                           "Keep-Alive: timeout=60\r\n";

constexpr std::array<std::string_view, 4> kJunk{
    ": a comment\n\n",
    "id: 7\nretry: 100\nevent: junk\ndata: {\"broken\": \n\n",
    "data:[1,2]\r\n\r\n",
    "unknown\nfield: x\n\n"};

const char* reason_of(unsigned status)
{
    switch (status) {
    case 200:
        return "OK";
    case 401:
        return "Unauthorized";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 429:
        return "Too Many Requests";
    case 500:
        return "Internal Server Error";
    case 503:
        return "Service Unavailable";
    default:
        return "Status";
    }
}

std::string framed(const Event& event, const Answer& answer, bool first)
{
    if (answer.json_array) {
        std::string out = (first ? "[" : ",\r\n") + event.data;
        if (event.last) out += "]";
        return out;
    }
    std::string out;
    if (!event.name.empty()) out = "event: " + event.name + answer.newline;
    return out + "data: " + event.data + answer.newline + answer.newline;
}

} // namespace

Sender::Sender(
    Server& server, Wire& wire, const Behaviour& behaviour, std::uint64_t number, bool head_only)
    : server_(server),
      wire_(wire),
      behaviour_(behaviour),
      number_(number),
      head_only_(head_only),
      encoder_(make_encoder(behaviour.coding))
{}

void Sender::told(const Tokens& tokens)
{
    server_.ledger().update(number_, [&](Exchange& each) { each.said = tokens; });
}

bool Sender::raw(std::string_view bytes)
{
    if (behaviour_.write_bytes == 0) return wire_.write(bytes);
    while (!bytes.empty()) {
        const std::size_t size = std::min(bytes.size(), behaviour_.write_bytes);
        if (!wire_.write(bytes.substr(0, size))) return false;
        bytes.remove_prefix(size);
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
}

bool Sender::payload(std::string_view bytes, bool last)
{
    const std::string coded = encoder_->encode(bytes, last);
    if (coded.empty()) return true;
    sent_ += coded;
    if (!chunked_) return raw(coded);
    std::array<char, 32> size{};
    (void)std::snprintf(size.data(), size.size(), "%zx\r\n", coded.size());
    return raw(size.data() + coded + "\r\n");
}

bool Sender::send_head(const Answer& answer, std::string_view framing)
{
    std::string head =
        "HTTP/1.1 " + std::to_string(answer.status) + " " + reason_of(answer.status) + "\r\n";
    head += kCommonFields;
    head += "X-Request-Id: upstream-" + std::to_string(number_) + "\r\n";
    for (const auto& [name, value] : answer.headers)
        head += name + ": " + value + "\r\n";
    for (const auto& [name, value] : behaviour_.headers)
        head += name + ": " + value + "\r\n";
    if (!behaviour_.coding.empty()) head += "Content-Encoding: " + behaviour_.coding + "\r\n";
    head += behaviour_.close || behaviour_.unframed ? "Connection: close, x-one-hop\r\n"
                                                    : "Connection: keep-alive, x-one-hop\r\n";
    head += framing;
    return raw(head + "\r\n");
}

bool Sender::finish()
{
    const bool ok = payload("", true) &&
                    (!chunked_ ||
                     raw(behaviour_.trailers ? "0\r\nX-Fake-Trailer: whole\r\n\r\n" : "0\r\n\r\n"));
    server_.ledger().update(number_, [&](Exchange& each) {
        each.complete = ok;
        each.response_sha256 = sha256_hex(sent_);
        each.response_bytes = sent_.size();
    });
    return ok && !behaviour_.close && !behaviour_.unframed;
}

bool Sender::send_document(const Answer& answer)
{
    const std::string body = encode_all(behaviour_.coding, answer.body);
    encoder_ = make_encoder("");
    std::size_t length = body.size();
    if (behaviour_.fault == Fault::length_too_long) length += 100;
    if (behaviour_.fault == Fault::length_too_short) length -= std::min<std::size_t>(length, 10);
    std::string framing = "Content-Length: " + std::to_string(length) + "\r\n";
    if (behaviour_.fault == Fault::double_length) framing += "Content-Length: 7\r\n";
    if (behaviour_.unframed) framing.clear();
    if (behaviour_.trailers) {
        framing = "Transfer-Encoding: chunked\r\nTrailer: X-Fake-Trailer\r\n";
        chunked_ = true;
    }
    if (!send_head(answer, framing)) return false;
    if (behaviour_.fault == Fault::reset_after_head) {
        wire_.reset();
        return false;
    }
    if (!head_only_ && !payload(body, false)) return false;
    if (answer.says) told(*answer.says);
    const bool keeps = finish();
    return keeps && behaviour_.fault != Fault::length_too_long &&
           behaviour_.fault != Fault::length_too_short;
}

bool Sender::spoil(std::size_t index, const Answer& answer)
{
    if (behaviour_.gate_after == index && !server_.gate(wire_)) return true;
    if (behaviour_.interval.count() != 0) std::this_thread::sleep_for(behaviour_.interval);
    if (behaviour_.fault == Fault::junk_stream) return !payload(kJunk[index % kJunk.size()], false);
    if (index != std::min(behaviour_.fault_after, answer.events.size() - 1)) return false;
    switch (behaviour_.fault) {
    case Fault::reset_mid_stream:
        wire_.reset();
        return true;
    case Fault::close_mid_stream:
        wire_.close();
        return true;
    case Fault::end_mid_stream:
        (void)finish();
        return true;
    default:
        return false;
    }
}

bool Sender::send_stream(const Answer& answer)
{
    chunked_ = !behaviour_.unframed;
    std::string framing = chunked_ ? "Transfer-Encoding: chunked\r\n" : "";
    if (behaviour_.trailers) framing += "Trailer: X-Fake-Trailer\r\n";
    if (behaviour_.fault == Fault::length_too_long || behaviour_.fault == Fault::length_too_short) {
        framing = behaviour_.fault == Fault::length_too_long ? "Content-Length: 10000000\r\n"
                                                             : "Content-Length: 100\r\n";
        chunked_ = false;
    }
    if (!send_head(answer, framing)) return false;
    if (behaviour_.fault == Fault::reset_after_head) {
        wire_.reset();
        return false;
    }
    for (std::size_t i = 0; i < answer.events.size(); ++i) {
        if (spoil(i, answer)) return false;
        const Event& event = answer.events[i];
        if (!payload(framed(event, answer, i == 0), false)) return false;
        if (event.says) told(*event.says);
    }
    if (behaviour_.gate_after == answer.events.size() && !server_.gate(wire_)) return false;
    return finish() && chunked_;
}

bool Sender::send(const Answer& answer)
{
    server_.ledger().update(number_, [&](Exchange& each) { each.status = answer.status; });
    if (behaviour_.delay.count() != 0) std::this_thread::sleep_for(behaviour_.delay);
    if (behaviour_.fault == Fault::bad_head) {
        (void)wire_.write("HTTP/9.9 banana\r\nno colon here\r\n\r\n");
        return false;
    }
    return answer.stream && !head_only_ ? send_stream(answer) : send_document(answer);
}

} // namespace shared::fake_providers
