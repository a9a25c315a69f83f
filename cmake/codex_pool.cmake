# Compile options and the two helpers every target of this project is declared with.

add_library(codex-pool_options INTERFACE)
target_include_directories(codex-pool_options INTERFACE ${PROJECT_SOURCE_DIR})
# -Wnull-dereference: once optimised, g++ 12 warns falsely about moved std::optional.
target_compile_options(codex-pool_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Wcast-align
  -Wunused $<$<CONFIG:Debug>:-Wnull-dereference> -Wformat=2 $<$<CONFIG:Debug>:-fno-omit-frame-pointer>)
target_compile_definitions(codex-pool_options INTERFACE
  BOOST_ASIO_SEPARATE_COMPILATION BOOST_BEAST_SEPARATE_COMPILATION BOOST_ASIO_NO_DEPRECATED
  CODEX_POOL_VERSION="${PROJECT_VERSION}")
if(CODEX_POOL_SANITIZE)
  # g++ 12 warns falsely about its own headers when sanitizers change the inlining.
  target_compile_options(codex-pool_options INTERFACE
    -fsanitize=${CODEX_POOL_SANITIZE} -fno-sanitize-recover=all
    $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
  target_link_options(codex-pool_options INTERFACE -fsanitize=${CODEX_POOL_SANITIZE})
endif()

# codex_pool_library(NAME DIR folder [EXCLUDE file...] LINK target...): a static library of the folder's *.cpp.
function(codex_pool_library name)
  cmake_parse_arguments(ARG "" "DIR" "EXCLUDE;LINK" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${ARG_DIR}/*.cpp)
  foreach(file IN LISTS ARG_EXCLUDE)
    list(REMOVE_ITEM sources ${PROJECT_SOURCE_DIR}/${ARG_DIR}/${file})
  endforeach()
  if(sources)
    add_library(codex-pool_${name} STATIC ${sources})
    target_link_libraries(codex-pool_${name} PUBLIC codex-pool_options ${ARG_LINK})
  else()
    add_library(codex-pool_${name} INTERFACE)
    target_link_libraries(codex-pool_${name} INTERFACE codex-pool_options ${ARG_LINK})
  endif()
endfunction()

# codex_pool_embed(target folder [file...]): makes every file of the folder, and those files, available to the target
# through the generated header "embedded_files.hpp" (see cmake/embed.cmake).
function(codex_pool_embed target folder)
  set(extra ${ARGN})
  list(TRANSFORM extra PREPEND ${PROJECT_SOURCE_DIR}/)
  file(GLOB_RECURSE files CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${folder}/*)
  set(header ${PROJECT_BINARY_DIR}/generated/${folder}/embedded_files.hpp)
  add_custom_command(
    OUTPUT ${header}
    COMMAND ${CMAKE_COMMAND} -DFOLDER=${PROJECT_SOURCE_DIR}/${folder} -DHEADER=${header} "-DEXTRA=${extra}"
            -P ${PROJECT_SOURCE_DIR}/cmake/embed.cmake
    DEPENDS ${files} ${extra} ${PROJECT_SOURCE_DIR}/cmake/embed.cmake
    VERBATIM)
  get_target_property(type ${target} TYPE)
  if(NOT type STREQUAL "INTERFACE_LIBRARY")
    target_sources(${target} PRIVATE ${header})
    target_include_directories(${target} PRIVATE ${PROJECT_BINARY_DIR}/generated/${folder})
  endif()
endfunction()
