/// The only main(): reads the command line and calls what it asks for.
#include <cstdio>

int main()
{
    std::puts("codex-pool " CODEX_POOL_VERSION);
    return 0;
}
