/// One connection to the fake upstreams: reads requests, checks them, decides what to answer.
#include "shared/fake_providers/answer.hpp"
#include "shared/fake_providers/coding.hpp"
#include "shared/fake_providers/sender.hpp"
#include "shared/fake_providers/server.hpp"

#include <algorithm>
#include <array>
#include <fstream>
#include <utility>

namespace shared::fake_providers {

namespace {

constexpr std::array<Leg, 7> kPrefixed{
    Leg::codex,
    Leg::chatgpt,
    Leg::openai_api,
    Leg::claude,
    Leg::gemini_api,
    Leg::gemini,
    Leg::auth};

/// Fields that tell of the way through a proxy, of one hop, or of the pool's own credentials.
constexpr std::array<std::string_view, 17> kForbiddenFields{
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "forwarded",
    "x-real-ip",
    "via",
    "cdn-loop",
    "true-client-ip",
    "proxy-authorization",
    "proxy-connection",
    "keep-alive",
    "te",
    "x-admin-token",
    "x-friend-code",
    "cookie",
    "trailer",
    "x-one-hop"};

Call parse_call(const Message& message, std::string& target)
{
    Call call;
    const std::size_t first = message.first_line.find(' ');
    const std::size_t second = message.first_line.rfind(' ');
    if (first == std::string::npos || second <= first) return call;
    call.method = message.first_line.substr(0, first);
    target = message.first_line.substr(first + 1, second - first - 1);
    const std::size_t question = target.find('?');
    call.path = target.substr(0, question);
    if (question != std::string::npos) call.query = target.substr(question + 1);
    for (const Leg leg : kPrefixed) {
        const std::string prefix = std::string(leg_prefix(leg)) + "/";
        if (!call.path.starts_with(prefix)) continue;
        call.leg = leg;
        call.path.erase(0, prefix.size() - 1);
        break;
    }
    call.headers = message.headers;
    return call;
}

bool guess_generates(const Call& call)
{
    static constexpr std::array<std::string_view, 6> kEnds{
        "/responses",
        "/responses/compact",
        "/chat/completions",
        "/v1/messages",
        ":generateContent",
        ":streamGenerateContent"};
    return (call.method == "POST" || find_header(call.headers, "upgrade") != nullptr) &&
           std::ranges::any_of(
               kEnds, [&](std::string_view end) { return call.path.ends_with(end); });
}

/// Writes down everything that should never have reached an upstream.
void check_head(Server& server, const Message& message, const Call& call)
{
    if (call.leg == Leg::direct) return;
    Ledger& ledger = server.ledger();
    const std::string where = call.method + " " + call.path + ": ";
    const bool upgrade = find_header(call.headers, "upgrade") != nullptr;
    int credentials = 0;
    for (const auto& [name, value] : message.headers) {
        const std::string field = lower(name);
        if (std::ranges::find(kForbiddenFields, field) != kForbiddenFields.end() ||
            field.starts_with("cf-"))
            ledger.violation(where + "field " + field);
        if (field == "authorization" || field == "x-api-key" || field == "x-goog-api-key")
            ++credentials;
    }
    if (credentials > 1) ledger.violation(where + "more than one credential");
    if (message.header("content-length") != nullptr &&
        message.header("transfer-encoding") != nullptr)
        ledger.violation(where + "two framings");
    if (message.value("host") != "127.0.0.1:" + std::to_string(server.port()))
        ledger.violation(where + "Host is " + message.value("host"));
    if (upgrade != (lower(message.value("connection")).find("upgrade") != std::string::npos))
        ledger.violation(where + "Upgrade and Connection disagree");
    for (const std::string& secret : server.forbidden()) {
        if (message.first_line.find(secret) != std::string::npos)
            ledger.violation(where + "a client's secret in the target");
        for (const auto& [name, value] : message.headers) {
            if (value.find(secret) != std::string::npos)
                ledger.violation(where + "a client's secret in " + lower(name));
        }
    }
}

/// Answers that a proxy must not take for one.
bool is_unusable(Fault fault)
{
    return fault == Fault::bad_head || fault == Fault::double_length;
}

/// What is wrong with the credential, or "".
std::string check_account(const Call& call)
{
    if (call.leg == Leg::direct) return {};
    if (call.account == nullptr) return "unknown credential";
    const Account& account = *call.account;
    const auto value = [&](std::string_view name) {
        const std::string* found = find_header(call.headers, name);
        return found == nullptr ? std::string() : *found;
    };
    if (account.vendor == Vendor::codex && account.kind == Kind::oauth &&
        value("chatgpt-account-id") != account.vendor_id)
        return "ChatGPT-Account-ID is not the account's";
    if (account.vendor == Vendor::codex && account.kind == Kind::api_key &&
        (call.leg != Leg::openai_api || !value("chatgpt-account-id").empty()))
        return "an API key on the ChatGPT back end, or with an account id";
    if (account.vendor == Vendor::claude) {
        const bool bearer = !value("authorization").empty();
        if (bearer != (account.kind == Kind::oauth)) return "the wrong kind of credential field";
        if (bearer && call.path.starts_with("/v1/messages") &&
            (value("anthropic-beta").find("oauth-2025-04-20") == std::string::npos ||
             ("&" + call.query + "&").find("&beta=true&") == std::string::npos))
            return "OAuth without its beta flags";
    }
    if (account.vendor == Vendor::gemini &&
        (value("x-goog-api-key").empty() == (account.kind == Kind::api_key)))
        return "the wrong kind of credential field";
    if (call.leg == Leg::gemini && account.kind == Kind::api_key)
        return "an API key on Code Assist";
    if (("&" + call.query).find("&key=") != std::string::npos) return "a key in the query";
    return {};
}

Answer make_answer(Server& server, Call& call, const Behaviour& behaviour, Vendor vendor)
{
    if (behaviour.status != 0) {
        Answer out;
        out.status = behaviour.status;
        out.body = behaviour.body;
        return out;
    }
    if (call.leg == Leg::auth) return server.answer_token(call);
    if (const std::string problem = check_account(call); !problem.empty()) {
        server.ledger().violation(call.method + " " + call.path + ": " + problem);
        return error_answer(
            vendor,
            401,
            vendor == Vendor::gemini ? "UNAUTHENTICATED" : "authentication_error",
            problem);
    }
    switch (vendor) {
    case Vendor::claude:
        return answer_claude(call);
    case Vendor::gemini:
        return answer_gemini(call);
    case Vendor::codex:
        break;
    }
    return answer_codex(call);
}

void record(const Server& server, const Call& call, Vendor vendor)
{
    if (server.options().record_folder.empty()) return;
    static constexpr std::array<const char*, 3> kNames{"codex", "claude", "gemini"};
    const std::string path = server.options().record_folder + "/" +
                             kNames[static_cast<std::size_t>(vendor)] + "_" +
                             std::to_string(call.number);
    std::ofstream head(path + ".head");
    head << call.method << ' ' << call.path << '?' << call.query << '\n';
    for (const auto& [name, value] : call.headers)
        head << name << ": " << value << '\n';
    std::ofstream(path + ".body", std::ios::binary) << call.body;
}

/// One request whose head was read; false if the connection is over.
class Turn {
public:
    Turn(Server& server, Wire& wire, Message& message)
        : server_(server), wire_(wire), message_(message)
    {}

    bool run()
    {
        call_ = parse_call(message_, target_);
        vendor_ = vendor_of(call_);
        account_ = server_.account_of(call_.headers, vendor_, call_.leg == Leg::openai_api);
        call_.account = account_ && call_.leg != Leg::direct ? &*account_ : nullptr;
        check_head(server_, message_, call_);
        const bool generates = guess_generates(call_);
        behaviour_ = server_.behaviour_for(name(), target_, generates);
        begin(generates);
        if (find_header(call_.headers, "upgrade") != nullptr) return upgrade();
        if (behaviour_.fault == Fault::reset_on_head) return reset();
        if (behaviour_.fault == Fault::early_response) {
            const bool sent = answer();
            return wire_.read_body(message_, false) && sent;
        }
        return read_body() && !ends_before_head() && answer();
    }

private:
    [[nodiscard]] std::string name() const { return account_ ? account_->name : ""; }

    void begin(bool generates)
    {
        Exchange exchange;
        exchange.account = name();
        exchange.method = call_.method;
        exchange.target = target_;
        exchange.headers = call_.headers;
        exchange.generates = generates;
        exchange.websocket = find_header(call_.headers, "upgrade") != nullptr;
        call_.number = server_.ledger().begin(std::move(exchange));
    }

    bool reset()
    {
        wire_.reset();
        return false;
    }

    bool upgrade()
    {
        if (!server_.options().websockets && behaviour_.status == 0) behaviour_ = answers(426);
        if (behaviour_.fault == Fault::reset_before_head) return reset();
        if (behaviour_.fault == Fault::hang_before_head && !server_.gate(wire_)) return false;
        if (behaviour_.status != 0 || !check_account(call_).empty()) return answer();
        serve_codex_socket(server_, wire_, message_, call_, behaviour_);
        return false;
    }

    bool read_body()
    {
        if (lower(message_.value("expect")) == "100-continue" &&
            !wire_.write("HTTP/1.1 100 Continue\r\n\r\n"))
            return false;
        if (!wire_.read_body(message_, false)) return false;
        call_.body = std::move(message_.body);
        call_.decoded = decode_body(message_.value("content-encoding"), call_.body);
        server_.ledger().update(call_.number, [&](Exchange& each) {
            each.request_sha256 = sha256_hex(call_.body);
            each.request_bytes = call_.body.size();
        });
        return true;
    }

    bool ends_before_head()
    {
        switch (behaviour_.fault) {
        case Fault::hang_before_head:
            return !server_.gate(wire_);
        case Fault::reset_before_head:
            wire_.reset();
            return true;
        case Fault::close_before_head:
            return true;
        default:
            return false;
        }
    }

    bool answer()
    {
        const Subject subject = subject_of(call_, vendor_);
        call_.tokens = tokens_for(call_.body);
        call_.deltas = behaviour_.deltas != 0 ? behaviour_.deltas : server_.options().deltas;
        call_.delta_bytes = behaviour_.delta_bytes;
        if (behaviour_.interval.count() == 0) behaviour_.interval = server_.options().interval;
        if (behaviour_.fault == Fault::in_band_error || behaviour_.fault == Fault::late_error) {
            call_.error_event = behaviour_.body;
            call_.error_after = behaviour_.fault == Fault::late_error ? behaviour_.fault_after : 0;
        }
        const bool serves = subject.generates && behaviour_.status == 0 &&
                            (call_.error_event.empty() || call_.error_after != 0) &&
                            !is_unusable(behaviour_.fault) && check_account(call_).empty();
        if (serves && call_.leg != Leg::direct)
            call_.moved_is_error =
                server_.ledger().note_conversation(subject.conversation, name()) &&
                server_.options().strict_affinity;
        call_.quota = server_.quota_of(name(), serves);
        server_.ledger().update(call_.number, [&](Exchange& each) {
            each.model = subject.model;
            each.conversation = subject.conversation;
        });
        if (subject.generates) record(server_, call_, vendor_);
        const Answer answer = make_answer(server_, call_, behaviour_, vendor_);
        Sender sender(server_, wire_, behaviour_, call_.number, call_.method == "HEAD");
        return sender.send(answer);
    }

    Server& server_;
    Wire& wire_;
    Message& message_;
    std::string target_;
    Call call_;
    Vendor vendor_ = Vendor::codex;
    std::optional<Account> account_;
    Behaviour behaviour_;
};

bool serve_control(Server& server, Wire& wire, Message& message)
{
    if (!wire.read_body(message, false)) return false;
    unsigned status = 200;
    const std::string body = server.control(message, status);
    return wire.write(
        "HTTP/1.1 " + std::to_string(status) +
        " Control\r\nContent-Type: application/json\r\nContent-Length: " +
        std::to_string(body.size()) + "\r\n\r\n" + body);
}

} // namespace

void serve_connection(Server& server, Wire wire, int id)
{
    for (;;) {
        Message message;
        server.mark_idle(id, true);
        if (!wire.read_head(message)) return;
        server.mark_idle(id, false);
        const bool control = message.first_line.find(" /_fake/") != std::string::npos;
        const bool goes_on =
            control ? serve_control(server, wire, message) : Turn(server, wire, message).run();
        if (!goes_on) return;
    }
}

} // namespace shared::fake_providers
