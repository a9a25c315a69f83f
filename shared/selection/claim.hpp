/// From choice to place: what two workers may not both take is settled under the account's lock.
#pragma once

#include "shared/segment/worker_slots.hpp"
#include "shared/selection/select_account.hpp"

#include <chrono>

namespace shared {

/// Counts the request on the chosen account. False if meanwhile somebody else took its last place or its probe: then
/// select again. A probe is the request's alone until it is learnt from, end_probe(), or `probe_for` is over.
[[nodiscard]] bool claim(
    Segment& segment,
    const Selection& selection,
    RunningRequest& request,
    UnixMillis now,
    std::chrono::milliseconds probe_for);

/// The probe told nothing (its client left, the network failed): the next request may try.
void end_probe(Segment& segment, AccountSlot account);

} // namespace shared
