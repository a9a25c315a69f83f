#include "shared/providers/provider.hpp"
#include "tests/shared/providers/messages.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <memory>
#include <string>

namespace shared {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using testing::Request;
using testing::Response;

constexpr UnixMillis kNow{1'763'805'600'000}; // 2025-11-22T10:00:00Z, 02:00 in Los Angeles

class GeminiTest : public ::testing::Test {
protected:
    RequestFacts inspect(const http::RequestHead& head, std::string_view body) const
    {
        return gemini_->inspect(gemini_->route(head), head, body);
    }

    Verdict classify(const Response& response) const
    {
        return gemini_->classify(response.head(), response.body(), kNow);
    }

    Verdict classify(unsigned status, std::string_view body) const
    {
        const Response response(status, {{"Content-Type", "application/json"}});
        return gemini_->classify(response.head(), body, kNow);
    }

    ResponseFacts scan(const Response& response, std::size_t piece) const
    {
        ResponseScanner scanner(*gemini_, response.head().fields.find("content-type"));
        std::string_view rest = response.body();
        while (!rest.empty()) {
            scanner.feed(rest.substr(0, piece), kNow);
            rest.remove_prefix(std::min(piece, rest.size()));
        }
        scanner.finish(kNow);
        return scanner.facts();
    }

    std::string target(const char* path_and_query) const
    {
        const Request head("POST", path_and_query);
        return gemini_->upstream_target(gemini_->route(head).legs.at(0), head, key_);
    }

    std::unique_ptr<const Provider> gemini_ = make_gemini_provider();
    AccountCredential oauth_{CredentialKind::oauth, "ya29.test", {}};
    AccountCredential key_{CredentialKind::api_key, "AIza-test", {}};
};

// ---- routing -----------------------------------------------------------------------------------

TEST_F(GeminiTest, ClaimsItsPaths)
{
    EXPECT_EQ(gemini_->match(Request("POST", "/v1internal:loadCodeAssist")), Match::marker);
    EXPECT_EQ(gemini_->match(Request("GET", "/v1internal/operations/o1")), Match::marker);
    EXPECT_EQ(gemini_->match(Request("POST", "/v1beta/models/m:generateContent")), Match::path);
    EXPECT_EQ(
        gemini_->match(
            Request("POST", "/v1beta/models/m:generateContent", {{"X-Goog-Api-Key", "k"}})),
        Match::marker);
    EXPECT_EQ(gemini_->match(Request("POST", "/v1/models/m:generateContent")), Match::none);
    EXPECT_EQ(
        gemini_->match(Request("POST", "/v1/models/m:generateContent", {{"x-goog-api-key", "k"}})),
        Match::marker);
    EXPECT_EQ(gemini_->match(Request("GET", "/v1/models", {{"x-goog-api-key", "k"}})), Match::none);
    EXPECT_EQ(gemini_->match(Request("POST", "/v1betaX")), Match::none);
    EXPECT_EQ(gemini_->match(Request("POST", "/v1/responses")), Match::none);
}

TEST_F(GeminiTest, CodeAssistNeedsASignIn)
{
    const Route turn = gemini_->route(Request("POST", "/v1internal:streamGenerateContent?alt=sse"));
    EXPECT_EQ(turn.target, Route::Target::upstream);
    EXPECT_TRUE(turn.conversation);
    EXPECT_TRUE(turn.generates);
    ASSERT_EQ(turn.legs.size(), 1U);
    EXPECT_EQ(turn.legs[0].kind, CredentialKind::oauth);
    EXPECT_EQ(turn.legs[0].path, "/v1internal:streamGenerateContent");
    EXPECT_EQ(gemini_->upstreams()[turn.legs[0].upstream.index].key, "gemini");
    for (const char* path :
         {"/v1internal:loadCodeAssist",
          "/v1internal:onboardUser",
          "/v1internal:retrieveUserQuota",
          "/v1internal:listExperiments"}) {
        const Route route = gemini_->route(Request("POST", path));
        EXPECT_EQ(route.target, Route::Target::upstream) << path;
        // Looked into for the project, but pinned to nothing.
        EXPECT_TRUE(route.conversation) << path;
        const RequestFacts facts = inspect(Request("POST", path), R"({"project":"p"})");
        EXPECT_EQ(facts.conversation_id + facts.fingerprint, "") << path;
        EXPECT_FALSE(route.generates) << path;
    }
    EXPECT_TRUE(gemini_->route(Request("POST", "/v1internal:countTokens")).conversation);
}

TEST_F(GeminiTest, PublicApiPrefersKeys)
{
    const Route turn = gemini_->route(Request("POST", "/v1beta/models/m:generateContent"));
    EXPECT_TRUE(turn.ordered_legs);
    ASSERT_EQ(turn.legs.size(), 2U);
    EXPECT_EQ(turn.legs[0].kind, CredentialKind::api_key);
    EXPECT_EQ(turn.legs[1].kind, CredentialKind::oauth);
    for (const Leg& leg : turn.legs)
        EXPECT_EQ(gemini_->upstreams()[leg.upstream.index].key, "gemini_api");
    const Route list = gemini_->route(Request("GET", "/v1beta/models"));
    EXPECT_EQ(list.target, Route::Target::upstream);
    EXPECT_FALSE(list.generates);
    EXPECT_EQ(gemini_->route(Request("GET", "/elsewhere")).target, Route::Target::not_found);
}

TEST_F(GeminiTest, QueryLosesCredentialsOnly)
{
    EXPECT_EQ(
        target("/v1beta/models/m:generateContent?key=AIza"), "/v1beta/models/m:generateContent");
    EXPECT_EQ(
        target("/v1beta/models/m:streamGenerateContent?alt=sse&key=AIza&x=%41"),
        "/v1beta/models/m:streamGenerateContent?alt=sse&x=%41");
    EXPECT_EQ(target("/v1beta/models?k%65y=a&KEY=b&%6bey&monkey=1"), "/v1beta/models?monkey=1");
    EXPECT_EQ(target("/v1beta/models?access_token=t&pageSize=5&&"), "/v1beta/models?pageSize=5&&");
    EXPECT_EQ(
        target("/v1internal:streamGenerateContent?alt=sse"),
        "/v1internal:streamGenerateContent?alt=sse");
}

TEST_F(GeminiTest, Credentials)
{
    const Request head("POST", "/v1beta/models/m:generateContent");
    std::string lines;
    gemini_->append_credentials(key_, head, lines);
    EXPECT_EQ(lines, "x-goog-api-key: AIza-test\r\n");
    lines.clear();
    gemini_->append_credentials(oauth_, head, lines);
    EXPECT_EQ(lines, "Authorization: Bearer ya29.test\r\n");
}

// ---- inspection ----------------------------------------------------------------------------------

TEST_F(GeminiTest, CodeAssistTurn)
{
    const Request head("POST", "/v1internal:streamGenerateContent?alt=sse");
    const std::string body =
        R"({"model":"gemini-3-pro","project":"proj-\u0061","user_prompt_id":"p",)"
        R"("request":{"contents":[{"role":"user","parts":[{"text":"\"project\":\"no\""}]}],)"
        R"("project":"inner","session_id":"s-1"}})";
    const RequestFacts facts = inspect(head, body);
    EXPECT_EQ(facts.model, "gemini-3-pro");
    EXPECT_TRUE(facts.stream);
    EXPECT_EQ(facts.conversation_id, "s-1");
    EXPECT_EQ(facts.project, "proj-a");
    EXPECT_EQ(body.substr(facts.project_offset, facts.project_length), R"("proj-\u0061")");
    EXPECT_FALSE(facts.body_malformed);
    EXPECT_FALSE(inspect(Request("POST", "/v1internal:generateContent"), body).stream);
}

TEST_F(GeminiTest, ProjectsOfTheCallsAroundATurn)
{
    const auto found = [&](const char* path, const std::string& body) {
        const RequestFacts facts = inspect(Request("POST", path), body);
        if (facts.project_length == 0) return std::string();
        EXPECT_EQ(
            body.substr(facts.project_offset, facts.project_length), '"' + facts.project + '"');
        return facts.project;
    };
    EXPECT_EQ(found("/v1internal:retrieveUserQuota", R"({"project":"p1"})"), "p1");
    EXPECT_EQ(
        found(
            "/v1internal:loadCodeAssist",
            R"({"metadata":{"duetProject":"p2"},"cloudaicompanionProject":"p3"})"),
        "p3");
    EXPECT_EQ(found("/v1internal:onboardUser", R"({"metadata":{"duetProject":"p2"}})"), "p2");
    EXPECT_EQ(found("/v1internal:loadCodeAssist", R"({"cloudaicompanionProject":null})"), "");
    EXPECT_EQ(found("/v1internal:generateContent", R"({"cloudaicompanionProject":"p"})"), "");
    EXPECT_EQ(found("/v1internal:generateContent", R"({"project":{"id":"p"}})"), "");
    EXPECT_EQ(found("/v1beta/models/m:generateContent", R"({"project":"p"})"), "");
}

TEST_F(GeminiTest, PublicApiIsToldByItsBeginning)
{
    const Request head("POST", "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse");
    const std::string first = R"({"contents":[{"role":"user","parts":[{"text":"ctx"}]}]})";
    const std::string second =
        R"({"contents":[{"role":"user","parts":[{"text":"ctx"}]},{"role":"model","parts":[]}]})";
    const RequestFacts facts = inspect(head, first);
    EXPECT_EQ(facts.model, "gemini-2.5-flash");
    EXPECT_TRUE(facts.stream);
    EXPECT_EQ(facts.conversation_id, "");
    EXPECT_NE(facts.fingerprint, "");
    EXPECT_EQ(facts.fingerprint, inspect(head, second).fingerprint);
    const Request other("POST", "/v1beta/models/gemini-3-pro:generateContent");
    EXPECT_NE(facts.fingerprint, inspect(other, first).fingerprint);
    EXPECT_EQ(inspect(head, R"({"contents":[]})").fingerprint, "");
    EXPECT_EQ(inspect(head, "").model, "gemini-2.5-flash");
    EXPECT_TRUE(inspect(head, "junk").body_malformed);
}

// ---- evidence -------------------------------------------------------------------------------------------

TEST_F(GeminiTest, ClassifiesStatuses)
{
    const auto error = [](const char* status, const char* reason) {
        return nlohmann::json{{"error",
                               {{"code", 1},
                                {"message", "m"},
                                {"status", status},
                                {"details", {{{"@type", "t"}, {"reason", reason}}}}}}}
            .dump();
    };
    EXPECT_EQ(classify(200, "").outcome, Outcome::served);
    EXPECT_EQ(classify(400, error("INVALID_ARGUMENT", "X")).outcome, Outcome::served);
    EXPECT_EQ(
        classify(400, error("INVALID_ARGUMENT", "API_KEY_INVALID")).outcome,
        Outcome::credential_rejected);
    EXPECT_EQ(classify(401, "").outcome, Outcome::credential_rejected);
    EXPECT_EQ(classify(403, "").outcome, Outcome::account_refused);
    EXPECT_EQ(
        classify(403, error("PERMISSION_DENIED", "SERVICE_DISABLED")).reason, "service_disabled");
    EXPECT_EQ(classify(403, error("PERMISSION_DENIED", "secret text")).reason, "permission_denied");
    EXPECT_EQ(classify(404, "").outcome, Outcome::served);
    for (const unsigned status : {408U, 500U, 502U, 503U, 504U})
        EXPECT_EQ(classify(status, "<html>").outcome, Outcome::upstream_failed) << status;
    EXPECT_EQ(
        classify(429, error("RESOURCE_EXHAUSTED", "MODEL_CAPACITY_EXHAUSTED")).outcome,
        Outcome::upstream_failed);
    EXPECT_EQ(classify(429, "no json").outcome, Outcome::rate_limited);
    EXPECT_FALSE(classify(429, "no json").until.is_set());
}

TEST_F(GeminiTest, DailyQuotaEndsAtMidnightInCalifornia)
{
    const Verdict daily = classify(Response::recorded("gemini/daily_quota.http"));
    EXPECT_EQ(daily.outcome, Outcome::rate_limited);
    EXPECT_EQ(daily.until.value, 1'763'884'800'000); // 2025-11-23T08:00:00Z
    EXPECT_EQ(
        classify(429, R"({"error":{"message":"Quota exceeded for requests Per Day"}})").until.value,
        1'763'884'800'000);
}

TEST_F(GeminiTest, OtherResetsFromTheMostExactStatement)
{
    const Verdict exact = classify(Response::recorded("gemini/code_assist_quota.http"));
    EXPECT_EQ(exact.until.value, 1'763'809'323'000); // 2025-11-22T11:02:03Z
    EXPECT_EQ(exact.reason, "quota_exhausted");

    const auto wait = [&](const std::string& error) {
        const Verdict limit = classify(429, R"({"error":)" + error + "}");
        return limit.until.is_set() ? limit.until.since(kNow).count() : -1;
    };
    EXPECT_EQ(
        wait(R"({"message":"per day","details":[{"metadata":{"quotaResetDelay":"12.5s"}}]})"),
        12'500);
    EXPECT_EQ(wait(R"({"message":"Your quota will reset after 1h2m3s."})"), 3'723'000);
    EXPECT_EQ(wait(R"({"details":[{"retryDelay":"2s"}]})"), 2'000);
    EXPECT_EQ(wait(R"({"message":"Please retry in 34.074824224s."})"), 34'075);
    EXPECT_EQ(wait(R"({"message":"please retry in a while"})"), -1);
    EXPECT_EQ(wait(R"({"details":[{"retryDelay":"soon"}]})"), -1);
    EXPECT_EQ(wait(R"({"details":[{"retryDelay":"99999999s"}]})"), -1);
    EXPECT_EQ(wait(R"({"message":5,"details":"x"})"), -1);

    const Response in_array(429, {{"Content-Type", "application/json"}});
    EXPECT_EQ(
        gemini_->classify(in_array, R"([{"error":{"details":[{"retryDelay":"2s"}]}}])", kNow)
            .until.since(kNow)
            .count(),
        2'000);
    const Response header(429, {{"Retry-After", "9"}});
    EXPECT_EQ(classify(header).until.since(kNow).count(), 9'000);
}

// ---- events ---------------------------------------------------------------------------------------------

TEST_F(GeminiTest, CodeAssistUsageIsTheLastSum)
{
    const Response stream = Response::recorded("gemini/code_assist_stream.http");
    for (std::size_t piece = 1; piece <= stream.body().size(); piece += piece < 40 ? 1 : 97) {
        const ResponseFacts facts = scan(stream, piece);
        ASSERT_EQ(facts.usage.input.value, 7'000) << piece;
        ASSERT_EQ(facts.usage.cached_input.value, 5'000);
        ASSERT_EQ(facts.usage.output.value, 71);
        ASSERT_EQ(facts.usage.reasoning.value, 60);
        ASSERT_EQ(facts.usage.billable().value, 2'071);
        ASSERT_EQ(facts.model, "gemini-3-pro");
        ASSERT_EQ(facts.response_id, "resp-1");
        ASSERT_TRUE(facts.generated);
        ASSERT_TRUE(facts.terminal);
    }
}

TEST_F(GeminiTest, PublicStreamAndArray)
{
    const Response stream = Response::recorded("gemini/api_stream.http");
    const ResponseFacts facts = scan(stream, 13);
    EXPECT_EQ(facts.usage.input.value, 13); // what tools fed back is input, too
    EXPECT_EQ(facts.usage.output.value, 22);
    EXPECT_EQ(facts.usage.reasoning.value, 20);
    EXPECT_TRUE(facts.terminal);

    const Response array = Response::recorded("gemini/api_array.http");
    for (const std::size_t piece : {std::size_t{1}, std::size_t{50}, array.body().size()}) {
        const ResponseFacts whole = scan(array, piece);
        EXPECT_EQ(whole.usage.input.value, 8) << piece;
        EXPECT_EQ(whole.usage.output.value, 2);
        EXPECT_TRUE(whole.terminal);
    }
}

TEST_F(GeminiTest, CutStreamKeepsWhatWasTold)
{
    const Response stream = Response::recorded("gemini/code_assist_stream.http");
    ResponseScanner scanner(*gemini_, "text/event-stream");
    scanner.feed(std::string_view(stream.body()).substr(0, stream.body().find("\n\n") + 2), kNow);
    EXPECT_EQ(scanner.facts().usage.input.value, 7'000);
    EXPECT_EQ(scanner.facts().usage.output.value, 40);
    EXPECT_TRUE(scanner.facts().generated);
    EXPECT_FALSE(scanner.facts().terminal);
}

TEST_F(GeminiTest, ErrorsInsideTheStream)
{
    const ResponseFacts facts = scan(Response::recorded("gemini/error_in_stream.http"), 9);
    ASSERT_TRUE(facts.failure);
    EXPECT_EQ(facts.failure->outcome, Outcome::upstream_failed);
    EXPECT_FALSE(facts.generated);

    const auto scan_text = [&](std::string_view text) {
        ResponseScanner scanner(*gemini_, "text/event-stream");
        scanner.feed(text, kNow);
        return scanner.facts();
    };
    const ResponseFacts limited =
        scan_text("data: {\"error\":{\"code\":429,\"details\":[{\"retryDelay\":\"2s\"}]}}\r\n\r\n");
    ASSERT_TRUE(limited.failure);
    EXPECT_EQ(limited.failure->outcome, Outcome::rate_limited);
    EXPECT_EQ(limited.failure->until.since(kNow).count(), 2'000);
    const ResponseFacts own = scan_text("data: {\"error\":{\"code\":400}}\n\n");
    EXPECT_FALSE(own.failure);
    EXPECT_TRUE(own.terminal);
    const ResponseFacts odd = scan_text("data: {\"error\":{\"code\":-7}}\n\n");
    EXPECT_EQ(odd.failure->outcome, Outcome::upstream_failed);
}

// ---- the pool's own errors --------------------------------------------------------------------------------

TEST_F(GeminiTest, ErrorsInGooglesDialect)
{
    const Request request("POST", "/v1internal:generateContent");
    const auto reply = [&](PoolError::Kind kind, UnixMillis retry_at = {}) {
        return gemini_->error_reply({kind, "No account is free.", retry_at, kNow}, request);
    };
    const auto error = [](const LocalReply& answer) {
        return nlohmann::json::parse(answer.body)["error"];
    };
    using Kind = PoolError::Kind;
    const LocalReply spent = reply(Kind::exhausted, kNow.plus(std::chrono::hours(1)));
    EXPECT_EQ(spent.status, 429U);
    EXPECT_EQ(error(spent)["code"], 429);
    EXPECT_EQ(error(spent)["status"], "RESOURCE_EXHAUSTED");
    EXPECT_EQ(error(spent)["message"], "No account is free (until 2025-11-22 11:00 UTC).");
    EXPECT_EQ(error(spent)["details"][0]["retryDelay"], "3600s");
    EXPECT_TRUE(std::any_of(spent.headers.begin(), spent.headers.end(), [](const auto& header) {
        return header.name == "Retry-After" && header.value == "3600";
    }));
    EXPECT_EQ(error(spent)["details"].size(), 1U);
    const auto unknown = error(reply(Kind::exhausted))["details"];
    ASSERT_EQ(unknown.size(), 1U);
    EXPECT_EQ(unknown[0]["reason"], "QUOTA_EXHAUSTED") << "else the CLI asks for minutes";
    EXPECT_EQ(unknown[0]["domain"], "cloudcode-pa.googleapis.com");
    EXPECT_THAT(
        error(reply(Kind::no_account))["message"].get<std::string>(), HasSubstr("limit: 0"));
    EXPECT_TRUE(error(reply(Kind::upstream_failed))["details"].empty());
    EXPECT_EQ(error(reply(Kind::unauthorized))["status"], "UNAUTHENTICATED");
    EXPECT_EQ(error(reply(Kind::not_found))["status"], "NOT_FOUND");
    EXPECT_EQ(error(reply(Kind::deadline))["status"], "DEADLINE_EXCEEDED");
    EXPECT_EQ(error(reply(Kind::no_account))["code"], 503);
    EXPECT_EQ(error(reply(Kind::body_too_large))["code"], 413);
    EXPECT_EQ(error(reply(Kind::user_disabled))["status"], "PERMISSION_DENIED");
    const LocalReply limit = reply(Kind::user_limit, kNow.plus(std::chrono::hours(2)));
    EXPECT_EQ(error(limit)["details"][0]["retryDelay"], "7200s");
    EXPECT_EQ(error(reply(Kind::user_limit))["details"][0]["reason"], "QUOTA_EXHAUSTED");
}

// ---- credential files ----------------------------------------------------------------------------------------

TEST_F(GeminiTest, ReadsGeminiClisFile)
{
    const auto credential = gemini_->parse_credential(R"({"access_token":"ya29.a",
        "refresh_token":"1//r","scope":"s","token_type":"Bearer","id_token":"x",
        "expiry_date":1763805600000,"plan_type":"Pro","quota_project_id":"q","project_id":"p"})");
    ASSERT_TRUE(credential) << credential.error().text();
    EXPECT_EQ(credential->kind, CredentialKind::oauth);
    EXPECT_EQ(credential->access_token.reveal(), "ya29.a");
    EXPECT_EQ(credential->refresh_token.reveal(), "1//r");
    EXPECT_EQ(credential->expires_at, kNow);
    EXPECT_EQ(credential->plan, "pro");
    EXPECT_EQ(credential->project, "p");
    const auto key = gemini_->parse_credential(R"({"api_key":"AIza1"})");
    ASSERT_TRUE(key);
    EXPECT_EQ(key->kind, CredentialKind::api_key);
    EXPECT_EQ(key->access_token.reveal(), "AIza1");
    EXPECT_EQ(key->plan, "gemini");
}

TEST_F(GeminiTest, SaysWhatIsWrongWithAFile)
{
    const auto problem = [&](const char* text) {
        const auto credential = gemini_->parse_credential(text);
        return credential ? std::string("fine") : credential.error().text();
    };
    EXPECT_THAT(problem(""), HasSubstr("is empty"));
    EXPECT_THAT(problem("{}"), HasSubstr("neither 'access_token'"));
    EXPECT_THAT(problem(R"({"refresh_token":"1//r"})"), HasSubstr("neither 'access_token'"));
    EXPECT_THAT(problem(R"({"access_token":7})"), HasSubstr("should be a string"));
    EXPECT_THAT(problem(R"({"access_token":"a","expiry_date":{}})"), HasSubstr("a time"));
    EXPECT_THAT(problem("not json"), HasSubstr("is not JSON"));
}

// ---- learning the project ----------------------------------------------------------------------------------------

class GeminiDiscoveryTest : public GeminiTest {
protected:
    GeminiDiscoveryTest()
    {
        credential_.kind = CredentialKind::oauth;
        credential_.access_token = Secret("ya29.secret");
    }

    DiscoveryStep after(const DiscoveryStep& step, unsigned status, std::string body) const
    {
        CallReply reply;
        reply.status = status;
        reply.body = std::move(body);
        return gemini_->discover(credential_, &step.call, &reply);
    }

    DiscoveryStep begin() const { return gemini_->discover(credential_, nullptr, nullptr); }

    Credential credential_;
};

using Next = DiscoveryStep::Next;

TEST_F(GeminiDiscoveryTest, KnownUser)
{
    const DiscoveryStep load = begin();
    ASSERT_EQ(load.next, Next::call);
    EXPECT_EQ(load.call.path, "/v1internal:loadCodeAssist");
    EXPECT_EQ(load.call.method, "POST");
    EXPECT_TRUE(std::any_of(
        load.call.headers.begin(), load.call.headers.end(), [](const http::Header& header) {
            return header.name == "Authorization" && header.value == "Bearer ya29.secret";
        }));
    const DiscoveryStep done = after(
        load,
        200,
        R"({"currentTier":{"id":"standard-tier"},"cloudaicompanionProject":"proj-1",
            "paidTier":{"id":"g1-pro-tier"}})");
    EXPECT_EQ(done.next, Next::done);
    EXPECT_EQ(done.project, "proj-1");
    EXPECT_EQ(done.plan, "pro");
}

TEST_F(GeminiDiscoveryTest, NewUserIsOnboarded)
{
    const DiscoveryStep load = begin();
    const DiscoveryStep onboard = after(
        load,
        200,
        R"({"allowedTiers":[{"id":"standard-tier"},{"id":"free-tier","isDefault":true}]})");
    ASSERT_EQ(onboard.next, Next::call);
    EXPECT_EQ(onboard.call.path, "/v1internal:onboardUser");
    EXPECT_EQ(nlohmann::json::parse(onboard.call.body)["tierId"], "free-tier");
    const DiscoveryStep wait = after(onboard, 200, R"({"name":"operations/1","done":false})");
    ASSERT_EQ(wait.next, Next::wait);
    EXPECT_GT(wait.wait.count(), 0);
    EXPECT_EQ(wait.call.path, onboard.call.path);
    const DiscoveryStep done = after(
        wait,
        200,
        R"({"done":true,"response":{"cloudaicompanionProject":{"id":"proj-2","name":"n"}}})");
    EXPECT_EQ(done.next, Next::done);
    EXPECT_EQ(done.project, "proj-2");
}

TEST_F(GeminiDiscoveryTest, AProjectOfTheOwner)
{
    credential_.project = "mine";
    const DiscoveryStep load = begin();
    EXPECT_EQ(nlohmann::json::parse(load.call.body)["cloudaicompanionProject"], "mine");
    const DiscoveryStep done = after(load, 200, R"({"currentTier":{"id":"standard-tier"}})");
    EXPECT_EQ(done.next, Next::done);
    EXPECT_EQ(done.project, "mine");
    const DiscoveryStep onboard =
        after(load, 200, R"({"allowedTiers":[{"id":"standard-tier","isDefault":true}]})");
    EXPECT_EQ(nlohmann::json::parse(onboard.call.body)["cloudaicompanionProject"], "mine");
}

TEST_F(GeminiDiscoveryTest, FailuresSayWhatToDo)
{
    const DiscoveryStep load = begin();
    EXPECT_THAT(
        after(load, 200, R"({"currentTier":{"id":"standard-tier"}})").problem,
        HasSubstr("GOOGLE_CLOUD_PROJECT"));
    for (const char* body : {"", "junk", "[]", "7"}) {
        EXPECT_EQ(after(load, 200, body).next, Next::failed) << body;
    }
    const DiscoveryStep refused = after(load, 403, R"({"error":{"message":"ya29.secret"}})");
    EXPECT_EQ(refused.next, Next::failed);
    EXPECT_THAT(refused.problem, HasSubstr("403"));
    EXPECT_THAT(refused.problem, Not(HasSubstr("secret")));
    // Wrong types are as good as absent.
    EXPECT_EQ(
        after(load, 200, R"({"currentTier":7,"allowedTiers":{"a":1},"cloudaicompanionProject":[]})")
            .next,
        Next::call);
    credential_.kind = CredentialKind::api_key;
    EXPECT_EQ(begin().next, Next::done);
}

} // namespace
} // namespace shared
