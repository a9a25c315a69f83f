/// Puts one answer on the wire, framed and coded as scripted, and keeps the bytes for their hash.
#pragma once

#include "shared/fake_providers/answer.hpp"
#include "shared/fake_providers/behaviour.hpp"
#include "shared/fake_providers/coding.hpp"
#include "shared/fake_providers/server.hpp"
#include "shared/fake_providers/wire.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace shared::fake_providers {

class Sender {
public:
    Sender(
        Server& server,
        Wire& wire,
        const Behaviour& behaviour,
        std::uint64_t number,
        bool head_only);

    /// Sends it all, faults included; false if the connection is of no further use.
    bool send(const Answer& answer);

private:
    bool send_head(const Answer& answer, std::string_view framing);
    bool send_document(const Answer& answer);
    bool send_stream(const Answer& answer);
    /// What is scripted to go wrong before event `index`; true = the stream is over.
    bool spoil(std::size_t index, const Answer& answer);
    bool payload(std::string_view bytes, bool last);
    bool raw(std::string_view bytes);
    bool finish();
    void told(const Tokens& tokens);

    Server& server_;
    Wire& wire_;
    const Behaviour& behaviour_;
    std::uint64_t number_;
    bool head_only_;
    bool chunked_ = false;
    std::unique_ptr<Encoder> encoder_;
    std::string sent_;
};

} // namespace shared::fake_providers
