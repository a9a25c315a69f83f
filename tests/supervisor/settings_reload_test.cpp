#include "shared/config/config_keys.hpp"
#include "supervisor/settings_reload.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace supervisor {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

shared::Config running()
{
    shared::Config config;
    config.listen.port = 8989;
    config.pool_dir = "/pool";
    config.jwt_secret = shared::Secret("made at the start");
    config.upstreams["claude"].host = "api.example.com";
    return config;
}

TEST(SettingsReload, TheSameFileChangesNothing)
{
    const SettingsChange change = compare_settings(running(), running());
    EXPECT_THAT(change.changed, IsEmpty());
    EXPECT_THAT(change.need_restart, IsEmpty());
}

TEST(SettingsReload, EveryDifferenceIsNamed)
{
    shared::Config loaded = running();
    loaded.max_attempts = 7;
    loaded.admin_password = shared::Secret("new");
    loaded.strategies["claude"] = shared::Strategy::fill_first;
    loaded.upstreams["claude"].host = "other.example.com";
    const SettingsChange change = compare_settings(running(), loaded);
    EXPECT_THAT(
        change.changed,
        ElementsAre("max_attempts", "pool_users.admin_password", "strategies", "upstream.claude"));
    EXPECT_EQ(change.config.max_attempts, 7U);
    EXPECT_THAT(change.need_restart, IsEmpty());
}

TEST(SettingsReload, WhatHoldsSomethingOpenStays)
{
    shared::Config loaded = running();
    loaded.listen.port = 9000;
    loaded.db_path = "/elsewhere.db";
    loaded.shared_mode = true;
    loaded.max_attempts = 7;
    const SettingsChange change = compare_settings(running(), loaded);
    EXPECT_THAT(change.changed, ElementsAre("max_attempts"));
    EXPECT_THAT(change.need_restart, ElementsAre("listen_addr", "db_path", "shared mode"));
    EXPECT_EQ(change.config.listen.port, 8989);
    EXPECT_TRUE(change.config.db_path.empty());
    EXPECT_FALSE(change.config.shared_mode);
}

TEST(SettingsReload, WhatTheStartFoundOutIsNoDifference)
{
    shared::Config loaded = running();
    loaded.jwt_secret = shared::Secret();
    loaded.listen.port = 0;
    const SettingsChange change = compare_settings(running(), loaded);
    EXPECT_THAT(change.changed, IsEmpty());
    EXPECT_THAT(change.need_restart, IsEmpty());
    EXPECT_FALSE(change.config.jwt_secret.empty());
    EXPECT_EQ(change.config.listen.port, 8989);
}

TEST(SettingsReload, Enumerates)
{
    EXPECT_EQ(enumeration({}), "");
    EXPECT_EQ(enumeration({"a"}), "a");
    EXPECT_EQ(enumeration({"a", "b", "c"}), "a, b and c");
}

} // namespace
} // namespace supervisor
