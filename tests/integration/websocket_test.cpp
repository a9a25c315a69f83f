/// The Codex Responses transport over WebSockets, through the pool.
#include "shared/fake_providers/websocket.hpp"
#include "tests/integration/harness.hpp"

#include <nlohmann/json.hpp>

#include <signal.h>

namespace tests {
namespace {

using Json = nlohmann::json;

/// A Codex client's WebSocket: handshake done by the constructor.
class CodexClient {
public:
    CodexClient(std::uint16_t port, const std::string& conversation)
        : client_(port), conversation_(conversation)
    {
        response_ = client_.send("GET", "/v1/responses", headers(conversation))
                        ? client_.read_head()
                        : fake::Response();
        if (response_.status != 101) response_ = client_.read_rest();
    }

    static fake::Headers headers(const std::string& conversation)
    {
        return {
            {"Connection", "Upgrade"},
            {"Upgrade", "websocket"},
            {"Sec-WebSocket-Version", "13"},
            {"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="},
            {"Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits"},
            {"openai-beta", "responses_websockets=2026-02-06"},
            {"Authorization", "Bearer " + std::string(kClientSecret)},
            {"chatgpt-account-id", std::string(kClientSecret)},
            {"session-id", conversation}};
    }

    [[nodiscard]] const fake::Response& handshake() const { return response_; }

    [[nodiscard]] fake::WebSocket& socket() { return socket_; }

    [[nodiscard]] fake::Wire& wire() { return client_.wire(); }

    bool create(const std::string& previous, bool generate = true, const std::string& text = "hi")
    {
        Json message = {
            {"type", "response.create"},
            {"model", "gpt-6.1-sol"},
            {"prompt_cache_key", conversation_},
            {"input", {{{"type", "message"}, {"role", "user"}, {"content", text}}}}};
        if (!previous.empty()) message["previous_response_id"] = previous;
        if (!generate) message["generate"] = false;
        return socket_.send_text(message.dump());
    }

    /// The next message as JSON; null at the end. A close is {"close":code}.
    Json next()
    {
        const std::optional<fake::SocketMessage> message = socket_.receive();
        if (!message) return {};
        if (message->opcode == fake::Opcode::close) return {{"close", message->close_code}};
        return Json::parse(message->payload, nullptr, false);
    }

    /// Reads to the end of the turn; the last message.
    Json finish()
    {
        for (;;) {
            Json message = next();
            if (!message.is_object() || message.contains("close")) return message;
            const std::string type = message.value("type", "");
            if (type == "response.completed" || type == "error" || type == "response.failed")
                return message;
        }
    }

    /// A whole turn; the response's id, or "".
    std::string turn(const std::string& previous, bool generate = true)
    {
        if (!create(previous, generate)) return {};
        const Json last = finish();
        return last.is_object() && last.value("type", "") == "response.completed"
                   ? last["response"].value("id", "")
                   : std::string();
    }

private:
    fake::Client client_;
    std::string conversation_;
    fake::Response response_;
    fake::WebSocket socket_{client_.wire(), true};
};

class Socket : public PoolTest {
protected:
    void add_two()
    {
        add(fake::Vendor::codex, fake::Kind::oauth, "codex_1");
        add(fake::Vendor::codex, fake::Kind::oauth, "codex_2");
    }
};

TEST_F(Socket, PrewarmAndChainedTurns)
{
    add_two();
    start();
    CodexClient codex(port(), "c");
    ASSERT_EQ(codex.handshake().status, 101U) << codex.handshake().body;
    EXPECT_EQ(codex.handshake().value("sec-websocket-accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    EXPECT_NE(codex.handshake().value("x-codex-turn-state"), "");
    EXPECT_EQ(codex.handshake().value("set-cookie"), "");
    const std::string warm = codex.turn("", false);
    ASSERT_NE(warm, "");
    const std::string first = codex.turn(warm);
    ASSERT_NE(first, "");
    const std::string second = codex.turn(first);
    ASSERT_NE(second, "");
    expect_usage_settles();
    ASSERT_TRUE(codex.socket().send_close(1000, "bye"));
    EXPECT_EQ(codex.next(), Json({{"close", 1000}}));
    expect_idle();
    EXPECT_EQ(
        database_number("SELECT COUNT(*) FROM requests WHERE websocket = 1 AND output_tokens > 0"),
        2);
    EXPECT_EQ(upstream().ledger().moves(), std::vector<std::string>());
}

TEST_F(Socket, TheNextConnectionOfAConversationComesToTheSameAccount)
{
    fake::ServerOptions options;
    options.strict_affinity = true;
    use_upstream(options);
    add_two();
    start();
    for (std::size_t i = 0; i < 6; ++i) {
        const std::string id = "c" + std::to_string(i);
        for (int round = 0; round < 3; ++round) {
            CodexClient codex(port(), id);
            ASSERT_EQ(codex.handshake().status, 101U);
            ASSERT_NE(codex.turn(codex.turn("", false)), "");
        }
        // Then over HTTP, as after a fall-back.
        fake::Client client = this->client();
        EXPECT_EQ(make(client, turn_of(Cli::codex, id)).status, 200U);
    }
    EXPECT_EQ(upstream().ledger().moves(), std::vector<std::string>());
    expect_usage_settles();
}

TEST_F(Socket, ARefusedHandshakeIsTriedOnAnotherAccount)
{
    add_two();
    start();
    for (const fake::Behaviour& each :
         {fake::answers(401, "{}"),
          fake::answers(403, "{}"),
          fake::exhausted(fake::Vendor::codex, 60),
          fake::answers(503, "busy"),
          fake::does(fake::Fault::reset_before_head)}) {
        fake::Behaviour once = each;
        once.times = 1;
        upstream().clear_script();
        upstream().script(once);
        CodexClient codex(port(), "c" + std::to_string(each.status));
        EXPECT_EQ(codex.handshake().status, 101U) << each.status << codex.handshake().body;
        EXPECT_NE(codex.turn(""), "");
        // Free the account for the next round.
        EXPECT_EQ(stop(), 0);
        std::filesystem::remove(folder() / "data" / "evidence.json");
        start();
    }
}

TEST_F(Socket, OnlyHttpLeftIsSaidWith426)
{
    add(fake::Vendor::codex, fake::Kind::api_key, "codex_key");
    fake::ServerOptions options;
    options.websockets = false;
    start();
    upstream().script(fake::answers(426, "Upgrade Required"));
    CodexClient codex(port(), "c");
    EXPECT_EQ(codex.handshake().status, 426U) << codex.handshake().body;
    upstream().clear_script();
    fake::Client client = this->client();
    EXPECT_EQ(make(client, turn_of(Cli::codex, "c")).status, 200U);
}

TEST_F(Socket, FramesPassUnchanged)
{
    add(fake::Vendor::codex, fake::Kind::oauth, "codex_1");
    start();
    CodexClient codex(port(), "c");
    ASSERT_EQ(codex.handshake().status, 101U);
    // A fragmented message with a ping between its fragments, and one of a megabyte.
    const std::string text =
        R"({"type":"response.create","model":"gpt-6.1-sol","prompt_cache_key":"c","input":[]})";
    using fake::Opcode;
    ASSERT_TRUE(codex.socket().send_frame(
        {.final = false, .opcode = Opcode::text, .payload = text.substr(0, 30)}));
    ASSERT_TRUE(codex.socket().send_frame(
        {.final = true, .opcode = Opcode::ping, .payload = "are you there"}));
    ASSERT_TRUE(codex.socket().send_frame(
        {.final = true, .opcode = Opcode::continuation, .payload = text.substr(30)}));
    EXPECT_EQ(codex.finish().value("type", ""), "response.completed");
    ASSERT_TRUE(codex.create("", true, std::string(1U << 20U, 'x')));
    EXPECT_EQ(codex.finish().value("type", ""), "response.completed");
    const std::vector<fake::Exchange> turns = upstream().ledger().turns();
    EXPECT_GT(turns.back().request_bytes, 1U << 20U);
    expect_usage_settles();
}

TEST_F(Socket, CloseCodesAndResetsArePassedOn)
{
    add(fake::Vendor::codex, fake::Kind::oauth, "codex_1");
    start();
    fake::Behaviour closes = fake::does(fake::Fault::close_mid_stream, 6);
    closes.times = 1;
    upstream().script(closes);
    CodexClient codex(port(), "c");
    ASSERT_EQ(codex.handshake().status, 101U);
    ASSERT_TRUE(codex.create(""));
    EXPECT_EQ(codex.finish(), Json({{"close", 1011}}));
    closes.fault = fake::Fault::reset_mid_stream;
    upstream().script(closes);
    CodexClient second(port(), "c");
    ASSERT_EQ(second.handshake().status, 101U);
    ASSERT_TRUE(second.create(""));
    const Json last = second.finish();
    EXPECT_TRUE(last.is_null() || last.contains("close")) << last.dump();
    expect_idle();
}

TEST_F(Socket, AnErrorBeforeOutputMakesTheClientStartOver)
{
    add_two();
    start();
    CodexClient codex(port(), "c");
    ASSERT_EQ(codex.handshake().status, 101U);
    const std::string first = codex.turn("");
    ASSERT_NE(first, "");
    // The account is used up in the middle of a chained conversation: nobody else knows `first`.
    fake::Behaviour limit = fake::does(fake::Fault::in_band_error);
    limit.body =
        R"({"type":"error","status":429,"error":{"type":"usage_limit_reached","message":"used up"}})";
    limit.times = 1;
    upstream().script(limit);
    ASSERT_TRUE(codex.create(first));
    const Json answer = codex.finish();
    ASSERT_TRUE(answer.is_object());
    EXPECT_TRUE(
        answer.contains("close") ||
        answer["error"].value("code", "") == "previous_response_not_found")
        << answer.dump();
    CodexClient again(port(), "c");
    ASSERT_EQ(again.handshake().status, 101U);
    EXPECT_NE(again.turn(""), "");
    EXPECT_NE(
        upstream().ledger().turns().front().account, upstream().ledger().turns().back().account);
}

TEST_F(Socket, WhenNobodyServesTheHandshakeSaysSo)
{
    add(fake::Vendor::codex, fake::Kind::oauth, "codex_1");
    start();
    upstream().script(fake::exhausted(fake::Vendor::codex, 600));
    CodexClient codex(port(), "c");
    EXPECT_EQ(codex.handshake().status, 429U);
    EXPECT_NE(codex.handshake().body.find("usage_limit_reached"), std::string::npos)
        << codex.handshake().body;
}

TEST_F(Socket, PingsKeepAQuietConnectionAlive)
{
    add(fake::Vendor::codex, fake::Kind::oauth, "codex_1");
    set("websocket_heartbeat_seconds = 1");
    start();
    fake::Behaviour gated;
    gated.gate_after = 3;
    upstream().script(gated);
    CodexClient codex(port(), "c");
    ASSERT_EQ(codex.handshake().status, 101U);
    ASSERT_TRUE(codex.create(""));
    std::jthread releaser([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(2500));
        upstream().release();
    });
    EXPECT_EQ(codex.finish().value("type", ""), "response.completed");
    EXPECT_GE(codex.socket().pings_seen(), 1U);
    expect_usage_settles();
}

TEST_F(Socket, AKilledWorkersTurnIsCounted)
{
    add(fake::Vendor::codex, fake::Kind::oauth, "codex_1");
    set("workers = 1");
    start();
    fake::Behaviour gated;
    gated.gate_after = 6;
    gated.times = 1;
    upstream().script(gated);
    CodexClient codex(port(), "c");
    ASSERT_EQ(codex.handshake().status, 101U);
    ASSERT_TRUE(codex.create(""));
    ASSERT_EQ(codex.next().value("type", ""), "response.created");
    ASSERT_EQ(::kill(pool().children("worker").at(0), SIGKILL), 0);
    EXPECT_TRUE(codex.finish().is_null());
    EXPECT_TRUE(eventually([&] {
        return database_number("SELECT COUNT(*) FROM requests WHERE outcome = 'worker_killed'") ==
               1;
    }));
    CodexClient again(port(), "c");
    ASSERT_EQ(again.handshake().status, 101U);
    EXPECT_NE(again.turn(""), "");
    expect_idle();
}

} // namespace
} // namespace tests
