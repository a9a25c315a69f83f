#include "supervisor/handover.hpp"

#include "shared/ipc/read_descriptor.hpp"

#include <array>
#include <charconv>
#include <map>
#include <utility>

namespace supervisor {
namespace {

using shared::Problem;
using shared::Result;

constexpr std::string_view kTitle = "codex-pool handover";

/// Line breaks would end the fact.
std::string one_line(std::string text)
{
    for (char& c : text)
        if (c == '\n') c = ' ';
    return text;
}

class Writer {
public:
    void fact(std::string_view name, std::string_view value)
    {
        text_.append(name).append(" ").append(one_line(std::string(value))).append("\n");
    }

    template <class T>
    void number(std::string_view name, T value)
    {
        fact(name, std::to_string(value));
    }

    std::string text_;
};

void write(Writer& out, const Handover::Process& process)
{
    const Child& child = process.child;
    std::string line(to_string(process.role));
    for (const auto& [name, value] : std::array<std::pair<const char*, std::int64_t>, 11>{
             {{"number", process.number},
              {"pid", child.pid},
              {"generation", child.generation},
              {"slot", child.slot},
              {"state", static_cast<std::int64_t>(child.state)},
              {"was_ready", child.was_ready ? 1 : 0},
              {"started_us", child.started_us},
              {"ready_us", child.ready_us},
              {"draining_since_us", child.draining_since_us},
              {"foreign", child.foreign ? 1 : 0},
              {"control_fd", process.control_fd}}}) {
        line.append(" ").append(name).append("=").append(std::to_string(value));
    }
    out.fact("process", line);
}

void write(Writer& out, const Handover::Drainer& drainer)
{
    std::string line;
    for (const auto& [name, value] : std::array<std::pair<const char*, int>, 7>{
             {{"pid", drainer.pid},
              {"control_fd", drainer.control_fd},
              {"program_fd", drainer.program_fd},
              {"segment_fd", drainer.segment_fd},
              {"config_fd", drainer.config_fd},
              {"state_fd", drainer.state_fd},
              {"held", drainer.held ? 1 : 0}}}) {
        line.append(line.empty() ? "" : " ").append(name).append("=").append(std::to_string(value));
    }
    out.fact("drainer", line);
}

template <class T>
bool read_number(std::string_view text, T& number)
{
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc() && end == text.data() + text.size();
}

/// The part before the separator, which is taken off with it.
std::string_view take(std::string_view& rest, char separator)
{
    const std::size_t at = rest.find(separator);
    const std::string_view part = rest.substr(0, at);
    rest = at == std::string_view::npos ? std::string_view() : rest.substr(at + 1);
    return part;
}

using Facts = std::map<std::string_view, std::int64_t>;

/// "pid=17 held=1"; false if a value is no number.
bool read_facts(std::string_view line, Facts& facts)
{
    while (!line.empty()) {
        std::string_view fact = take(line, ' ');
        const std::string_view name = take(fact, '=');
        if (!read_number(fact, facts[name])) return false;
    }
    return true;
}

bool read_drainer(std::string_view line, Handover& handover)
{
    Facts facts;
    if (!read_facts(line, facts)) return false;
    Handover::Drainer drainer;
    drainer.pid = static_cast<pid_t>(facts["pid"]);
    drainer.control_fd = static_cast<int>(facts["control_fd"]);
    drainer.program_fd = static_cast<int>(facts["program_fd"]);
    drainer.segment_fd = static_cast<int>(facts["segment_fd"]);
    drainer.config_fd = static_cast<int>(facts["config_fd"]);
    drainer.state_fd = static_cast<int>(facts["state_fd"]);
    drainer.held = facts["held"] != 0;
    if (drainer.pid < -1) return false;
    handover.drainers.push_back(drainer);
    return true;
}

bool read_process(std::string_view line, Handover& handover)
{
    const std::string_view role = take(line, ' ');
    Handover::Process process;
    if (role == to_string(Role::refresher))
        process.role = Role::refresher;
    else if (role == to_string(Role::admin))
        process.role = Role::admin;
    else if (role != to_string(Role::worker))
        return false;
    Facts facts;
    if (!read_facts(line, facts)) return false;
    Child& child = process.child;
    process.number = static_cast<std::uint16_t>(facts["number"]);
    process.control_fd = static_cast<int>(facts["control_fd"]);
    child.pid = static_cast<pid_t>(facts["pid"]);
    child.generation = static_cast<std::uint32_t>(facts["generation"]);
    child.slot = static_cast<std::uint16_t>(facts["slot"]);
    child.state = static_cast<ChildState>(facts["state"]);
    child.was_ready = facts["was_ready"] != 0;
    child.started_us = facts["started_us"];
    child.ready_us = facts["ready_us"];
    child.draining_since_us = facts["draining_since_us"];
    child.foreign = facts["foreign"] != 0;
    if (child.pid <= 0 || process.control_fd <= 2 || child.state > ChildState::stopping)
        return false;
    handover.processes.push_back(process);
    return true;
}

bool read_fact(std::string_view name, std::string_view value, Handover& handover)
{
    const std::map<std::string_view, std::string*> texts{
        {"version", &handover.version},
        {"binary", &handover.binary},
        {"listen_host", &handover.listen_host},
        {"refused", &handover.refused}};
    const std::map<std::string_view, int*> descriptors{
        {"lock_fd", &handover.lock_fd},
        {"segment_fd", &handover.segment_fd},
        {"config_fd", &handover.config_fd},
        {"admin_fd", &handover.admin_fd},
        {"control_fd", &handover.control_fd},
        {"program_fd", &handover.program_fd}};
    if (const auto text = texts.find(name); text != texts.end()) {
        *text->second = value;
        return true;
    }
    if (const auto fd = descriptors.find(name); fd != descriptors.end())
        return read_number(value, *fd->second);
    if (name == "layout") return read_number(value, handover.layout);
    if (name == "listen_port") return read_number(value, handover.listen_port);
    if (name == "last_generation") return read_number(value, handover.last_generation);
    if (name == "request") return read_number(value, handover.request);
    if (name == "listener_fd") return read_number(value, handover.listener_fds.emplace_back(-1));
    if (name == "process") return read_process(value, handover);
    if (name == "drainer") return read_drainer(value, handover);
    if (name == "can_drain") {
        handover.can_drain = value == "1";
        return true;
    }
    return true; // of a newer version
}

Problem problem(std::string what)
{
    return {"handover", std::move(what), "restart codex-pool"};
}

} // namespace

std::vector<int> Handover::descriptors() const
{
    std::vector<int> all = listener_fds;
    for (const int fd : {lock_fd, segment_fd, config_fd, admin_fd, control_fd, program_fd})
        if (fd >= 0) all.push_back(fd);
    for (const Process& process : processes)
        all.push_back(process.control_fd);
    for (const Drainer& drainer : drainers) {
        for (const int fd :
             {drainer.control_fd,
              drainer.program_fd,
              drainer.segment_fd,
              drainer.config_fd,
              drainer.state_fd})
            if (fd >= 0) all.push_back(fd);
    }
    return all;
}

std::string to_text(const Handover& handover)
{
    Writer out;
    out.number(kTitle, kHandoverVersion);
    out.number("layout", handover.layout);
    out.number("can_drain", handover.can_drain ? 1 : 0);
    out.fact("version", handover.version);
    out.fact("binary", handover.binary);
    out.fact("listen_host", handover.listen_host);
    out.number("listen_port", handover.listen_port);
    out.number("last_generation", handover.last_generation);
    out.number("request", handover.request);
    out.fact("refused", handover.refused);
    out.number("lock_fd", handover.lock_fd);
    out.number("segment_fd", handover.segment_fd);
    out.number("config_fd", handover.config_fd);
    out.number("admin_fd", handover.admin_fd);
    out.number("control_fd", handover.control_fd);
    out.number("program_fd", handover.program_fd);
    for (const int fd : handover.listener_fds)
        out.number("listener_fd", fd);
    for (const Handover::Process& process : handover.processes)
        write(out, process);
    for (const Handover::Drainer& drainer : handover.drainers)
        write(out, drainer);
    return std::move(out.text_);
}

Result<Handover> handover_from_text(std::string_view text)
{
    std::string_view title = take(text, '\n');
    std::uint32_t version = 0;
    if (!title.starts_with(kTitle) || title.size() <= kTitle.size() + 1 ||
        !read_number(title.substr(kTitle.size() + 1), version))
        return problem("this is none");
    if (version != kHandoverVersion) return problem("of another version than this program's");
    Handover handover;
    while (!text.empty()) {
        std::string_view line = take(text, '\n');
        const std::string_view whole = line;
        const std::string_view name = take(line, ' ');
        if (!read_fact(name, line, handover)) return problem("\"" + std::string(whole) + "\"");
    }
    const bool whole = handover.lock_fd > 2 && handover.segment_fd > 2 && handover.config_fd > 2 &&
                       handover.admin_fd > 2 && !handover.listener_fds.empty();
    if (!whole) return problem("something is missing");
    return handover;
}

Result<Handover> read_handover(int fd)
{
    auto text = shared::read_descriptor(fd);
    if (!text) return text.error();
    return handover_from_text(*text);
}

} // namespace supervisor
