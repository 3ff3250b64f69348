// SPDX-License-Identifier: Apache-2.0
#include "decode/source_url.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <string_view>

#include "core/error.h"

namespace poseact {
namespace {

namespace fs = std::filesystem;

// "rtsp://..." but not "clip.mp4"; a name that exists as a file is a file, whatever it looks like.
bool looks_like_url(const std::string& uri) {
  const std::size_t colon = uri.find(':');
  if (colon == std::string::npos || colon < 2) return false;
  return std::all_of(uri.begin(), uri.begin() + static_cast<std::ptrdiff_t>(colon), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '+' || c == '-' || c == '.';
  });
}

}  // namespace

std::string url_of(const std::string& uri) {
  constexpr std::string_view kFile = "file:";
  std::error_code ignored;
  const std::string path =
      uri.starts_with(kFile) && !fs::exists(uri, ignored) ? uri.substr(kFile.size()) : uri;
  const fs::file_status status = fs::status(path, ignored);
  if (fs::is_directory(status)) {
    throw SourceError("source: expected a video or image file, got the directory '" + path +
                      "'; name the files in it");
  }
  if (fs::is_regular_file(status)) return std::string(kFile) + path;
  if (fs::exists(status)) {  // reading it may block for ever, where nothing can interrupt it
    throw SourceError("source: expected a regular file or URL, got '" + path +
                      "', a pipe or device; send it through tcp:// or udp:// instead");
  }
  if (path == uri && looks_like_url(uri)) return uri;
  throw SourceError("source: expected a file or URL, got '" + path +
                    "', which does not exist; check the path");
}

std::string without_login(const std::string& uri) {
  constexpr std::string_view kSlashes = "://";
  const std::size_t slashes = uri.find(kSlashes);
  if (slashes == std::string::npos) return uri;
  const std::size_t host = slashes + kSlashes.size();
  const std::size_t end = uri.find_first_of("/?#", host);  // of user:password@host:port
  const std::size_t at = uri.substr(0, end).rfind('@');
  if (at == std::string::npos || at < host) return uri;
  return uri.substr(0, host) + uri.substr(at + 1);
}

}  // namespace poseact
