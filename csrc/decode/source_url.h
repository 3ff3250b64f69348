// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace poseact {

// What FFmpeg is to open for a path or URL: "file:" in front of a path, so that no character of a
// file name is a protocol. Throws SourceError for what does not exist, directories and pipes.
std::string url_of(const std::string& uri);

// A URL without its user name and password, for messages; anything else as it is.
std::string without_login(const std::string& uri);

}  // namespace poseact
