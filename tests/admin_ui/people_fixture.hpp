/// The routes of a shared pool with a friend code, an owner's password and a users file of its own.
#pragma once

#include "admin_ui/people.hpp"
#include "admin_ui/people_routes.hpp"
#include "admin_ui/routes.hpp"
#include "tests/admin_ui/pool_fixture.hpp"
#include "tests/support/temp_dir.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <string>
#include <string_view>
#include <utility>

namespace tests {

using admin_ui::CallerRole;
using admin_ui::PageRequest;
using admin_ui::PageResponse;

class PeopleTest : public testing::Test {
protected:
    using Json = nlohmann::ordered_json;

    void SetUp() override { routes_.add_people(people_); }

    static admin_ui::PeopleSettings settings(const std::filesystem::path& folder)
    {
        admin_ui::PeopleSettings made;
        made.shared_mode = true;
        made.users_file = folder / "users.json";
        made.database = folder / "none.db";
        made.friend_code = shared::Secret("the friend code");
        made.admin_password = shared::Secret("the password");
        made.jwt_secret = shared::Secret("a secret of more than thirty-two characters");
        return made;
    }

    static PageRequest request(std::string method, std::string path, std::string body = "")
    {
        PageRequest made;
        made.method = std::move(method);
        made.path = std::move(path);
        made.body = std::move(body);
        made.host = "pool.test:8989";
        made.caller.role = CallerRole::nobody;
        made.caller.address = "192.0.2.7";
        return made;
    }

    static PageRequest as_owner(PageRequest made)
    {
        made.caller.role = CallerRole::owner;
        made.caller.user = "owner";
        return made;
    }

    static PageRequest as_user(PageRequest made, const std::string& id)
    {
        made.caller.role = CallerRole::user;
        made.caller.user = id;
        made.caller.by_session = true;
        return made;
    }

    PageResponse ask(const PageRequest& asked)
    {
        return routes_.answer(asked, now_, tests::kMonotonicUs);
    }

    PageResponse owner(std::string method, std::string path, std::string body = "")
    {
        return ask(as_owner(request(std::move(method), std::move(path), std::move(body))));
    }

    PageResponse get(const std::string& path, const std::string& query = "")
    {
        PageRequest asked = request("GET", path);
        asked.query = query;
        return ask(asked);
    }

    /// A user made by the owner, and the token of each link.
    std::pair<std::string, Json> make_user(const std::string& body = "{}")
    {
        const PageResponse made = owner("POST", "/admin/pool-users", body);
        EXPECT_EQ(made.status, 201U) << made.body;
        Json told = Json::parse(made.body);
        return {told.at("user").at("id").get<std::string>(), told.at("setup")};
    }

    static std::string header(const PageResponse& answer, std::string_view name)
    {
        for (const auto& field : answer.headers)
            if (field.name == name) return field.value;
        return "(absent)";
    }

    shared::UserStanding standing(const std::string& id, std::uint32_t generation = 1)
    {
        return shared::user_standing(
            pool_.segment(), shared::find_user(pool_.segment(), id), generation, now_);
    }

    shared::UnixMillis now_ = kNow;
    PoolFixture pool_;
    TempDir folder_;
    shared::ProviderRegistry registry_;
    admin_ui::People people_{pool_.segment(), registry_, settings(folder_.path())};
    admin_ui::UsageQuery usage_{folder_.path() / "none.db"};
    admin_ui::Routes routes_{
        pool_.segment(), usage_, {true, "", "0.0.0.0:8989", "Fr<i>ends", "tag & line"}};
};

} // namespace tests
