# Toolchain for the package of arm64, on Debian 12 of another architecture:
#
#   dpkg --add-architecture arm64 && apt-get update && apt-get install crossbuild-essential-arm64
#   apt-get install libssl-dev:arm64 ...     # the libraries of scripts/deps.sh, each with :arm64
#   cmake --preset release -B build/arm64 --toolchain cmake/aarch64.cmake && cmake --build build/arm64
#   dpkg-architecture -a arm64 -c cpack --config build/arm64/CPackConfig.cmake -B build
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
# CMake finds the rest by the compiler's own library folder; pkg-config has to be told.
set(ENV{PKG_CONFIG_LIBDIR} /usr/lib/aarch64-linux-gnu/pkgconfig:/usr/share/pkgconfig)
set(CPACK_DEBIAN_PACKAGE_ARCHITECTURE arm64)
