/// Children for the tests of the process tree: the test program itself, exec'ed as `child --role …` like the real one.
#pragma once

namespace supervisor::test {

/// The folder through which a test tells its children what to do (environment variable). Files in it:
///   fatal-worker    workers exit with kExitFatal        early-death   workers die before READY
///   busy            workers do not finish when drained  fat           a worker of a low generation takes 64 MB
///   admin-reload    the admin child asks for a reload, removes the file and writes the answer to admin-reloaded
inline constexpr const char* kFakeFolder = "CODEX_POOL_FAKE_FOLDER";

/// If the command line is a child's: plays it and returns its exit code. Otherwise -1.
[[nodiscard]] int play_child(int argc, char** argv);

} // namespace supervisor::test
