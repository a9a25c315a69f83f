/// Streams that stand still in the middle, whatever happens to the pool meanwhile.
#pragma once

#include "shared/fake_providers/client.hpp"
#include "shared/fake_providers/server.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace tests {

/// Claude streams, each of a conversation of its own, that stand still in the middle until they are to end.
class HeldStreams {
public:
    /// Opens so many more; a failure of the test if one does not begin.
    void open(shared::fake_providers::Server& upstream, std::uint16_t port, std::size_t count);
    /// Lets the upstream go on: all of them must end whole.
    void expect_whole(shared::fake_providers::Server& upstream);
    /// Drops the connections.
    void drop() { streams_.clear(); }

    [[nodiscard]] std::size_t count() const { return streams_.size(); }

private:
    std::vector<std::unique_ptr<shared::fake_providers::Client>> streams_;
};

} // namespace tests
