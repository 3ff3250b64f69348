// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdexcept>
#include <string>

namespace poseact {

// Base of everything the engine throws on purpose; the Python classes of the same names are in
// poseact_engine/errors.py. A message says who, expected, got, and what to do.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// An option or argument is outside what it may be.
class ConfigError : public Error {
 public:
  using Error::Error;
};

// An array has the wrong shape or dtype.
class ShapeError : public Error {
 public:
  using Error::Error;
};

// A source (file, camera, image) cannot be opened or read.
class SourceError : public Error {
 public:
  using Error::Error;
};

// A stream is open but its content cannot be decoded.
class DecodeError : public Error {
 public:
  using Error::Error;
};

}  // namespace poseact
