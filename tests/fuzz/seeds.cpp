/// Gives every fuzz target its seeds, wherever it is started: corpus/<name>/* become -seed_inputs. (As a
/// corpus folder they would be written to as well.)

#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv)
{
    static std::string seeds = "-seed_inputs=";
    static std::vector<char*> arguments(*argv, *argv + *argc);
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(CODEX_POOL_FUZZ_SEEDS, error)) {
        if (seeds.back() != '=') seeds += ',';
        seeds += entry.path().string();
    }
    if (seeds.back() == '=') return 0;
    arguments.push_back(seeds.data());
    arguments.push_back(nullptr);
    *argc += 1;
    *argv = arguments.data();
    return 0;
}
