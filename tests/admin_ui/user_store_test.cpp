#include "admin_ui/user_entry.hpp"
#include "admin_ui/user_publisher.hpp"
#include "admin_ui/user_store.hpp"
#include "shared/base/read_file.hpp"
#include "shared/config/config_checks.hpp"
#include "shared/users/credential.hpp"
#include "tests/admin_ui/pool_fixture.hpp"
#include "tests/support/temp_dir.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sqlite3.h>

#include <set>
#include <string>

#include <sys/stat.h>

namespace {

using namespace admin_ui;
using nlohmann::json;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class UserStoreTest : public testing::Test {
protected:
    void file_is(std::string_view text) { folder_.write("users.json", text); }

    [[nodiscard]] std::string text() const
    {
        return shared::read_file(file_, 1U << 26U, "users file")->bytes;
    }

    UserStore& read()
    {
        store_.refresh();
        return store_;
    }

    [[nodiscard]] std::vector<std::string> files() const
    {
        std::vector<std::string> names;
        for (const auto& entry : std::filesystem::directory_iterator(folder_.path()))
            names.push_back(entry.path().filename());
        return names;
    }

    static User someone(std::string_view email)
    {
        User user;
        user.email = email;
        return user;
    }

    tests::TempDir folder_;
    std::filesystem::path file_ = folder_.path() / "users.json";
    UserStore store_{file_};
};

constexpr std::string_view kOriginal = R"([
  {"id":"0123456789abcdef","token":"aa11","email":"ann@example.com","plan_type":"pro",
   "created_at":"2025-11-01T10:00:00.5+01:00","disabled":false,"nickname":"Annie"},
  {"id":"fedcba9876543210fedcba9876543210","token":"bb22","email":"","plan_type":"team",
   "created_at":"2025-11-02T10:00:00Z","disabled":true}
])";

TEST_F(UserStoreTest, ReadsTheOriginalsFile)
{
    for (const std::string& shape :
         {std::string(kOriginal), R"({"comment":[1],"users":)" + std::string(kOriginal) + "}"}) {
        file_is(shape);
        const auto users = read().users();
        ASSERT_THAT(users, SizeIs(2));
        EXPECT_EQ(users[0]->id, "0123456789abcdef");
        EXPECT_EQ(users[0]->email, "ann@example.com");
        EXPECT_EQ(users[0]->generation, 1U);
        EXPECT_EQ(users[0]->created_at.value, 1'761'987'600'500);
        EXPECT_TRUE(users[1]->disabled);
        EXPECT_EQ(users[1]->plan, "team");
        EXPECT_THAT(store_.problems(), IsEmpty());
    }
}

TEST_F(UserStoreTest, KeepsWhatItDoesNotKnow)
{
    file_is(R"({"comment":[1],"users":)" + std::string(kOriginal) + "}");
    const StoreResult changed =
        store_.change("0123456789abcdef", 1, [](User& user) { user.disabled = true; });
    ASSERT_TRUE(changed.done()) << changed.sentence;
    const json document = json::parse(text());
    EXPECT_EQ(document.at("comment"), json({1}));
    const json& ann = document.at("users").at(0);
    EXPECT_EQ(ann.at("token"), "aa11");
    EXPECT_EQ(ann.at("nickname"), "Annie");
    EXPECT_EQ(ann.at("disabled"), true);
    EXPECT_EQ(ann.at("version"), 2);
    EXPECT_EQ(document.at("users").at(1), json::parse(kOriginal).at(1));
}

TEST_F(UserStoreTest, ANewUserHasAnIdOfSixteenHexDigits)
{
    const StoreResult first = read().add(someone("a@example.com"));
    const StoreResult second = store_.add(someone(""));
    const StoreResult third = store_.add(someone(""));
    ASSERT_TRUE(first.done() && second.done() && third.done());
    EXPECT_EQ(first.user->id.size(), 16U);
    EXPECT_EQ(first.user->id.find_first_not_of("0123456789abcdef"), std::string::npos);
    EXPECT_NE(second.user->id, third.user->id); // without an e-mail everybody is somebody else

    struct stat status {};

    ASSERT_EQ(::stat(file_.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777U, 0600U);
    UserStore other(file_);
    other.refresh();
    EXPECT_THAT(other.users(), SizeIs(3));
}

TEST_F(UserStoreTest, AnEmailIsOneUsers)
{
    ASSERT_TRUE(read().add(someone("Ann@Example.com")).done());
    EXPECT_EQ(store_.add(someone("ann@example.COM")).refusal, StoreRefusal::email_taken);
    const std::string other = store_.add(someone("b@example.com")).user->id;
    const StoreResult changed =
        store_.change(other, std::nullopt, [](User& user) { user.email = "ANN@example.com"; });
    EXPECT_EQ(changed.refusal, StoreRefusal::email_taken);
    EXPECT_EQ(store_.find(other)->email, "b@example.com");
}

TEST_F(UserStoreTest, WhoHasSeenAnOldVersionIsRefused)
{
    const User made = *read().add(someone("a@example.com")).user;
    ASSERT_TRUE(store_.change(made.id, made.version, [](User& u) { u.name = "first"; }).done());
    const StoreResult late =
        store_.change(made.id, made.version, [](User& u) { u.name = "second"; });
    EXPECT_EQ(late.refusal, StoreRefusal::stale);
    EXPECT_EQ(store_.find(made.id)->name, "first");
    EXPECT_EQ(store_.remove(made.id, made.version).refusal, StoreRefusal::stale);
    EXPECT_TRUE(store_.change(made.id, std::nullopt, [](User& u) { u.name = "third"; }).done());
    EXPECT_TRUE(store_.remove(made.id, made.version + 2).done());
    EXPECT_EQ(store_.change(made.id, std::nullopt, [](User&) {}).refusal, StoreRefusal::not_found);
}

TEST_F(UserStoreTest, AnotherHandsChangeIsSeen)
{
    const std::string id = read().add(someone("a@example.com")).user->id;
    UserStore other(file_);
    ASSERT_TRUE(other.change(id, std::nullopt, [](User& u) { u.name = "by another"; }).done());
    ASSERT_TRUE(store_.add(someone("b@example.com")).done());
    EXPECT_EQ(store_.find(id)->name, "by another");
    EXPECT_THAT(store_.users(), SizeIs(2));
    EXPECT_FALSE(store_.refresh());
}

TEST_F(UserStoreTest, ACorruptFileIsLeftAloneUntilTheFirstChangeAndThenKept)
{
    for (const std::string broken : {"", "{", "[{\"id\":\"a\"},", "3", "{\"users\":3}", "\xff"}) {
        file_is(broken);
        EXPECT_THAT(read().users(), IsEmpty());
        ASSERT_THAT(store_.problems(), SizeIs(1)) << broken;
        EXPECT_THAT(
            store_.problems()[0].text(), AllOf(HasSubstr("users.json"), HasSubstr("mend it")));
        EXPECT_EQ(text(), broken);
    }
    EXPECT_THAT(files(), ElementsAre("users.json"));
    for (int i = 0; i < 2; ++i) {
        file_is("{broken");
        ASSERT_TRUE(store_.add(someone("")).done());
        EXPECT_THAT(store_.problems(), IsEmpty());
    }
    std::set<std::string> kept;
    for (const std::string& name : files())
        if (name != "users.json") kept.insert(name);
    ASSERT_THAT(kept, SizeIs(2)); // one name each, also within the same second
    for (const std::string& name : kept) {
        EXPECT_THAT(name, HasSubstr("users.json.broken-2"));
        EXPECT_EQ(shared::read_file(folder_.path() / name, 100, "")->bytes, "{broken");
    }
}

TEST_F(UserStoreTest, StartAndStoreAgreeOnWhatAUsersFileIs)
{
    for (const std::string_view shape :
         {"[]",
          "[{\"id\":\"a1\"}]",
          "{\"users\":[{\"id\":\"a1\"}]}",
          "{}",
          "{\"users\":{}}",
          "",
          "junk",
          "null",
          "3",
          "[",
          "\"users\""}) {
        file_is(shape);
        const auto counted = shared::count_pool_users(file_);
        EXPECT_EQ(counted.has_value(), read().problems().empty()) << shape;
        EXPECT_EQ(counted.has_value() ? *counted : 0, store_.users().size()) << shape;
    }
}

TEST_F(UserStoreTest, EntriesThatCannotBeUsedAreNamedAndKept)
{
    const std::string foreign = R"([
      {"id":"good1"}, 7, {"id":"../../etc"}, {"id":"two words"}, {"email":"x@y"},
      {"id":"a1","disabled":"no"}, {"id":"a2","generation":0}, {"id":"a3","limits":{"concurrency":-1}},
      {"id":"good1"}, {"id":"owner"}, {"id":"a4","email":"no address"}, {"id":"a5","limits":[]},
      {"id":"a6","generation":4294967296}, {"id":5}])";
    file_is(foreign);
    ASSERT_THAT(read().users(), SizeIs(1));
    EXPECT_THAT(store_.problems(), SizeIs(13));
    EXPECT_THAT(store_.problems()[1].text(), AllOf(HasSubstr("entry 3"), HasSubstr("../../etc")));
    ASSERT_TRUE(store_.change("good1", 1, [](User& u) { u.name = "n"; }).done());
    const json kept = json::parse(text());
    const json before = json::parse(foreign);
    ASSERT_EQ(kept.size(), before.size());
    for (std::size_t i = 1; i < before.size(); ++i)
        EXPECT_EQ(kept.at(i), before.at(i));
}

TEST_F(UserStoreTest, TenThousandUsersAndNotOneMore)
{
    std::string list = "[";
    for (int i = 0; i < 10'000; ++i)
        list +=
            (i == 0 ? "" : ",") + std::string(R"({"id":"user)") + std::to_string(i) +
            R"(","token":"0123456789abcdef0123456789abcdef","email":"u)" + std::to_string(i) +
            R"(@example.com","plan_type":"pro","created_at":"2025-11-01T10:00:00Z","disabled":false})";
    file_is(list + "]");
    EXPECT_THAT(read().users(), SizeIs(10'000));
    ASSERT_TRUE(store_.change("user9999", 1, [](User& u) { u.disabled = true; }).done());
    EXPECT_EQ(store_.add(someone("new@example.com")).refusal, StoreRefusal::full);

    tests::PoolFixture pool;
    const shared::ProviderRegistry registry;
    UserPublisher publisher(pool.segment(), registry, {}, folder_.path() / "none.db");
    publisher.publish(store_, tests::kNow);
    EXPECT_EQ(pool.segment().users.users.load(), 10'000U);
    const shared::UserSlot last = shared::find_user(pool.segment(), "user9999");
    EXPECT_EQ(
        shared::user_standing(pool.segment(), last, 1, tests::kNow),
        shared::UserStanding::disabled);
}

TEST_F(UserStoreTest, AFileThatCannotBeWrittenChangesNothing)
{
    const User made = *read().add(someone("a@example.com")).user;
    std::filesystem::create_directory(folder_.path() / "users.json.tmp"); // in the writer's way
    const StoreResult result = store_.change(made.id, 1, [](User& u) { u.name = "x"; });
    EXPECT_EQ(result.refusal, StoreRefusal::unwritable);
    EXPECT_THAT(result.sentence, HasSubstr("users.json"));
    EXPECT_EQ(store_.find(made.id)->name, "");
    EXPECT_EQ(store_.find(made.id)->version, 1U);
}

TEST_F(UserStoreTest, SetupTokensAndLimitsComeBack)
{
    const std::string id = read().add(someone("")).user->id;
    const auto edit = [](User& user) {
        user.setup_tokens.push_back({"codex", token_hash("t"), {1'763'800'000'000}});
        EXPECT_EQ(set_limit(user.limits, "tokens_per_day", "1000"), "");
        EXPECT_EQ(set_limit(user.limits, "models", "gpt-5*, o3"), "");
        EXPECT_EQ(set_limit(user.limits, "expires_at", "2026-12-31"), "");
    };
    ASSERT_TRUE(store_.change(id, std::nullopt, edit).done());
    UserStore other(file_);
    other.refresh();
    const User* const user = other.find(id);
    ASSERT_NE(user, nullptr);
    ASSERT_THAT(user->setup_tokens, SizeIs(1));
    EXPECT_EQ(user->setup_tokens[0].hash, token_hash("t"));
    EXPECT_EQ(user->setup_tokens[0].expires_at.value, 1'763'800'000'000);
    EXPECT_EQ(user->limits, store_.find(id)->limits);
    EXPECT_EQ(limit_text(user->limits, "expires_at"), "2026-12-31T00:00:00Z");
    EXPECT_EQ(text().find("\"t\""), std::string::npos);
}

TEST(UserLimits, OwnOnesBeatTheCommonFieldByField)
{
    const shared::ProviderRegistry registry;
    CommonLimits common;
    common.tokens_per_day = 100;
    common.tokens_per_week = 500;
    common.requests_per_minute = 10;
    common.models = "a,b";
    common.providers = "claude";
    OwnLimits own;
    ASSERT_EQ(set_limit(own, "tokens_per_day", "7"), "");
    ASSERT_EQ(set_limit(own, "requests_per_minute", "0"), "");
    ASSERT_EQ(set_limit(own, "models", "*"), "");
    ASSERT_EQ(set_limit(own, "share_percent", "50"), "");
    shared::UserLimits limits = effective_limits(common, own, registry);
    EXPECT_EQ(limits.tokens_per_day, 7U);
    EXPECT_EQ(limits.tokens_per_week, 500U);
    EXPECT_EQ(limits.requests_per_minute, 0U);
    EXPECT_EQ(limits.share_percent, 50U);
    EXPECT_EQ(limits.models, "");
    EXPECT_EQ(limits.providers & ~1U, provider_bits("claude", registry));
    ASSERT_EQ(set_limit(own, "providers", "nobody"), "");
    EXPECT_NE(effective_limits(common, own, registry).providers, 0U); // nobody, not everybody
    ASSERT_EQ(set_limit(own, "providers", "*"), "");
    EXPECT_EQ(effective_limits(common, own, registry).providers, 0U);
    ASSERT_EQ(set_limit(own, "tokens_per_day", ""), "");
    EXPECT_EQ(effective_limits(common, own, registry).tokens_per_day, 100U);
}

TEST(UserLimits, NonsenseIsRefused)
{
    OwnLimits limits;
    for (const char* text : {"-1", "1.5", "x", "1 ", "99999999999999999999", "65536"})
        EXPECT_NE(set_limit(limits, "concurrency", text), "") << text;
    EXPECT_NE(set_limit(limits, "share_percent", "101"), "");
    EXPECT_NE(set_limit(limits, "expires_at", "tomorrow"), "");
    EXPECT_NE(set_limit(limits, "models", std::string(241, 'm')), "");
    EXPECT_NE(set_limit(limits, "models", "a\nb"), "");
    EXPECT_NE(set_limit(limits, "colour", "1"), "");
    EXPECT_EQ(limits, OwnLimits());
}

class UserPublisherTest : public UserStoreTest {
protected:
    shared::UserStanding standing(const std::string& id, std::uint32_t generation = 1)
    {
        const shared::UserSlot slot = shared::find_user(pool_.segment(), id);
        return shared::user_standing(pool_.segment(), slot, generation, tests::kNow);
    }

    tests::PoolFixture pool_;
    shared::ProviderRegistry registry_;
    UserPublisher publisher_{pool_.segment(), registry_, {}, folder_.path() / "usage.db"};
};

TEST_F(UserPublisherTest, TheSegmentFollowsTheFile)
{
    const std::string id = read().add(someone("a@example.com")).user->id;
    publisher_.publish(store_, tests::kNow);
    EXPECT_EQ(standing(id), shared::UserStanding::active);
    EXPECT_NE(pool_.segment().users.version.load(), 0U);
    ASSERT_TRUE(store_.change(id, std::nullopt, [](User& u) { ++u.generation; }).done());
    publisher_.publish(store_, tests::kNow);
    EXPECT_EQ(standing(id), shared::UserStanding::revoked);
    EXPECT_EQ(standing(id, 2), shared::UserStanding::active);
    ASSERT_TRUE(store_.remove(id, std::nullopt).done());
    publisher_.publish(store_, tests::kNow);
    EXPECT_EQ(standing(id, 2), shared::UserStanding::unknown);
    EXPECT_EQ(pool_.segment().users.users.load(), 0U);
}

TEST_F(UserPublisherTest, WhomAnEarlierChildPublishedIsForgottenWithTheFile)
{
    file_is(R"([{"id":"gone"},{"id":"stays"}])");
    read();
    publisher_.publish(store_, tests::kNow);
    file_is(R"([{"id":"stays"}])");
    read();
    UserPublisher next(pool_.segment(), registry_, {}, folder_.path() / "usage.db");
    next.publish(store_, tests::kNow);
    EXPECT_EQ(standing("gone"), shared::UserStanding::unknown);
    EXPECT_EQ(standing("stays"), shared::UserStanding::active);
}

TEST_F(UserPublisherTest, WhatWasUsedComesBackFromTheHistoryOnce)
{
    sqlite3* db = nullptr;
    ASSERT_EQ(sqlite3_open((folder_.path() / "usage.db").c_str(), &db), SQLITE_OK);
    const std::int64_t hour = 3'600'000;
    const std::int64_t now_hour = tests::kNow.value / hour * hour; // a Sunday
    const std::string rows =
        "CREATE TABLE usage_hourly(hour, user, input_tokens, cached_input_tokens, output_tokens);"
        "INSERT INTO usage_hourly VALUES (" +
        std::to_string(now_hour) + ",'u1',100,40,5),(" + std::to_string(now_hour - 48 * hour) +
        ",'u1',1000,0,1),(" + std::to_string(now_hour - 24 * 8 * hour) + ",'u1',70000,0,0),(" +
        std::to_string(now_hour) + ",'u2',10,20,3);";
    ASSERT_EQ(sqlite3_exec(db, rows.c_str(), nullptr, nullptr, nullptr), SQLITE_OK);
    sqlite3_close(db);
    file_is(R"([{"id":"u1"},{"id":"u2"},{"id":"u3"}])");
    read();
    publisher_.publish(store_, tests::kNow);
    const auto usage = [&](const char* id) {
        const shared::UserSlot slot = shared::find_user(pool_.segment(), id);
        return shared::read_user(pool_.segment(), slot, tests::kNow).usage;
    };
    EXPECT_EQ(usage("u1").day_tokens, 65U);
    EXPECT_EQ(usage("u1").week_tokens, 1066U);
    EXPECT_EQ(usage("u2").day_tokens, 3U);
    EXPECT_EQ(usage("u3").week_tokens, 0U);
    shared::add_user_tokens(
        pool_.segment(), shared::find_user(pool_.segment(), "u1"), 10, tests::kNow);
    publisher_.publish(store_, tests::kNow);
    EXPECT_EQ(usage("u1").day_tokens, 75U);
}

} // namespace
