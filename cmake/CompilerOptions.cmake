# SPDX-License-Identifier: Apache-2.0
add_library(poseact_options INTERFACE)
target_compile_options(
  poseact_options
  INTERFACE -Wall -Wextra -Wpedantic -Wconversion -Wshadow
            $<$<BOOL:${POSEACT_WERROR}>:-Werror>)
if(POSEACT_SANITIZE)
  target_compile_options(poseact_options INTERFACE -fsanitize=${POSEACT_SANITIZE}
                                                   -fno-omit-frame-pointer -g)
  target_link_options(poseact_options INTERFACE -fsanitize=${POSEACT_SANITIZE})
endif()
