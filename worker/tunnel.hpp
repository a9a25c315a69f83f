/// After 101: relays WebSocket frames both ways unchanged, with the scanner on the side.
///
/// A turn that its user's limits do not let in is answered here and reaches no upstream; a user who may call no more
/// loses the connection within a second (close code 1008).
///
/// A connection stays with its account for good. Each turn (from the client's message that starts it to the
/// terminal event) is a request row of its own, so that usage is exact whatever ends the connection. Where an account
/// fails before a turn has output and another can serve, the client is told to start over instead of the error;
/// its next connection then goes elsewhere.
#pragma once

#include "shared/net/stream.hpp"
#include "shared/net/task.hpp"
#include "shared/providers/provider.hpp"
#include "shared/segment/pin_table.hpp"
#include "worker/worker_state.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace worker {

/// What the exchange hands over once the upstream's 101 has gone to the client.
struct TunnelStart {
    const shared::Provider* provider = nullptr;
    std::vector<shared::Leg> legs; ///< of the route: may another account take over?
    shared::UsageEntry first;      ///< the upgrade request's entry: user, provider, account, path
    std::optional<shared::PinKey> pin; ///< of the upgrade request
    shared::UserSlot pool_user;        ///< whose limits hold for each turn
    std::uint32_t generation = 0;      ///< of its keys: another one ends the connection
    std::string client_bytes;          ///< came behind the upgrade request
    std::string upstream_bytes;        ///< came behind the 101
};

/// Returns when both sides are done with. The caller closes the connections.
[[nodiscard]] shared::net::Task<> run_tunnel(
    WorkerState& state,
    shared::net::Stream& client,
    shared::net::Stream& upstream,
    TunnelStart start);

} // namespace worker
