/// Scripted behaviour: what a fake upstream does to matching requests instead of simply answering.
#pragma once

#include "shared/fake_providers/accounts.hpp"
#include "shared/fake_providers/wire.hpp"

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace shared::fake_providers {

/// Where and how a request or its answer is spoilt.
enum class Fault {
    none,
    hang_before_head,  ///< reads everything, answers nothing until released or the peer goes away
    reset_on_head,     ///< RST after the request head, body unread
    reset_before_head, ///< RST after the whole request
    close_before_head, ///< orderly close without a byte (a kept connection that ends as the request leaves)
    reset_after_head, ///< response head, then RST
    reset_mid_stream, ///< RST after `fault_after` events
    end_mid_stream,   ///< the framing ends well after `fault_after` events, without the last ones
    close_mid_stream, ///< connection closed after `fault_after` events inside the framing
    junk_stream,      ///< comments, broken JSON, unknown fields and CRLF among the events
    in_band_error,    ///< 200, and an error event in place of the first output
    late_error,       ///< 200, and an error event after `fault_after` events
    length_too_long,  ///< Content-Length says more than is sent, then close
    length_too_short, ///< Content-Length says less than is sent
    early_response,   ///< answers before the request body is read, then reads it
    bad_head,         ///< a response head that is no HTTP
    double_length,    ///< two different Content-Length fields
};

struct Behaviour {
    // What it applies to.
    std::string account = "*"; ///< account name, or every one
    std::string path;          ///< part of the target; empty = every request that generates
    int times = -1;            ///< how often; -1 = always
    // What it does.
    Fault fault = Fault::none;
    unsigned status = 0; ///< not 0: answer this with `headers` and `body`
    Headers headers;     ///< added to the answer's own
    std::string body;    ///< with `status`; for faults with an error event: its JSON
    std::size_t fault_after = 2;
    std::optional<std::size_t> gate_after; ///< wait for release() after so many events
    std::chrono::milliseconds delay{0};    ///< before the head
    std::chrono::milliseconds interval{0}; ///< between events
    std::size_t write_bytes = 0;           ///< not 0: at most so many bytes a write (a slow drip)
    std::string coding;                    ///< compress the answer: gzip, br, zstd
    bool trailers = false;
    bool close = false;          ///< Connection: close afterwards
    std::size_t deltas = 0;      ///< not 0: so many output events
    std::size_t delta_bytes = 0; ///< not 0: so much text in each
    bool unframed = false;       ///< neither length nor chunks: the body lasts until close
};

/// From the JSON object of `POST /_fake/script`; unknown names are errors (nothing).
[[nodiscard]] std::optional<Behaviour> parse_behaviour(std::string_view json);

/// Ready-made answers of the vendors.
[[nodiscard]] Behaviour answers(unsigned status, std::string body = {}, Headers headers = {});
/// 403 with Cloudflare's challenge page.
[[nodiscard]] Behaviour challenge();
[[nodiscard]] Behaviour does(Fault fault, std::size_t fault_after = 2);
/// 429 as the vendor says it when an account is used up; `resets_in` seconds, 0 = it does not say when.
[[nodiscard]] Behaviour exhausted(Vendor vendor, long resets_in);

} // namespace shared::fake_providers
