/// Usage entries and a look into the database, for the tests of the usage files.
#pragma once

#include "supervisor/usage_db.hpp"

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include <signal.h>
#include <sys/resource.h>

namespace supervisor::test {

/// 2026-05-14T12:30:00Z
inline constexpr shared::UnixMillis kNow{1'778'761'800'000};

inline shared::UsageEntry entry(std::uint16_t account = 0, std::int64_t tokens = 10)
{
    shared::UsageEntry e;
    std::copy_n("0123456789abcdef", 16, e.request_id.begin());
    e.started_at = kNow.plus(std::chrono::seconds(-2));
    e.finished_at = kNow.plus(std::chrono::seconds(-1));
    e.user = "local";
    e.model = "gpt-5";
    e.input = tokens;
    e.cached_input = 2;
    e.output = 3;
    e.reasoning = 1;
    e.duration_ms = 1000;
    e.account = {account};
    e.status = 200;
    e.provider = 1;
    e.attempts = 1;
    e.outcome = shared::RequestOutcome::completed;
    e.path = "/v1/responses";
    return e;
}

inline std::string_view account_name(shared::AccountSlot slot)
{
    return slot.is_set() ? (slot.value == 0 ? "codex:a" : "codex:b") : "";
}

/// The first column of the first row, by a connection of its own.
inline std::string query(const std::filesystem::path& path, const std::string& sql)
{
    sqlite3* db = nullptr;
    sqlite3_open_v2(path.c_str(), &db, SQLITE_OPEN_READWRITE, nullptr);
    sqlite3_stmt* statement = nullptr;
    std::string result;
    if (sqlite3_prepare_v2(db, sql.c_str(), -1, &statement, nullptr) != SQLITE_OK) {
        result = std::string("error: ") + sqlite3_errmsg(db);
    } else if (sqlite3_step(statement) == SQLITE_ROW) {
        const auto* text = sqlite3_column_text(statement, 0);
        if (text != nullptr) result = reinterpret_cast<const char*>(text);
    }
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return result;
}

/// A full disk: while it lives no file of this process can grow beyond `bytes`.
class FullDisk {
public:
    explicit FullDisk(rlim_t bytes)
    {
        old_handler_ = signal(SIGXFSZ, SIG_IGN);
        getrlimit(RLIMIT_FSIZE, &old_limit_);
        const rlimit limit{bytes, old_limit_.rlim_max};
        setrlimit(RLIMIT_FSIZE, &limit);
    }

    FullDisk(const FullDisk&) = delete;
    FullDisk& operator=(const FullDisk&) = delete;

    ~FullDisk()
    {
        setrlimit(RLIMIT_FSIZE, &old_limit_);
        signal(SIGXFSZ, old_handler_);
    }

private:
    rlimit old_limit_{};
    sighandler_t old_handler_ = SIG_DFL;
};

inline std::string file_bytes(const std::filesystem::path& path)
{
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

inline void write_file(const std::filesystem::path& path, std::string_view bytes)
{
    std::ofstream file(path, std::ios::binary);
    file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

} // namespace supervisor::test
