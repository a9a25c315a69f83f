#include "supervisor/shell/commands.hpp"

#include "shared/base/clock.hpp"

#include <chrono>
#include <csignal>
#include <ostream>
#include <string>
#include <thread>
#include <utility>

#include "supervisor/shell/status_text.hpp"
#include "supervisor/shell/terminal.hpp"
#include "supervisor/shell/top_view.hpp"

namespace supervisor::shell {
namespace {

using supervisor::ControlCommand;

constexpr std::chrono::milliseconds kFrame{100};
/// A pool that takes longer is said not to answer; meanwhile keys wait.
constexpr std::chrono::milliseconds kFramePatience{1000};
constexpr std::chrono::seconds kActionPatience{10};
constexpr int kRunningAsked = 500;

/// An answer, or why there is none.
struct Answer {
    int code = supervisor::kControlDone; ///< exit code
    std::string text;                    ///< body, or a sentence if `code` says that it failed
};

Answer ask(const std::filesystem::path& folder, const supervisor::ControlCall& call)
{
    Answer answer;
    const auto status = supervisor::ask_pool(
        folder, call, [&](unsigned, std::string_view piece) { answer.text += piece; });
    if (!status) return {supervisor::kControlUnreachable, status.error().text()};
    if (*status / 100 != 2)
        return {supervisor::kControlRefused, supervisor::refusal_sentence(answer.text)};
    return answer;
}

supervisor::ControlCall snapshot_call()
{
    supervisor::ControlCall call;
    call.target = "/admin/live?once=1&running=" + std::to_string(kRunningAsked);
    call.patience = kFramePatience;
    return call;
}

void trim(std::string& text)
{
    while (!text.empty() && text.back() == '\n')
        text.pop_back();
}

/// One run of `top`.
class Top {
public:
    Top(Terminal& terminal, bool colour, const std::filesystem::path& folder)
        : terminal_(terminal), colour_(colour), folder_(folder)
    {}

    /// Until somebody quits; the signal that ended it, or 0.
    int run()
    {
        look();
        for (;;) {
            draw();
            const Input input = terminal_.wait(next_);
            if (input.kind == Input::Kind::ends) return input.signal == SIGINT ? 0 : input.signal;
            if (input.kind == Input::Kind::nothing)
                look();
            else if (!react(input))
                return 0;
        }
    }

private:
    void look()
    {
        next_ = std::chrono::steady_clock::now() + kFrame;
        const Answer answer = ask(folder_, snapshot_call());
        problem_.clear();
        if (answer.code != supervisor::kControlDone) {
            problem_ = answer.text;
            return;
        }
        auto snapshot = parse_snapshot(answer.text);
        if (!snapshot) {
            problem_ = snapshot.error().text();
            return;
        }
        rates_.add(shared::now_monotonic_us() / 1000, snapshot->requests, snapshot->server_errors);
        if (!state_.frozen) snapshot_ = std::move(*snapshot);
        arrange(snapshot_, state_);
        if (state_.chosen.empty()) state_.chosen = neighbour(snapshot_, "", 0);
    }

    void draw()
    {
        const ScreenSize size = terminal_.size();
        const Paper paper{colour_, true, size.columns};
        std::string frame =
            text_of(top_lines(snapshot_, rates_, state_, size, colour_, problem_), paper);
        if (!frame.empty()) frame.pop_back(); // a break in the last line would scroll
        terminal_.draw(frame);
    }

    /// False if that was the last one.
    bool react(const Input& input)
    {
        if (!state_.question.empty()) {
            state_.question.clear();
            if (input.kind == Input::Kind::key && (input.key == 'y' || input.key == 'Y'))
                act("disable");
            return true;
        }
        state_.message.clear();
        constexpr std::int64_t kPage = 10;
        switch (input.kind) {
        case Input::Kind::up:
            return move(-1);
        case Input::Kind::down:
            return move(1);
        case Input::Kind::page_up:
            return move(-kPage);
        case Input::Kind::page_down:
            return move(kPage);
        case Input::Kind::key:
            return react(input.key);
        default:
            return true;
        }
    }

    bool react(char key)
    {
        const auto next = [](auto& order, auto last) {
            using Order = std::remove_reference_t<decltype(order)>;
            order = order == last ? Order() : static_cast<Order>(static_cast<int>(order) + 1);
        };
        switch (key) {
        case 'q':
        case 'Q':
            return false;
        case 'k':
            return move(-1);
        case 'j':
            return move(1);
        case 's':
            next(state_.running_order, RunningOrder::model);
            state_.message = "requests: " + std::string(to_string(state_.running_order));
            break;
        case 'a':
            next(state_.account_order, AccountOrder::state);
            state_.message = "accounts: " + std::string(to_string(state_.account_order));
            break;
        case 'r':
            state_.reversed = !state_.reversed;
            break;
        case ' ':
            state_.frozen = !state_.frozen;
            break;
        case 'p':
            pause_or_resume();
            break;
        default:
            break;
        }
        arrange(snapshot_, state_);
        return true;
    }

    bool move(std::int64_t steps)
    {
        state_.chosen = neighbour(snapshot_, state_.chosen, steps);
        return true;
    }

    void pause_or_resume()
    {
        for (const AccountLine& account : snapshot_.accounts) {
            if (account.id != state_.chosen) continue;
            if (account.state == "disabled")
                act("enable");
            else
                state_.question =
                    "Pause " + account.id + ", so that no new request goes to it? y / n";
        }
    }

    void act(const std::string& action)
    {
        ControlCommand command;
        command.kind = ControlCommand::Kind::account_action;
        command.subject = state_.chosen;
        command.action = action;
        supervisor::ControlCall call = supervisor::control_call(command);
        call.patience = kActionPatience;
        Answer answer = ask(folder_, call);
        trim(answer.text);
        state_.message = answer.text;
        look();
    }

    Terminal& terminal_;
    bool colour_;
    const std::filesystem::path& folder_;
    std::chrono::steady_clock::time_point next_;
    Snapshot snapshot_;
    Rates rates_;
    TopState state_;
    std::string problem_;
};

int complain(const Answer& answer, std::ostream& err)
{
    err << "codex-pool: " << answer.text << '\n';
    return answer.code;
}

/// A snapshot per line, for as long as somebody reads.
int stream_json(const std::filesystem::path& folder, std::ostream& out, std::ostream& err)
{
    for (;;) {
        const auto next = std::chrono::steady_clock::now() + kFrame;
        const Answer answer = ask(folder, snapshot_call());
        if (answer.code != supervisor::kControlDone) return complain(answer, err);
        out << answer.text << std::endl;
        if (!out) return supervisor::kControlDone;
        std::this_thread::sleep_until(next);
    }
}

} // namespace

int run_status(
    bool json,
    const supervisor::TerminalStyle& style,
    const std::filesystem::path& data_folder,
    std::ostream& out,
    std::ostream& err)
{
    supervisor::ControlCall call = snapshot_call();
    call.patience = kActionPatience;
    const Answer answer = ask(data_folder, call);
    if (answer.code != supervisor::kControlDone) return complain(answer, err);
    if (json) {
        out << answer.text << '\n';
        return supervisor::kControlDone;
    }
    const auto snapshot = parse_snapshot(answer.text);
    if (!snapshot) return complain({supervisor::kControlRefused, snapshot.error().text()}, err);
    const Paper paper{style.colour, style.bars, style.columns};
    out << text_of(status_lines(*snapshot, paper, style.rows), paper);
    return supervisor::kControlDone;
}

int run_top(
    bool json,
    const supervisor::TerminalStyle& style,
    const std::filesystem::path& data_folder,
    std::ostream& out,
    std::ostream& err)
{
    if (json) return stream_json(data_folder, out, err);
    // Said on the terminal as it is, not on a screen that goes at once.
    if (Answer answer = ask(data_folder, snapshot_call()); answer.code != supervisor::kControlDone)
        return complain(answer, err);
    int signal = 0;
    {
        auto terminal = Terminal::open();
        if (!terminal) return complain({supervisor::kControlRefused, terminal.error().text()}, err);
        signal = Top(*terminal, style.colour, data_folder).run();
    }
    // Whoever waits for this process must see what ended it.
    if (signal != 0) (void)std::raise(signal);
    return supervisor::kControlDone;
}

} // namespace supervisor::shell
