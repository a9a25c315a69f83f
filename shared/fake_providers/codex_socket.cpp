/// The Responses transport over a WebSocket: turns chained by previous_response_id on one connection.
#include "shared/fake_providers/coding.hpp"
#include "shared/fake_providers/server.hpp"
#include "shared/fake_providers/websocket.hpp"

#include <nlohmann/json.hpp>

#include <set>
#include <thread>

namespace shared::fake_providers {

namespace {

using Json = nlohmann::json;

std::string error_message(unsigned status, std::string_view code, std::string_view message)
{
    return Json{
        {"type", "error"},
        {"status", status},
        {"error", {{"type", "invalid_request_error"}, {"code", code}, {"message", message}}}}
        .dump();
}

class CodexSocket {
public:
    CodexSocket(Server& server, Wire& wire, Call call, const Behaviour& first)
        : server_(server), wire_(wire), socket_(wire, false), call_(std::move(call)), first_(first)
    {}

    void run()
    {
        for (;;) {
            const std::optional<SocketMessage> message = socket_.receive();
            if (!message) return;
            if (message->opcode == Opcode::close) {
                (void)socket_.send_close(message->close_code == 0 ? 1000 : message->close_code, "");
                return;
            }
            if (!turn(message->payload)) return;
        }
    }

private:
    [[nodiscard]] std::string account() const
    {
        return call_.account == nullptr ? "" : call_.account->name;
    }

    std::uint64_t begin(const std::string& text, const Json& request, bool generates)
    {
        Exchange exchange;
        exchange.account = account();
        exchange.method = "WS";
        exchange.target = call_.path;
        exchange.headers = call_.headers;
        exchange.request_sha256 = sha256_hex(text);
        exchange.request_bytes = text.size();
        exchange.model = request.value("model", "");
        exchange.conversation = request.value("prompt_cache_key", "");
        exchange.generates = generates;
        exchange.websocket = true;
        exchange.status = 200;
        return server_.ledger().begin(std::move(exchange));
    }

    /// False if the connection is over.
    bool turn(const std::string& text)
    {
        const Json request = Json::parse(text, nullptr, false);
        if (!request.is_object() || request.value("type", "") != "response.create")
            return socket_.send_text(
                error_message(400, "invalid_request_error", "not a response.create"));
        const bool generate = request.value("generate", true);
        const std::uint64_t number = begin(text, request, generate);
        call_.number = number;
        call_.body = text;
        call_.decoded = text;
        call_.tokens = tokens_for(text);
        const std::string previous = request.value("previous_response_id", "");
        if (!previous.empty() && !known_.contains(previous))
            return socket_.send_text(
                error_message(400, "previous_response_not_found", "Previous response not found."));
        const bool moved = generate && server_.ledger().note_conversation(
                                           request.value("prompt_cache_key", ""), account());
        call_.moved_is_error = moved && server_.options().strict_affinity;
        if (const std::string problem = foreign_state(call_, request); !problem.empty())
            return socket_.send_text(error_message(400, "invalid_encrypted_content", problem));
        const Behaviour behaviour = generate ? scripted() : Behaviour{};
        if (behaviour.fault == Fault::in_band_error) return socket_.send_text(behaviour.body);
        return stream(request, generate, behaviour);
    }

    /// The behaviour found with the handshake serves the first turn, later ones are looked up anew.
    Behaviour scripted()
    {
        if (!std::exchange(used_first_, true)) return first_;
        return server_.behaviour_for(account(), call_.path, true);
    }

    bool stream(const Json& request, bool generate, const Behaviour& behaviour)
    {
        call_.deltas = behaviour.deltas != 0 ? behaviour.deltas : server_.options().deltas;
        call_.delta_bytes = behaviour.delta_bytes;
        const std::string id =
            "resp_" + sha256_hex(call_.body + std::to_string(call_.number)).substr(0, 32);
        const std::vector<Event> events = codex_turn(call_, request, generate, id);
        std::string sent;
        for (std::size_t i = 0; i < events.size(); ++i) {
            if (behaviour.gate_after == i && !server_.gate(wire_)) return false;
            if (i == behaviour.fault_after && behaviour.fault == Fault::reset_mid_stream) {
                wire_.reset();
                return false;
            }
            if (i == behaviour.fault_after && behaviour.fault == Fault::close_mid_stream) {
                (void)socket_.send_close(1011, "scripted");
                return false;
            }
            const auto pause =
                behaviour.interval.count() != 0 ? behaviour.interval : server_.options().interval;
            if (pause.count() != 0) std::this_thread::sleep_for(pause);
            if (!socket_.send_text(events[i].data)) return false;
            sent += events[i].data;
            if (events[i].says)
                server_.ledger().update(
                    call_.number, [&](Exchange& each) { each.said = *events[i].says; });
        }
        known_.insert(id);
        server_.ledger().update(call_.number, [&](Exchange& each) {
            each.complete = true;
            each.response_sha256 = sha256_hex(sent);
            each.response_bytes = sent.size();
        });
        return true;
    }

    Server& server_;
    Wire& wire_;
    WebSocket socket_;
    Call call_;
    Behaviour first_;
    bool used_first_ = false;
    std::set<std::string> known_;
};

} // namespace

void serve_codex_socket(
    Server& server, Wire& wire, const Message& head, Call call, const Behaviour& behaviour)
{
    server.ledger().update(call.number, [&](Exchange& each) {
        each.status = 101;
        each.generates = false;
    });
    call.quota = server.quota_of(call.account == nullptr ? "" : call.account->name, true);
    std::string reply =
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";
    reply += "Sec-WebSocket-Accept: " + websocket_accept(head.value("sec-websocket-key")) + "\r\n";
    reply += "x-codex-turn-state: " + bound_state(call) + "\r\n";
    reply += "Set-Cookie: __cf_bm=fake-cookie\r\n";
    reply += "x-codex-primary-used-percent: " + std::to_string(call.quota.short_used) + "\r\n\r\n";
    if (!wire.write(reply)) return;
    CodexSocket(server, wire, std::move(call), behaviour).run();
}

} // namespace shared::fake_providers
