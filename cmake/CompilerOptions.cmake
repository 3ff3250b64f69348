# SPDX-License-Identifier: Apache-2.0
# The options of every target of ours, as the target poseact_options.
add_library(poseact_options INTERFACE)
target_compile_options(
  poseact_options
  INTERFACE -Wall -Wextra -Wpedantic -Wconversion -Wshadow $<$<BOOL:${POSEACT_WERROR}>:-Werror>
)
if(POSEACT_BUILD_FUZZERS)
  if(NOT CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    message(FATAL_ERROR "POSEACT_BUILD_FUZZERS needs clang: cmake --preset fuzz")
  endif()
  # The library is instrumented but has no main of libFuzzer's; each fuzz target links that.
  set(POSEACT_SANITIZE "address,undefined,fuzzer-no-link")
endif()
if(POSEACT_SANITIZE)
  target_compile_options(
    poseact_options
    INTERFACE -fsanitize=${POSEACT_SANITIZE} -fno-omit-frame-pointer -g1
  )
  target_link_options(poseact_options INTERFACE -fsanitize=${POSEACT_SANITIZE})
endif()
