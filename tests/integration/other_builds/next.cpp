// The program as a later version of itself.
#undef CODEX_POOL_VERSION
#define CODEX_POOL_VERSION "99.0.0"
#include "supervisor/main.cpp"
