# What is installed besides the program, and the Debian package made of it:
#
#   cmake --preset release && cmake --build --preset release && cpack --config build/release/CPackConfig.cmake -B build
#
# `cmake --install` lays out the same files. The prefix is /usr unless one is given: the unit names /usr/bin/codex-pool.

if(CMAKE_INSTALL_PREFIX_INITIALIZED_TO_DEFAULT)
  set_property(CACHE CMAKE_INSTALL_PREFIX PROPERTY VALUE /usr)
endif()
set(CMAKE_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
  OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)

find_program(AWK NAMES awk REQUIRED)
find_program(GZIP NAMES gzip REQUIRED)
set(package_dir ${PROJECT_BINARY_DIR}/package)
set(package_files "")

# package_file(OUTPUT name DEPENDS file... COMMAND ...): a file made in ${package_dir}.
function(package_file name)
  cmake_parse_arguments(ARG "" "" "DEPENDS" ${ARGN})
  add_custom_command(
    OUTPUT ${package_dir}/${name}
    COMMAND ${CMAKE_COMMAND} -E make_directory ${package_dir}
    ${ARG_UNPARSED_ARGUMENTS}
    DEPENDS ${ARG_DEPENDS}
    WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
    VERBATIM)
  list(APPEND package_files ${package_dir}/${name})
  set(package_files ${package_files} PARENT_SCOPE)
endfunction()

# The settings are written down once, in etc/config.example.toml.
package_file(config.toml
  COMMAND ${AWK} -f etc/package_config.awk etc/config.example.toml > ${package_dir}/config.toml
  DEPENDS etc/package_config.awk etc/config.example.toml)
package_file(codex-pool.toml.5
  COMMAND ${AWK} -v version=${PROJECT_VERSION} -f docs/man/settings.awk docs/man/codex-pool.toml.5.in etc/config.example.toml
          > ${package_dir}/codex-pool.toml.5
  DEPENDS docs/man/settings.awk docs/man/codex-pool.toml.5.in etc/config.example.toml)
package_file(codex-pool.1
  COMMAND sed "s/@PROJECT_VERSION@/${PROJECT_VERSION}/" docs/man/codex-pool.1.in > ${package_dir}/codex-pool.1
  DEPENDS docs/man/codex-pool.1.in)
foreach(page codex-pool.1 codex-pool.toml.5)
  package_file(${page}.gz
    COMMAND ${GZIP} -9nkf ${package_dir}/${page}
    DEPENDS ${package_dir}/${page})
endforeach()
package_file(changelog.Debian.gz
  COMMAND ${GZIP} -9nc cmake/debian/changelog > ${package_dir}/changelog.Debian.gz
  DEPENDS cmake/debian/changelog)
add_custom_target(package_files ALL DEPENDS ${package_files})

set(man_dir share/man)
set(doc_dir share/doc/codex-pool)
install(TARGETS codex-pool RUNTIME DESTINATION bin)
install(FILES ${package_dir}/config.toml DESTINATION /etc/codex-pool)
install(FILES etc/prices.json docs/openapi.json DESTINATION share/codex-pool)
install(FILES systemd/codex-pool.service systemd/codex-pool.socket DESTINATION lib/systemd/system)
install(FILES systemd/codex-pool.sysusers DESTINATION lib/sysusers.d RENAME codex-pool.conf)
install(FILES systemd/codex-pool.tmpfiles DESTINATION lib/tmpfiles.d RENAME codex-pool.conf)
install(FILES ${package_dir}/codex-pool.1.gz DESTINATION ${man_dir}/man1)
install(FILES ${package_dir}/codex-pool.toml.5.gz DESTINATION ${man_dir}/man5)
install(FILES etc/completions/codex-pool.bash DESTINATION share/bash-completion/completions RENAME codex-pool)
install(FILES etc/completions/_codex-pool DESTINATION share/zsh/vendor-completions)
install(FILES etc/completions/codex-pool.fish DESTINATION share/fish/vendor_completions.d)
install(FILES cmake/debian/copyright ${package_dir}/changelog.Debian.gz DESTINATION ${doc_dir})
install(FILES cmake/debian/lintian-overrides DESTINATION share/lintian/overrides RENAME codex-pool)
install(FILES systemd/examples/listen.conf systemd/examples/lan.conf etc/prometheus/alerts.yml etc/grafana/codex-pool.json
  DESTINATION ${doc_dir}/examples)

file(STRINGS cmake/debian/changelog newest LIMIT_COUNT 1)
if(NOT newest MATCHES "^codex-pool \\(${PROJECT_VERSION}-([0-9]+)\\)")
  message(FATAL_ERROR "cmake/debian/changelog begins with \"${newest}\", which is not version ${PROJECT_VERSION}")
endif()

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME codex-pool)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_CONTACT "codex-pool authors <codex-pool@example.org>" CACHE STRING "Maintainer of the Debian package")
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS ${CMAKE_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS})
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE ${CMAKE_MATCH_1})
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "ca-certificates, systemd (>= 252)")
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "reverse proxy that pools accounts of AI command line clients")
set(CPACK_PACKAGE_DESCRIPTION
"Codex CLI, Claude Code and Gemini CLI point at one address. Every request
leaves through the account with the most room left, conversations stay on their
account, streams arrive as they are sent, and usage is counted per account and
model.
.
The service listens on loopback and runs as a user of its own in a sandbox.")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
file(WRITE ${package_dir}/conffiles "/etc/codex-pool/config.toml\n")
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
  ${package_dir}/conffiles
  ${PROJECT_SOURCE_DIR}/cmake/debian/postinst
  ${PROJECT_SOURCE_DIR}/cmake/debian/prerm
  ${PROJECT_SOURCE_DIR}/cmake/debian/postrm)
include(CPack)
