/// How a process's log is set up (shared/base/log.hpp is what everybody else needs).
#pragma once

#include "shared/base/log.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace shared::log {

/// Where journald takes records with fields (systemd's native protocol).
inline constexpr const char* kJournalSocket = "/run/systemd/journal/socket";

struct Setup {
    std::string role; ///< "supervisor", "worker-2" …; on every line
    bool debug = false;
    std::string format =
        "auto"; ///< text, json, or auto: the journal's fields if stderr leads there, else text
    std::string journal_socket = kJournalSocket;
};

/// Call once at the start of each process, and again when the configuration is known. What cannot be sent to the
/// journal at once waits, up to a limit; beyond it lines are dropped and counted, and the count is logged.
void start(const Setup& setup);

/// Writes what was collected, and waits a little for a journal that is busy. Before the end of a process that ends
/// without its destructors; others do it by themselves.
void last_words();

} // namespace shared::log
