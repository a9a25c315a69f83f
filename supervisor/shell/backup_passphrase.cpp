#include "supervisor/shell/backup_passphrase.hpp"

#include "shared/base/read_file.hpp"
#include "supervisor/owned_fd.hpp"

#include <cerrno>
#include <string>

#include <fcntl.h>
#include <termios.h>
#include <unistd.h>

namespace supervisor::shell {
namespace {

using shared::Problem;
using shared::Result;
using shared::Secret;

constexpr std::size_t kPassphraseBytesMax = 4096;

/// From the file or the environment; empty if neither names one.
Result<Secret> given(const BackupInputs& inputs)
{
    if (inputs.options.passphrase_file) {
        auto text = shared::read_file(
            *inputs.options.passphrase_file, kPassphraseBytesMax, "passphrase file");
        if (!text) return text.error();
        if (text->missing)
            return Problem{
                inputs.options.passphrase_file->string(),
                "does not exist",
                "name the file of the passphrase"};
        std::string& bytes = text->bytes;
        bytes.resize(std::min(bytes.find_first_of("\r\n"), bytes.size()));
        if (bytes.empty())
            return Problem{
                inputs.options.passphrase_file->string(),
                "has no passphrase in its first line",
                "write it there"};
        return Secret(std::move(bytes));
    }
    const auto found = inputs.environment.find(std::string_view(kPassphraseVariable));
    return found == inputs.environment.end() ? Secret() : Secret(found->second);
}

} // namespace

Result<Secret> passphrase_for_backup(const BackupInputs& inputs)
{
    auto passphrase = given(inputs);
    if (!passphrase) return passphrase;
    if (passphrase->empty() && inputs.options.encrypt) {
        auto first = inputs.ask ? inputs.ask("Passphrase: ") : std::nullopt;
        if (!first)
            return Problem{"--encrypt", "there is no terminal to ask on", "use --passphrase-file"};
        const auto second = inputs.ask("Once more: ");
        if (!second || !first->same_as(*second))
            return Problem{"--encrypt", "the passphrases differ", "try again"};
        *passphrase = std::move(*first);
        if (passphrase->empty()) return Problem{"--encrypt", "the passphrase is empty", "type one"};
    }
    if (!passphrase->empty() && passphrase->reveal().size() < kPassphraseMin)
        return Problem{
            "the passphrase",
            "has fewer than " + std::to_string(kPassphraseMin) + " characters",
            "choose a longer one: whoever has the file can try as many as they like"};
    return passphrase;
}

Result<Secret> passphrase_for_restore(const BackupInputs& inputs, bool sealed)
{
    if (!sealed) return Secret();
    auto passphrase = given(inputs);
    if (!passphrase || !passphrase->empty() || !inputs.ask) return passphrase;
    return inputs.ask("Passphrase: ").value_or(Secret());
}

std::optional<Secret> ask_on_terminal(const std::string& question)
{
    const supervisor::OwnedFd terminal(::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY));
    if (!terminal) return std::nullopt;
    termios before{};
    if (::tcgetattr(terminal.get(), &before) != 0) return std::nullopt;
    termios hidden = before;
    hidden.c_lflag &=
        ~static_cast<tcflag_t>(ECHO | ISIG); // Ctrl-C must not leave the terminal silent
    (void)::tcsetattr(terminal.get(), TCSAFLUSH, &hidden);
    (void)!::write(terminal.get(), question.data(), question.size());
    std::string line;
    char c = 0;
    bool given_up = false;
    while (::read(terminal.get(), &c, 1) == 1 && c != '\n' && line.size() < kPassphraseBytesMax) {
        given_up = c == '\x03';
        if (given_up) break;
        line += c;
    }
    (void)::tcsetattr(terminal.get(), TCSAFLUSH, &before);
    (void)!::write(terminal.get(), "\n", 1);
    Secret answer(std::move(line));
    return given_up ? std::nullopt : std::optional(std::move(answer));
}

} // namespace supervisor::shell
