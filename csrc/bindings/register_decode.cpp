// SPDX-License-Identifier: Apache-2.0
#include <pybind11/stl.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <string>
#include <tuple>

#include "bindings/frame_names.h"
#include "bindings/registers.h"
#include "decode/mux.h"
#include "decode/reader.h"
#include "decode/source_url.h"

namespace poseact::bindings {
namespace {

namespace py = pybind11;
using namespace pybind11::literals;

// Python sees Ctrl-C at least this often while a call waits.
constexpr double kSlice_s = 0.1;

Deadline deadline_of(const char* who, std::optional<double> timeout_s) {
  if (!timeout_s) return kNever;
  if (!(*timeout_s >= 0)) {
    throw ConfigError(std::string(who) + ": expected timeout_s of 0 or more, or None, got " +
                      std::to_string(*timeout_s));
  }
  return deadline_after(*timeout_s);
}

// Calls `attempt(slice_end)` without the GIL until it says that it is done.
template <typename Attempt>
void wait_interruptibly(Deadline deadline, Attempt attempt) {
  for (;;) {
    bool done = false;
    {
      const py::gil_scoped_release nogil;
      const Deadline slice = std::min(deadline, deadline_after(kSlice_s));
      done = attempt(slice) || Clock::now() >= deadline;
    }
    if (done) return;
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
  }
}

// Joins its thread when it goes, which may be in Python's hands or in a mux's.
struct DeleteReader {
  void operator()(Reader* reader) const {
    if (PyGILState_Check() == 0) {
      delete reader;
      return;
    }
    const py::gil_scoped_release nogil;
    delete reader;
  }
};

struct DeleteMux {
  void operator()(Mux* mux) const {
    const py::gil_scoped_release nogil;  // frames let go of here may take it again
    delete mux;
  }
};

std::shared_ptr<Reader> make_reader(std::string uri, std::int64_t queue_frames, bool live,
                                    std::int64_t every, std::optional<std::int64_t> max_frames,
                                    int threads, double open_timeout_s, double read_timeout_s) {
  const py::gil_scoped_release nogil;
  const ReaderOptions options{queue_frames, live,           every,         max_frames,
                              threads,      open_timeout_s, read_timeout_s};
  return {new Reader(std::move(uri), options), DeleteReader{}};
}

std::optional<Frame> next_frame(Reader& self, std::optional<double> timeout_s) {
  const Deadline deadline = deadline_of("Reader.next", timeout_s);
  if (self.queue()->attached()) {
    throw ConfigError("Reader.next: expected a reader of its own, got '" +
                      without_login(self.uri()) +
                      "' which feeds a mux; ask the mux for its frames");
  }
  if (!self.started()) {
    throw ConfigError("Reader.next: expected a started reader, got '" + without_login(self.uri()) +
                      "' before start()");
  }
  std::optional<Frame> frame;
  wait_interruptibly(deadline, [&](Deadline slice) {
    frame = self.next(slice);
    return frame.has_value() || self.ended();
  });
  return frame;
}

py::dict as_dict(const ReaderCounts& c) {
  return py::dict("packets"_a = c.packets, "frames"_a = c.frames, "delivered"_a = c.delivered,
                  "skipped"_a = c.skipped, "dropped"_a = c.dropped,
                  "corrupt_packets"_a = c.corrupt_packets, "damaged_frames"_a = c.damaged_frames,
                  "missing_pts"_a = c.missing_pts, "repeated_pts"_a = c.repeated_pts,
                  "backward_pts"_a = c.backward_pts, "clock_resets"_a = c.clock_resets,
                  "resolution_changes"_a = c.resolution_changes, "truncated"_a = c.truncated);
}

py::dict info_of(const Reader& reader) {
  const std::optional<StreamInfo> info = reader.info();
  if (!info) return {};
  const bool swapped = swaps_axes(info->orientation);
  const std::tuple stored(info->width, info->height);
  const std::tuple shown(swapped ? info->height : info->width,
                         swapped ? info->width : info->height);
  const bool has_rate = info->fps_num > 0;
  return py::dict("codec"_a = info->codec, "container"_a = info->container,
                  "pixel_format"_a = info->pixel_format, "size"_a = shown, "stored_size"_a = stored,
                  "orientation"_a = name_of(kOrientations, info->orientation),
                  "time_base"_a = std::tuple(info->time_base.num, info->time_base.den),
                  "fps"_a = has_rate ? py::object(py::make_tuple(info->fps_num, info->fps_den))
                                     : py::object(py::none()),
                  "duration_s"_a = info->duration_s, "frames"_a = info->frames,
                  "live"_a = reader.options().live);
}

template <typename Result>
Result without_gil(const Reader& reader, Result (Reader::*get)() const) {
  const py::gil_scoped_release nogil;
  return (reader.*get)();
}

void register_reader(py::module_& m) {
  py::class_<Reader, std::shared_ptr<Reader>>(m, "Reader", py::is_final())
      .def(py::init(&make_reader), "uri"_a, py::kw_only(), "queue_frames"_a = 8, "live"_a = false,
           "every"_a = 1, "max_frames"_a = py::none(), "threads"_a = 1, "open_timeout_s"_a = 10.0,
           "read_timeout_s"_a = 10.0,
           "One stream, decoded on a thread of its own. A file is opened here (SourceError), a "
           "live stream on the thread.")
      .def("start", &Reader::start, py::call_guard<py::gil_scoped_release>(),
           "Starts the thread; does nothing the second time.")
      .def("stop", &Reader::stop, py::call_guard<py::gil_scoped_release>(),
           "Ends the thread and waits for it, also while it waits for a source. Final.")
      .def("next", &next_frame, "timeout_s"_a = py::none(),
           "The next frame; None at the end or when the time is over (see `ended`).")
      .def_property_readonly("uri", [](const Reader& r) { return r.uri(); })
      .def_property_readonly(
          "ended", [](const Reader& r) { return without_gil(r, &Reader::ended); },
          "Nothing comes any more and all frames have been taken.")
      .def_property_readonly(
          "error", [](const Reader& r) { return without_gil(r, &Reader::error); },
          "The fault that ended the stream after it was opened, or None.")
      .def_property_readonly("info", &info_of,
                             "What the source says of itself; empty before it is open.")
      .def_property_readonly(
          "counts", [](const Reader& r) { return as_dict(without_gil(r, &Reader::counts)); })
      .def_property_readonly(
          "cpu_s", [](const Reader& r) { return without_gil(r, &Reader::cpu_s); },
          "CPU seconds of the reader's thread: all of decoding with threads=1; with more, FFmpeg's "
          "own threads are not counted.");
}

bool push(Mux& self, int stream, const Frame& frame, std::optional<double> timeout_s) {
  Pushed pushed = Pushed::timed_out;
  wait_interruptibly(deadline_of("Mux.push", timeout_s), [&](Deadline slice) {
    pushed = self.push(stream, frame, slice);
    return pushed != Pushed::timed_out;
  });
  return pushed == Pushed::yes;
}

std::optional<FrameBatch> next_batch(Mux& self, std::int64_t max_frames, double timeout_s) {
  if (max_frames < 1 || !(timeout_s >= 0)) {
    throw ConfigError(
        "Mux.next_batch: expected max_frames of 1 or more and timeout_s of 0 or "
        "more, got " +
        std::to_string(max_frames) + " and " + std::to_string(timeout_s));
  }
  FrameBatch batch;
  Mux::Poll poll = Mux::Poll::waiting;
  wait_interruptibly(kNever, [&](Deadline slice) {
    poll = self.poll(static_cast<std::size_t>(max_frames), timeout_s, slice, batch);
    return poll != Mux::Poll::waiting;
  });
  if (poll == Mux::Poll::end) return std::nullopt;
  return batch;
}

int add_stream(Mux& self, std::int64_t queue_frames, bool live) {
  if (queue_frames < 1) {
    throw ConfigError("Mux.add_stream: expected queue_frames of 1 or more, got " +
                      std::to_string(queue_frames));
  }
  const py::gil_scoped_release nogil;  // its lock may be held by who waits for the GIL
  return self.add_stream(static_cast<std::size_t>(queue_frames), live);
}

void register_mux(py::module_& m) {
  py::class_<Mux, std::shared_ptr<Mux>>(m, "Mux", py::is_final())
      .def(py::init([] { return std::shared_ptr<Mux>(new Mux, DeleteMux{}); }))
      .def("add_reader", &Mux::add_reader, "reader"_a, py::call_guard<py::gil_scoped_release>(),
           "Starts the reader if nobody has; returns the number of its stream.")
      .def("add_stream", &add_stream, py::kw_only(), "queue_frames"_a = 8, "live"_a = false,
           "A stream that is fed by `push`; returns its number.")
      .def("push", &push, "stream"_a, "frame"_a, py::kw_only(), "timeout_s"_a = py::none(),
           "False: the stream has ended, or stayed full until the timeout. A full live stream "
           "drops its oldest frame instead.")
      .def("end_stream", &Mux::end_stream, "stream"_a, py::call_guard<py::gil_scoped_release>(),
           "No more frames come; those in the queue are still given out.")
      .def("next_batch", &next_batch, "max_frames"_a, "timeout_s"_a,
           "At most max_frames, at latest timeout_s after the first of them; None at the end of "
           "all streams.")
      .def("ended_streams", &Mux::ended_streams, py::call_guard<py::gil_scoped_release>(),
           "Streams that ended and whose frames have all been given out; each once.")
      .def(
          "counts",
          [](const Mux& self, int stream) {
            ReaderCounts counts;
            {
              const py::gil_scoped_release nogil;
              counts = self.counts(stream);
            }
            return as_dict(counts);
          },
          "stream"_a)
      .def("close", &Mux::close, py::call_guard<py::gil_scoped_release>(),
           "Ends all streams, drops their frames and wakes everybody. Stops no reader.");
}

}  // namespace

void register_decode(py::module_& m) {
  register_reader(m);
  register_mux(m);
}

}  // namespace poseact::bindings
