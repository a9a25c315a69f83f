// A later version whose workers end before they are ready: only a running pool finds that out.
#include <string_view>

#undef CODEX_POOL_VERSION
#define CODEX_POOL_VERSION "99.9.9"
#define main program_main
#include "supervisor/main.cpp"
#undef main

int main(int argc, char** argv)
{
    for (int i = 2; i < argc; ++i) {
        if (std::string_view(argv[1]) == "child" && std::string_view(argv[i]) == "worker") return 1;
    }
    return program_main(argc, argv);
}
