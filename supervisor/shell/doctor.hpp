/// `codex-pool doctor`: looks at everything the pool depends on and says what to do about it. Changes nothing: a file
/// that it writes to measure the disk is gone at once.
#pragma once

#include "shared/config/config.hpp"
#include "shared/providers/provider.hpp"
#include "supervisor/control_command.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <iosfwd>
#include <string>
#include <vector>

namespace supervisor::shell {

enum class Grade : std::uint8_t {
    good,
    note, ///< worth knowing, nothing to do
    warn, ///< works, but not as it should
    bad,  ///< does not work
};

struct Finding {
    std::string area; ///< "clock"
    Grade grade = Grade::good;
    std::string what;
    std::string remedy; ///< empty if there is nothing to do
};

using Findings = std::vector<Finding>;

/// Everything `doctor` depends on, so that tests can give it.
struct DoctorInputs {
    bool json = false;
    bool share = false; ///< nothing in it says whose pool this is
    shared::ConfigFlags flags;
    shared::Environment environment;
    std::filesystem::path working_directory;
    std::uint32_t cores = 1;
    shared::UnixMillis now;
    supervisor::TerminalStyle style; ///< of `out`
    bool shows_progress = false;     ///< `err` is a terminal
};

/// Prints what was found to `out`. Returns the exit code: 1 if anything is bad.
[[nodiscard]] int run_doctor(
    const shared::ProviderRegistry& registry,
    const DoctorInputs& inputs,
    std::ostream& out,
    std::ostream& err);

/// Exposed for tests: the report as text, and as JSON.
[[nodiscard]] std::string
doctor_text(const Findings& findings, const supervisor::TerminalStyle& style);
[[nodiscard]] std::string doctor_json(const Findings& findings);

} // namespace supervisor::shell
